package lua

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/gatewaytest"
)

// TestWaitlistAgainstModel runs random histories of a waitlist on real Redis
// and on the model: the same answers, the same line, at every step.
func TestWaitlistAgainstModel(t *testing.T) {
	store := openStore(t, rig.TestRedis(t).Addr())
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		now, err := store.redisTime(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		model := gatewaytest.NewModel(now)
		model.EntryKey = store.keyring.Subject
		m := &waitlistMachine{ctx: t.Context(), launch: fmt.Sprintf("wait-%d-%d", runs, time.Now().UnixNano()), stores: [2]gatewaytest.Store{store, model}}
		m.begin(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"join": m.join, "change": m.change, "release": m.release, "offer": m.offer, "redeem": m.redeem, "settle": m.settle, "pass": m.pass, "": m.check,
		})
	})
}

// waitlistMachine drives the store (0) and the model (1) alike.
type waitlistMachine struct {
	ctx      context.Context
	launch   string
	stores   [2]gatewaytest.Store
	campaign [2]*gateway.Campaign
	keys     []string
	releases int
	codes    int
	held     [][2]gateway.ID
	ahead    time.Duration
}

// both asks both and wants the same refusal, or none.
func (m *waitlistMachine) both(t *rapid.T, what string, ask func(i int, s gatewaytest.Store) error) bool {
	t.Helper()
	err, want := ask(0, m.stores[0]), ask(1, m.stores[1])
	if reasonOf(err) != reasonOf(want) {
		t.Fatalf("%s: the store says %q, the model %q", what, reasonOf(err), reasonOf(want))
	}
	return err == nil
}

func (m *waitlistMachine) begin(t *rapid.T) {
	p := gateway.DefaultPolicy(m.launch)
	p.Waitlist.Boosts = gateway.BoostsPolicy{Referred: rapid.IntRange(-2, 10).Draw(t, "referred"), Referrer: rapid.IntRange(0, 5).Draw(t, "referrer")}
	p.Waitlist.ConfirmEmail = rapid.Bool().Draw(t, "confirm")
	p.Waitlist.Release.NextGets = rapid.Bool().Draw(t, "next")
	p.Waitlist.Limits.PerAddress = gateway.Rate{Count: rapid.IntRange(1, 6).Draw(t, "joins"), Window: gateway.Duration(time.Hour)}
	p.Limits.FailedAttempts = gateway.AttemptsPolicy{}
	m.both(t, "begin", func(i int, s gatewaytest.Store) error {
		if _, err := s.CreateLaunch(m.ctx, p, gateway.Actor{}); err != nil {
			return err
		}
		c := gateway.Campaign{Name: "waitlist", Kind: gateway.KindInvite, Type: gateway.TypeWaitlist, MaxUses: 1, Format: "{random:10}", Expires: gateway.Duration(time.Hour), Vanity: true}
		var err error
		m.campaign[i], err = s.CreateCampaign(m.ctx, m.launch, c, gateway.Actor{})
		return err
	})
}

func person(t *rapid.T, what string) string {
	return fmt.Sprintf("p%d@x.example", rapid.IntRange(0, 7).Draw(t, what))
}

func (m *waitlistMachine) join(t *rapid.T) {
	j := gateway.Join{Email: person(t, "email"), Points: rapid.SampledFrom([]int{0, 0, 5, -3}).Draw(t, "points"), Source: "web", Proof: rapid.SampledFrom([]string{"", "k1"}).Draw(t, "proof"), Vouched: rapid.Bool().Draw(t, "vouched")}
	if n := rapid.IntRange(0, 2).Draw(t, "address"); n > 0 {
		j.Address = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 32)
	}
	if len(m.keys) > 0 && rapid.Bool().Draw(t, "refers") {
		j.Referrer = rapid.SampledFrom(m.keys).Draw(t, "referrer")
	}
	var a [2]gateway.Joined
	if !m.both(t, "join", func(i int, s gatewaytest.Store) (err error) {
		a[i], err = s.Join(m.ctx, m.launch, &j)
		return err
	}) {
		return
	}
	a[0].Epoch, a[0].Position, a[1].Position = 0, 0, 0
	if a[0] != a[1] {
		t.Fatalf("join:\nstore %+v\nmodel %+v", a[0], a[1])
	}
	if !slices.Contains(m.keys, a[0].Key) {
		m.keys = append(m.keys, a[0].Key)
	}
}

func (m *waitlistMachine) change(t *rapid.T) {
	if len(m.keys) == 0 {
		t.Skip("nobody has joined")
	}
	c := gateway.ChangeEntry{
		Verb: rapid.SampledFrom([]gateway.EntryVerb{gateway.ConfirmEntry, gateway.LeaveEntry, gateway.DeclineEntry, gateway.BoostEntry}).Draw(t, "verb"),
		Key:  rapid.SampledFrom(m.keys).Draw(t, "key"), Points: rapid.SampledFrom([]int{7, -7, gateway.MaxPoints}).Draw(t, "points"), Reason: "why",
	}
	m.both(t, string(c.Verb), func(_ int, s gatewaytest.Store) error {
		_, err := s.ChangeEntry(m.ctx, m.launch, c)
		return err
	})
}

func (m *waitlistMachine) release(t *rapid.T) {
	c := gateway.Cohort{
		ID: fmt.Sprintf("r%d", m.releases), Count: rapid.IntRange(1, 4).Draw(t, "count"), Order: rapid.SampledFrom([]gateway.ReleaseOrder{gateway.ByPriority, gateway.ByLottery}).Draw(t, "order"), Seed: "feed",
	}
	m.releases++
	m.both(t, "release", func(_ int, s gatewaytest.Store) error {
		_, err := s.PutRelease(m.ctx, m.launch, c, 0, gateway.Actor{})
		return err
	})
}

func (m *waitlistMachine) offer(t *rapid.T) {
	if m.releases == 0 {
		t.Skip("there is no release")
	}
	id := fmt.Sprintf("r%d", rapid.IntRange(0, m.releases-1).Draw(t, "release"))
	bound := rapid.Bool().Draw(t, "bound")
	front, err := m.stores[1].Front(m.ctx, m.launch, rapid.IntRange(1, 5).Draw(t, "candidates"))
	if err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 4).Draw(t, "odd") == 0 {
		slices.Reverse(front)
	}
	list := make([]gateway.Offered, len(front))
	for i, key := range front {
		list[i] = gateway.Offered{Key: key, Code: gateway.Code(fmt.Sprintf("C%d", m.codes)), Recipient: bound}
		m.codes++
	}
	var made, left [2]int
	if m.both(t, "offer", func(i int, s gatewaytest.Store) (err error) {
		made[i], left[i], err = s.Offer(m.ctx, m.launch, id, m.campaign[i], list)
		return err
	}) && (made[0] != made[1] || left[0] != left[1]) {
		t.Fatalf("offer: the store made %d and left %d, the model %d and %d", made[0], left[0], made[1], left[1])
	}
}

// redeem lets somebody redeem the code of an offer: its own person or another.
func (m *waitlistMachine) redeem(t *rapid.T) {
	if m.codes == 0 {
		t.Skip("there is no code")
	}
	r := gateway.Redeem{Code: gateway.Code(fmt.Sprintf("C%d", rapid.IntRange(0, m.codes-1).Draw(t, "code"))), Mode: rapid.SampledFrom([]gateway.Mode{gateway.Commit, gateway.Hold}).Draw(t, "mode")}
	r.Subject = person(t, "subject")
	r.Email = r.Subject
	var made [2]gateway.Redemption
	if m.both(t, "redeem", func(i int, s gatewaytest.Store) (err error) {
		made[i], err = s.Redeem(m.ctx, m.launch, &r)
		return err
	}) && r.Mode == gateway.Hold {
		m.held = append(m.held, [2]gateway.ID{made[0].ID, made[1].ID})
	}
}

func (m *waitlistMachine) settle(t *rapid.T) {
	if len(m.held) == 0 {
		t.Skip("nothing is held")
	}
	ids := rapid.SampledFrom(m.held).Draw(t, "id")
	how := rapid.SampledFrom([]gateway.Settlement{gateway.Confirm, gateway.Release}).Draw(t, "how")
	m.both(t, "settle", func(i int, s gatewaytest.Store) error {
		_, err := s.Settle(m.ctx, m.launch, ids[i], how, gateway.Actor{})
		return err
	})
}

func (m *waitlistMachine) pass(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "far") == 0 {
		m.ahead += 61 * time.Minute
	}
	m.both(t, "pass", func(_ int, s gatewaytest.Store) error {
		if _, err := s.SetClock(m.ctx, m.launch, m.ahead, gateway.Actor{}); err != nil {
			return err
		}
		if _, err := s.SweepHolds(m.ctx, m.launch); err != nil {
			return err
		}
		_, err := s.SweepOffers(m.ctx, m.launch)
		return err
	})
}

// check compares the line, every entry and every release.
func (m *waitlistMachine) check(t *rapid.T) {
	var front, entries, releases [2]string
	m.both(t, "check", func(i int, s gatewaytest.Store) error {
		keys, err := s.Front(m.ctx, m.launch, 100)
		if err != nil {
			return err
		}
		front[i] = fmt.Sprint(keys)
		for _, key := range m.keys {
			e, err := s.Entry(m.ctx, m.launch, key)
			if err != nil {
				return err
			}
			e.JoinedAt, e.OfferEnds, e.AsOf, e.Position = time.Time{}, time.Time{}, time.Time{}, 0
			e.Boosts = slices.Clone(e.Boosts)
			for n := range e.Boosts {
				e.Boosts[n].At = time.Time{}
			}
			if len(e.Boosts) == 0 {
				e.Boosts = nil
			}
			entries[i] += fmt.Sprintf("%+v\n", e)
		}
		list, _, err := s.Releases(m.ctx, m.launch)
		slices.SortFunc(list, func(a, b gateway.Cohort) int { return cmp.Compare(a.ID, b.ID) })
		for _, r := range list {
			r.At = time.Time{}
			releases[i] += fmt.Sprintf("%+v\n", r)
		}
		return err
	})
	if front[0] != front[1] || entries[0] != entries[1] || releases[0] != releases[1] {
		t.Fatalf("store %s\n%s%s\nmodel %s\n%s%s", front[0], entries[0], releases[0], front[1], entries[1], releases[1])
	}
}
