package gatewaytest

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"admitone/gateway"
)

func (f *fixture) join(j gateway.Join) gateway.Joined {
	f.Helper()
	a, err := f.Join(f.ctx, theLaunch, &j)
	if err != nil {
		f.Fatalf("%s joins: %v", j.Email, err)
	}
	return a
}

// line wants these keys to stand in the line, in this order.
func (f *fixture) line(keys ...string) {
	f.Helper()
	got, err := f.Front(f.ctx, theLaunch, 1000)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(keys) {
		f.Fatalf("the line is %v, %v; want %v", got, err, keys)
	}
	for i, key := range keys {
		if e := f.entry(key); e.Place != i+1 || e.Total != len(keys) || e.Status != gateway.EntryWaiting {
			f.Fatalf("%+v; want place %d of %d", e, i+1, len(keys))
		}
	}
}

func (f *fixture) entry(key string) gateway.Entry {
	f.Helper()
	e, err := f.Entry(f.ctx, theLaunch, key)
	if err != nil {
		f.Fatal(err)
	}
	return e
}

func (f *fixture) change(verb gateway.EntryVerb, key string) (gateway.Entry, error) {
	return f.ChangeEntry(f.ctx, theLaunch, gateway.ChangeEntry{Verb: verb, Key: key, By: by})
}

func (f *fixture) status(key string, want gateway.EntryStatus) {
	f.Helper()
	if e := f.entry(key); e.Status != want {
		f.Fatalf("%+v; want it %s", e, want)
	}
}

// release makes a release of so many and the offers of it, with codes that
// begin with its id.
func (f *fixture) release(id string, count int, order gateway.ReleaseOrder) *gateway.Campaign {
	f.Helper()
	if _, err := f.PutRelease(f.ctx, theLaunch, gateway.Cohort{ID: id, Count: count, Order: order}, 0, by); err != nil {
		f.Fatal(err)
	}
	l, err := f.Launch(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	campaign := l.FindCampaign("waitlist")
	if campaign == nil {
		campaign = f.campaign("waitlist", func(c *gateway.Campaign) {
			c.Type, c.Expires = gateway.TypeWaitlist, gateway.Duration(time.Hour)
		})
	}
	return campaign
}

// offer lets in who stands at the front.
func (f *fixture) offer(id string, campaign *gateway.Campaign, bound bool) (made, left int) {
	f.Helper()
	front, err := f.Front(f.ctx, theLaunch, 100)
	if err != nil {
		f.Fatal(err)
	}
	list := make([]gateway.Offered, len(front))
	for i, key := range front {
		code := gateway.Code(fmt.Sprintf("%sC%d", id, i))
		for n := 0; ; n++ { // a code that is not taken
			if _, err := f.Code(f.ctx, theLaunch, code); err != nil {
				break
			}
			code = gateway.Code(fmt.Sprintf("%sC%dX%d", id, i, n))
		}
		list[i] = gateway.Offered{Key: key, Code: code, Recipient: bound}
	}
	made, left, err = f.Offer(f.ctx, theLaunch, id, campaign, list)
	if err != nil {
		f.Fatal(err)
	}
	return made, left
}

func joins(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Waitlist.Boosts = gateway.BoostsPolicy{Referred: 10, Referrer: 5}
	})
	ann := f.join(gateway.Join{Email: "ann@x.example", Proof: "1"})
	if ann.Known || !ann.Proven || ann.Place != 1 || ann.Total != 1 || ann.Status != gateway.EntryWaiting {
		f.Fatalf("%+v", ann)
	}
	if again := f.join(gateway.Join{Email: "ann@x.example", Proof: "1"}); !again.Known || !again.Proven || again.Key != ann.Key || again.Place != 1 {
		f.Fatalf("%+v", again)
	}
	if again := f.join(gateway.Join{Email: "ann@x.example", Proof: "2"}); !again.Known || again.Proven {
		f.Fatalf("another key proves nothing: %+v", again)
	}
	bob := f.join(gateway.Join{Email: "bob@x.example"})
	cid := f.join(gateway.Join{Email: "cid@x.example", Source: "producthunt", Points: 20})
	if cid.Place != 1 || cid.Priority != 20 || cid.Total != 3 {
		f.Fatalf("%+v", cid)
	}
	f.line(cid.Key, ann.Key, bob.Key)
	dan := f.join(gateway.Join{Email: "dan@x.example", Referrer: bob.Key})
	if !dan.Referred || dan.Priority != 10 || dan.Place != 2 {
		f.Fatalf("%+v", dan)
	}
	f.line(cid.Key, dan.Key, bob.Key, ann.Key)
	// Counted once, never for oneself, never for nobody.
	f.join(gateway.Join{Email: "dan@x.example", Referrer: ann.Key})
	if eve := f.join(gateway.Join{Email: "eve@x.example", Referrer: f.join(gateway.Join{Email: "eve@x.example"}).Key}); eve.Referred || eve.Priority != 0 {
		f.Fatalf("%+v", eve)
	}
	if fay := f.join(gateway.Join{Email: "fay@x.example", Referrer: "AAAAAAAAAAAAAAAA"}); fay.Referred || fay.Priority != 0 {
		f.Fatalf("%+v", fay)
	}
	f.join(gateway.Join{Email: "gil@x.example", Referrer: bob.Key})
	if e := f.entry(bob.Key); e.Referrals != 2 || e.Priority != 10 || len(e.Boosts) != 1 || e.Boosts[0].Points != 10 || e.Boosts[0].Kind != gateway.BoostReferrer {
		f.Fatalf("%+v", e)
	}
	if e := f.entry(cid.Key); len(e.Boosts) != 1 || e.Boosts[0].Reason != "producthunt" || e.Boosts[0].Kind != gateway.BoostSource || e.JoinedAt.IsZero() {
		f.Fatalf("%+v", e)
	}
	_, err := f.Entry(f.ctx, theLaunch, "nobody")
	f.refused(gateway.EntryUnknown, err)
}

// imports: a list keeps its order and its points, whatever the limits.
func imports(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Waitlist.Open = false
		p.Waitlist.Limits.PerLaunch = gateway.Rate{Count: 1, Window: gateway.Duration(time.Hour)}
	})
	list := make([]gateway.Join, 300)
	for i := range list {
		list[i] = gateway.Join{Email: fmt.Sprintf("p%d@x.example", i), Source: "old-list"}
	}
	list[299].Points = 7
	for _, want := range []int{300, 0} { // the second time all are known
		if added, _, err := f.ImportEntries(f.ctx, theLaunch, list); err != nil || added != want {
			f.Fatalf("%d added, %v", added, err)
		}
	}
	front, err := f.Front(f.ctx, theLaunch, 300)
	if err != nil || len(front) != 300 {
		f.Fatalf("%d wait, %v", len(front), err)
	}
	for i, key := range front[1:] {
		if e := f.entry(key); e.Arrival != uint64(i+1) {
			f.Fatalf("%+v stands at %d", e, i+2)
		}
	}
	if e := f.entry(front[0]); e.Arrival != 300 || e.Boosts[0].Reason != "old-list" {
		f.Fatalf("%+v", e)
	}
	_, err = f.Join(f.ctx, theLaunch, &gateway.Join{Email: "new@x.example"})
	f.refused(gateway.WaitlistClosed, err)
}

func joinLimits(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Waitlist.Limits.PerAddress = gateway.Rate{Count: 2, Window: gateway.Duration(time.Minute)}
		p.Waitlist.Limits.PerLaunch = gateway.Rate{Count: 4, Window: gateway.Duration(time.Hour)}
	})
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	try := func(n int, from netip.Prefix) error {
		_, err := f.Join(f.ctx, theLaunch, &gateway.Join{Email: fmt.Sprintf("p%d@x.example", n), Address: from})
		return err
	}
	// The window of the launch must not end between the joins.
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	f.pass(time.Duration(3_600_000-now.UnixMilli()%3_600_000) * time.Millisecond)
	for n := range 2 {
		if err := try(n, here); err != nil {
			f.Fatal(err)
		}
	}
	e := f.refused(gateway.JoinsExceeded, try(2, here))
	if e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	f.refused(gateway.JoinsExceeded, try(0, here)) // on the list
	if err := try(2, there); err != nil {
		f.Fatalf("another address: %v", err)
	}
	f.pass(e.RetryAfter)
	if err := try(3, here); err != nil {
		f.Fatalf("after the wait: %v", err)
	}
	e = f.refused(gateway.JoinsExceeded, try(4, there))
	if e.RetryAfter <= time.Minute || e.RetryAfter > time.Hour {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	f.pass(e.RetryAfter)
	if err := try(4, there); err != nil {
		f.Fatalf("in the next window: %v", err)
	}
	l, err := f.Launch(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	l.Policy.Waitlist.Open = false
	if _, err := f.PutPolicy(f.ctx, l.Policy, 0, by); err != nil {
		f.Fatal(err)
	}
	f.refused(gateway.WaitlistClosed, try(9, there))
}

// questions: whoever names an address that is on the list learns so as often as
// a limit lets people join; the owner and a back end may ask for ever.
func questions(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Waitlist.Limits.PerAddress = gateway.Rate{Count: 3, Window: gateway.Duration(time.Minute)}
	})
	here := netip.MustParsePrefix("192.0.2.1/32")
	ask := func(j gateway.Join) error {
		j.Address = here
		_, err := f.Join(f.ctx, theLaunch, &j)
		return err
	}
	for _, j := range []gateway.Join{
		{Email: "ann@x.example", Proof: "key"}, {Email: "ann@x.example"}, {Email: "ann@x.example", Proof: "another"},
	} {
		if err := ask(j); err != nil {
			f.Fatal(err)
		}
	}
	e := f.refused(gateway.JoinsExceeded, ask(gateway.Join{Email: "ann@x.example"}))
	if e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	f.refused(gateway.JoinsExceeded, ask(gateway.Join{Email: "ann@x.example", Proof: "another"}))
	f.refused(gateway.JoinsExceeded, ask(gateway.Join{Email: "bob@x.example"}))
	for range 5 {
		for _, j := range []gateway.Join{{Email: "ann@x.example", Proof: "key"}, {Email: "ann@x.example", Vouched: true}} {
			if err := ask(j); err != nil {
				f.Fatalf("%+v: %v", j, err)
			}
		}
	}
	f.pass(e.RetryAfter)
	if err := ask(gateway.Join{Email: "ann@x.example"}); err != nil {
		f.Fatalf("after the wait: %v", err)
	}
}

func boosts(f *fixture) {
	f.launch(nil)
	ann, bob := f.join(gateway.Join{Email: "ann@x.example"}), f.join(gateway.Join{Email: "bob@x.example"})
	boost := func(key string, points int, reason string) error {
		_, err := f.ChangeEntry(f.ctx, theLaunch, gateway.ChangeEntry{Verb: gateway.BoostEntry, Key: key, Points: points, Reason: reason, By: by})
		return err
	}
	if err := boost(bob.Key, 7, "wrote, a: nice; review\n"); err != nil {
		f.Fatal(err)
	}
	f.line(bob.Key, ann.Key)
	if e := f.entry(bob.Key); len(e.Boosts) != 1 || e.Boosts[0].Reason != "wrote, a: nice; review\n" || e.Boosts[0].Points != 7 || e.Priority != 7 {
		f.Fatalf("%+v", e)
	}
	if err := boost(bob.Key, -7, "a mistake"); err != nil {
		f.Fatal(err)
	}
	f.line(ann.Key, bob.Key)
	f.refused(gateway.BoostOutOfBounds, boost(bob.Key, gateway.MaxPoints+1, "too much"))
	if err := boost(bob.Key, -gateway.MaxPoints, "the end"); err != nil {
		f.Fatal(err)
	}
	f.line(ann.Key, bob.Key)
	// One with an id counts once, however often it is asked for.
	once := gateway.ChangeEntry{Verb: gateway.BoostEntry, Key: ann.Key, Points: 3, Reason: "a | bar", ID: "id-1", By: by}
	for range 2 {
		if e, err := f.ChangeEntry(f.ctx, theLaunch, once); err != nil || e.Priority != 3 || len(e.Boosts) != 1 || e.Boosts[0].Reason != "a | bar" {
			f.Fatalf("%+v, %v", e, err)
		}
	}
	once.ID = "id-10"
	if e, err := f.ChangeEntry(f.ctx, theLaunch, once); err != nil || e.Priority != 6 {
		f.Fatalf("%+v, %v", e, err)
	}
	f.refused(gateway.EntryUnknown, boost("nobody", 1, ""))
	if _, err := f.change(gateway.LeaveEntry, bob.Key); err != nil {
		f.Fatal(err)
	}
	f.refused(gateway.NotWaiting, boost(bob.Key, 1, ""))
	f.line(ann.Key)
	// Who comes back stands at the end, without what was gained before.
	if back := f.join(gateway.Join{Email: "bob@x.example"}); back.Known || back.Priority != 0 || back.Place != 2 {
		f.Fatalf("%+v", back)
	}
}

func confirms(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Waitlist.ConfirmEmail = true
		p.Waitlist.Boosts = gateway.BoostsPolicy{Referred: 10, Referrer: 5}
	})
	ann := f.join(gateway.Join{Email: "ann@x.example"})
	bob := f.join(gateway.Join{Email: "bob@x.example", Referrer: ann.Key})
	if bob.Referred || bob.Priority != 0 || !f.entry(bob.Key).Unconfirmed || f.entry(ann.Key).Referrals != 0 {
		f.Fatalf("%+v counts before it is confirmed", bob)
	}
	for range 2 { // the second one is told the same
		if e, err := f.change(gateway.ConfirmEntry, bob.Key); err != nil || e.Unconfirmed || e.Priority != 10 {
			f.Fatalf("%+v, %v", e, err)
		}
	}
	if e := f.entry(ann.Key); e.Referrals != 1 || e.Priority != 5 {
		f.Fatalf("%+v", e)
	}
	// Leaving and joining again does not count a second time.
	if _, err := f.change(gateway.LeaveEntry, bob.Key); err != nil {
		f.Fatal(err)
	}
	f.join(gateway.Join{Email: "bob@x.example", Referrer: ann.Key})
	if _, err := f.change(gateway.ConfirmEntry, bob.Key); err != nil {
		f.Fatal(err)
	}
	if e := f.entry(ann.Key); e.Referrals != 1 || e.Priority != 5 {
		f.Fatalf("%+v", e)
	}
}

func releases(f *fixture) {
	f.launch(nil)
	var keys []string
	for i := range 6 {
		keys = append(keys, f.join(gateway.Join{Email: fmt.Sprintf("p%d@x.example", i)}).Key)
	}
	campaign := f.release("R1", 2, gateway.ByPriority)
	_, err := f.PutRelease(f.ctx, theLaunch, gateway.Cohort{ID: "R1", Count: 1, Order: gateway.ByPriority}, 0, by)
	f.refused(gateway.ReleaseExists, err)
	if made, left := f.offer("R1", campaign, false); made != 2 || left != 0 {
		f.Fatalf("%d offers, %d left", made, left)
	}
	f.line(keys[2:]...)
	e := f.entry(keys[0])
	if e.Status != gateway.EntryInvited || e.Offer == "" || e.Release != "R1" || e.OfferEnds.IsZero() || e.Place != 0 {
		f.Fatalf("%+v", e)
	}
	if r, err := f.Release(f.ctx, theLaunch, "R1"); err != nil || !r.Ended || r.Done != 2 || r.Count != 2 {
		f.Fatalf("%+v, %v", r, err)
	}
	if made, _ := f.offer("R1", campaign, false); made != 0 {
		f.Fatal("a release that has ended made offers")
	}
	f.used(e.Offer, 0, 0, gateway.CodeActive)
	// A candidate that does not stand at the front is not let in.
	f.release("R2", 5, gateway.ByPriority)
	made, left, err := f.Offer(f.ctx, theLaunch, "R2", campaign, []gateway.Offered{{Key: keys[4], Code: "PASSED0VER"}})
	if err != nil || made != 0 || left != 5 {
		f.Fatalf("%d, %d, %v", made, left, err)
	}
	f.status(keys[4], gateway.EntryWaiting)
	// More places than people: the release ends when nobody is left.
	if made, left := f.offer("R2", campaign, false); made != 4 || left != 1 {
		f.Fatalf("%d offers, %d left", made, left)
	}
	if _, left := f.offer("R2", campaign, false); left != 0 {
		f.Fatalf("%d left of a release that found nobody", left)
	}
	_, _, err = f.Offer(f.ctx, theLaunch, "none", campaign, nil)
	f.refused(gateway.ReleaseUnknown, err)
}

func offers(f *fixture) {
	f.launch(nil)
	var keys []string
	for i := range 8 {
		keys = append(keys, f.join(gateway.Join{Email: fmt.Sprintf("p%d@x.example", i)}).Key)
	}
	campaign := f.release("R", 4, gateway.ByPriority)
	f.offer("R", campaign, true)
	// Redeemed by its own person, with the address that it is bound to.
	first := f.entry(keys[0])
	_, err := f.redeem(first.Offer, "somebody@x.example")
	f.refused(gateway.RecipientMismatch, err)
	if _, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: first.Offer, Subject: "p0@x.example", Email: "p0@x.example"}); err != nil {
		f.Fatal(err)
	}
	f.status(keys[0], gateway.EntryRegistered)
	_, err = f.change(gateway.DeclineEntry, keys[0])
	f.refused(gateway.AlreadyRegistered, err)
	_, err = f.change(gateway.LeaveEntry, keys[0])
	f.refused(gateway.AlreadyRegistered, err)
	// Declined: the code is dead, and the next in line gets the place.
	second := f.entry(keys[1])
	for range 2 {
		if e, err := f.change(gateway.DeclineEntry, keys[1]); err != nil || e.Status != gateway.EntryDeclined || e.Offer != "" {
			f.Fatalf("%+v, %v", e, err)
		}
	}
	f.used(second.Offer, 0, 0, gateway.CodeIsRevoked)
	if r, err := f.Release(f.ctx, theLaunch, "R"); err != nil || r.Ended || r.Done != 3 {
		f.Fatalf("%+v, %v", r, err)
	}
	if made, left := f.offer("R", campaign, true); made != 1 || left != 0 {
		f.Fatalf("%d offers, %d left", made, left)
	}
	f.status(keys[4], gateway.EntryInvited)
	_, err = f.change(gateway.DeclineEntry, keys[6])
	f.refused(gateway.NoOffer, err)
	// A stranger who names somebody's address takes no place and no offer away.
	f.campaign("other", nil, "0THER", "STRANGER")
	third := f.entry(keys[2])
	if _, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "STRANGER", Subject: "u9", Email: "p2@x.example"}); err != nil {
		f.Fatal(err)
	}
	if _, err := f.SweepOffers(f.ctx, theLaunch); err != nil {
		f.Fatal(err)
	}
	f.status(keys[2], gateway.EntryInvited)
	f.used(third.Offer, 0, 0, gateway.CodeActive)
	// Registered with another code: what was offered goes back.
	if _, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "0THER", Subject: "u2", Email: "p2@x.example", Vouched: true}); err != nil {
		f.Fatal(err)
	}
	f.status(keys[2], gateway.EntryRegistered)
	if _, err := f.SweepOffers(f.ctx, theLaunch); err != nil {
		f.Fatal(err)
	}
	f.used(third.Offer, 0, 0, gateway.CodeIsRevoked)
	// Expired: the entry is told so, and the next in line gets the place.
	f.pass(time.Hour)
	if _, err := f.SweepOffers(f.ctx, theLaunch); err != nil {
		f.Fatal(err)
	}
	f.status(keys[3], gateway.EntryExpired)
	f.status(keys[4], gateway.EntryExpired)
	f.line(keys[5], keys[6], keys[7])
	if made, _ := f.offer("R", campaign, true); made != 2 {
		f.Fatalf("%d offers in the place of two that expired", made)
	}
	if back := f.join(gateway.Join{Email: "p3@x.example"}); back.Known || back.Place != 2 {
		f.Fatalf("%+v", back)
	}
}

// unboundOffers: whoever brings the code takes the entry's place.
func unboundOffers(f *fixture) {
	f.launch(nil)
	ann, bob := f.join(gateway.Join{Email: "ann@x.example"}), f.join(gateway.Join{Email: "bob@x.example"})
	campaign := f.release("R", 2, gateway.ByPriority)
	f.offer("R", campaign, false)
	f.admitted(f.entry(ann.Key).Offer, "user-17")
	held, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: f.entry(bob.Key).Offer, Subject: "user-18", Mode: gateway.Hold})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := f.SweepOffers(f.ctx, theLaunch); err != nil {
		f.Fatal(err)
	}
	f.status(ann.Key, gateway.EntryRegistered)
	f.status(bob.Key, gateway.EntryInvited)
	if _, err := f.change(gateway.DeclineEntry, bob.Key); err == nil {
		f.Fatal("an offer whose code is held was declined")
	}
	if _, err := f.settle(held.ID, gateway.Confirm); err != nil {
		f.Fatal(err)
	}
	if _, err := f.SweepOffers(f.ctx, theLaunch); err != nil {
		f.Fatal(err)
	}
	f.status(bob.Key, gateway.EntryRegistered)
}

func lottery(f *fixture) {
	f.launch(nil)
	var keys []string
	for i := range 4 {
		keys = append(keys, f.join(gateway.Join{Email: fmt.Sprintf("p%d@x.example", i)}).Key)
	}
	campaign := f.release("L", 2, gateway.ByLottery)
	late := f.join(gateway.Join{Email: "late@x.example"}).Key
	list := []gateway.Offered{{Key: late, Code: "LA"}, {Key: keys[3], Code: "LB"}, {Key: keys[1], Code: "LC"}, {Key: keys[0], Code: "LD"}}
	if made, left, err := f.Offer(f.ctx, theLaunch, "L", campaign, list); err != nil || made != 2 || left != 0 {
		f.Fatalf("%d, %d, %v", made, left, err)
	}
	f.status(late, gateway.EntryWaiting)
	f.status(keys[3], gateway.EntryInvited)
	f.status(keys[1], gateway.EntryInvited)
	f.line(keys[0], keys[2], late)
	seen := map[string]bool{}
	if err := f.WalkQueue(f.ctx, theLaunch, func(key string, arrival uint64) { seen[key] = arrival > 0 }); err != nil || len(seen) != 3 || !seen[late] {
		f.Fatalf("%v, %v", seen, err)
	}
}

func schedule(f *fixture) {
	f.launch(nil)
	f.join(gateway.Join{Email: "ann@x.example"})
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	slot := now.Add(time.Hour).Truncate(time.Second)
	put := func(id string, at time.Time, limit int) (gateway.Cohort, error) {
		return f.PutRelease(f.ctx, theLaunch, gateway.Cohort{ID: id, Count: 3, Order: gateway.ByPriority, Slot: at}, limit, by)
	}
	_, err = put("early", slot, 0)
	f.refused(gateway.SchedulePaused, err)
	for range 2 {
		if err := f.SetSchedule(f.ctx, theLaunch, true, by); err != nil {
			f.Fatal(err)
		}
	}
	if c, err := put("S1", slot, 5); err != nil || c.Count != 3 {
		f.Fatalf("%+v, %v", c, err)
	}
	_, err = put("S1again", slot, 5)
	f.refused(gateway.SchedulePaused, err)
	if c, err := put("S2", slot.Add(time.Hour), 5); err != nil || c.Count != 2 {
		f.Fatalf("%+v, %v; want what the cap leaves", c, err)
	}
	_, err = put("S3", slot.Add(2*time.Hour), 5)
	f.refused(gateway.ScheduleOver, err)
	list, state, err := f.Releases(f.ctx, theLaunch)
	if err != nil || len(list) != 2 || !state.Running || state.Made != 5 || !state.Since.Equal(slot.Add(time.Hour)) {
		f.Fatalf("%+v, %+v, %v", list, state, err)
	}
	// Paused, nothing is let in, by hand neither.
	if err := f.SetSchedule(f.ctx, theLaunch, false, by); err != nil {
		f.Fatal(err)
	}
	campaign := f.release("hand", 1, gateway.ByPriority)
	_, _, err = f.Offer(f.ctx, theLaunch, "hand", campaign, nil)
	f.refused(gateway.SchedulePaused, err)
	if err := f.SetSchedule(f.ctx, theLaunch, true, by); err != nil {
		f.Fatal(err)
	}
	if made, _ := f.offer("hand", campaign, false); made != 1 {
		f.Fatal("nobody was let in after releases were resumed")
	}
}

// raceOfReleases: two releases at once never pick the same person.
func raceOfReleases(f *fixture) {
	f.launch(nil)
	const people, places = 40, 15
	for i := range people {
		f.join(gateway.Join{Email: fmt.Sprintf("p%d@x.example", i)})
	}
	campaign := f.release("A", places, gateway.ByPriority)
	f.release("B", places, gateway.ByPriority)
	var all sync.WaitGroup
	for _, id := range []string{"A", "B"} {
		all.Go(func() {
			for left, step := 1, 0; left > 0; step++ {
				front, err := f.Front(f.ctx, theLaunch, 4)
				if err != nil {
					f.Error(err)
					return
				}
				list := make([]gateway.Offered, len(front))
				for i, key := range front {
					list[i] = gateway.Offered{Key: key, Code: gateway.Code(fmt.Sprintf("%sS%dC%d", id, step, i))}
				}
				if _, left, err = f.Offer(f.ctx, theLaunch, id, campaign, list); err != nil {
					f.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	codes := map[gateway.Code]bool{}
	for i := range people {
		key := f.join(gateway.Join{Email: fmt.Sprintf("p%d@x.example", i)}).Key
		if e := f.entry(key); e.Status == gateway.EntryInvited {
			codes[e.Offer] = true
		}
	}
	if len(codes) != 2*places {
		f.Fatalf("%d people were let in, want %d", len(codes), 2*places)
	}
}

func pace(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Subjects.OncePerLaunch = false })
	f.campaign("c", func(c *gateway.Campaign) {
		c.MaxUses, c.Pace = 100, gateway.Rate{Count: 2, Window: gateway.Duration(time.Hour)}
	}, "A")
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	f.pass(time.Duration(3_600_000-now.UnixMilli()%3_600_000) * time.Millisecond)
	f.admitted("A", "ann")
	f.admitted("A", "bob")
	_, err = f.redeem("A", "cid")
	e := f.refused(gateway.Paced, err)
	if e.RetryAfter <= 0 || e.RetryAfter > time.Hour {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	f.admitted("A", "ann") // the same again
	f.pass(e.RetryAfter)
	f.admitted("A", "cid")
	f.used("A", 3, 0, gateway.CodeActive)
	// Who holds and lets go keeps nobody out, however often.
	for range 3 {
		held, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "A", Subject: "eve", Mode: gateway.Hold})
		if err != nil {
			f.Fatal(err)
		}
		if _, err := f.Settle(f.ctx, theLaunch, held.ID, gateway.Release, by); err != nil {
			f.Fatal(err)
		}
	}
	f.hold("A", "fay")
	f.pass(20 * time.Minute) // its time is over, and fay comes again
	f.hold("A", "fay")
	_, err = f.redeem("A", "dan")
	f.refused(gateway.Paced, err)
}
