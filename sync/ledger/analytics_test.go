package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/sync/journal"
)

// saga is a launch's random life: the events in the order they happened, by
// the hour, so that bounds of 7 days are met exactly.
type saga struct {
	name    string
	at      []time.Time
	events  []gateway.Event
	records []gateway.Record
	now     time.Time
	ahead   time.Duration
}

var (
	sagaChannels = []string{"press", "", "press", "=event"}
	sagaKinds    = []gateway.Kind{gateway.KindInvite, gateway.KindLicense, gateway.KindReferral, gateway.KindInvite}
)

func newSaga(number int, events int) *saga {
	r := rand.New(rand.NewPCG(uint64(number), 7))
	s := &saga{name: fmt.Sprintf("l%d", number), now: time.Unix(1_800_000_000, 0).UTC()}
	tell := func(list ...gateway.Event) {
		for _, e := range list {
			s.at, s.events = append(s.at, s.now), append(s.events, e)
		}
		seq := uint64(len(s.records) + 1)
		s.records = append(s.records, gateway.Record{Launch: s.name, Seq: seq, Epoch: 1, At: s.now, Bytes: seq, Events: list, Raw: "raw"})
	}
	tell(gateway.LaunchPut{Version: 1, Open: true, Policy: []byte(`{"launch":"` + s.name + `"}`)})
	codes := map[gateway.Code]uint32{}
	var names []gateway.Code
	for i, channel := range sagaChannels {
		n := uint32(i + 1)
		document, _ := json.Marshal(gateway.Campaign{
			ID: gateway.ID{byte(number + 1), byte(n)}, Number: n, Name: fmt.Sprint("campaign ", n), Channel: channel, Kind: sagaKinds[i], MaxUses: 1000, Format: "{random:10}",
		})
		minted := gateway.CodesMinted{Campaign: n}
		for range r.IntN(40) {
			code := gateway.Code(fmt.Sprintf("C%d", len(names)))
			minted.Codes = append(minted.Codes, gateway.MintedCode{Code: code, Display: string(code)})
			codes[code], names = n, append(names, code)
		}
		tell(gateway.CampaignPut{Version: uint64(n + 1), Campaign: document})
		if len(minted.Codes) > 0 {
			tell(minted)
		}
	}
	if number%2 == 1 {
		s.ahead = 30 * time.Hour
		tell(gateway.ClockSet{Version: 9, Ahead: s.ahead})
	}
	subject := func() string { return fmt.Sprint("key-", r.IntN(20+events/10)) }
	live := map[string]gateway.Redeemed{} // by subject and code
	payments := map[string]string{}
	for range events {
		s.now = s.now.Add(time.Duration(r.IntN(3)) * time.Hour)
		who := subject()
		switch n := r.IntN(20); {
		case n < 2 && len(names) > 0:
			code := names[r.IntN(len(names))]
			tell(gateway.Opened{Code: code, Campaign: codes[code], Count: 1 + r.IntN(3)})
		case n < 7 && len(names) > 0:
			code := names[r.IntN(len(names))]
			key := who + string(code)
			was, ok := live[key]
			switch {
			case !ok:
				person, _ := json.Marshal(gateway.Person{Subject: who[4:]})
				e := gateway.Redeemed{ID: gateway.NewID(s.now), Status: gateway.Committed, Code: code, Campaign: codes[code], Subject: who, Sealed: person}
				if r.IntN(3) == 0 {
					e.Status = gateway.Held
				}
				live[key] = e
				tell(e)
			case was.Status == gateway.Held && r.IntN(3) > 0:
				e := settled(was, gateway.Held, gateway.Committed)
				e.Cause, e.Campaign = gateway.Confirm, was.Campaign
				was.Status = gateway.Committed
				live[key] = was
				tell(e)
			case was.Status == gateway.Held:
				e := settled(was, gateway.Held, gateway.Released)
				e.Campaign = was.Campaign
				delete(live, key)
				tell(e)
			default:
				e := settled(was, gateway.Committed, gateway.RolledBack)
				e.Cause, e.Campaign = gateway.Rollback, was.Campaign
				delete(live, key)
				tell(e)
			}
		case n < 9:
			m := gateway.StoredMember{Tier: "t", Referrals: r.IntN(5), Rounds: gateway.Rounds(r.IntN(4) - 1), Used: r.IntN(3)}
			m.Method = []gateway.UnlockMethod{gateway.UnlockInvite, gateway.UnlockLicense, gateway.UnlockTrial, ""}[r.IntN(4)]
			if r.IntN(3) > 0 {
				m.Inviter = subject()
			}
			if r.IntN(2) == 0 {
				m.Until = s.now.Add(time.Duration(r.IntN(240)) * time.Hour)
			}
			tell(gateway.MemberChanged{Subject: who, Cause: gateway.MemberCounted, Member: m, Record: journal.PackMember(m)})
		case n < 15:
			tell(gateway.MemberActed{Subject: who, Name: []string{"activated", "active", "played"}[r.IntN(3)]})
		case n < 18:
			key := fmt.Sprint("pay-", r.IntN(60))
			if r.IntN(4) == 0 {
				who = "" // only a refund or a dispute is known
			}
			paid := ""
			if who != "" {
				paid = fmt.Sprint(s.now.UnixMilli())
			}
			dispute := []string{"", "", "d1:w", "d1:o", "d1:w.d2:l"}[r.IntN(5)]
			refunded := []string{"", "300", "1000"}[r.IntN(3)]
			payments[key] = fmt.Sprintf("%s;%d;usd;%s;%s;;%s", who, 1000, refunded, dispute, paid)
			tell(gateway.PaymentLearned{Key: key, ID: key, Record: payments[key]})
		default:
			e := gateway.Credited{What: gateway.CreditReward, Subject: who, Referee: subject(), Payment: "p", Amount: 1 + r.IntN(1000), Currency: []string{"usd", "eur"}[r.IntN(2)]}
			if r.IntN(3) == 0 {
				e.What = gateway.CreditClawback
			}
			status := []string{"p", "d", "d", "r", "x"}[r.IntN(5)]
			tell(e, gateway.EarningChanged{Subject: e.Referee, Record: fmt.Sprintf("p;%s;p;%s;%d;;%s", status, subject(), e.Amount, e.Currency)})
		}
	}
	return s
}

// recount works a launch's figures out of its events alone: it follows what
// happened instead of asking tables, subject by subject.
func (s *saga) recount() gateway.Analytics {
	type person struct {
		acts     []time.Time
		activate []time.Time
		pays     []time.Time
		events   int
	}
	type use struct {
		gateway.Redeemed
		made, since time.Time
	}
	const week = 168 * time.Hour
	a := gateway.Analytics{
		Launch: s.name, Position: uint64(len(s.records)), At: s.now, Channels: []gateway.ChannelFunnel{}, Campaigns: []gateway.CampaignFunnel{},
		Referrers: []gateway.ActiveReferrer{}, Top: []gateway.TopReferrer{}, Unlocks: []gateway.UnlockShare{}, Rewards: []gateway.RewardsPaid{},
	}
	codeOf, visits, uses := map[gateway.Code]uint32{}, map[gateway.Code]int{}, map[gateway.ID]use{}
	people, members, payments, earnings := map[string]*person{}, map[string]gateway.StoredMember{}, map[string]string{}, map[string]string{}
	met := func(key string) *person {
		if people[key] == nil {
			people[key] = &person{}
		}
		return people[key]
	}
	type account struct {
		gateway.RewardsPaid
		who map[string]bool
	}
	money := map[string]*account{}
	for i, event := range s.events {
		at := s.at[i]
		switch e := event.(type) {
		case gateway.CodesMinted:
			for _, c := range e.Codes {
				codeOf[c.Code] = e.Campaign
			}
		case gateway.Opened:
			visits[e.Code] += e.Count
		case gateway.Redeemed:
			uses[e.ID] = use{e, at, at}
		case gateway.Settled:
			u := uses[e.ID]
			u.Status, u.since = e.To, at
			uses[e.ID] = u
		case gateway.MemberChanged:
			members[e.Subject] = e.Member
		case gateway.EarningChanged:
			earnings[e.Subject] = e.Record
		case gateway.MemberActed:
			p := met(e.Subject)
			p.acts = append(p.acts, at)
			if e.Name == "activated" {
				p.activate = append(p.activate, at)
			}
			if s.now.Sub(at) <= week {
				p.events++
			}
		case gateway.PaymentLearned:
			payments[e.Key] = e.Record
		case gateway.Credited:
			m := money[e.Currency]
			if m == nil {
				m = &account{gateway.RewardsPaid{Currency: e.Currency}, map[string]bool{}}
				money[e.Currency] = m
			}
			if e.What == gateway.CreditReward {
				m.Rewards++
				m.Paid += e.Amount
				m.Net += e.Amount
				m.who[e.Subject] = true
			} else {
				m.ClawedBack += e.Amount
				m.Net -= e.Amount
			}
		}
	}
	for _, record := range payments {
		var w [7]string
		copy(w[:], fields(record, 7))
		lost := w[4] == "d1:o" || w[4] == "d1:w.d2:l"
		if w[0] != "" && w[3] != "1000" && !lost {
			met(w[0]).pays = append(met(w[0]).pays, *timeAt(w[6]))
		}
	}
	count := func(in func(campaign uint32) bool) (f gateway.Funnel, since map[string]time.Time) {
		used := map[gateway.Code]int{}
		since = map[string]time.Time{}
		for _, u := range uses {
			if u.Status != gateway.Committed || !in(u.Campaign) {
				continue
			}
			used[u.Code]++
			if was, ok := since[u.Subject]; !ok || u.since.Before(was) {
				since[u.Subject] = u.since
			}
		}
		for code, campaign := range codeOf {
			if !in(campaign) {
				continue
			}
			f.Issued++
			f.Opened += visits[code]
			f.Redeemed += used[code]
			if used[code] > 0 {
				f.CodesRedeemed++
			}
			if visits[code] > 0 {
				f.CodesOpened++
				f.ByLink += used[code]
			}
		}
		for who, from := range since {
			p := met(who)
			after := func(d time.Duration) func(time.Time) bool {
				return func(at time.Time) bool { return !at.Before(from.Add(d)) }
			}
			f.Subjects++
			if slices.ContainsFunc(p.activate, after(0)) {
				f.Activated++
			}
			if slices.ContainsFunc(p.pays, after(0)) {
				f.Paid++
			}
			if s.now.Sub(from) >= week {
				f.Matured++
				if slices.ContainsFunc(p.acts, after(week)) {
					f.Retained++
				}
			}
		}
		ratio := func(x, of int) *float64 {
			if of == 0 {
				return nil
			}
			v := float64(x) / float64(of)
			return &v
		}
		f.Conversion = gateway.Conversion{
			Issued: ratio(f.CodesRedeemed, f.Issued), Opened: ratio(f.ByLink, f.Opened), Activated: ratio(f.Activated, f.Subjects),
			Paid: ratio(f.Paid, f.Subjects), Retained: ratio(f.Retained, f.Matured),
		}
		return f, since
	}
	for i, channel := range sagaChannels {
		f, _ := count(func(c uint32) bool { return int(c) == i+1 })
		a.Campaigns = append(a.Campaigns, gateway.CampaignFunnel{Campaign: fmt.Sprint("campaign ", i+1), Channel: channel, Funnel: f})
	}
	for _, channel := range []string{"", "=event", "press"} {
		f, _ := count(func(c uint32) bool { return sagaChannels[c-1] == channel })
		a.Channels = append(a.Channels, gateway.ChannelFunnel{Channel: channel, Funnel: f})
	}
	var since map[string]time.Time
	a.Total, since = count(func(uint32) bool { return true })

	var took []float64
	for who, from := range since {
		best := math.Inf(1)
		for _, at := range met(who).pays {
			if !at.Before(from) {
				best = min(best, at.Sub(from).Seconds())
			}
		}
		if !math.IsInf(best, 1) {
			took = append(took, best)
		}
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		median, mean := (took[(n-1)/2]+took[n/2])/2, 0.0
		for _, t := range took {
			mean += t / float64(n)
		}
		a.FirstPurchase = gateway.FirstPurchase{Subjects: n, Median: &median, Mean: &mean}
	}

	unlocks, brought := map[gateway.UnlockMethod]*gateway.UnlockShare{}, map[string]*gateway.ActiveReferrer{}
	all := 0
	unlock := func(m gateway.UnlockMethod, churned bool) {
		if unlocks[m] == nil {
			unlocks[m] = &gateway.UnlockShare{Method: m}
		}
		all++
		unlocks[m].Members++
		if churned {
			unlocks[m].Churned++
		}
	}
	for who, m := range members {
		if m.Method != "" {
			over := !m.Until.IsZero() && !m.Until.After(s.now) || m.Rounds >= 0 && m.Used >= int(m.Rounds)
			unlock(m.Method, m.Method == gateway.UnlockTrial && over)
		}
		if p := met(who); m.In() && m.Inviter != "" && p.events > 0 {
			if brought[m.Inviter] == nil {
				brought[m.Inviter] = &gateway.ActiveReferrer{Name: m.Inviter, Referrals: members[m.Inviter].Referrals}
			}
			brought[m.Inviter].Active++
			brought[m.Inviter].Events += p.events
		}
	}
	for who := range since {
		if _, ok := members[who]; ok {
			continue
		}
		var first use
		for _, u := range uses {
			if u.Subject == who && u.Status == gateway.Committed && (first.Code == "" || cmp.Or(u.made.Compare(first.made), bytes.Compare(u.ID[:], first.ID[:])) < 0) {
				first = u
			}
		}
		if sagaKinds[first.Campaign-1] == gateway.KindLicense {
			unlock(gateway.UnlockLicense, false)
		} else {
			unlock(gateway.UnlockInvite, false)
		}
	}
	for _, m := range slices.Sorted(maps.Keys(unlocks)) {
		unlocks[m].Share = float64(unlocks[m].Members) / float64(all)
		a.Unlocks = append(a.Unlocks, *unlocks[m])
	}
	ranked := slices.SortedFunc(maps.Values(brought), func(x, y *gateway.ActiveReferrer) int {
		return cmp.Or(cmp.Compare(y.Active, x.Active), cmp.Compare(y.Events, x.Events), cmp.Compare(x.Name, y.Name))
	})
	for _, b := range ranked[:min(len(ranked), gateway.MaxReferrers)] {
		b.Name = "" // sagas' members have no names
		a.Referrers = append(a.Referrers, *b)
	}
	rewarded := map[string]int{}
	for _, record := range earnings {
		if w := strings.Split(record, ";"); w[1] == "d" {
			rewarded[w[3]]++
		}
	}
	top := slices.SortedFunc(maps.Keys(members), func(x, y string) int {
		return cmp.Or(cmp.Compare(members[y].Referrals, members[x].Referrals), cmp.Compare(rewarded[y], rewarded[x]), cmp.Compare(x, y))
	})
	for _, who := range top[:min(len(top), gateway.MaxReferrers)] {
		if m := members[who]; m.Referrals > 0 {
			a.Top = append(a.Top, gateway.TopReferrer{Referrals: m.Referrals, Rewarded: rewarded[who]})
		}
	}
	for _, currency := range slices.Sorted(maps.Keys(money)) {
		m := money[currency]
		m.Accounts = len(m.who)
		a.Rewards = append(a.Rewards, m.RewardsPaid)
	}
	return a
}

// TestAnalytics holds the figures of launches side by side, whose codes and
// subjects have the same keys, against a recount of their events.
func TestAnalytics(t *testing.T) {
	l := openTest(t)
	var sagas []*saga
	for i, events := range []int{0, 60, 400, 1500, 3000} {
		s := newSaga(i, events)
		sagas = append(sagas, s)
		r, err := l.Apply(t.Context(), Batch{Launch: s.name, Epoch: 1, Records: s.records})
		if err != nil || r.Conflicts != 0 {
			t.Fatalf("%s: %d conflicts, %v", s.name, r.Conflicts, err)
		}
	}
	for _, s := range sagas {
		got, err := l.Analytics(t.Context(), s.name, s.now.Add(-s.ahead))
		if err != nil {
			t.Fatal(err)
		}
		want := s.recount()
		for _, f := range []*float64{got.FirstPurchase.Mean, want.FirstPurchase.Mean} {
			if f != nil {
				*f = math.Round(*f*1000) / 1000 // sums of floats differ by their order
			}
		}
		g, w := reflect.ValueOf(got), reflect.ValueOf(want)
		for i := range g.NumField() {
			x, _ := json.Marshal(g.Field(i).Interface())
			y, _ := json.Marshal(w.Field(i).Interface())
			if string(x) != string(y) {
				t.Errorf("%s, %s:\n got %s\nwant %s", s.name, g.Type().Field(i).Name, x, y)
			}
		}
	}
	last := sagas[len(sagas)-1].recount()
	if f := last.Total; f.Activated == 0 || f.Activated == f.Subjects || f.Paid == 0 || f.Paid == f.Subjects || f.Retained == 0 || f.Retained == f.Matured || f.Matured == f.Subjects ||
		f.CodesRedeemed == 0 || len(last.Referrers) < 2 || len(last.Unlocks) != 3 || len(last.Rewards) != 2 || last.FirstPurchase.Subjects == 0 {
		t.Errorf("a saga that tells nothing: %+v", last)
	}
	if none, err := l.Analytics(t.Context(), "unknown", time.Now()); err != nil || none.Campaigns == nil || none.Position != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

// TestAnalyticsBounds: what happens at the very moment of getting in, or 7 days
// after it to the millisecond, counts; a millisecond less does not.
func TestAnalyticsBounds(t *testing.T) {
	h := begin(t, 9, 0, "A")
	in := time.UnixMilli(1_800_000_100_000).UTC()
	tell := func(at time.Time, events ...gateway.Event) {
		r := h.record(events...)
		r.At = at
		h.apply(r)
	}
	week := 7 * 24 * time.Hour
	for who, off := range map[string]time.Duration{"ann": 0, "bob": -time.Millisecond} {
		joined := changed("key-"+who, gateway.MemberCounted, "", func(m *gateway.StoredMember) { m.Inviter = "key-by-" + who })
		tell(in, redeemed("A", who, gateway.Committed), joined)
		tell(in.Add(off), gateway.MemberActed{Subject: "key-" + who, Name: "activated"},
			gateway.PaymentLearned{Key: who, ID: who, Record: fmt.Sprintf("key-%s;5;usd;;;;%d", who, in.Add(off).UnixMilli())})
		tell(in.Add(week+off), gateway.MemberActed{Subject: "key-" + who, Name: "played"})
	}
	for late, want := range map[time.Duration][3]int{-time.Millisecond: {0, 0, 2}, 0: {2, 1, 2}, week - time.Millisecond: {2, 1, 2}, week: {2, 1, 1}, week + time.Millisecond: {2, 1, 0}} {
		a, err := h.Analytics(t.Context(), "l", in.Add(week+late))
		if err != nil {
			t.Fatal(err)
		}
		f := a.Total
		if got := [3]int{f.Matured, f.Retained, len(a.Referrers)}; got != want || f.Activated != 1 || f.Paid != 1 || a.FirstPurchase.Subjects != 1 || *a.FirstPurchase.Mean != 0 {
			t.Errorf("%v later: %v, want %v: %+v", late, got, want, a)
		}
	}
}
