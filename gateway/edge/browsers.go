package edge

import (
	"slices"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// What browsers ask before they let a page call (the Fetch standard's CORS
// protocol). Pages of origins that the policy does not name get answers without
// these fields, which browsers keep from them.
const (
	corsHeaders = "Admit-Ack, Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id"
	corsExposed = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
	corsMaxAge  = "600" // seconds that a browser remembers a preflight's answer
)

// share lets a page of an origin that the policy names read the answer. Cookies
// go with origins that are named, never with "*".
func (q *request) share() {
	if q.launch == nil {
		return
	}
	origins := q.launch.Policy.Browsers.Origins
	h := &q.ctx.Response.Header
	switch {
	case len(origins) == 0:
		return
	case origins.Any():
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Set("Vary", "Origin")
		if !slices.Contains(origins, text(q.head.origin)) {
			return
		}
		h.SetBytesV("Access-Control-Allow-Origin", q.head.origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Expose-Headers", corsExposed)
}

// preflight answers OPTIONS from a page: whether it may make the call.
func (q *request) preflight() error {
	allow := routes[q.route].allow
	q.route = routePreflight
	if err := q.openLaunch(); err != nil {
		return err
	}
	h := &q.ctx.Response.Header
	if len(q.ctx.Request.Header.Peek("Access-Control-Request-Method")) == 0 {
		h.Set("Allow", allow)
		return &gateway.Error{Reason: gateway.MethodNotAllowed, Detail: "Use one of: " + allow + "."}
	}
	q.headers("")
	if len(h.Peek("Access-Control-Allow-Origin")) > 0 {
		h.Set("Access-Control-Allow-Methods", allow)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", corsMaxAge)
	}
	q.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
