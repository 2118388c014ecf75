package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

// maxBody bounds a request's body, in bytes; imports have twice that.
const maxBody = 1 << 20

// call is one request and what answers it.
type call struct {
	w    http.ResponseWriter
	r    *http.Request
	id   string // of the request
	key  *gateway.APIKey
	done bool   // answered already
	code int    // status of the answer
	once string // what an Idempotency-Key names: whose it is, for which request; "" without one
	// settle waits until Postgres holds what the call changed; nil for calls
	// that change nothing.
	settle func(launch string) (persisted bool)
}

// api wraps a handler: request id, API key, panics, errors, metrics, log.
func (s *server) api(route string, scope gateway.Scope, handle func(*call) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		c := &call{w: w, r: r, id: requestID(r.Header.Get("X-Request-Id"))}
		w.Header().Set("X-Request-Id", c.id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			// A caller who goes away does not leave a change half done.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), changeTimeout)
			defer cancel()
			c.r = r.WithContext(ctx)
			c.settle = func(launch string) bool { return s.settled(ctx, launch) }
		}
		err := s.guarded(c, scope, handle)
		if err != nil {
			s.refuse(c, err)
		}
		s.requests.WithLabelValues(route, strconv.Itoa(c.code)).Inc()
		s.duration.WithLabelValues(route).Observe(time.Since(began).Seconds())
		name := ""
		if c.key != nil {
			name = c.key.Name
		}
		s.Log.Info("admin request", "route", route, "status", c.code, "key", name, "request_id", c.id, "took", time.Since(began))
	})
}

// settleTimeout is how long a change's answer waits for Postgres.
const settleTimeout = 2 * time.Second

// settled waits until Postgres holds what Redis holds of a launch: operators
// read what they changed, and a Redis that fails loses none of it.
func (s *server) settled(ctx context.Context, launch string) bool {
	if s.Persisted == nil {
		return false
	}
	at, err := s.Store.Position(ctx, launch)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return s.Persisted.Wait(ctx, launch, at.Epoch, at.Seq) == nil
}

// changeTimeout bounds a change, whether its caller waits for it or not.
const changeTimeout = time.Minute

// guarded authorises the call and runs its handler; a panic becomes an error,
// but for the one that breaks an answer off.
func (s *server) guarded(c *call, scope gateway.Scope, handle func(*call) error) (err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			panic(p) // the connection is to break off
		} else if p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := s.authorize(c, scope); err != nil {
		return err
	}
	return handle(c)
}

func (s *server) authorize(c *call, scope gateway.Scope) error {
	secret, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return gateway.Refuse(gateway.Unauthorized)
	}
	key, err := s.Keys.Check(c.r.Context(), strings.TrimSpace(secret))
	if err != nil {
		return err
	}
	c.key = key
	// A key of one launch is good for that launch's calls and for no others.
	if scope != "" && !key.Allows(scope, c.r.PathValue("launch"), time.Now()) {
		return gateway.Refuse(gateway.Forbidden)
	}
	return nil
}

// changed is the launch that the call has changed, "" if none.
func (c *call) changed() string {
	if c.settle == nil {
		return ""
	}
	return c.r.PathValue("launch")
}

// by is who makes the change, for the audit trail.
func (c *call) by(note string) gateway.Actor { return gateway.Actor{Name: c.key.Name, Note: note} }

func requestID(given string) string {
	safe := given != "" && len(given) <= 64 && !strings.ContainsFunc(given, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
	if safe {
		return given
	}
	return gateway.NewID(time.Now()).String()
}

// answer writes a JSON answer.
func (c *call) answer(status int, body any) error {
	if launch := c.changed(); launch != "" {
		durability := gateway.DurabilityAccepted
		if c.settle(launch) {
			durability = gateway.DurabilityPersisted
		}
		c.w.Header().Set("Admit-Durability", string(durability))
	}
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	c.raw(status, "application/json", append(b, '\n'))
	return nil
}

func (c *call) raw(status int, contentType string, body []byte) {
	c.done, c.code = true, status
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // the client may be gone
}

// problem is RFC 9457's document.
type problem struct {
	Type       string              `json:"type"`
	Title      string              `json:"title"`
	Status     int                 `json:"status"`
	Detail     string              `json:"detail"`
	Code       gateway.Reason      `json:"code"`
	Field      string              `json:"field,omitempty"`
	RequestID  string              `json:"request_id"`
	RetryAfter int                 `json:"retry_after,omitempty"`
	Problems   []gateway.Problem   `json:"problems,omitempty"` // of a policy
	Lines      []gateway.LineError `json:"lines,omitempty"`    // of an import
	Indexes    []int               `json:"indexes,omitempty"`  // of codes in a list
}

// importError is an import that was refused, with its lines.
type importError struct{ lines []gateway.LineError }

func (e *importError) Error() string { return fmt.Sprintf("%d lines are wrong", len(e.lines)) }

// refuse writes the problem document of an error. The text of an error that is
// no refusal is logged and not told.
func (s *server) refuse(c *call, err error) {
	if c.done {
		s.Log.Error("an answer broke off", "request_id", c.id, "error", err)
		return
	}
	var p problem
	var policy *gateway.PolicyError
	var lines *importError
	var exist *gateway.CodesExist
	var unknown *gateway.CodesUnknown
	var e *gateway.Error
	switch {
	case errors.As(err, &policy):
		p.Problems = policy.Problems
		e = gateway.Invalid(policy.Problems[0].Path, policy.Error())
	case errors.As(err, &lines):
		p.Lines = lines.lines
		e = gateway.Invalid("body", fmt.Sprintf("%d lines are wrong; nothing was imported. Mend them and send the file again.", len(lines.lines)))
	case errors.As(err, &exist):
		p.Indexes = exist.Indexes
		e = &gateway.Error{Reason: gateway.CodeExists, Field: "codes", Detail: "Some of these codes exist already; nothing was minted."}
	case errors.As(err, &unknown):
		p.Indexes = unknown.Indexes
		e = &gateway.Error{Reason: gateway.CodeUnknown, Field: "codes", Detail: "Some of these codes do not exist; nothing was changed."}
	case !errors.As(err, &e):
		s.Log.Error("an admin request failed", "request_id", c.id, "error", err)
		if e = gateway.Away(err, c.r.Method == http.MethodGet); e == nil {
			e = gateway.Refuse(gateway.Internal)
		}
	}
	p.Code, p.Detail, p.Field, p.RequestID = e.Reason, e.Sentence(), e.Field, c.id
	p.Type, p.Status = "/problems/"+string(e.Reason), e.Reason.Status()
	p.Title = strings.ToUpper(string(e.Reason[:1])) + strings.ReplaceAll(string(e.Reason[1:]), "_", " ")
	if e.RetryAfter > 0 {
		p.RetryAfter = int((e.RetryAfter + time.Second - 1) / time.Second)
		c.w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if e.Reason == gateway.Unauthorized {
		c.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	body, err := json.Marshal(p)
	if err != nil {
		s.Log.Error("a problem document does not marshal", "error", err)
	}
	c.raw(p.Status, "application/problem+json", append(body, '\n'))
}

// page reads limit and after.
func (c *call) page() (gateway.Page, error) {
	q := c.r.URL.Query()
	return gateway.ReadPage(q.Get("limit"), q.Get("after"))
}

// list makes a handler of what reads a page of a launch's rows.
func list[T any](read func(*server, *call, *gateway.Launch, gateway.Page) (gateway.List[T], error)) func(*server, *call) error {
	return func(s *server, c *call) error {
		l, err := c.launch(s)
		if err != nil {
			return err
		}
		p, err := c.page()
		if err != nil {
			return err
		}
		rows, err := read(s, c, l, p)
		if err != nil {
			return err
		}
		return c.answer(http.StatusOK, rows)
	}
}

// pathID reads an id from the path.
func (c *call) pathID(name string, missing gateway.Reason) (gateway.ID, error) {
	id, err := gateway.ParseID(c.r.PathValue(name))
	if err != nil {
		return id, &gateway.Error{Reason: missing, Field: name}
	}
	return id, nil
}
