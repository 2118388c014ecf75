package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

const waitlist = "/v1/launches/writer/waitlist"

// newWaitlist is a world whose launch has this waitlist.
func newWaitlist(t testing.TB, change func(*gateway.Policy), changes ...func(*Config)) *world {
	t.Helper()
	w := newWorld(t, changes...)
	p := w.store.launch.Policy
	p.Waitlist.Boosts = gateway.BoostsPolicy{Referred: 10, Referrer: 5, Sources: gateway.Points{"producthunt": 20}}
	if change != nil {
		change(&p)
	}
	w.store.set(func(f *fakeStore) {
		l := *f.launch
		l.Policy = p
		f.launch = &l
	})
	if _, err := w.store.CreateLaunch(context.Background(), p, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) want(a answer, status int, fields ...any) answer {
	w.t.Helper()
	if a.status != status {
		w.t.Fatalf("got %v, want %d", a, status)
	}
	for i := 0; i < len(fields); i += 2 {
		if got := a.field[fields[i].(string)]; got != fields[i+1] {
			w.t.Errorf("%s is %v, want %v: %v", fields[i], got, fields[i+1], a)
		}
	}
	return a
}

func TestJoin(t *testing.T) {
	w := newWaitlist(t, nil)
	ann := w.want(w.post(waitlist, `{"email":"Ann+x@X.example","name":"Ann"}`, "Idempotency-Key: one"), 201,
		"status", "waiting", "position", 1.0, "total", 1.0, "known", false, "next_poll_seconds", 5.0)
	if !strings.HasPrefix(ann.word("ticket"), keyring.TicketOwner) || ann.word("referral_link") != "https://writer.example/signup?ref="+ann.word("referral_code") {
		t.Errorf("%v", ann)
	}
	for _, secret := range []string{"ann", "Ann", "YW5u"} {
		if strings.Contains(ann.word("referral_code")+ann.word("ticket"), secret) {
			t.Errorf("%s tells of the address", ann.body)
		}
	}
	// The same person again: the ticket only with the same key, or to a back end.
	w.want(w.post(waitlist, `{"email":"ann@x.example"}`, "Idempotency-Key: one"), 200, "known", true, "ticket", ann.word("ticket"))
	w.want(w.post(waitlist, `{"email":"ann@x.example"}`, "Authorization: Bearer ao_server"), 200, "ticket", ann.word("ticket"))
	for _, key := range []string{"Accept: */*", "Idempotency-Key: two"} {
		stranger := w.want(w.post(waitlist, `{"email":"ann@x.example"}`, key), 200, "known", true)
		if len(stranger.field) != 3 || stranger.word("message") == "" || stranger.field["receipt"] == nil {
			t.Errorf("whoever names the address gets %v", stranger)
		}
	}
	bob := w.want(w.post(waitlist, `{"email":"bob@x.example","ref":"`+ann.word("referral_code")+`"}`), 201, "referred", true, "priority", 10.0, "position", 1.0)
	_ = bob
	for name, ref := range map[string]string{
		"forged": "aor_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a ticket": ann.word("ticket"), "garbage": "YW5uQHguZXhhbXBsZQ==", "cut": ann.word("referral_code")[:20],
		"a foreign launch's": w.keyring.Ticket(keyring.TicketReferral, "other", w.keyring.Subject("other", "ann@x.example")),
	} {
		w.want(w.post(waitlist, fmt.Sprintf(`{"email":"%s@x.example","ref":"%s"}`, strings.ReplaceAll(name, " ", "-")[:3], ref)), 201, "referred", false, "priority", 0.0)
	}
	for _, c := range []struct {
		body, field, code string
	}{
		{`{}`, "email", "invalid_request"},
		{`{"email":"nobody"}`, "email", "invalid_request"},
		{`{"email":"x@mailinator.com"}`, "email", "email_disposable"},
		{`{"email":"x@sub.mailinator.com"}`, "email", "email_disposable"},
		{`{"email":"x@x.example","source":"Product Hunt"}`, "source", "invalid_request"},
		{`{"email":"x@x.example","source":"producthunt.AAAAAAAAAAAAAAAAAAAAAA"}`, "source", "invalid_request"},
		{`{"email":"x@x.example","code":"A"}`, "code", "invalid_request"},
		{`{"email":"x@x.example","ip":"192.0.2.1"}`, "ip", "invalid_request"},
	} {
		if a := w.post(waitlist, c.body); a.status < 400 || a.status > 499 || a.word("field") != c.field || a.word("code") != c.code {
			t.Errorf("%s: %v", c.body, a)
		}
	}
}

// TestSources: a source is worth points when those say so whom the policy
// trusts.
func TestSources(t *testing.T) {
	for _, policy := range []string{gateway.SourcesServer, gateway.SourcesSigned, gateway.SourcesClient} {
		w := newWaitlist(t, func(p *gateway.Policy) { p.Waitlist.Sources = policy })
		signed := w.keyring.SignSource("writer", "producthunt")
		for name, c := range map[string]struct {
			source, header string
			counts         bool
		}{
			"anybody":    {"producthunt", "Accept: */*", policy == gateway.SourcesClient},
			"signed":     {signed, "Accept: */*", policy != gateway.SourcesServer},
			"server":     {"producthunt", "Authorization: Bearer ao_server", true},
			"other-word": {"elsewhere", "Authorization: Bearer ao_server", false},
		} {
			want := 0.0
			if c.counts {
				want = 20
			}
			w.want(w.post(waitlist, fmt.Sprintf(`{"email":"%s@x.example","source":"%s"}`, name, c.source), c.header), 201, "priority", want)
		}
	}
}

// shown makes the gateway's copy of the line out of what the model holds.
func (w *world) shown(keys ...string) {
	line := gateway.NewLine()
	for _, key := range keys {
		e, err := w.store.Entry(context.Background(), "writer", key)
		if err != nil {
			w.t.Fatal(err)
		}
		line.Load([]gateway.Entry{e})
	}
	line.Current(noon)
	w.store.set(func(f *fakeStore) {
		if f.line != nil {
			f.line.Retire()
		}
		f.line = line
	})
}

func TestPlace(t *testing.T) {
	w := newWaitlist(t, nil)
	ann := w.post(waitlist, `{"email":"ann@x.example"}`).word("ticket")
	key := w.keyring.Subject("writer", "ann@x.example")
	for _, copied := range []bool{false, true} { // out of Redis, and out of the copy
		if copied {
			w.shown(key)
		}
		a := w.want(w.get(waitlist+"/"+ann), 200, "status", "waiting", "position", 1.0, "ahead", 0.0, "total", 1.0, "next_poll_seconds", 5.0)
		if a.header.Get("ETag") == "" || a.header.Get("Retry-After") == "" {
			t.Errorf("%v", a)
		}
		if again := w.get(waitlist+"/"+ann, "If-None-Match: "+a.header.Get("ETag")); again.status != 304 || again.body != "" {
			t.Errorf("nothing has changed: %v", again)
		}
	}
	w.post(waitlist, `{"email":"bob@x.example","source":"producthunt"}`, "Authorization: Bearer ao_server")
	bob := w.keyring.Subject("writer", "bob@x.example")
	tag := w.get(waitlist + "/" + ann).header.Get("ETag")
	w.shown(key, bob)
	a := w.want(w.get(waitlist+"/"+ann, "If-None-Match: "+tag), 200, "position", 2.0, "ahead", 1.0)
	if a.header.Get("ETag") == tag {
		t.Error("the tag did not change")
	}
	for name, ticket := range map[string]string{
		"forged": "aot_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "cut": ann[:len(ann)-2], "no ticket": "x",
		"foreign": w.keyring.Ticket(keyring.TicketOwner, "other", key),
	} {
		if a := w.get(waitlist + "/" + ticket); a.status != 404 || a.word("code") != "ticket_invalid" {
			t.Errorf("%s: %v", name, a)
		}
	}
	w.want(w.get(waitlist+"/"+w.keyring.Ticket(keyring.TicketReferral, "writer", key)), 403, "code", "forbidden")
	w.want(w.get(waitlist+"/"+w.keyring.Ticket(keyring.TicketOwner, "writer", w.keyring.Subject("writer", "nobody"))), 404, "code", "entry_unknown")

	// An offer, and its code.
	if _, err := w.store.PutRelease(context.Background(), "writer", gateway.Cohort{ID: "r", Count: 2, Order: gateway.ByPriority}, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	campaign, err := w.store.CreateCampaign(context.Background(), "writer", gateway.Campaign{Name: "waitlist", Kind: gateway.KindInvite, Type: gateway.TypeWaitlist, MaxUses: 1, Format: "{random:8}"}, gateway.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.store.Offer(context.Background(), "writer", "r", campaign, []gateway.Offered{{Key: bob, Code: "B0B"}, {Key: key, Code: "ANN"}}); err != nil {
		t.Fatal(err)
	}
	w.shown(key, bob)
	if a := w.want(w.get(waitlist+"/"+ann), 200, "status", "invited"); !strings.Contains(a.body, `"offer":{"code":"ANN","expires_at":`) {
		t.Errorf("%v", a)
	}
	confirm := w.keyring.Ticket(keyring.TicketConfirm, "writer", key) // not the owner's, but a back end may
	w.want(w.get(waitlist+"/"+confirm), 403, "code", "forbidden")
	w.want(w.get(waitlist+"/"+confirm, "Authorization: Bearer ao_server"), 200, "status", "invited")
	w.want(w.raw("DELETE "+waitlist+"/"+confirm+" HTTP/1.1\r\nHost: writer.example\r\n\r\n"), 403, "code", "forbidden")
	w.want(w.post(waitlist+"/"+confirm+"/decline", ``), 403, "code", "forbidden")
	w.want(w.post(waitlist+"/"+ann+"/decline", ``), 200, "status", "declined")
	w.want(w.raw("DELETE "+waitlist+"/"+ann+" HTTP/1.1\r\nHost: writer.example\r\n\r\n"), 200, "status", "left")
	w.want(w.post(waitlist+"/"+ann, ``), 405)
}

func TestNeverWorsens(t *testing.T) {
	w := newWaitlist(t, func(p *gateway.Policy) { p.Waitlist.Display = gateway.DisplayNeverWorsens })
	ann := w.post(waitlist, `{"email":"ann@x.example"}`).word("ticket")
	key, bob := w.keyring.Subject("writer", "ann@x.example"), w.keyring.Subject("writer", "bob@x.example")
	w.shown(key)
	tag := w.want(w.get(waitlist+"/"+ann), 200, "position", 1.0).header.Get("ETag")
	w.post(waitlist, `{"email":"bob@x.example","source":"producthunt"}`, "Authorization: Bearer ao_server")
	w.shown(key, bob) // another gateway: it has shown nothing yet
	w.want(w.get(waitlist+"/"+ann, "If-None-Match: "+tag), 200, "position", 1.0, "total", 2.0)
	w.want(w.get(waitlist+"/"+ann), 200, "position", 1.0) // and remembers it now
}

func TestConfirm(t *testing.T) {
	w := newWaitlist(t, func(p *gateway.Policy) { p.Waitlist.ConfirmEmail = true })
	ref := w.post(waitlist, `{"email":"ann@x.example"}`).word("referral_code")
	bob := w.want(w.post(waitlist, `{"email":"bob@x.example","ref":"`+ref+`"}`), 201, "referred", false, "priority", 0.0)
	key := w.keyring.Subject("writer", "bob@x.example")
	w.want(w.post(waitlist+"/"+bob.word("ticket")+"/confirm", ``), 403)
	confirm := w.keyring.Ticket(keyring.TicketConfirm, "writer", key)
	// Who scans the mail follows the link: that confirms nothing.
	w.store.set(func(f *fakeStore) { f.launch.Policy.Name = "<Writer>" })
	a := w.get("/w/writer/" + confirm)
	if a.status != 200 || !strings.Contains(a.body, `<form method="post">`) || !strings.Contains(a.body, "&lt;Writer&gt;") ||
		!strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v", a)
	}
	if e, _ := w.store.Entry(context.Background(), "writer", key); !e.Unconfirmed {
		t.Errorf("a look at the link confirmed %+v", e)
	}
	a = w.ask("POST", "/w/writer/"+confirm, "", "Content-Type: application/x-www-form-urlencoded")
	if a.status != 303 || a.header.Get("Location") != "https://writer.example/signup?confirmed=yes" {
		t.Errorf("%v", a)
	}
	if a := w.get("/w/writer/" + bob.word("ticket")); a.status != 303 || a.header.Get("Location") != "https://writer.example/signup?confirmed=invalid" {
		t.Errorf("%v", a)
	}
	w.want(w.post(waitlist+"/"+confirm+"/confirm", ``), 200, "position", 1.0) // the same again
	if e, _ := w.store.Entry(context.Background(), "writer", key); e.Priority != 10 || e.Unconfirmed {
		t.Errorf("%+v", e)
	}
}

// TestOverflow: a full or paced campaign leads to the waitlist where the policy
// says so and an address is known.
func TestOverflow(t *testing.T) {
	for _, reason := range []gateway.Reason{gateway.CampaignFull, gateway.Paced} {
		w := newWaitlist(t, func(p *gateway.Policy) { p.Waitlist.Overflow = gateway.OverflowWaitlist })
		w.store.set(func(f *fakeStore) { f.err = &gateway.Error{Reason: reason} })
		a := w.want(w.post(redemptions, `{"code":"ABCD2345","email":"ann@x.example"}`), 202, "status", "waitlisted", "position", 1.0)
		if !strings.HasPrefix(a.word("ticket"), keyring.TicketOwner) {
			t.Errorf("%v", a)
		}
		again := w.want(w.post(redemptions, `{"code":"ABCD2345","email":"ann@x.example"}`), 202, "status", "waitlisted", "known", true)
		if again.field["ticket"] != nil || again.field["position"] != nil {
			t.Errorf("whoever names the address gets %v", again)
		}
		w.want(w.post(redemptions, `{"code":"ABCD2345","subject":"u1"}`), reason.Status(), "code", string(reason))
	}
	w := newWaitlist(t, nil)
	w.store.set(func(f *fakeStore) { f.err = &gateway.Error{Reason: gateway.Paced, RetryAfter: time.Minute} })
	if a := w.want(w.post(redemptions, `{"code":"ABCD2345","email":"ann@x.example"}`), 429, "code", "paced"); a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a)
	}
}

// events reads server-sent events of one stream.
func (w *world) events(ticket string, header ...string) (next func() string, hangUp func()) {
	w.t.Helper()
	c := w.dial()
	request := strings.Join(append([]string{"GET " + waitlist + "/" + ticket + "/events HTTP/1.1", "Host: writer.example"}, header...), "\r\n") + "\r\n\r\n"
	if _, err := io.WriteString(c, request); err != nil {
		w.t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			w.t.Fatal(err)
		}
		if strings.HasPrefix(line, "HTTP/") && !strings.Contains(line, "200") {
			w.t.Fatal(line)
		}
	}
	return func() string {
		var event strings.Builder
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return "closed"
			}
			if line == "\n" && strings.Contains(event.String(), "data:") {
				return event.String()
			}
			event.WriteString(line)
		}
	}, func() { c.Close() }
}

func TestStream(t *testing.T) {
	w := newWaitlist(t, nil)
	var stopping sync.WaitGroup
	t.Cleanup(stopping.Wait)
	ann := w.post(waitlist, `{"email":"ann@x.example"}`).word("ticket")
	key, bob := w.keyring.Subject("writer", "ann@x.example"), w.keyring.Subject("writer", "bob@x.example")
	w.shown(key)
	next, hangUp := w.events(ann)
	first := next()
	if !strings.Contains(first, "retry: ") || !strings.Contains(first, "event: place\n") || !strings.Contains(first, `"position":1,"ahead":0,"total":1`) {
		t.Fatalf("%q", first)
	}
	w.post(waitlist, `{"email":"bob@x.example","source":"producthunt"}`, "Authorization: Bearer ao_server")
	w.shown(key, bob)
	second := next()
	if !strings.Contains(second, `"position":2,"ahead":1,"total":2`) {
		t.Fatalf("%q", second)
	}
	hangUp()
	// Back again: what was seen is not told twice; the next change is.
	_, id, _ := strings.Cut(second, "id: ")
	id, _, _ = strings.Cut(id, "\n")
	next, _ = w.events(ann, "Last-Event-ID: "+id)
	if _, err := w.store.ChangeEntry(context.Background(), "writer", gateway.ChangeEntry{Verb: gateway.BoostEntry, Key: key, Points: 50}); err != nil {
		t.Fatal(err)
	}
	w.shown(key, bob)
	if third := next(); !strings.Contains(third, `"position":1`) {
		t.Fatalf("%q", third)
	}
	stopping.Go(func() { w.server.Shutdown(context.Background()) })
	if last := next(); last != "closed" {
		t.Errorf("%q after the server began to stop", last)
	}
}

// TestStreamsAfterARestart: streams that come back before this gateway has its
// copy of the line ask Redis nothing, and are told what has changed once it has.
func TestStreamsAfterARestart(t *testing.T) {
	w := newWaitlist(t, nil)
	ann := w.post(waitlist, `{"email":"ann@x.example"}`).word("ticket")
	key, bob := w.keyring.Subject("writer", "ann@x.example"), w.keyring.Subject("writer", "bob@x.example")
	w.shown(key)
	tag := strings.Trim(w.get(waitlist+"/"+ann).header.Get("ETag"), `"`)
	w.store.set(func(f *fakeStore) { f.line = nil })
	before := w.store.lookups.Load()
	var nexts []func() string
	for range 3 {
		next, _ := w.events(ann, "Last-Event-ID: "+tag)
		nexts = append(nexts, next)
	}
	w.post(waitlist, `{"email":"bob@x.example","source":"producthunt"}`, "Authorization: Bearer ao_server")
	if n := w.store.lookups.Load() - before; n != 0 {
		t.Errorf("%d lookups before there is a copy", n)
	}
	w.shown(key, bob)
	for _, next := range nexts {
		if event := next(); !strings.Contains(event, `"position":2,"ahead":1,"total":2`) {
			t.Errorf("%q", event)
		}
	}
}

// TestLookupsAreBounded: polls of a gateway that has no copy yet do not all ask
// Redis at the same time.
func TestLookupsAreBounded(t *testing.T) {
	w := newWaitlist(t, nil, func(c *Config) { c.ConnectionsPerAddress = 1000 })
	ann := w.post(waitlist, `{"email":"ann@x.example"}`).word("ticket")
	w.store.looking = make(chan struct{})
	var asking sync.WaitGroup
	for range lookupsAtOnce {
		asking.Go(func() { w.get(waitlist + "/" + ann) })
	}
	for deadline := time.Now().Add(10 * time.Second); w.store.lookups.Load() < lookupsAtOnce; {
		if time.Now().After(deadline) {
			t.Fatal("the polls do not ask")
		}
		time.Sleep(time.Millisecond)
	}
	if a := w.want(w.get(waitlist+"/"+ann), 503, "code", "overloaded"); a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a)
	}
	close(w.store.looking)
	asking.Wait()
	w.want(w.get(waitlist+"/"+ann), 200)
}

// TestStreamsAreBounded: one client behind a proxy does not take all room, and
// all together leave some for requests.
func TestStreamsAreBounded(t *testing.T) {
	w := newWaitlist(t, nil, trustLoopback, func(c *Config) { c.Connections, c.ConnectionsPerAddress = 40, 2 })
	ann := w.post(waitlist, `{"email":"ann@x.example"}`).word("ticket")
	w.shown(w.keyring.Subject("writer", "ann@x.example"))
	var hangUps []func()
	open := func(from string) {
		t.Helper()
		next, hangUp := w.events(ann, "X-Forwarded-For: "+from)
		if first := next(); !strings.Contains(first, "event: place") {
			t.Fatalf("%q", first)
		}
		hangUps = append(hangUps, hangUp)
	}
	refused := func(from string) {
		t.Helper()
		w.want(w.get(waitlist+"/"+ann+"/events", "X-Forwarded-For: "+from), 503, "code", "overloaded")
	}
	open("192.0.2.1")
	open("192.0.2.1")
	refused("192.0.2.1")
	open("2001:db8::1")
	open("2001:db8::2")
	refused("2001:db8::3")
	for i := range 26 {
		open("192.0.2." + strconv.Itoa(10+i))
	}
	refused("192.0.2.5") // thirty of forty
	w.want(w.get(waitlist+"/"+ann), 200)
	hangUps[0]()
	deadline := time.Now().Add(10 * time.Second)
	for left := 30; left > 29; { // who went away is counted out when the server sees it
		if time.Now().After(deadline) {
			t.Fatal("who left is still counted")
		}
		w.server.audience.mu.Lock()
		left = w.server.audience.all
		w.server.audience.mu.Unlock()
	}
	open("192.0.2.1")
	refused("192.0.2.1")
}

func TestShownBefore(t *testing.T) {
	for tag, want := range map[string]int{`"12-400-wao-0"`: 12, "7-1-w": 7, "": 0, `"x-1"`: 0, `"99999999999999999999-1"`: 0, `W/"3-1"`: 0} {
		if got := shownBefore([]byte(tag)); got != want {
			t.Errorf("%s: %d, want %d", tag, got, want)
		}
	}
}
