package lua

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
)

// TestWitness: what a gateway answered and Redis lost afterwards is there again
// before anybody is served, with the same ids.
func TestWitness(t *testing.T) {
	server := rig.TestRedis(t)
	s := openStore(t, server.Addr())
	launchForTest(t, s, "l", 50)
	before := snapshotRedis(t, s.redis)
	ids := map[string]gateway.ID{}
	for i := range 20 {
		subject := fmt.Sprint("s", i)
		mode := gateway.Commit
		if i%4 == 0 {
			mode = gateway.Hold
		}
		r, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: subject, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		ids[subject] = r.ID
	}
	if _, err := s.Settle(t.Context(), "l", ids["s4"], gateway.Confirm, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settle(t.Context(), "l", ids["s1"], gateway.Rollback, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}

	restoreRedis(t, s.redis, before) // a crash that lost the tail
	_, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "late"})
	if e, ok := err.(*gateway.Error); !ok || e.Reason != gateway.NotAdmitted {
		t.Fatalf("a Redis that lost its tail was served: %v", err)
	}
	for subject, id := range ids {
		want := gateway.Committed
		switch {
		case subject == "s1":
			want = gateway.RolledBack
		case subject == "s4":
		case subject == "s0", subject == "s8", subject == "s12", subject == "s16":
			want = gateway.Held
		}
		r, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: subject})
		if err != nil || r.ID != id || !r.Replayed || r.Status != want {
			t.Errorf("%s: %+v, %v; it was %v, %s", subject, r, err, id, want)
		}
	}
	if info, err := s.Code(t.Context(), "l", "H0T"); err != nil || info.Used != 19 || info.Held != 4 {
		t.Errorf("%+v, %v", info, err)
	}
}

// TestWitnessOwner: what Redis lost comes back as its owner's, also where only a
// stranger's repetition of it is left, who named the same subject and code or
// the same address.
func TestWitnessOwner(t *testing.T) {
	server := rig.TestRedis(t)
	s := openStore(t, server.Addr())
	launchForTest(t, s, "l", 50)
	before := snapshotRedis(t, s.redis)
	redeem := func(proof string) gateway.Redemption {
		t.Helper()
		r, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "ann", Proof: proof})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	join := func(j gateway.Join) gateway.Joined {
		t.Helper()
		a, err := s.Join(t.Context(), "l", &j)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	join(gateway.Join{Email: "eve@x.example"})
	first := redeem("mine")
	joined := join(gateway.Join{Email: "ann@x.example", Proof: "mine"})
	s.launches["l"].witness.behind(0) // another gateway answered all this, and died
	if r := redeem("theirs"); !r.Replayed || r.Proven {
		t.Fatalf("a stranger: %+v", r)
	}
	stranger := join(gateway.Join{Email: "eve@x.example"})
	if a := join(gateway.Join{Email: "ann@x.example", Proof: "theirs", Referrer: stranger.Key, Source: "nowhere", Points: 7}); !a.Known || a.Proven {
		t.Fatalf("a stranger: %+v", a)
	}

	restoreRedis(t, s.redis, before)
	if _, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "late"}); !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
		t.Fatalf("a Redis that lost its tail was served: %v", err)
	}
	for proof, mine := range map[string]bool{"mine": true, "theirs": false, "": false} {
		if r := redeem(proof); r.ID != first.ID || !r.Replayed || r.Proven != mine {
			t.Errorf("%q: %+v", proof, r)
		}
		if a := join(gateway.Join{Email: "ann@x.example", Proof: proof}); a.Key != joined.Key || !a.Known || a.Proven != mine || a.Priority != 0 {
			t.Errorf("%q: %+v", proof, a)
		}
	}
	if e, err := s.Entry(t.Context(), "l", joined.Key); err != nil || e.Referrer != "" || len(e.Boosts) > 0 {
		t.Errorf("a stranger's word of where somebody came from was kept: %+v, %v", e, err)
	}
}

// TestWitnessEntries: a Redis that lost its tail is told again who joined, who
// left, whom an operator moved and whose address was confirmed: in this order,
// and each once.
func TestWitnessEntries(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	p := gateway.DefaultPolicy("l")
	p.Waitlist.ConfirmEmail, p.Waitlist.Boosts.Referred = true, 10
	if _, err := s.CreateLaunch(t.Context(), p, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	join := func(email, referrer string) string {
		t.Helper()
		a, err := s.Join(t.Context(), "l", &gateway.Join{Email: email, Referrer: referrer})
		if err != nil {
			t.Fatal(err)
		}
		return a.Key
	}
	change := func(verb gateway.EntryVerb, key string) {
		t.Helper()
		c := gateway.ChangeEntry{Verb: verb, Key: key, Points: 7, Reason: "why", By: gateway.Actor{Name: "op"}}
		if _, err := s.ChangeEntry(t.Context(), "l", c); err != nil {
			t.Fatal(err)
		}
	}
	ann, bob := join("ann@x.example", ""), join("bob@x.example", "")
	change(gateway.BoostEntry, bob) // what a Redis still has is not done twice
	before := snapshotRedis(t, s.redis)
	change(gateway.LeaveEntry, ann)
	change(gateway.BoostEntry, bob)
	cid := join("cid@x.example", bob)
	change(gateway.ConfirmEntry, cid)
	dan := join("dan@x.example", "")
	change(gateway.BoostEntry, dan)
	change(gateway.LeaveEntry, dan)

	restoreRedis(t, s.redis, before) // a crash that lost the tail
	_, err := s.Join(t.Context(), "l", &gateway.Join{Email: "late@x.example"})
	if e, ok := err.(*gateway.Error); !ok || e.Reason != gateway.NotAdmitted {
		t.Fatalf("a Redis that lost its tail was served: %v", err)
	}
	for key, want := range map[string]gateway.Entry{
		ann: {Status: gateway.EntryLeft},
		bob: {Status: gateway.EntryWaiting, Priority: 14, Place: 1, Referrals: 1},
		cid: {Status: gateway.EntryWaiting, Priority: 10, Place: 2},
		dan: {Status: gateway.EntryLeft, Priority: 7},
	} {
		e, err := s.Entry(t.Context(), "l", key)
		if err != nil || e.Status != want.Status || e.Priority != want.Priority || e.Place != want.Place || e.Referrals != want.Referrals || e.Unconfirmed != (key == ann || key == bob || key == dan) {
			t.Errorf("%+v, %v; want %+v", e, err, want)
		}
	}
}

// TestWitnessOthers: what one gateway changed of what another had answered is
// told again behind it, whichever of them begins; releases and pauses too.
func TestWitnessOthers(t *testing.T) {
	server := rig.TestRedis(t)
	s, other := openStore(t, server.Addr()), openStore(t, server.Addr())
	launchForTest(t, s, "l", 50)
	if _, err := other.Launch(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	before := snapshotRedis(t, s.redis)
	joined, err := s.Join(t.Context(), "l", &gateway.Join{Email: "ann@x.example"})
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "bob", Mode: gateway.Hold})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ChangeEntry(t.Context(), "l", gateway.ChangeEntry{Verb: gateway.LeaveEntry, Key: joined.Key}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Settle(t.Context(), "l", held.ID, gateway.Confirm, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.PutRelease(t.Context(), "l", gateway.Cohort{ID: "r", Count: 3, Order: gateway.ByPriority}, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if err := other.SetSchedule(t.Context(), "l", false, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	restoreRedis(t, s.redis, before) // a crash that lost the tail
	var admitted sync.WaitGroup
	for _, each := range []*Store{other, s} { // the first asks for what the second has still to tell
		admitted.Go(func() {
			for t.Context().Err() == nil {
				if _, err := each.Entry(t.Context(), "l", "nobody"); errors.Is(err, gateway.Refuse(gateway.EntryUnknown)) {
					return
				}
			}
		})
	}
	admitted.Wait()
	if e, err := s.Entry(t.Context(), "l", joined.Key); err != nil || e.Status != gateway.EntryLeft {
		t.Errorf("%+v, %v", e, err)
	}
	if r, err := s.Redemption(t.Context(), "l", held.ID); err != nil || r.Status != gateway.Committed {
		t.Errorf("%+v, %v", r, err)
	}
	list, schedule, err := s.Releases(t.Context(), "l")
	if err != nil || len(list) != 1 || list[0].Count != 3 || schedule.Running || schedule.Since.IsZero() {
		t.Errorf("%+v, %+v, %v", list, schedule, err)
	}
}

// TestWitnessNewer: what another gateway changed since, and no Redis has lost,
// is not taken back by who tells again what was before.
func TestWitnessNewer(t *testing.T) {
	server := rig.TestRedis(t)
	s, other := openStore(t, server.Addr()), openStore(t, server.Addr())
	launchForTest(t, s, "l", 50)
	if _, err := other.Launch(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	ann, err := s.Join(t.Context(), "l", &gateway.Join{Email: "ann@x.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Join(t.Context(), "l", &gateway.Join{Email: "ann@x.example"}); err != nil { // known
		t.Fatal(err)
	}
	held, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "bob", Mode: gateway.Hold})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ChangeEntry(t.Context(), "l", gateway.ChangeEntry{Verb: gateway.LeaveEntry, Key: ann.Key}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Settle(t.Context(), "l", held.ID, gateway.Release, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was told again is told again
		s.launches["l"].epoch.Store(0) // Redis came back, with everything
		if e, err := s.Entry(t.Context(), "l", ann.Key); err != nil || e.Status != gateway.EntryLeft {
			t.Errorf("%+v, %v", e, err)
		}
		if r, err := s.Redemption(t.Context(), "l", held.ID); err != nil || r.Status != gateway.Released {
			t.Errorf("%+v, %v", r, err)
		}
	}
	back, err := s.Join(t.Context(), "l", &gateway.Join{Email: "ann@x.example"})
	if err != nil || back.Known || back.Place != 1 {
		t.Errorf("%+v, %v", back, err)
	}
}

// TestAdmissionWaits: an answer that is on its way while the launch is admitted
// anew is told Redis again too.
func TestAdmissionWaits(t *testing.T) {
	server := rig.TestRedis(t)
	s := openStore(t, server.Addr())
	launchForTest(t, s, "l", 50)
	before := snapshotRedis(t, s.redis)
	told, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	l := s.launches["l"]
	onItsWay := l.witness.behind(0)
	restoreRedis(t, s.redis, before) // a crash that lost the redemption
	l.flights.RLock()
	l.epoch.Store(0)
	done := make(chan error, 1)
	go func() {
		_, err := s.launch(t.Context(), "l")
		done <- err
	}()
	for waits := false; !waits && len(done) == 0; runtime.Gosched() {
		if waits = !l.flights.TryRLock(); !waits {
			l.flights.RUnlock()
		}
	}
	l.witness.put(onItsWay)
	l.flights.RUnlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	again, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "ann"})
	if err != nil || again.ID != told.ID {
		t.Fatalf("%+v, %v; it was %v", again, err, told.ID)
	}
}

// snapshotRedis keeps everything that a server holds.
func snapshotRedis(t *testing.T, r redis.UniversalClient) map[string]string {
	t.Helper()
	keys, err := r.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, k := range keys {
		if all[k], err = r.Dump(t.Context(), k).Result(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func restoreRedis(t *testing.T, r redis.UniversalClient, all map[string]string) {
	t.Helper()
	if err := r.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for k, v := range all {
		if err := r.Restore(t.Context(), k, 0, v).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStranger: another run of a server is not told a script, and so not
// served, though it holds the same history.
func TestStranger(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	server, err := rig.StartRedis(t.Context(), rig.RedisOptions{Dir: t.TempDir(), AppendOnly: true, Fsync: "always"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	s := openStore(t, server.Addr())
	launchForTest(t, s, "l", 50)
	first, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := false
	for range 10 { // connections to the old run may have to break first
		_, err = s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "bob"})
		if e, ok := err.(*gateway.Error); ok && e.Reason == gateway.NotAdmitted {
			refused = true
			break
		}
		if err == nil {
			t.Fatal("a server that restarted was served without being admitted")
		}
	}
	if !refused {
		t.Fatalf("the restart went unnoticed: %v", err)
	}
	again, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "ann"})
	if err != nil || again.ID != first.ID {
		t.Fatalf("after the admission: %+v, %v", again, err)
	}
}

// TestWitnessDecline: who declined a place that another gateway had offered is
// not offered it again, although Redis lost both.
func TestWitnessDecline(t *testing.T) {
	server := rig.TestRedis(t)
	s, other := openStore(t, server.Addr()), openStore(t, server.Addr())
	launchForTest(t, s, "l", 50)
	campaign, err := s.CreateCampaign(t.Context(), "l", gateway.Campaign{Name: "waitlist", Kind: gateway.KindInvite, Type: gateway.TypeWaitlist, MaxUses: 1, Format: "{random:10}", Vanity: true, Expires: gateway.Duration(time.Hour)}, gateway.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	ann, err := s.Join(t.Context(), "l", &gateway.Join{Email: "ann@x.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutRelease(t.Context(), "l", gateway.Cohort{ID: "r", Count: 1, Order: gateway.ByPriority}, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Launch(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	before := snapshotRedis(t, s.redis)
	if made, _, err := s.Offer(t.Context(), "l", "r", campaign, []gateway.Offered{{Key: ann.Key, Code: "0FFER"}}); err != nil || made != 1 {
		t.Fatal(made, err)
	}
	if e, err := other.ChangeEntry(t.Context(), "l", gateway.ChangeEntry{Verb: gateway.DeclineEntry, Key: ann.Key}); err != nil || e.Status != gateway.EntryDeclined {
		t.Fatal(e, err)
	}
	restoreRedis(t, s.redis, before) // a crash that lost the tail
	for t.Context().Err() == nil {
		e, err := other.Entry(t.Context(), "l", ann.Key)
		if errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
			continue
		}
		if err != nil || e.Status != gateway.EntryDeclined {
			t.Errorf("%+v, %v", e, err)
		}
		return
	}
}
