package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
	"admitone/gateway/keyring"
	"admitone/sync/jobs"
)

func TestMails(t *testing.T) {
	var q *jobs.Queue
	w := begin(t, func(c *Config) {
		secret, err := keyring.New([]byte("a secret of at least thirty-two bytes"))
		if err != nil {
			t.Fatal(err)
		}
		l := c.Queue.(queue).ledger
		if q, err = jobs.New(t.Context(), jobs.Options{Pool: l.Pool(), Store: c.Store.(jobs.Store), Ledger: l, Keyring: secret, Logger: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		c.Queue = queue{q, l}
	})
	const mails = "/admin/v1/launches/l/mails"
	for _, m := range []gateway.Mail{ // each later than the one before
		{Kind: gateway.MailOffer, To: "ann@people.example", Data: gateway.MailData{Code: "CODE-ann"}}, {Kind: gateway.MailReward, To: "bob@people.example"}, {Kind: gateway.MailReward, To: "nobody"},
	} {
		m.Launch, m.Key = "l", m.To
		if err := pgx.BeginFunc(t.Context(), w.ledger.Pool(), func(tx pgx.Tx) error { return q.MailTx(t.Context(), tx, m) }); err != nil {
			t.Fatal(err)
		}
		for made := time.Now().UnixMilli(); time.Now().UnixMilli() == made; {
			runtime.Gosched()
		}
	}
	all := w.want(200, w.do("GET", mails+"?limit=2", ""), "has_more", true, "data.0.status", "dead", "data.1.recipient", "bob@people.example")
	w.want(200, w.do("GET", mails+"?after="+all.get("next").(string), ""), "has_more", false, "data.0.recipient", "ann@people.example", "data.0.kind", "offer", "data.0.attempts", 0.0)
	ann := w.want(200, w.do("GET", mails+"?status=queued&kind=offer&recipient=ANN@people.example", ""), "data.0.kind", "offer", "data.1", nil)
	if strings.Contains(string(ann.body), "CODE-ann") {
		t.Errorf("a code is told: %s", ann.body)
	}
	id := ann.get("data.0.id").(string)
	w.want(200, w.do("GET", mails+"/"+id, ""), "recipient", "ann@people.example")

	key := w.want(201, w.do("POST", "/admin/v1/keys", `{"name":"reader","scopes":["read"],"launch":"l"}`)).get("secret").(string)
	as := "Authorization: Bearer " + key
	for _, path := range []string{mails, mails + "/" + id} {
		if a := w.want(200, w.do("GET", path, "", as)); strings.Contains(string(a.body), "people.example") {
			t.Errorf("a reader is told who got what: %s", a.body)
		}
	}
	w.want(403, w.do("GET", mails+"?recipient=ann@people.example", "", as), "field", "recipient")
	w.want(403, w.do("POST", mails+"/"+id+"/replay", "", as), "code", "forbidden")

	w.want(400, w.do("GET", mails+"?status=lost", ""), "field", "status")
	w.want(400, w.do("GET", mails+"?kind=postcard", ""), "field", "kind")
	w.want(400, w.do("GET", mails+"?after=x", ""), "field", "after")
	w.want(404, w.do("GET", mails+"/x", ""), "code", "not_found")
	w.want(404, w.do("GET", mails+"/"+gateway.NewID(time.Now()).String(), ""), "code", "not_found")
	w.want(404, w.do("POST", mails+"/"+gateway.NewID(time.Now()).String()+"/replay", ""), "code", "not_found")

	w.want(409, w.do("POST", mails+"/"+id+"/replay", ""), "code", "conflict")
	parsed, err := gateway.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ledger.MailTried(context.Background(), parsed, gateway.MailDead, "refused", 0, true); err != nil {
		t.Fatal(err)
	}
	w.want(200, w.do("GET", mails+"?status=dead&kind=offer", ""), "data.0.error", "refused")
	w.want(200, w.do("POST", mails+"/"+id+"/replay", ""), "status", "queued")
	w.want(400, w.do("POST", mails+"/replay", `{}`), "field", "since")
	w.want(400, w.do("POST", mails+"/replay", `{"since":"2027-01-01T00:00:00Z","kind":"postcard"}`), "field", "kind")
	w.want(200, w.do("POST", mails+"/replay", `{"since":"2020-01-01T00:00:00Z"}`), "replayed", 0.0) // the dead one has no address

	w.want(200, w.do("POST", mails+"/preview", `{"kind":"reward"}`), "subject", "You have earned 10.00 USD in L")
	w.want(200, w.do("POST", mails+"/preview", `{"kind":"offer","template":{"text":"{{.code}} for {{.first_name}}"}}`), "text", "ABCD-2345-EF for Ann", "html", nil)
	w.want(400, w.do("POST", mails+"/preview", `{}`), "field", "kind")
	w.want(400, w.do("POST", mails+"/preview", `{"kind":"postcard"}`), "field", "kind")
	w.want(400, w.do("POST", mails+"/preview", `{"kind":"offer","template":{"htm":""}}`), "field", "template.htm")
	w.want(400, w.do("POST", mails+"/preview", `{"kind":"offer","template":{"text":"{{.cod}}"}}`), "field", "template.text", "problems.0.message", `line 1: there is no variable ".cod" here; did you mean .code?`)
	policy, err := json.Marshal(map[string]any{"launch": "l", "email": map[string]any{"templates": map[string]any{"offer": map[string]any{"text": "a\n{{.cod}}"}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.want(400, w.do("PUT", "/admin/v1/launches/l/policy", string(policy)), "field", "email.templates.offer.text")
	w.want(404, w.do("GET", "/admin/v1/launches/nowhere/mails", ""), "code", "launch_unknown")
	if strings.Contains(w.logs.String(), "people.example") {
		t.Error("the log names somebody")
	}
}
