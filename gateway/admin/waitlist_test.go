package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

const line = "/admin/v1/launches/l/waitlist"

// joined puts somebody on the list in both stores.
func (w *world) joined(email string, arrival uint64, source string) string {
	w.Helper()
	a, err := w.store.Join(w.Context(), "l", &gateway.Join{Email: email, Source: source})
	if err != nil {
		w.Fatal(err)
	}
	person, _ := json.Marshal(gateway.Person{Subject: email, Email: email, Name: "Name of " + email})
	w.journal(gateway.EntryJoined{Key: a.Key, Arrival: arrival, Source: source, Sealed: person})
	return a.Key
}

// ring signs nothing, and keys addresses readably.
type ring struct{}

func (ring) SignSource(_, source string) string { return source + ".signed" }

func (ring) Subject(_, email string) string {
	return strings.NewReplacer("@", "-", ".", "-").Replace(email + "AAAAAAAAAAAAAAAA")[:16]
}

func TestWaitlist(t *testing.T) {
	w := begin(t, func(c *Config) { c.Keyring = ring{} })
	w.store.EntryKey = ring{}.Subject
	w.journal(gateway.LaunchPut{Version: 1, Open: true, Policy: []byte(`{"launch":"l"}`)})
	ann, bob := w.joined("ann@x.example", 1, "web"), w.joined("bob@x.example", 2, "twitter")
	w.want(200, w.do("GET", line, ""), "data.0.id", ann, "data.0.email", "ann@x.example", "data.1.id", bob, "data.2", nil, "has_more", false)
	first := w.want(200, w.do("GET", line+"?limit=1", ""), "data.0.id", ann, "has_more", true)
	w.want(200, w.do("GET", line+"?limit=1&after="+first.get("next").(string), ""), "data.0.id", bob, "has_more", false)
	w.want(200, w.do("GET", line+"?source=twitter", ""), "data.0.id", bob, "data.1", nil)
	w.want(200, w.do("GET", line+"?q=Name+of+B", ""), "data.0.id", bob, "data.1", nil)
	w.want(200, w.do("GET", line+"?status=invited", ""), "data.0", nil)
	w.want(400, w.do("GET", line+"?status=gone", ""), "field", "status")
	w.want(400, w.do("GET", line+"?after=%00", ""))

	w.want(200, w.do("GET", line+"/entries/"+bob, ""), "position", 2.0, "total", 2.0, "email", "bob@x.example")
	w.want(200, w.do("GET", line+"/entries/BOB@x.example", ""), "position", 2.0)
	w.want(404, w.do("GET", line+"/entries/nobody@x.example", ""), "code", "entry_unknown")
	boost := line + "/entries/bob@x.example/boost"
	for body, field := range map[string]string{
		`{"points":0,"reason":"x"}`: "points", `{"points":1000001,"reason":"x"}`: "points", `{"points":5}`: "reason", `{"points":5,"reason":"` + strings.Repeat("x", 101) + `"}`: "reason",
	} {
		w.want(400, w.do("POST", boost, body), "field", field)
	}
	w.want(200, w.do("POST", boost, `{"points":5,"reason":"wrote a review"}`), "position", 1.0, "priority", 5.0, "boosts.0.reason", "wrote a review")
	// A boost whose answer was lost is asked for again, and counts once.
	for range 2 {
		w.want(200, w.do("POST", boost, `{"points":2,"reason":"again"}`, "Idempotency-Key: b1"), "priority", 7.0)
		w.forgetAnswers()
	}
	w.want(200, w.do("POST", boost, `{"points":-2,"reason":"again"}`, "Idempotency-Key: b1"), "priority", 5.0)
	w.want(200, w.do("POST", line+"/entries/"+ann+"/remove", `{"note":"asked to"}`), "status", "left")

	csv := "Content-Type: text/csv"
	w.want(200, w.do("POST", line+"/import", "email,priority\ncid@x.example,7\nbob@x.example,\n", csv), "added", 1.0, "known", 1.0)
	w.want(200, w.do("GET", line+"/entries/"+w.store.EntryKey("l", "cid@x.example"), ""), "position", 1.0, "priority", 7.0)
	for body, message := range map[string]string{
		"":                                       "Begin with a line",
		"mail\nx@x.example\n":                    "no column",
		"name\nx\n":                              "email",
		"email\nnobody\nfay@x.example\n":         "1 lines are wrong",
		"email,priority\nfay@x.example,much\n":   "1 lines are wrong",
		"email\nfay@x.example\nFay@x.example \n": "1 lines are wrong",
		"email,source\nfay@x.example,Old List\n": "1 lines are wrong",
		"email,status\nfay@x.example,gone\n":     "1 lines are wrong",
		"email,email\nfay@x.example,x\n":         "twice",
	} {
		if a := w.want(400, w.do("POST", line+"/import", body, csv)); !strings.Contains(a.get("detail").(string), message) {
			t.Errorf("%q: %v", body, a.get("detail"))
		}
	}
	if a := w.do("GET", line+"/export", ""); a.status != 200 || !strings.HasPrefix(string(a.body), "email,name,source,priority,status,referrals,joined_at,invited_at,release\nann@x.example,Name of ann@x.example,web,0,waiting,0,") {
		t.Errorf("%s", a.body)
	} else { // and back: ann has left, as Redis says; the row says that she waits
		left := strings.Replace(string(a.body), ",waiting,", ",left,", 1)
		w.want(200, w.do("POST", line+"/import", left, csv), "added", 0.0, "known", 1.0, "skipped", 1.0)
	}
	w.want(200, w.do("GET", line+"/stats", ""), "entries", 2.0, "statuses.waiting", 2.0, "sources.0.joined", 1.0, "viral_coefficient", 0.0)
	w.want(200, w.do("POST", line+"/sources", `{"source":"producthunt"}`), "source", "producthunt", "points", 0.0)
	w.want(400, w.do("POST", line+"/sources", `{"source":"Product Hunt"}`), "field", "source")
}

// forgetAnswers is what a gateway that dies before it has answered leaves
// behind, some minutes later.
func (w *world) forgetAnswers() {
	w.Helper()
	if _, err := w.ledger.Pool().Exec(w.Context(), `DELETE FROM idempotency`); err != nil {
		w.Fatal(err)
	}
}

func TestReleases(t *testing.T) {
	w := begin(t, nil)
	releases := line + "/releases"
	for body, field := range map[string]string{
		`{"count":-1}`: "count", `{"count":0}`: "count", `{"count":1000000001}`: "count", `{}`: "count", `{"count":1,"order":"random"}`: "order",
		`{"count":1,"seed":"feed"}`: "seed", `{"count":1,"order":"lottery","seed":"xyz"}`: "seed", `{"count":1,"note":"` + strings.Repeat("x", 501) + `"}`: "note",
	} {
		w.want(400, w.do("POST", releases, body), "code", "invalid_request", "field", field)
	}
	// Nobody works on releases here: the offers are made by the test.
	go func() {
		for range 1000 {
			list, _, err := w.store.Releases(t.Context(), "l")
			if err != nil {
				return
			}
			for _, r := range list {
				_, _, _ = w.store.Offer(t.Context(), "l", r.ID, &gateway.Campaign{Number: 1}, nil)
			}
			time.Sleep(time.Millisecond)
		}
	}()
	made := w.want(201, w.do("POST", releases, `{"count":3,"order":"lottery"}`), "count", 3.0, "done", 0.0, "ended", true)
	if seed, _ := made.get("seed").(string); len(seed) != 32 {
		t.Errorf("seed %q", seed)
	}
	w.want(200, w.do("GET", fmt.Sprint(releases, "/", made.get("id")), ""), "order", "lottery")
	// A release whose answer was lost is asked for again: it is the same one.
	first := w.want(201, w.do("POST", releases, `{"count":2}`, "Idempotency-Key: r1")).get("id")
	w.forgetAnswers()
	w.want(201, w.do("POST", releases, `{"count":2}`, "Idempotency-Key: r1"), "id", first)
	w.forgetAnswers()
	if other := w.want(201, w.do("POST", releases, `{"count":3}`, "Idempotency-Key: r1")).get("id"); other == first {
		t.Error("another request made no release of its own")
	}
	w.want(404, w.do("GET", releases+"/none", ""), "code", "release_unknown")
	w.want(200, w.do("GET", releases, ""), "has_more", false)

	w.want(200, w.do("GET", line+"/schedule", ""), "running", false, "policy.count", 0.0)
	w.want(200, w.do("POST", line+"/resume", `{}`), "running", true)
	p := gateway.DefaultPolicy("l")
	p.Waitlist.Release.Count = 100
	if _, err := w.store.PutPolicy(t.Context(), p, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	s := w.want(200, w.do("GET", line+"/schedule", ""), "running", true)
	if next, _ := s.get("next").(string); !strings.HasSuffix(next, "T09:00:00Z") {
		t.Errorf("next %q", next)
	}
	w.want(200, w.do("POST", line+"/pause", `{"note":"no"}`), "running", false, "next", nil)
}
