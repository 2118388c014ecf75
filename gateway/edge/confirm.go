package edge

import (
	"html"
	"net/url"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// confirmLink answers GET and POST /w/{l}/{ticket}, the link in an e-mail that
// confirms its address. Programs that scan mail follow links, so following this
// one shows a page; its button confirms, and goes on to the launch's landing
// page.
func (q *request) confirmLink() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	purpose, key, ok := q.server.config.Keyring.OpenTicket(q.launch.Name, text(q.param))
	switch {
	case !ok || purpose != keyring.TicketConfirm:
		return q.confirmed("invalid")
	case !q.ctx.IsPost():
		q.confirmPage()
		return nil
	}
	_, err := q.server.config.Store.ChangeEntry(q.server.running, q.launch.Name, gateway.ChangeEntry{
		Verb: gateway.ConfirmEntry, Key: key.String(), By: gateway.Actor{Name: "e-mail"},
	})
	if err != nil {
		return err
	}
	return q.confirmed("yes")
}

// confirmPage shows the button. The form goes to the page's own address; no
// policy of forms is set, because browsers hold the landing page against it
// too.
func (q *request) confirmPage() {
	name := html.EscapeString(q.launch.Policy.Name)
	q.headers("text/html; charset=utf-8")
	h := &q.ctx.Response.Header
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	q.ctx.SetStatusCode(fasthttp.StatusOK)
	q.ctx.SetBodyString(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
		`<meta name="robots" content="noindex"><title>` + name + `</title>` +
		`<style>body{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:15vh auto;padding:0 1.5rem;color:#1c1f23}` +
		`button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border:0;border-radius:8px;background:#1c1f23;color:#fff;cursor:pointer}</style>` +
		`<h1>` + name + `</h1><p>Is this e-mail address yours, and do you want a place on the waitlist?</p>` +
		`<form method="post"><button>Confirm</button></form></html>` + "\n")
}

// confirmed sends the person on to the landing page, which learns how it went.
func (q *request) confirmed(outcome string) error {
	q.headers("text/plain; charset=utf-8")
	q.ctx.Response.Header.Set("Referrer-Policy", "no-referrer")
	if landing := q.launch.Policy.LandingURL; landing != "" {
		u, err := url.Parse(landing)
		if err != nil {
			return err
		}
		query := u.Query()
		query.Set("confirmed", outcome)
		u.RawQuery = query.Encode()
		q.ctx.Response.Header.Set("Location", u.String())
		q.ctx.SetStatusCode(fasthttp.StatusSeeOther)
		return nil
	}
	if outcome != "yes" {
		return gateway.Refuse(gateway.TicketInvalid)
	}
	q.ctx.SetStatusCode(fasthttp.StatusOK)
	q.ctx.SetBodyString("Your address is confirmed. Thank you.\n")
	return nil
}
