package admin

import (
	"log/slog"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/gateway/keyring"
	"admitone/sync/jobs"
)

func TestWebhooks(t *testing.T) {
	w := begin(t, func(c *Config) {
		secret, err := keyring.New([]byte("a secret of at least thirty-two bytes"))
		if err != nil {
			t.Fatal(err)
		}
		l := c.Queue.(queue).ledger
		q, err := jobs.New(t.Context(), jobs.Options{Pool: l.Pool(), Store: c.Store.(jobs.Store), Ledger: l, Keyring: secret, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		c.Queue = queue{q, l}
	})
	const hooks = "/admin/v1/launches/l/webhooks"
	for body, field := range map[string]string{
		`{}`: "url", `{"url":""}`: "url", `{"url":"app.example"}`: "url", `{"url":"http://app.example"}`: "url", `{"url":"https://127.0.0.1"}`: "url",
		`{"url":"https://ann:secret@app.example"}`: "url", `{"url":"https://app.example","events":["redeemed"]}`: "events",
		`{"url":"https://app.example","events":[]}`: "events", `{"url":"https://app.example","enabled":true}`: "enabled",
		`{"url":"https://app.example","description":"\u0000"}`: "description", `{"url":"https://app.example","secret":"x"}`: "secret",
	} {
		w.want(400, w.do("POST", hooks, body), "code", "invalid_request", "field", field)
	}
	made := w.want(201, w.do("POST", hooks, `{"url":"https://app.example/hook","events":["code.*","launch.changed"]}`), "codes", false, "pending", 0.0)
	id, _ := made.get("id").(string)
	if secret, _ := made.get("secret").(string); len(secret) < 40 {
		t.Errorf("the secret is %q", secret)
	}
	one := hooks + "/" + id
	if a := w.want(200, w.do("GET", one, "")); a.get("secret") != nil {
		t.Error("the secret is told twice")
	}
	w.want(200, w.do("GET", hooks, ""), "data.0.id", id)
	w.want(200, w.do("PATCH", one, `{"codes":true,"enabled":false}`), "codes", true, "disabled_reason", "operator", "events.0", "code.*")
	w.want(200, w.do("PATCH", one, `{"enabled":true}`), "codes", true, "disabled_reason", nil)
	w.want(400, w.do("PATCH", one, `{"events":["*.*"]}`), "field", "events")
	w.want(200, w.do("POST", one+"/rotate", ""), "id", id)
	w.want(400, w.do("POST", one+"/rotate", `{"overlap":"8d"}`), "field", "overlap")
	w.want(400, w.do("POST", one+"/replay", `{}`), "field", "delivery")
	w.want(400, w.do("POST", one+"/replay", `{"delivery":"x"}`), "field", "delivery")
	w.want(404, w.do("POST", one+"/replay", `{"delivery":"`+gateway.NewID(time.Now()).String()+`"}`), "field", "delivery")
	w.want(200, w.do("POST", one+"/replay", `{"since":"2027-01-01T00:00:00Z"}`), "replayed", 0.0)
	w.want(200, w.do("GET", one+"/deliveries?state=failed", ""), "has_more", false)
	w.want(400, w.do("GET", one+"/deliveries?state=lost", ""), "field", "state")
	w.want(400, w.do("GET", one+"/deliveries?after=x", ""), "field", "after")
	w.want(200, w.do("DELETE", one, ""), "deleted", id)
	for _, call := range []string{"GET ", "PATCH ", "DELETE "} {
		w.want(404, w.do(call[:len(call)-1], one, map[string]string{"PATCH ": `{}`}[call]), "code", "not_found")
	}
	w.want(404, w.do("GET", hooks+"/x", ""), "code", "not_found")
	w.want(404, w.do("GET", one+"/deliveries", ""), "code", "not_found")
	w.want(404, w.do("POST", "/admin/v1/launches/nowhere/webhooks", `{"url":"https://app.example"}`), "code", "launch_unknown")
	for range 20 {
		w.want(201, w.do("POST", hooks, `{"url":"https://app.example"}`), "events.0", "*")
	}
	w.want(409, w.do("POST", hooks, `{"url":"https://app.example"}`), "code", "conflict")
}
