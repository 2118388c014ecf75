package edge

import (
	"crypto/rand"
	"encoding/hex"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"admitone/gateway"
)

// request is one request on its way through a handler. It is pooled: nothing
// in it outlives the handler.
type request struct {
	server *Server
	ctx    *fasthttp.RequestCtx
	head   head
	parser fastjson.Parser
	id     []byte // request id
	out    []byte // the body of the answer
	token  []byte // member token in it; scratch for header fields before

	route      route
	launchName []byte
	param      []byte
	launch     *gateway.Launch
	key        *gateway.APIKey // nil: the caller is the public, or a member
	through    gateway.ID      // the redemption that the caller's member token was given for
	ask        gateway.Redeem
	outcome    string
	unchecked  bool // a challenge's token could not be checked
}

// handle is fasthttp's handler.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	start := time.Now()
	s.metrics.inFlight.Inc()
	q := s.requests.Get().(*request)
	q.ctx, q.route, q.outcome = ctx, routeOther, outcomeOK
	whole := q.serve()
	s.metrics.count(q.route, q.outcome, time.Since(start))
	s.metrics.inFlight.Dec()
	if whole {
		*q = request{server: s, head: q.head, parser: q.parser, id: q.id[:0], out: q.out[:0], token: q.token[:0]}
		s.requests.Put(q)
	}
}

// serve answers a request, whatever happens. It reports false after a panic:
// what is left of the request is not to be used again.
func (q *request) serve() (whole bool) {
	defer func() {
		if p := recover(); p != nil {
			q.panicked(p)
		}
	}()
	header := &q.ctx.Request.Header
	if err := q.head.read(header); err != nil {
		q.id = q.server.ids.append(q.id[:0], nil)
		q.ctx.SetConnectionClose()
		q.refuse(err)
		return true
	}
	q.id = q.server.ids.append(q.id[:0], q.head.requestID)
	q.route, q.launchName, q.param = find(header.RequestURI())
	var err error
	if r := q.route; r != routeOther && q.head.origin != nil && string(header.Method()) == "OPTIONS" {
		err = q.preflight()
	} else if r != routeOther && !r.allows(header.Method()) {
		q.ctx.Response.Header.Set("Allow", routes[r].allow)
		err = &gateway.Error{Reason: gateway.MethodNotAllowed, Detail: "Use one of: " + routes[r].allow + "."}
	} else {
		err = q.answer()
	}
	if err != nil {
		q.refuse(err)
	}
	return true
}

// panicked answers for a handler that failed, and logs where. What it failed on
// may hold what the caller sent, so only the runtime's own words are logged.
func (q *request) panicked(p any) {
	what := "not a runtime error"
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	q.server.log.Error("a handler panicked", "route", routes[q.route].name, "request_id", string(q.id), "panic", what, "stack", string(debug.Stack()))
	q.ctx.Response.Reset()
	q.ctx.SetConnectionClose()
	q.write(gateway.Refuse(gateway.Internal))
	q.outcome = string(gateway.Internal)
}

// openLaunch finds the launch that the path names.
func (q *request) openLaunch() (err error) {
	if !gateway.ValidLaunchName(text(q.launchName)) {
		return gateway.Refuse(gateway.LaunchUnknown)
	}
	q.launch, err = q.server.config.Store.Launch(q.server.running, text(q.launchName))
	return err
}

// body decodes the body, which may hold the allowed fields. They outlive the
// request.
func (q *request) body(allowed uint16) (body, error) {
	b, err := q.view(allowed)
	if err != nil {
		return body{}, err
	}
	return b.copied(), nil
}

// view decodes the body without copying it: the fields are good until the
// handler returns.
func (q *request) view(allowed uint16) (body, error) {
	if err := q.checkContent(); err != nil {
		return body{}, err
	}
	b, err := decode(&q.parser, q.ctx.PostBody(), allowed)
	if err != nil {
		return body{}, err
	}
	return b, nil
}

// jsonBody is the body as it came in, checked to be well-formed text.
func (q *request) jsonBody() ([]byte, error) {
	b := q.ctx.PostBody()
	if len(b) == 0 {
		return nil, nil
	}
	if err := q.checkContent(); err != nil {
		return nil, err
	}
	if err := checkText(b); err != nil {
		return nil, err
	}
	return b, nil
}

// checkContent refuses a body that does not say it is JSON, as it is.
func (q *request) checkContent() error {
	if !isJSON(q.head.contentType) {
		return &gateway.Error{Reason: gateway.UnsupportedMediaType, Field: "Content-Type", Detail: "Use Content-Type: application/json."}
	}
	if e := q.head.contentEncoding; len(e) > 0 && !fold(e, "identity") {
		return &gateway.Error{Reason: gateway.UnsupportedMediaType, Field: "Content-Encoding", Detail: "Send the body as it is, not compressed."}
	}
	return nil
}

// isJSON takes application/json, in UTF-8 if it says so.
func isJSON(b []byte) bool {
	const json = "application/json"
	if len(b) < len(json) || !fold(b[:len(json)], json) {
		return false
	}
	switch rest := string(trimParameter(b[len(json):])); rest {
	case "", "charset=utf-8", "charset=UTF-8", `charset="utf-8"`, `charset="UTF-8"`:
		return true
	}
	return false
}

func trimParameter(b []byte) []byte {
	semicolon := false
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == ';') {
		semicolon = semicolon || b[0] == ';'
		b = b[1:]
	}
	if len(b) > 0 && !semicolon {
		return []byte("?") // application/jsonish
	}
	return b
}

// send writes an answer of JSON.
func (q *request) send(status int) {
	q.headers("application/json")
	q.ctx.SetStatusCode(status)
	q.ctx.SetBody(q.out)
}

// headers sets what every answer carries. Nothing that this API says is to be
// kept by a cache.
func (q *request) headers(contentType string) {
	h := &q.ctx.Response.Header
	h.SetContentType(contentType)
	h.SetBytesV("X-Request-Id", q.id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if q.head.origin != nil {
		q.share()
	}
}

// requestIDs makes the ids of requests that bring none: unique, not secret.
type requestIDs struct {
	process string
	last    *atomic.Uint64
}

func newRequestIDs() requestIDs {
	var b [8]byte
	rand.Read(b[:])
	return requestIDs{hex.EncodeToString(b[:]) + "-", new(atomic.Uint64)}
}

// append appends the id that the caller gave, or a new one where that is
// missing or could harm a log.
func (r requestIDs) append(dst, given []byte) []byte {
	if safe(given, "._-") {
		return append(dst, given...)
	}
	return strconv.AppendUint(append(dst, r.process...), r.last.Add(1), 36)
}
