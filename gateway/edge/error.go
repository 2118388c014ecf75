package edge

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// Refusals that only the edge knows.
const (
	headerTooLarge gateway.Reason = "header_too_large"
	requestTimeout gateway.Reason = "request_timeout"
)

// status is the HTTP status of a refusal.
func status(r gateway.Reason) int {
	switch r {
	case headerTooLarge:
		return fasthttp.StatusRequestHeaderFieldsTooLarge
	case requestTimeout:
		return fasthttp.StatusRequestTimeout
	}
	return r.Status()
}

// refuse answers with a problem document, and notes the true reason for the
// metrics. Where the policy's refusals are opaque, all that speak of the code
// get the same answer, byte for byte but for the request id: an operator reads
// the true reason in the audit trail.
func (q *request) refuse(err error) {
	e := q.explain(err)
	q.outcome = string(e.Reason)
	q.write(q.veiled(e))
}

// veiled is the refusal as this launch's callers may see it.
func (q *request) veiled(e *gateway.Error) *gateway.Error {
	if q.launch != nil && q.launch.Policy.Refusals == gateway.RefusalsOpaque && e.Reason.SpeaksOfCode() {
		return gateway.Refuse(gateway.NotRedeemable)
	}
	return e
}

// explain makes a refusal of any error. What is none is logged, and answered
// without its text.
func (q *request) explain(err error) *gateway.Error {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		return e
	}
	if e := gateway.Away(err, q.ctx.IsGet()); e != nil {
		return e
	}
	q.server.log.Error("a request failed", "route", routes[q.route].name, "request_id", string(q.id), "error", err)
	return gateway.Refuse(gateway.Internal)
}

// write writes the problem document of a refusal (RFC 9457).
func (q *request) write(e *gateway.Error) {
	retry := retrySeconds(e.RetryAfter)
	q.out = appendProblem(q.out[:0], e, q.id, retry)
	if e.Reason == gateway.ChallengeRequired && q.launch != nil {
		q.out = appendChallenge(q.out, &q.launch.Policy.Abuse.Challenge)
	}
	q.headers("application/problem+json")
	h := &q.ctx.Response.Header
	if retry > 0 {
		q.token = strconv.AppendInt(q.token[:0], int64(retry), 10)
		h.SetBytesV("Retry-After", q.token)
	}
	switch e.Reason {
	case gateway.Unauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case gateway.AttemptsExceeded:
		q.rateLimit(retry)
	}
	q.ctx.SetStatusCode(status(e.Reason))
	q.ctx.SetBody(q.out)
}

// rateLimit tells the limit of failed attempts in the fields of
// draft-ietf-httpapi-ratelimit-headers. Where both an address and a subject
// were counted, as for a back end, the store does not say which was too many:
// the tighter one is told.
func (q *request) rateLimit(retry int) {
	if q.launch == nil {
		return
	}
	limits := q.launch.Policy.Limits.FailedAttempts
	name, rate := "address", limits.PerAddress
	if s := limits.PerSubject; q.ask.Vouched && s.Count > 0 &&
		(rate.Count == 0 || !q.ask.Address.IsValid() || float64(s.Count)/float64(s.Window) < float64(rate.Count)/float64(rate.Window)) {
		name, rate = "subject", s
	}
	if rate.Count == 0 {
		return
	}
	window := int(time.Duration(rate.Window) / time.Second)
	h := &q.ctx.Response.Header
	b := append(append(append(q.token[:0], '"'), name...), `";q=`...)
	b = append(strconv.AppendInt(b, int64(rate.Count), 10), ";w="...)
	b = strconv.AppendInt(b, int64(window), 10)
	h.SetBytesV("RateLimit-Policy", b)
	b = append(append(append(b[:0], '"'), name...), `";r=0;t=`...)
	q.token = strconv.AppendInt(b, int64(retry), 10)
	h.SetBytesV("RateLimit", q.token)
}

// retrySeconds rounds a wait up to whole seconds, at least 1, and adds up to a
// fifth, so that those who were turned away together do not return together.
// 0 stays 0: waiting does not help.
func retrySeconds(d time.Duration) int {
	if d <= 0 {
		return 0
	}
	seconds := int((d + time.Second - 1) / time.Second)
	return seconds + rand.IntN(seconds/5+1)
}

func appendProblem(b []byte, e *gateway.Error, requestID []byte, retry int) []byte {
	b = append(append(b, `{"type":"/problems/`...), e.Reason...)
	b = append(b, `","title":"`...)
	for i := range len(e.Reason) {
		switch c := e.Reason[i]; {
		case i == 0:
			b = append(b, c-'a'+'A')
		case c == '_':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(status(e.Reason)), 10)
	b = appendString(append(b, `,"detail":`...), e.Sentence())
	b = append(append(append(b, `,"code":"`...), e.Reason...), '"')
	if e.Field != "" {
		b = appendString(append(b, `,"field":`...), e.Field)
	}
	b = append(append(append(b, `,"request_id":"`...), requestID...), '"')
	if retry > 0 {
		b = strconv.AppendInt(append(b, `,"retry_after":`...), int64(retry), 10)
	}
	return append(b, '}')
}

// unreadable answers what fasthttp could not read; the connection closes.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	q := &request{server: s, ctx: ctx, id: s.ids.append(nil, nil)}
	refusal := malformed("This is not a request that HTTP/1.1 allows.")
	var network net.Error
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		refusal = &gateway.Error{Reason: gateway.BodyTooLarge, Detail: "Send at most 16 KiB."}
	case errors.As(err, &small):
		refusal = &gateway.Error{Reason: headerTooLarge, Detail: "Send a header of at most 8 KiB."}
	case errors.As(err, &network) && network.Timeout():
		refusal = &gateway.Error{Reason: requestTimeout, Detail: "Send a whole request within 5 seconds."}
	}
	ctx.Response.Reset()
	q.refuse(refusal)
	s.metrics.requests.WithLabelValues(routes[routeOther].name, q.outcome).Inc()
}
