package jobs

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/gatewaytest"
	"admitone/gateway/keyring"
	"admitone/sync/ledger"
)

// hooks is a queue with a ledger that tells it what a launch's history says.
type hooks struct {
	testing.TB
	*Queue
	ledger  *ledger.Ledger
	pool    *pgxpool.Pool
	keyring *keyring.Keyring
	seq     uint64
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func beginHooks(t testing.TB, allow []netip.Prefix) *hooks {
	t.Helper()
	secret := secrets(t)
	l, err := ledger.Open(t.Context(), rig.TestPostgres(t), secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	h := &hooks{TB: t, ledger: l, pool: l.Pool(), keyring: secret}
	h.Queue, err = New(t.Context(), Options{
		Pool: l.Pool(), Store: &store{Model: gatewaytest.NewModel(time.Now())}, Ledger: l, Keyring: secret, Logger: slog.New(slog.DiscardHandler), WebhookAllow: allow,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Follow(h.Queue)
	campaign, err := json.Marshal(gateway.Campaign{ID: gateway.ID{1}, Number: 1, Name: "beta", MaxUses: 1, Format: "{random:10}"})
	if err != nil {
		t.Fatal(err)
	}
	h.apply(gateway.LaunchPut{Version: 1, Open: true, Policy: []byte(`{"launch":"l"}`)}, gateway.CampaignPut{Version: 2, Campaign: campaign})
	return h
}

// apply gives the ledger one record of events.
func (h *hooks) apply(events ...gateway.Event) {
	h.Helper()
	h.seq++
	r := gateway.Record{Launch: "l", Seq: h.seq, Epoch: 1, At: time.Now().UTC(), Bytes: h.seq, Events: events, Raw: "raw"}
	if _, err := h.ledger.Apply(context.Background(), ledger.Batch{Launch: "l", Epoch: 1, After: h.seq - 1, Records: []gateway.Record{r}}); err != nil {
		h.Fatal(err)
	}
}

// redeem is a code minted and redeemed, in the history.
func (h *hooks) redeem(code gateway.Code, subject string) gateway.Redeemed {
	h.Helper()
	e := h.redeemed(code, subject)
	h.apply(gateway.CodesMinted{Campaign: 1, Codes: []gateway.MintedCode{{Code: code, Display: string(code)}}}, e)
	return e
}

func (h *hooks) redeemed(code gateway.Code, subject string) gateway.Redeemed {
	h.Helper()
	person, err := json.Marshal(gateway.Person{Subject: subject, Email: subject + "@x.example", Name: "Ann", Source: "mail"})
	if err != nil {
		h.Fatal(err)
	}
	return gateway.Redeemed{
		ID: gateway.NewID(time.Now()), Status: gateway.Committed, Code: code, Campaign: 1, Subject: "key-" + subject, Sealed: h.keyring.Seal(nil, "l", person),
	}
}

// endpoint makes one at a URL.
func (h *hooks) endpoint(url string, change func(*gateway.WebhookEndpoint)) (gateway.WebhookEndpoint, string) {
	h.Helper()
	e := gateway.WebhookEndpoint{URL: url, Events: []string{"redemption.*"}}
	if change != nil {
		change(&e)
	}
	e, secret, err := h.CreateWebhook(context.Background(), "l", e)
	if err != nil {
		h.Fatal(err)
	}
	return e, secret
}

// work runs the queue until the test ends.
func (h *hooks) work() {
	h.Helper()
	if err := h.Start(context.Background()); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		if err := h.Stop(context.Background()); err != nil {
			h.Error(err)
		}
	})
}

// deliveries waits until an endpoint's deliveries are as wanted.
func (h *hooks) deliveries(e gateway.WebhookEndpoint, ok func([]gateway.WebhookDelivery) bool) []gateway.WebhookDelivery {
	h.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		list, err := h.ledger.Deliveries(context.Background(), "l", e.ID, "", gateway.Page{Limit: 100})
		if err != nil {
			h.Fatal(err)
		}
		if ok(list.Data) {
			return list.Data
		}
		if time.Now().After(deadline) {
			h.Fatalf("the deliveries stay %+v", list.Data)
		}
	}
}

// ended waits for n deliveries in a state.
func (h *hooks) ended(e gateway.WebhookEndpoint, n int, state string) []gateway.WebhookDelivery {
	h.Helper()
	return h.deliveries(e, func(list []gateway.WebhookDelivery) bool {
		for _, d := range list {
			if d.State != state {
				return false
			}
		}
		return len(list) == n
	})
}

// tried waits until the only delivery was attempted so often.
func (h *hooks) tried(e gateway.WebhookEndpoint, attempts int) gateway.WebhookDelivery {
	h.Helper()
	return h.deliveries(e, func(list []gateway.WebhookDelivery) bool { return len(list) == 1 && list[0].Attempts == attempts })[0]
}

// soon makes what waits for its next attempt due now.
func (h *hooks) soon() {
	h.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.Fatal("no job waits")
		}
		if _, err := h.pool.Exec(context.Background(), `UPDATE webhook_deliveries SET next_at = now() WHERE state = 'pending'`); err != nil {
			h.Fatal(err)
		}
		tag, err := h.pool.Exec(context.Background(), `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE kind = 'webhook' AND (state = 'scheduled' OR state = 'available' AND scheduled_at > now())`)
		if err != nil {
			h.Fatal(err)
		}
		if tag.RowsAffected() > 0 {
			return
		}
	}
}

// received is a request that a receiver got.
type received struct {
	header http.Header
	body   []byte
}

// receiver answers what it is told to, and keeps what it got.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		b, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.got = append(r.got, received{q.Header, b})
		n := len(r.got)
		r.mu.Unlock()
		answer(n, w, q)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

func fine(_ int, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "thanks") }

// genuine fails unless the reference library takes the request under a secret.
func genuine(t *testing.T, secret string, r received) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(r.body, r.header); err != nil {
		t.Errorf("the reference library refuses it: %v: %v", err, r.header)
	}
	if err := verifier.Verify(append(r.body, ' '), r.header); err == nil {
		t.Error("the reference library takes another body")
	}
}

func TestWebhook(t *testing.T) {
	h := beginHooks(t, loopback)
	all, some := receive(t, fine), receive(t, fine)
	everything, secret := h.endpoint(all.URL, func(e *gateway.WebhookEndpoint) { e.Events, e.Codes = []string{"*"}, true })
	rolledBack, other := h.endpoint(some.URL, func(e *gateway.WebhookEndpoint) { e.Events = []string{"redemption.rolled_back"} })
	r := h.redeem("ABCD2345", "ann")
	h.apply(
		gateway.Settled{ID: r.ID, From: gateway.Committed, To: gateway.RolledBack, Cause: gateway.Rollback, Code: r.Code, Campaign: 1, Subject: r.Subject, By: gateway.Actor{Name: "ops", Note: "a mistake"}},
		gateway.Refused{Reason: gateway.CodeUnknown, Counted: true, Verb: "redeem", Code: "ZZZ"},
	)
	h.work()
	h.ended(everything, 3, gateway.WebhookDelivered)
	if d := h.ended(rolledBack, 1, gateway.WebhookDelivered)[0]; d.Status != 200 || d.Attempts != 1 || d.Response != "thanks" || d.TriedAt.IsZero() || !d.NextAt.IsZero() {
		t.Errorf("the log says %+v", d)
	}
	types := map[string]bool{}
	for _, got := range all.all() {
		genuine(t, secret, got)
		var m struct {
			Type      string
			Timestamp time.Time
			Data      map[string]any
		}
		if err := json.Unmarshal(got.body, &m); err != nil {
			t.Fatal(err)
		}
		types[m.Type] = true
		if m.Type == "redemption.committed" && (m.Data["code"] != "ABCD2345" || m.Data["subject"] != "ann" || m.Data["campaign"] != "beta" || m.Data["redemption"] != r.ID.String() || m.Data["launch"] != "l" || m.Timestamp.IsZero()) {
			t.Errorf("a redemption is told as %s", got.body)
		}
	}
	if len(types) != 3 || !types["code.minted"] || !types["redemption.committed"] || !types["redemption.rolled_back"] {
		t.Errorf("told were %v", types)
	}
	got := some.all()[0]
	genuine(t, other, got)
	if s := string(got.body); strings.Contains(s, "ABCD") || !strings.Contains(s, `"…45"`) || strings.Contains(s, "x.example") || !strings.Contains(s, "a mistake") {
		t.Errorf("an endpoint that did not ask for codes got %s", s)
	}
}

// TestWebhookWaitlist: who joins and who is invited is told by e-mail address,
// in the transaction that makes the row.
func TestWebhookWaitlist(t *testing.T) {
	h := beginHooks(t, loopback)
	r := receive(t, fine)
	e, secret := h.endpoint(r.URL, func(e *gateway.WebhookEndpoint) { e.Events = []string{"waitlist.*", "release.*"} })
	person, err := json.Marshal(gateway.Person{Subject: "ann@x.example", Email: "ann@x.example"})
	if err != nil {
		t.Fatal(err)
	}
	h.apply(gateway.EntryJoined{Key: "ann", Arrival: 1, Priority: 20, Source: "forum", Sealed: h.keyring.Seal(nil, "l", person)})
	h.apply(
		gateway.ReleasePut{ID: "r", Count: 1, Order: gateway.ByPriority},
		gateway.OfferMade{Release: "r", Key: "ann", Code: "OFFER234", Display: "OFFER-234", Campaign: 1, ExpiresAt: time.Now().Add(time.Hour)},
		gateway.ReleaseEnded{ID: "r", Done: 1},
	)
	h.work()
	h.ended(e, 4, gateway.WebhookDelivered)
	told := map[string]string{}
	for _, got := range r.all() {
		genuine(t, secret, got)
		var m struct{ Type string }
		if err := json.Unmarshal(got.body, &m); err != nil {
			t.Fatal(err)
		}
		told[m.Type] = string(got.body)
	}
	if s := told["waitlist.joined"]; !strings.Contains(s, "ann@x.example") || !strings.Contains(s, "forum") {
		t.Errorf("joined: %s", s)
	}
	if s := told["waitlist.invited"]; !strings.Contains(s, "ann@x.example") || !strings.Contains(s, `"…34"`) || strings.Contains(s, "OFFER") {
		t.Errorf("invited: %s", s)
	}
	if told["release.made"] == "" || told["release.ended"] == "" {
		t.Errorf("told were %v", told)
	}
}

// TestWebhookRetries: what fails is tried again under the same id, and each
// attempt is noted.
func TestWebhookRetries(t *testing.T) {
	h := beginHooks(t, loopback)
	r := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 3 {
			w.WriteHeader(http.StatusInternalServerError)
			io.WriteString(w, strings.Repeat("no\x00", 1000))
		}
	})
	e, _ := h.endpoint(r.URL, nil)
	h.redeem("A", "ann")
	h.work()
	d := h.tried(e, 1)
	if wait := time.Until(d.NextAt); d.State != gateway.WebhookPending || d.Status != 500 || wait > 6*time.Second || len(d.Response) > 3*excerpt {
		t.Errorf("after one attempt: %+v", d)
	}
	if now, err := h.ledger.Webhook(t.Context(), "l", e.ID); err != nil || now.Failing.IsZero() || now.Pending != 1 {
		t.Errorf("the endpoint is %+v, %v", now, err)
	}
	h.soon()
	h.tried(e, 2)
	h.soon()
	if d := h.ended(e, 1, gateway.WebhookDelivered)[0]; d.Attempts != 3 {
		t.Errorf("delivered after %d attempts", d.Attempts)
	}
	if now, err := h.ledger.Webhook(t.Context(), "l", e.ID); err != nil || !now.Failing.IsZero() || now.Pending != 0 {
		t.Errorf("the endpoint is %+v, %v", now, err)
	}
	got := r.all()
	for _, each := range got {
		if each.header.Get("Webhook-Id") != d.Message.String() || string(each.body) != string(got[0].body) {
			t.Errorf("another message came: %v", each.header)
		}
	}
}

// TestWebhookGone: 410 disables the endpoint, and with it all that waits.
func TestWebhookGone(t *testing.T) {
	h := beginHooks(t, loopback)
	r := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusGone}[min(n-1, 1)])
	})
	e, _ := h.endpoint(r.URL, nil)
	h.redeem("A", "ann")
	h.work()
	h.tried(e, 1)
	h.redeem("B", "bob")
	h.deliveries(e, func(list []gateway.WebhookDelivery) bool {
		return len(list) == 2 && list[0].State == gateway.WebhookFailed
	})
	h.soon()
	h.ended(e, 2, gateway.WebhookFailed)
	if now, err := h.ledger.Webhook(t.Context(), "l", e.ID); err != nil || now.Reason != gateway.WebhookGone || now.DisabledAt.IsZero() {
		t.Errorf("the endpoint is %+v, %v", now, err)
	}
	h.redeem("C", "cat")
	if n := len(h.ended(e, 2, gateway.WebhookFailed)); n != 2 || len(r.all()) != 2 {
		t.Errorf("%d deliveries, %d requests", n, len(r.all()))
	}
	if _, err := h.ReplayWebhook(t.Context(), "l", e.ID, gateway.WebhookReplay{Since: time.Unix(0, 0)}); err == nil {
		t.Error("a disabled endpoint is sent something again")
	}
}

// TestWebhookElsewhere: receivers that hang, send on or are not to be reached.
func TestWebhookElsewhere(t *testing.T) {
	h := beginHooks(t, loopback)
	h.outbound.client.Timeout = 300 * time.Millisecond
	inside := receive(t, fine)
	quit := make(chan struct{})
	hangs := receive(t, func(_ int, _ http.ResponseWriter, q *http.Request) {
		select {
		case <-quit:
		case <-q.Context().Done():
		}
	})
	defer close(quit)
	sendsOn := receive(t, func(_ int, w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, inside.URL, http.StatusTemporaryRedirect)
	})
	hanging, _ := h.endpoint(hangs.URL, nil)
	redirecting, _ := h.endpoint(sendsOn.URL, nil)
	closed, _ := h.endpoint("http://127.0.0.1:1/", nil)
	h.redeem("A", "ann")
	h.work()
	if d := h.tried(hanging, 1); d.Status != 0 || !strings.Contains(d.Error, "no answer") {
		t.Errorf("hanging: %+v", d)
	}
	if d := h.tried(redirecting, 1); d.Status != 307 || !strings.Contains(d.Error, "redirect") {
		t.Errorf("redirecting: %+v", d)
	}
	if d := h.tried(closed, 1); d.Status != 0 || !strings.Contains(d.Error, "refused") {
		t.Errorf("closed: %+v", d)
	}
	if n := len(inside.all()); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// TestWebhookPrivate: a name that leads inside is found out after DNS has told
// its address.
func TestWebhookPrivate(t *testing.T) {
	h := beginHooks(t, nil)
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the receiver inside was reached") }))
	defer inside.Close()
	e, _ := h.endpoint(strings.Replace(inside.URL, "127.0.0.1", "localhost", 1), nil)
	h.redeem("A", "ann")
	h.work()
	if d := h.tried(e, 1); d.Status != 0 || d.Error != errAddress.Error() {
		t.Errorf("%+v", d)
	}
	for _, url := range []string{
		"http://app.example/", inside.URL, "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[::1]/", "https://[fd00:ec2::254]/",
		"https://[::ffff:127.0.0.1]/", "https://0.0.0.0/", "ftp://app.example/", "https://user:password@app.example/", "https://app.example/#x", "//app.example", "",
	} {
		if _, _, err := h.CreateWebhook(t.Context(), "l", gateway.WebhookEndpoint{URL: url, Events: []string{"*"}}); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func TestOutboundReaches(t *testing.T) {
	o := newOutbound([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")})
	for address, want := range map[string]bool{
		"93.184.215.14": true, "2606:4700::1": true, "10.1.2.3": true, "::ffff:10.1.2.3": true,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.1": false, "127.1.2.3": false, "169.254.169.254": false,
		"100.100.100.200": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false, "240.0.0.1": false,
		"168.63.129.16": false, "::": false, "::1": false, "fe80::1": false, "fd00:ec2::254": false, "ff02::1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false, "2001:db8::1": false, "2001::1": false, "fec0::1": false,
	} {
		if o.reaches(netip.MustParseAddr(address)) != want {
			t.Errorf("reaching %s is not %v", address, want)
		}
	}
}

// TestWebhookKilled: a process that dies between the answer and its row leaves
// one delivery, which another process attempts again under the same id.
func TestWebhookKilled(t *testing.T) {
	h := beginHooks(t, loopback)
	r := receive(t, fine)
	e, _ := h.endpoint(r.URL, nil)
	h.redeem("A", "ann")
	// What a process does before it dies: it takes the job and sends.
	d := h.deliveries(e, func(list []gateway.WebhookDelivery) bool { return len(list) == 1 })[0]
	w, err := h.ledger.Dispatch(t.Context(), d.ID)
	if err != nil {
		t.Fatal(err)
	}
	dead := &deliverer{ledger: h.ledger, keyring: h.keyring, outbound: h.outbound, inFlight: map[gateway.ID]int{}}
	secrets, err := dead.secrets(&w)
	if err != nil {
		t.Fatal(err)
	}
	if o := dead.attempt(t.Context(), &w, secrets); o.word != "delivered" {
		t.Fatal(o)
	}
	tag, err := h.pool.Exec(t.Context(), `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now() - interval '10 minutes', attempted_by = '{dead}' WHERE kind = 'webhook'`)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
	h.work()
	h.ended(e, 1, gateway.WebhookDelivered)
	got := r.all()
	if len(got) != 2 || got[0].header.Get("Webhook-Id") != got[1].header.Get("Webhook-Id") {
		t.Errorf("%d requests came", len(got))
	}
}

// TestWebhookReplay: one delivery, or all that failed, is sent again.
func TestWebhookReplay(t *testing.T) {
	h := beginHooks(t, loopback)
	r := receive(t, fine)
	e, _ := h.endpoint(r.URL, nil)
	for _, code := range []gateway.Code{"A", "B", "C"} {
		h.redeem(code, "sub-"+string(code))
	}
	list := h.deliveries(e, func(list []gateway.WebhookDelivery) bool { return len(list) == 3 })
	for _, d := range list[:2] {
		if err := h.ledger.Undelivered(t.Context(), d.ID, "a test"); err != nil {
			t.Fatal(err)
		}
	}
	h.work()
	h.deliveries(e, func(list []gateway.WebhookDelivery) bool { return list[2].State == gateway.WebhookDelivered })
	if n, err := h.ReplayWebhook(t.Context(), "l", e.ID, gateway.WebhookReplay{Since: time.Now().Add(time.Hour)}); n != 0 || err != nil {
		t.Errorf("%d of the future are sent again, %v", n, err)
	}
	if n, err := h.ReplayWebhook(t.Context(), "l", e.ID, gateway.WebhookReplay{Since: time.Now().Add(-time.Hour)}); n != 2 || err != nil {
		t.Errorf("%d are sent again, %v", n, err)
	}
	h.ended(e, 3, gateway.WebhookDelivered)
	if n, err := h.ReplayWebhook(t.Context(), "l", e.ID, gateway.WebhookReplay{Delivery: list[2].ID}); n != 1 || err != nil {
		t.Errorf("%d are sent again, %v", n, err)
	}
	h.deliveries(e, func(now []gateway.WebhookDelivery) bool {
		return now[2].Attempts == 2 && now[2].State == gateway.WebhookDelivered
	})
	if n := len(r.all()); n != 4 {
		t.Errorf("%d requests came, want 4", n)
	}
	if _, err := h.ReplayWebhook(t.Context(), "l", e.ID, gateway.WebhookReplay{Delivery: gateway.NewID(time.Now())}); err == nil {
		t.Error("a delivery that does not exist is sent again")
	}
}

// TestWebhookRotation: for a while both secrets sign, then the new one alone.
func TestWebhookRotation(t *testing.T) {
	h := beginHooks(t, loopback)
	r := receive(t, fine)
	e, first := h.endpoint(r.URL, nil)
	second, err := h.RotateWebhook(t.Context(), "l", e.ID, time.Hour)
	if err != nil || second == first {
		t.Fatal(second == first, err)
	}
	h.redeem("A", "ann")
	h.work()
	h.ended(e, 1, gateway.WebhookDelivered)
	genuine(t, first, r.all()[0])
	genuine(t, second, r.all()[0])
	third, err := h.RotateWebhook(t.Context(), "l", e.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.redeem("B", "bob")
	h.ended(e, 2, gateway.WebhookDelivered)
	genuine(t, third, r.all()[1])
	if s := r.all()[1].header.Get("Webhook-Signature"); strings.Contains(s, " ") {
		t.Errorf("a secret whose time is over signs: %s", s)
	}
	var kept string
	if err := h.pool.QueryRow(t.Context(), `SELECT secret || previous FROM webhook_endpoints`).Scan(&kept); err != nil || strings.Contains(kept, strings.TrimPrefix(third, secretPrefix)) {
		t.Error("the secret lies open in Postgres", err)
	}
}

// TestWebhookSchedule: the last attempt is three days after the first, and an
// endpoint that fails for longer is told nothing any more.
func TestWebhookSchedule(t *testing.T) {
	total, attempts := time.Duration(0), 1
	for ; ; attempts++ {
		wait, again := webhookWait(attempts)
		if !again {
			break
		}
		if exact := webhookWaits[attempts-1]; wait < exact*9/10 || wait > exact*11/10 {
			t.Errorf("wait %d is %v", attempts, wait)
		}
		total += wait
	}
	if total < 60*time.Hour || total > 80*time.Hour {
		t.Errorf("the attempts end after %v", total)
	}
	w := gateway.WebhookDispatch{Round: attempts - 1}
	if _, disable := settleAttempt(&w, outcome{word: "refused", status: 500}); w.Delivery.State != gateway.WebhookFailed || disable != "" {
		t.Errorf("the last attempt leaves %+v, %q", w.Delivery, disable)
	}
	w = gateway.WebhookDispatch{Endpoint: gateway.WebhookEndpoint{Failing: time.Now().Add(-gateway.WebhookFailingFor - time.Hour)}}
	if _, disable := settleAttempt(&w, outcome{word: "unreachable"}); disable != gateway.WebhookFailing {
		t.Errorf("an endpoint that fails for days is disabled for %q", disable)
	}
	w = gateway.WebhookDispatch{}
	if wait, _ := settleAttempt(&w, outcome{word: "refused", status: 429, after: time.Hour}); wait != time.Hour {
		t.Errorf("a receiver that asks for an hour is asked again after %v", wait)
	}
}

// TestWebhookTypes: what the table makes is what endpoints may ask for.
func TestWebhookTypes(t *testing.T) {
	known := map[string]bool{}
	for _, kind := range gateway.WebhookTypes {
		known[kind] = true
	}
	for _, e := range []gateway.Event{
		gateway.Redeemed{Status: gateway.Held},
		gateway.Redeemed{Status: gateway.Committed},
		gateway.Settled{To: gateway.Committed},
		gateway.Settled{To: gateway.Released},
		gateway.Settled{To: gateway.RolledBack},
		gateway.CodesMinted{},
		gateway.CodesChanged{Change: gateway.Revoke},
		gateway.CodesChanged{Change: gateway.Reinstate},
		gateway.CodesChanged{Change: gateway.Renew},
		gateway.CampaignPut{},
		gateway.MilestoneCrossed{},
		gateway.Credited{What: gateway.CreditReward},
		gateway.Credited{What: gateway.CreditClawback},
		gateway.MemberChanged{Cause: gateway.MemberJoined},
		gateway.MemberChanged{Cause: gateway.MemberLeft},
		gateway.MemberChanged{Cause: gateway.MemberReferred},
		gateway.MemberChanged{Cause: gateway.MemberUnreferred},
		gateway.MemberChanged{Cause: gateway.MemberGranted},
		gateway.MemberChanged{Cause: gateway.MemberTier},
		gateway.MemberChanged{Cause: gateway.MemberTrial},
		gateway.MemberChanged{Cause: gateway.MemberErased},
		gateway.EntryJoined{},
		gateway.EntryBoosted{},
		gateway.EntryConfirmed{},
		gateway.OfferMade{},
		gateway.ReleasePut{},
		gateway.ReleaseEnded{},
		gateway.EntryMoved{To: gateway.EntryWaiting},
		gateway.EntryMoved{To: gateway.EntryRegistered},
		gateway.EntryMoved{To: gateway.EntryDeclined},
		gateway.EntryMoved{To: gateway.EntryExpired},
		gateway.EntryMoved{To: gateway.EntryLeft},
		gateway.EntryMoved{To: gateway.EntryInvited},
		gateway.LaunchPut{},
	} {
		if kind := gateway.WebhookType(e); !known[kind] || gateway.WebhookData(e, &gateway.WebhookLookup{}) == nil {
			t.Errorf("%T is told as %q", e, kind)
		}
	}
	for _, e := range []gateway.Event{
		gateway.Refused{},
		gateway.MemberChanged{Cause: gateway.MemberUsed},
		gateway.MemberChanged{Cause: gateway.MemberMinted},
		gateway.MemberChanged{Cause: gateway.MemberRevoked},
		gateway.MemberChanged{Cause: gateway.MemberRefilled},
		gateway.MemberChanged{Cause: gateway.MemberCode},
	} {
		if kind := gateway.WebhookType(e); kind != "" {
			t.Errorf("%+v is told as %q", e, kind)
		}
	}
}
