package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"admitone/gateway"
)

// Ask is one redemption.
type Ask struct {
	Code, Subject, Address string
	ID                     gateway.ID // for a new one
}

// Answer is what came of it.
type Answer struct {
	ID     gateway.ID
	Replay bool
	Reason string // why it is refused, "" if it is not
}

// The reasons of refusals.
const (
	unknown   = "code_unknown"
	notYet    = "code_not_started"
	expired   = "code_expired"
	revoked   = "code_revoked"
	exhausted = "code_exhausted"
	redeemed  = "already_redeemed"
	attempts  = "attempts_exceeded"
)

var statuses = map[string]int{unknown: 404, notYet: 409, expired: 410, revoked: 410, exhausted: 409, redeemed: 409, attempts: 429}

// The limits of failed attempts, those of a launch that nobody configured.
const (
	perAddress = 3
	perSubject = 10
)

// Decider is a peer: it redeems one code for one subject.
type Decider interface {
	Decide(ctx context.Context, a Ask) (Answer, error)
	// Count tells what the store holds, to be compared with what was answered.
	Count(ctx context.Context) (Counts, error)
	Close()
}

// Counts are what a peer's store holds: uses of all codes, members, records.
type Counts struct {
	Uses    int64 `json:"uses"`
	Members int64 `json:"members"`
	Records int64 `json:"records"`
}

// Options are what peers stand on.
type Options struct {
	Redis    string // host:port
	Postgres string // URL of a database of its own
	Codes    []Code // what there is to redeem
	Pool     int    // connections to Postgres; 0: 32
	Says     *Says  // what echo answers; nil: an admitted redemption
}

// Says is an answer that never changes.
type Says struct {
	Header [][2]string // as they stand in the answer, without those that fasthttp writes
	Body   string
}

// Code is a code to be seeded.
type Code struct {
	Code string
	Uses int
}

var makers = map[string]func(context.Context, Options) (Decider, error){
	"pg":           newPostgres,
	"pg-coalesced": newCoalesced,
	"direct":       newDirect,
	"autopipeline": newAutoPipeline,
	"own":          newOwn,
	"echo":         newEcho,
}

// Names are the peers that Serve knows; nginx is a server of its own.
func Names() []string {
	names := make([]string, 0, len(makers))
	for name := range makers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Server is a peer behind HTTP.
type Server struct {
	peer    Decider
	http    *fasthttp.Server
	parsers fastjson.ParserPool
	echo    bool
	says    *Says
}

// Open makes a peer and seeds its store, which must be empty.
func Open(ctx context.Context, name string, o Options) (*Server, error) {
	maker := makers[name]
	if maker == nil {
		return nil, fmt.Errorf("there is no peer %q; use one of %v", name, Names())
	}
	peer, err := maker(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &Server{peer: peer, echo: name == "echo", says: o.Says}
	s.http = &fasthttp.Server{
		Handler: s.handle, NoDefaultServerHeader: true, NoDefaultContentType: true, Concurrency: 16 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, DisablePreParseMultipartForm: true,
	}
	return s, nil
}

// Serve answers until Close.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Count tells what the store holds.
func (s *Server) Count(ctx context.Context) (Counts, error) { return s.peer.Count(ctx) }

// Close ends the server.
func (s *Server) Close() {
	_ = s.http.Shutdown()
	s.peer.Close()
}

var fixed = gateway.NewID(time.Unix(0, 0))

// handle answers every request as a redemption. GET /counts is the bench's. What
// is asked of a store gets a context of its own: fasthttp's is used again for
// the next request, and pgx may still look at it.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	if s.echo && s.says != nil {
		for _, h := range s.says.Header {
			ctx.Response.Header.Set(h[0], h[1])
		}
		ctx.SetBodyString(s.says.Body)
		return
	}
	if s.echo {
		s.admitted(ctx, fixed, "HOTHOTHOTH", "subject-000000000000", false)
		return
	}
	if string(ctx.Path()) == "/counts" {
		c, err := s.peer.Count(context.Background())
		if err != nil {
			ctx.Error(err.Error(), 500)
			return
		}
		fmt.Fprintf(ctx, `{"uses":%d,"members":%d,"records":%d}`, c.Uses, c.Members, c.Records)
		return
	}
	p := s.parsers.Get()
	defer s.parsers.Put(p)
	v, err := p.ParseBytes(ctx.PostBody())
	if err != nil {
		refuse(ctx, 400, "invalid_request")
		return
	}
	// Copies: the buffers are the next request's before a batch is decided.
	a := Ask{
		Code: string(v.GetStringBytes("code")), Subject: string(v.GetStringBytes("subject")),
		Address: ctx.RemoteIP().String(), ID: gateway.NewID(time.Now()),
	}
	if n := len(a.Code); n == 0 || n > 64 || len(a.Subject) == 0 || len(a.Subject) > 200 {
		refuse(ctx, 400, "invalid_request")
		return
	}
	answer, err := s.peer.Decide(context.Background(), a)
	switch {
	case err != nil:
		refuse(ctx, 503, "unavailable")
	case answer.Reason != "":
		refuse(ctx, statuses[answer.Reason], answer.Reason)
	default:
		s.admitted(ctx, answer.ID, a.Code, a.Subject, answer.Replay)
	}
}

// token stands for a member token, which peers do not sign.
const token = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// admitted answers as a gateway does, in as many bytes.
func (s *Server) admitted(ctx *fasthttp.RequestCtx, id gateway.ID, code, subject string, replay bool) {
	ctx.SetStatusCode(201)
	if replay {
		ctx.SetStatusCode(200)
	}
	headers(ctx)
	b := ctx.Response.Body()[:0]
	b = append(b, `{"id":"`...)
	b, _ = id.AppendText(b)
	b = append(append(append(b, `","status":"committed","code":"`...), code...), `","campaign":"bench","subject":"`...)
	b = append(append(b, subject...), `","tier":"standard","unlock":{"method":"invite_code","rounds":"unlimited"},"allotment":0,"member_token":"`...)
	b = append(append(b, token...), `","receipt":{"durability":"accepted","position":100000},"replayed":`...)
	ctx.SetBody(append(strconv.AppendBool(b, replay), '}'))
}

func refuse(ctx *fasthttp.RequestCtx, status int, code string) {
	ctx.SetStatusCode(status)
	headers(ctx)
	ctx.SetBodyString(`{"type":"/problems/` + code + `","title":"Refused","status":` + strconv.Itoa(status) + `,"code":"` + code + `"}`)
}

func headers(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set("X-Request-Id", "0123456789abcdef-0000")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// echo decides nothing.
type echo struct{}

func newEcho(context.Context, Options) (Decider, error) { return echo{}, nil }

func (echo) Decide(context.Context, Ask) (Answer, error) { return Answer{}, errors.ErrUnsupported }
func (echo) Count(context.Context) (Counts, error)       { return Counts{}, errors.ErrUnsupported }
func (echo) Close()                                      {}
