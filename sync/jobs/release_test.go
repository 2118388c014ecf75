package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
	"admitone/gateway/gatewaytest"
	"admitone/sync/ledger"
)

// queueUp makes so many wait.
func queueUp(t *testing.T, s *gatewaytest.Model, n int) []string {
	t.Helper()
	keys := make([]string, n)
	for i := range n {
		a, err := s.Join(t.Context(), "l", &gateway.Join{Email: fmt.Sprintf("p%04d@x.example", i)})
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = a.Key
	}
	return keys
}

// run works on a release until it has ended.
func run(t *testing.T, q *Queue, l *ledger.Ledger, s *gatewaytest.Model, id string) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), l.Pool(), func(tx pgx.Tx) error { return q.insertTx(t.Context(), tx, releaseArgs{"l", id}) })
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := q.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r, err := s.Release(t.Context(), "l", id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Ended {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not end: %+v", r)
		}
	}
}

func invited(t *testing.T, s *gatewaytest.Model, keys []string) (list []int) {
	t.Helper()
	codes := map[gateway.Code]bool{}
	for i, key := range keys {
		e, err := s.Entry(t.Context(), "l", key)
		if err != nil {
			t.Fatal(err)
		}
		if e.Status == gateway.EntryInvited {
			list = append(list, i)
			codes[e.Offer] = true
		}
	}
	if len(codes) != len(list) {
		t.Fatalf("%d codes for %d offers", len(codes), len(list))
	}
	return list
}

// TestRelease: a release in steps, that a Redis which is away interrupts, lets
// in exactly the front of the line.
func TestRelease(t *testing.T) {
	q, s, l, _ := begin(t, 0, func(int64) error { return nil })
	keys := queueUp(t, s.Model, 500)
	if _, err := s.PutRelease(t.Context(), "l", gateway.Cohort{ID: "r", Count: 450, Order: gateway.ByPriority}, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	run(t, q, l, s.Model, "r")
	list := invited(t, s.Model, keys)
	if len(list) != 450 || list[0] != 0 || list[449] != 449 {
		t.Fatalf("%d were let in, the last is %d", len(list), list[len(list)-1])
	}
	launch, err := s.Launch(t.Context(), "l")
	if err != nil || launch.FindCampaign(gateway.WaitlistCampaign) == nil {
		t.Fatalf("%+v, %v: the codes have no campaign", launch, err)
	}
}

// TestLottery: the draw can be repeated by whoever knows the seed, and is not
// the order of the line.
func TestLottery(t *testing.T) {
	q, s, l, _ := begin(t, 0, func(int64) error { return nil })
	keys := queueUp(t, s.Model, 300)
	if _, err := s.PutRelease(t.Context(), "l", gateway.Cohort{ID: "r", Count: 40, Order: gateway.ByLottery, Seed: "feed"}, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	late := queueUp(t, s.Model, 301)[300:]
	run(t, q, l, s.Model, "r")
	want := slices.Clone(keys)
	Draw("feed", want)
	drawn := map[string]bool{}
	for _, key := range want[:40] {
		drawn[key] = true
	}
	list := invited(t, s.Model, append(slices.Clone(keys), late...))
	if len(list) != 40 {
		t.Fatalf("%d were drawn", len(list))
	}
	for _, i := range list {
		if i == 300 || !drawn[keys[i]] {
			t.Errorf("number %d was let in and not drawn", i)
		}
	}
	if list[39] == 39 {
		t.Error("the draw is the order of the line")
	}
	again := slices.Clone(keys)
	slices.Reverse(again)
	Draw("feed", again)
	if !slices.Equal(again, want) {
		t.Error("the draw depends on more than seed and keys")
	}
}

// begun is a scheduler over a model whose launch has this schedule.
func begun(t *testing.T, r gateway.ReleasePolicy) (*Scheduler, *gatewaytest.Model) {
	t.Helper()
	s := gatewaytest.NewModel(time.Date(2027, 1, 1, 8, 0, 0, 0, time.UTC))
	p := gateway.DefaultPolicy("l")
	p.Waitlist.Release = r
	if _, err := s.CreateLaunch(t.Context(), p, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	return &Scheduler{Store: scheduled{s}, Log: slog.New(slog.DiscardHandler)}, s
}

type scheduled struct{ *gatewaytest.Model }

func (scheduled) Launches(context.Context) ([]string, error) { return []string{"l"}, nil }

// at sets the clock and looks.
func at(t *testing.T, s *Scheduler, m *gatewaytest.Model, ahead time.Duration) []gateway.Cohort {
	t.Helper()
	if _, err := m.SetClock(t.Context(), "l", ahead, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second look finds nothing more to do
		if err := s.Look(t.Context(), "l"); err != nil {
			t.Fatal(err)
		}
	}
	list, _, err := m.Releases(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

const day = gateway.Duration(24 * time.Hour)

func TestScheduler(t *testing.T) {
	s, m := begun(t, gateway.ReleasePolicy{Count: 100, Every: day, At: 9 * 60, Zone: "UTC", Order: gateway.ByLottery, Cap: 250})
	if list := at(t, s, m, 0); len(list) != 0 {
		t.Fatalf("%+v before nine", list)
	}
	if list := at(t, s, m, time.Hour); len(list) != 1 || list[0].Count != 100 || list[0].ID != "slot-20270101T0900Z" || len(list[0].Seed) != 32 {
		t.Fatalf("%+v at nine", list)
	}
	if list := at(t, s, m, 24*time.Hour); len(list) != 1 {
		t.Fatalf("%+v before the next nine", list)
	}
	if err := m.SetSchedule(t.Context(), "l", false, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if list := at(t, s, m, 30*time.Hour); len(list) != 1 {
		t.Fatalf("%+v while paused", list)
	}
	if err := m.SetSchedule(t.Context(), "l", true, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if list := at(t, s, m, 30*time.Hour); len(list) != 1 {
		t.Fatalf("%+v: a slot that was missed while paused was made up for", list)
	}
	at(t, s, m, 49*time.Hour)
	list := at(t, s, m, 73*time.Hour)
	made := 0
	for _, r := range list {
		made += r.Count
	}
	if len(list) != 3 || made != 250 {
		t.Fatalf("%+v: %d places, the cap is 250", list, made)
	}
	if list := at(t, s, m, 97*time.Hour); len(list) != 3 || !strings.Contains(s.HeldBack("l"), "cap") {
		t.Fatalf("%+v, %q", list, s.HeldBack("l"))
	}
}

func TestOneByOne(t *testing.T) {
	s, m := begun(t, gateway.ReleasePolicy{Count: 1, Every: day, At: 9 * 60, Zone: "UTC", Order: gateway.ByPriority, Observe: 3 * day, OneByOne: true})
	at(t, s, m, 0)
	at(t, s, m, time.Hour)
	if list := at(t, s, m, 25*time.Hour); len(list) != 1 || !strings.Contains(s.HeldBack("l"), "observed until 2027-01-04T09:00:00Z") {
		t.Fatalf("%+v, %q", list, s.HeldBack("l"))
	}
	if list := at(t, s, m, 73*time.Hour); len(list) != 2 || s.HeldBack("l") != "" {
		t.Fatalf("%+v, %q", list, s.HeldBack("l"))
	}
}

// TestGuard: what is not healthy holds the release back, and says so.
func TestGuard(t *testing.T) {
	answer, status := `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}`, 200
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/query" {
			if r.URL.Query().Get("query") != `up{job="app"} == 1` {
				t.Errorf("the query was %q", r.URL.Query().Get("query"))
			}
			fmt.Fprint(w, answer)
			return
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	s := &Scheduler{Prometheus: server.URL}
	guard := gateway.GuardPolicy{URL: server.URL + "/healthy", Prometheus: `up{job="app"} == 1`}
	if why := s.guard(t.Context(), guard); why != "" {
		t.Errorf("held back by %q", why)
	}
	for bad, want := range map[string]string{
		`{"data":{"resultType":"vector","result":[]}}`:                                    "no value",
		`{"data":{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"0"]}]}}`: "is 0",
		`{"data":{"resultType":"scalar","result":[1,"0"]}}`:                               "is 0",
		`{"data":{"resultType":"vector","result":[{"value":[1,"NaN"]}]}}`:                 "no number",
		`{"data":{"resultType":"matrix","result":[]}}`:                                    "of type",
		`not json`: "does not answer",
	} {
		answer = bad
		if why := s.guard(t.Context(), guard); !strings.Contains(why, want) {
			t.Errorf("%s: %q", bad, why)
		}
	}
	status = 500
	if why := s.guard(t.Context(), guard); !strings.Contains(why, "answers 500") {
		t.Errorf("%q", why)
	}
	if why := s.guard(t.Context(), gateway.GuardPolicy{URL: "http://127.0.0.1:1/"}); !strings.Contains(why, "does not answer") {
		t.Errorf("%q", why)
	}
	if why := (&Scheduler{}).guard(t.Context(), gateway.GuardPolicy{Prometheus: "up"}); !strings.Contains(why, "--prometheus-url") {
		t.Errorf("%q", why)
	}
	// Held back until it is healthy again.
	status, answer = 500, `{"data":{"resultType":"scalar","result":[1,"1"]}}`
	held, m := begun(t, gateway.ReleasePolicy{Count: 1, Every: day, At: 9 * 60, Zone: "UTC", Order: gateway.ByPriority, Guard: guard})
	held.Prometheus = server.URL
	at(t, held, m, 0)
	if list := at(t, held, m, time.Hour); len(list) != 0 || held.HeldBack("l") == "" {
		t.Fatalf("%+v, %q", list, held.HeldBack("l"))
	}
	status = 200
	held.next["l"] = time.Time{} // as if the pause were over
	if list := at(t, held, m, 2*time.Hour); len(list) != 1 || held.HeldBack("l") != "" {
		t.Fatalf("%+v, %q", list, held.HeldBack("l"))
	}
}
