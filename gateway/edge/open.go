package edge

import (
	"bytes"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// open answers GET and HEAD /i/{l}/{code}: it counts the visit of a link,
// remembers the code in a cookie and sends the visitor on to the launch's
// landing page. Whatever is wrong with the code, the visitor still arrives:
// the page says it when the code is redeemed.
//
// The redirect goes where the policy says, unchanged: nothing of it is the
// visitor's. Referrer-Policy keeps the code in this address from the page's
// third parties.
func (q *request) open() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	if code, ok := pathCode(q.param); ok && !q.ctx.IsHead() && !q.looksAhead() {
		if err := q.server.config.Store.Open(q.server.running, q.launch.Name, code); err != nil {
			q.outcome = string(q.explain(err).Reason) // not counted; the visitor goes on
		}
		q.ctx.Response.Header.Set("Set-Cookie", q.attribute(code))
	}
	q.headers("text/plain; charset=utf-8")
	h := &q.ctx.Response.Header
	h.Set("Referrer-Policy", "no-referrer")
	if landing := q.launch.Policy.LandingURL; landing != "" {
		h.Set("Location", landing)
		q.ctx.SetStatusCode(fasthttp.StatusFound)
		return nil
	}
	q.ctx.SetStatusCode(fasthttp.StatusOK)
	q.ctx.SetBodyString("Your invitation is noted. Sign up in this browser within the next days to use it.\n")
	return nil
}

// pathCode reads a code out of a path segment.
func pathCode(segment []byte) (gateway.Code, bool) {
	plain, ok := unescape(segment, 3*gateway.MaxCodeInput)
	if !ok {
		return "", false
	}
	code, err := gateway.ReadCode(string(plain))
	return code, err == nil
}

// unescape takes the percent-encoding off a path segment of at most so many
// bytes.
func unescape(segment []byte, most int) ([]byte, bool) {
	if len(segment) > most {
		return nil, false
	}
	plain := make([]byte, 0, len(segment))
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' {
			if i+2 >= len(segment) {
				return nil, false
			}
			n := hex4([]byte{'0', '0', segment[i+1], segment[i+2]})
			if n < 0 {
				return nil, false
			}
			c = byte(n)
			i += 2
		}
		plain = append(plain, c)
	}
	return plain, true
}

// previews are words in the names of programs that fetch a link to show or
// judge it before a person follows it.
var previews = []string{
	"bot", "crawler", "spider", "preview", "facebookexternalhit", "whatsapp", "slack-imgproxy", "embedly", "skypeuripreview",
	"vkshare", "pinterest", "google-safety", "barracuda", "proofpoint",
}

// looksAhead reports whether nobody has followed the link yet: a browser
// fetches it ahead, or a messenger its preview. Such a visit is not counted
// and gets no cookie.
func (q *request) looksAhead() bool {
	if bytes.Contains(q.head.purpose, []byte("prefetch")) || bytes.Contains(q.head.purpose, []byte("preview")) {
		return true
	}
	agent := strings.ToLower(string(q.head.userAgent))
	for _, p := range previews {
		if strings.Contains(agent, p) {
			return true
		}
	}
	return false
}

// secure reports whether the visitor came by https: the trusted proxy says so,
// or the page that the visitor goes to is reached by it.
func (q *request) secure() bool {
	if q.ctx.IsTLS() || strings.HasPrefix(q.launch.Policy.LandingURL, "https://") {
		return true
	}
	return fold(q.head.proto, "https") && q.server.proxies.trusts(peerAddress(q.ctx.RemoteAddr()))
}

// attribute is the Set-Cookie field that remembers a code. Every part of it
// has an alphabet without separators.
func (q *request) attribute(code gateway.Code) string {
	p := &q.launch.Policy.Attribution
	return attributionCookie(p.Cookie, q.server.config.Keyring.Sign(attributionPurpose(q.launch.Name), attributionValue(code, q.server.now().Add(q.launch.Ahead))),
		time.Duration(p.Window), q.secure())
}
