package gateway

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestBuiltInMails: each kind has a built-in e-mail, which shows everything it
// is about, and reads well without it.
func TestBuiltInMails(t *testing.T) {
	p := DefaultPolicy("writer")
	p.Name = `Writer <b>"&"`
	d := MailSample(time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC))
	for _, kind := range MailKinds {
		m, err := p.RenderMail(kind, MailTemplate{}, d, "https://app.example/unsubscribe")
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !strings.Contains(m.Subject, p.Name) && kind != MailMilestone || !strings.Contains(m.Text, p.Name) || strings.Contains(m.HTML, "<b>") || !strings.Contains(m.HTML, "&lt;b&gt;") {
			t.Errorf("%s: the launch is not named as it should be: %+v", kind, m)
		}
		shows := map[MailKind][]string{
			MailOffer: {d.Code, d.Link, "8 January 2027 at 12:00 UTC"}, MailConfirm: {d.Link}, MailInvitation: {"Bob Example", d.Code, d.Link},
			MailMilestone: {"3 of", "3"}, MailReward: {"10.00 USD"},
		}[kind]
		for _, want := range append(shows, "Ann") {
			if !strings.Contains(m.Text, want) || !strings.Contains(m.HTML, want) && want != "3 of" {
				t.Errorf("%s does not show %q:\n%s\n%s", kind, want, m.Text, m.HTML)
			}
		}
		if kind != MailConfirm && !strings.Contains(m.Text, "app.example/unsubscribe") || !strings.Contains(m.HTML, "app.example/unsubscribe") {
			t.Errorf("%s does not say how to get out of it", kind)
		}
		bare, err := p.RenderMail(kind, MailTemplate{}, MailData{}, "")
		if err != nil || bare.Subject == "" || strings.Contains(bare.Text+bare.HTML, "[[") || strings.Contains(bare.Text, "Unsubscribe") || strings.Contains(bare.Text, "Hello ,") {
			t.Errorf("%s without anything: %+v, %v", kind, bare, err)
		}
	}
}

// TestMailHeaders: nothing that somebody typed can begin another header, and
// only names are shown as names.
func TestMailHeaders(t *testing.T) {
	p := DefaultPolicy("writer")
	p.Name = "Writer"
	own := MailTemplate{Subject: "{{.inviter}} and {{.first_name}} and {{.code}}"}
	d := MailData{Name: "Ann\r\nBcc: all@x.example", Inviter: "Bob\u2028X-Evil: 1", Code: "A\r\nB\x00\u0085C"}
	m, err := p.RenderMail(MailInvitation, own, d, "")
	if err != nil || m.Subject != "and and A B C" {
		t.Errorf("%q, %v", m.Subject, err)
	}
	for name, want := range map[string]string{
		"Ann": "Ann", " Ann  Example ": "Ann Example", "Zoë O’Hara-Lee Jr.": "Zoë O’Hara-Lee Jr.", "J. R. Tolkien": "J. R. Tolkien", "नेहा": "नेहा", "李明": "李明",
		"buy at evil.example": "", "https://evil.example": "", "evil.example": "", "www.evil.example": "", "ann@x.example": "", "win 1000": "", "<b>": "", "{{.code}}": "", "\xff": "",
		strings.Repeat("a", 41): "", "": "",
	} {
		if got := spokenName(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}

func TestMailPolicy(t *testing.T) {
	for in, want := range map[string]string{
		`"from":"Writer"`: `email.from: use an address such as`,
		`"from":"W <a@b.example>\r\nBcc: c@d.example"`:                        `email.from: use an address such as`,
		`"from":"a@b.example, c@d.example"`:                                   `email.from: use an address such as`,
		`"from":"Wröter <ö@b.example>"`:                                       `email.from: use an address such as`,
		`"reply_to":"<>"`:                                                     `email.reply_to: use an address such as`,
		`"unsubscribe_url":"app.example"`:                                     `email.unsubscribe_url: use an absolute URL`,
		`"unsubscribe_url":"https://app.example/{email}"`:                     `email.unsubscribe_url: use an absolute URL`,
		`"unsubscribe_url":"https://app.example/>, <x:y"`:                     `email.unsubscribe_url: use an absolute URL`,
		`"templates":{"offers":{}}`:                                           `email.templates.offers: unknown field; did you mean email.templates.offer?`,
		`"templates":{"offer":{"body":""}}`:                                   `email.templates.offer.body: unknown field; the fields here are subject, text, html`,
		`"templates":{"offer":{"text":"a\n{{.cod}}"}}`:                        `email.templates.offer.text: line 2: there is no variable ".cod" here; did you mean .code?`,
		`"templates":{"confirm":{"text":"{{.code}}"}}`:                        `email.templates.confirm.text: line 1: there is no variable ".code" here; it knows .link, .launch, .first_name, .landing_url, .unsubscribe_url`,
		`"templates":{"offer":{"text":"{{if false}}{{.x}}{{end}}"}}`:          `line 1: there is no variable ".x" here; it knows`,
		`"templates":{"offer":{"text":"{{.code.Len}}"}}`:                      `there is no variable ".code.Len" here`,
		`"templates":{"offer":{"text":"a\n\n{{if .code}}"}}`:                  `email.templates.offer.text: line 3: unexpected EOF`,
		`"templates":{"offer":{"text":"{{.code | shout}}"}}`:                  `email.templates.offer.text: line 1: function "shout" not defined`,
		`"templates":{"offer":{"text":"{{printf \"%9999999d\" 1}}"}}`:         `line 1: the function "printf" cannot be used here`,
		`"templates":{"offer":{"text":"{{range 1000000000000}}{{end}}"}}`:     `line 1: only {{.variable}} and {{if`,
		`"templates":{"offer":{"text":"{{define \"a\"}}{{end}}x"}}`:           `take {{define}} and {{block}} out`,
		`"templates":{"offer":{"text":"{{template \"text\"}}"}}`:              `line 1: only {{.variable}}`,
		`"templates":{"offer":{"text":"{{with .code}}{{.}}{{end}}"}}`:         `line 1: only {{.variable}}`,
		`"templates":{"offer":{"text":"{{.}}"}}`:                              `line 1: name a variable such as .launch instead of "."`,
		`"templates":{"offer":{"text":"{{$x := .code}}{{$x}}"}}`:              `line 1: variables of its own cannot be used here`,
		`"templates":{"offer":{"text":"{{if lt .code 3}}{{end}}"}}`:           `email.templates.offer.text: line 1:`,
		`"templates":{"offer":{"html":"<p>{{.code}}</p>"}}`:                   `email.templates.offer.text: give the text too`,
		`"templates":{"offer":{"text":"x","html":"<a href={{.link}}"}}`:       `email.templates.offer.html: it ends inside a tag or an attribute; close it`,
		`"templates":{"offer":{"subject":"a\nb"}}`:                            `email.templates.offer.subject: line 1: take the control character out`,
		`"templates":{"offer":{"subject":"{{if .code}} {{end}}"}}`:            `email.templates.offer.subject: the subject must not be empty`,
		`"templates":{"offer":{"text":"a\nb\u0000"}}`:                         `email.templates.offer.text: line 2: take the control character out`,
		`"templates":{"offer":{"text":"` + strings.Repeat("x", 17000) + `"}}`: `email.templates.offer.text: use at most 16384 bytes`,
	} {
		_, err := ParsePolicy([]byte(`{"launch":"w","email":{` + in + `}}`))
		var problems *PolicyError
		if !errors.As(err, &problems) || len(problems.Problems) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%.120s\n got %v\nwant %s", in, err, want)
		}
	}
	p, err := ParsePolicy([]byte(`{"launch":"w","email":{"from":"W <a@b.example>","templates":{"offer":{"text":"{{.code}}"},"reward":{"subject":"{{.amount}}"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.RenderMail(MailOffer, p.Email.Templates.Offer, MailData{Code: "<A>"}, "")
	if err != nil || m.Text != "<A>" || m.HTML != "" {
		t.Errorf("a text of the launch's own comes with %+v, %v", m, err)
	}
	m, err = p.RenderMail(MailReward, p.Email.Templates.Reward, MailData{Amount: 5, Currency: "jpy"}, "")
	if err != nil || m.Subject != "5 JPY" || m.HTML == "" {
		t.Errorf("a subject of the launch's own comes with %+v, %v", m, err)
	}
	if _, err := p.RenderMail("postcard", MailTemplate{}, MailData{}, ""); err == nil {
		t.Error("a kind that does not exist is written")
	}
}

func TestFormatMoney(t *testing.T) {
	for want, in := range map[string]struct {
		minor    int64
		currency string
	}{"10.00 USD": {1000, "usd"}, "0.05 EUR": {5, "EUR"}, "-0.05 EUR": {-5, "EUR"}, "1000 JPY": {1000, "JPY"}, "1.000 KWD": {1000, "KWD"}, "": {1000, ""}} {
		if got := formatMoney(in.minor, in.currency); got != want {
			t.Errorf("%d %s is %q, want %q", in.minor, in.currency, got, want)
		}
	}
}

// FuzzMailTemplate: no template makes it panic, and one that is taken writes
// something for any data.
func FuzzMailTemplate(f *testing.F) {
	f.Add("confirm", "{{.launch}}", `{{if .first_name}}{{.first_name}}{{else if not .link}}x{{end}}`, `<p style="a"><a href="{{.link}}">{{.launch | urlquery}}</a>`)
	f.Add("offer", "{{.code}}", `{{if and .code (eq .position 3)}}{{date "2006" .expires_at}}{{end}}`, `<script>var x = {{.code}}</script>`)
	f.Fuzz(func(t *testing.T, kind, subject, text, html string) {
		own := MailTemplate{subject, text, html}
		if _, problems := parseMail(MailKind(kind), own); problems != nil {
			return
		}
		p := DefaultPolicy("w")
		m, err := p.RenderMail(MailKind(kind), own, MailSample(time.Unix(0, 0)), "")
		if err != nil || strings.ContainsAny(m.Subject, "\r\n\x00") {
			t.Errorf("%q: %v", m.Subject, err)
		}
		if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
	})
}
