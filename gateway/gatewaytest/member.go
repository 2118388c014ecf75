package gatewaytest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"admitone/gateway"
)

// issued mints codes that a member gives away.
func (f *fixture) issued(campaign *gateway.Campaign, issuer string, codes ...gateway.Code) {
	f.Helper()
	list := make([]gateway.NewCode, len(codes))
	for i, c := range codes {
		list[i] = gateway.NewCode{Code: c, Issuer: issuer}
	}
	if _, err := f.Mint(f.ctx, theLaunch, campaign.Number, list, by); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) member(subject string) gateway.Member {
	f.Helper()
	m, err := f.Member(f.ctx, theLaunch, subject)
	if err != nil {
		f.Fatalf("%s: %v", subject, err)
	}
	return m
}

func (f *fixture) use(subject string, rounds int, proof string) (gateway.Rounds, error) {
	return f.UseRounds(f.ctx, theLaunch, gateway.Use{Subject: subject, Rounds: rounds, Proof: proof, Begin: true})
}

func members(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Codes.Personal.Allotment, p.Unlock.InviteRounds, p.Unlock.Expires = 3, 10, gateway.Duration(time.Hour)
	})
	f.campaign("bulk", nil, "A", "B")
	_, err := f.Member(f.ctx, theLaunch, "ann")
	f.refused(gateway.MemberUnknown, err)
	r := f.admitted("A", "ann")
	if !r.Founding || r.Allotment != 3 || r.Referred {
		f.Errorf("%+v", r)
	}
	if again := f.admitted("A", "ann"); !again.Founding || again.Allotment != 3 {
		f.Errorf("%+v", again)
	}
	m := f.member("ann")
	if !m.In() && m.Method != gateway.UnlockInvite || m.Left != 10 || m.Allotment != 3 || m.Until.IsZero() || m.Campaign != 1 || m.Joined.IsZero() {
		f.Errorf("%+v", m)
	}
	for _, bad := range []gateway.ChangeMember{
		{Subject: "ann", Change: gateway.MemberGranted},
		{Subject: "ann", Change: gateway.MemberGranted, Invites: gateway.MaxGrant + 1},
		{Subject: "ann", Change: gateway.MemberTier, Tier: "a\nb"},
	} {
		_, err := f.ChangeMember(f.ctx, theLaunch, bad)
		f.refused(gateway.InvalidRequest, err)
	}
	for _, c := range []gateway.ChangeMember{
		{Change: gateway.MemberGranted, Invites: 25}, {Change: gateway.MemberTier, Tier: "vip; gold 50%"}, {Change: gateway.MemberPrivate, Private: true},
	} {
		c.Subject, c.By = "ann", by
		if _, err := f.ChangeMember(f.ctx, theLaunch, c); err != nil {
			f.Fatal(err)
		}
		c.Subject = "nobody"
		_, err := f.ChangeMember(f.ctx, theLaunch, c)
		f.refused(gateway.MemberUnknown, err)
	}
	if m = f.member("ann"); m.Allotment != 28 || m.Tier != "vip; gold 50%" || !m.Private {
		f.Errorf("%+v", m)
	}
	// Taken back: not in any more; the allotment is not granted twice.
	if _, err := f.Settle(f.ctx, theLaunch, r.ID, gateway.Rollback, by); err != nil {
		f.Fatal(err)
	}
	if m = f.member("ann"); m.Method != "" || m.Left != 0 {
		f.Errorf("%+v", m)
	}
	if again := f.admitted("B", "ann"); again.Founding {
		f.Errorf("%+v", again)
	}
	if m = f.member("ann"); m.Method != gateway.UnlockInvite || m.Allotment != 28 || m.Left != 10 {
		f.Errorf("%+v", m)
	}
	if err := f.Active(f.ctx, theLaunch, gateway.Act{Subject: "ann", Name: "activated"}); err != nil {
		f.Error(err)
	}
	f.refused(gateway.MemberUnknown, f.Active(f.ctx, theLaunch, gateway.Act{Subject: "nobody", Name: "activated"}))
	if m, err := f.ChangeMember(f.ctx, theLaunch, gateway.ChangeMember{Subject: "ann", Change: gateway.MemberErased, By: by}); err != nil || !m.Private || m.Allotment != 28 {
		f.Errorf("%+v, %v", m, err)
	}
}

// ownWord: what members tell of themselves is noted once, where it is news, and
// so often a day; a back end's word always.
func ownWord(f *fixture) {
	f.launch(nil)
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "A")
	f.admitted("A", "ann")
	f.admitted("A", "bob")
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	f.pass(now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)) // the day must not end between two calls
	act := func(subject, name string, own bool) error {
		return f.Active(f.ctx, theLaunch, gateway.Act{Subject: subject, Name: name, Own: own})
	}
	prefer := func(private, own bool) error {
		_, err := f.ChangeMember(f.ctx, theLaunch, gateway.ChangeMember{Subject: "ann", Change: gateway.MemberPrivate, Private: private, Own: own})
		return err
	}
	wrote := func(want uint64, call func() error) {
		f.Helper()
		before, err := f.Position(f.ctx, theLaunch)
		if err != nil {
			f.Fatal(err)
		}
		if err := call(); err != nil {
			f.Fatal(err)
		}
		if after, err := f.Position(f.ctx, theLaunch); err != nil || after.Seq != before.Seq+want {
			f.Fatalf("the journal went from %d to %d, %v; want %d records", before.Seq, after.Seq, err, want)
		}
	}
	wrote(0, func() error { return prefer(false, true) })
	wrote(1, func() error { return prefer(true, true) })
	wrote(0, func() error { return prefer(true, true) })
	for i := range gateway.MaxOwnActs - 1 {
		name := fmt.Sprint("act-", i)
		wrote(1, func() error { return act("ann", name, true) })
		wrote(0, func() error { return act("ann", name, true) })
	}
	e := f.refused(gateway.ActivitiesExceeded, act("ann", "act-x", true))
	if e.RetryAfter <= 0 || e.RetryAfter > 24*time.Hour {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	f.refused(gateway.ActivitiesExceeded, prefer(false, true))
	wrote(0, func() error { return act("ann", "act-1", true) })
	wrote(1, func() error { return act("bob", "act-x", true) })
	wrote(1, func() error { return act("ann", "act-1", false) })
	wrote(1, func() error { return prefer(false, false) })
	f.pass(e.RetryAfter)
	wrote(1, func() error { return act("ann", "act-1", true) })
	wrote(0, func() error { return act("ann", "act-1", true) })
}

// impliedMembers have no record of their own until something needs one.
func impliedMembers(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Subjects.OncePerLaunch = false })
	invite := f.campaign("bulk", func(c *gateway.Campaign) { c.MaxUses = 9 }, "A", "B")
	f.campaign("shop", func(c *gateway.Campaign) { c.Kind = gateway.KindLicense }, "KEY")
	if first := f.admitted("A", "ann"); !first.Founding {
		f.Errorf("%+v", first)
	}
	if second := f.admitted("B", "ann"); second.Founding {
		f.Errorf("a second code speaks for a member: %+v", second)
	}
	f.admitted("KEY", "cid")
	if m := f.member("ann"); m.Method != gateway.UnlockInvite || m.Campaign != invite.Number || m.Left != gateway.Unlimited || m.Allotment != 0 {
		f.Errorf("%+v", m)
	}
	if m := f.member("cid"); m.Method != gateway.UnlockLicense {
		f.Errorf("%+v", m)
	}
	if left, err := f.use("ann", 3, ""); err != nil || left != gateway.Unlimited {
		f.Errorf("%v, %v", left, err)
	}
	// An operator's grant makes the record; it keeps what was implied.
	m, err := f.ChangeMember(f.ctx, theLaunch, gateway.ChangeMember{Subject: "ann", Change: gateway.MemberGranted, Invites: 2, By: by})
	if err != nil || m.Allotment != 2 || m.Method != gateway.UnlockInvite || m.Left != gateway.Unlimited {
		f.Errorf("%+v, %v", m, err)
	}
	// So does somebody who comes by a code of theirs, whoever minted it.
	f.issued(invite, "cid", "FR0M")
	if r := f.admitted("FR0M", "dan"); !r.Referred || !r.Founding {
		f.Errorf("%+v", r)
	}
	if m := f.member("cid"); m.Referrals != 1 || m.Method != gateway.UnlockLicense || m.Left != gateway.Unlimited {
		f.Errorf("%+v", m)
	}
}

// rings: whoever has brought others is brought by none of them.
func rings(f *fixture) {
	f.launch(nil)
	c := f.campaign("personal", func(c *gateway.Campaign) { c.Type = gateway.TypePersonal })
	f.issued(c, "ann", "A")
	if bob := f.admitted("A", "bob"); !bob.Referred {
		f.Errorf("%+v", bob)
	}
	f.issued(c, "bob", "B")
	if ann := f.admitted("B", "ann"); ann.Referred {
		f.Errorf("%+v", ann)
	}
	if m := f.member("bob"); m.Referrals != 0 {
		f.Errorf("%+v", m)
	}
	if m := f.member("ann"); m.Referrals != 1 {
		f.Errorf("%+v", m)
	}
}

func referrals(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Codes.Personal.Refill.OnReferral = 2 })
	c := f.campaign("personal", func(c *gateway.Campaign) { c.Type = gateway.TypePersonal }, "START")
	f.admitted("START", "ann")
	f.issued(c, "ann", "B", "C", "D")
	_, err := f.redeem("B", "ann")
	f.refused(gateway.OwnCode, err)
	bob := f.admitted("B", "bob")
	// A code that is used up does not tell who is in.
	for _, subject := range []string{"bob", "nobody"} {
		_, err = f.redeem("START", subject)
		f.refused(gateway.CodeExhausted, err)
	}
	if !bob.Referred {
		f.Errorf("%+v", bob)
	}
	held, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "C", Subject: "cid", Mode: gateway.Hold})
	if err != nil || held.Referred || !held.Founding {
		f.Fatalf("%+v, %v", held, err)
	}
	if m := f.member("ann"); m.Referrals != 1 || m.Allotment != 2 {
		f.Errorf("a hold is no referral: %+v", m)
	}
	if _, err := f.Settle(f.ctx, theLaunch, held.ID, gateway.Confirm, by); err != nil {
		f.Fatal(err)
	}
	if m := f.member("ann"); m.Referrals != 2 || m.Allotment != 4 {
		f.Errorf("%+v", m)
	}
	// A redemption taken back is no referral any more; the same one counts once.
	for range 2 {
		if _, err := f.Settle(f.ctx, theLaunch, bob.ID, gateway.Rollback, by); err != nil {
			f.Fatal(err)
		}
	}
	if m := f.member("ann"); m.Referrals != 1 || m.Allotment != 4 {
		f.Errorf("%+v", m)
	}
	if again := f.admitted("B", "bob"); again.Status != gateway.RolledBack {
		f.Errorf("%+v", again)
	}
	if m := f.member("bob"); m.In() || m.Inviter != "" {
		f.Errorf("%+v", m)
	}
}

// milestones are crossed once each, also several at a time.
func milestones(f *fixture) {
	f.launch(nil)
	c := f.campaign("personal", func(c *gateway.Campaign) { c.Type = gateway.TypePersonal })
	f.issued(c, "ann", "A", "B", "C", "D", "E")
	var last gateway.Redemption
	for i, code := range []gateway.Code{"A", "B", "C"} {
		last = f.admitted(code, string(rune('p'+i)))
	}
	p, err := f.Launch(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	policy := p.Policy
	policy.Referrals.Milestones = gateway.Milestones{{Referrals: 2, Invites: 3}, {Referrals: 3, Invites: 10}, {Referrals: 4, Invites: 100}, {Referrals: 6, Invites: 1000}}
	if _, err := f.PutPolicy(f.ctx, policy, 0, by); err != nil {
		f.Fatal(err)
	}
	f.admitted("D", "s")
	if m := f.member("ann"); m.Referrals != 4 || m.Allotment != 113 {
		f.Errorf("three milestones crossed together: %+v", m)
	}
	if _, err := f.Settle(f.ctx, theLaunch, last.ID, gateway.Rollback, by); err != nil {
		f.Fatal(err)
	}
	f.admitted("E", "t")
	if m := f.member("ann"); m.Referrals != 4 || m.Allotment != 113 {
		f.Errorf("a milestone is crossed again: %+v", m)
	}
}

func trial(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Unlock.TrialRounds, p.Unlock.InviteRounds = 30, 100 })
	f.campaign("bulk", nil, "A")
	_, err := f.UseRounds(f.ctx, theLaunch, gateway.Use{Subject: "ann", Rounds: 1})
	f.refused(gateway.MemberUnknown, err)
	for _, step := range []struct {
		rounds int
		proof  string
		left   gateway.Rounds
	}{{10, "", 20}, {5, "k", 15}, {5, "k", 15}, {5, "l", 10}} {
		if left, err := f.use("ann", step.rounds, step.proof); err != nil || left != step.left {
			f.Errorf("%d rounds leave %v, %v", step.rounds, left, err)
		}
	}
	_, err = f.use("ann", 11, "")
	f.refused(gateway.RoundsExhausted, err)
	if left, err := f.use("ann", 10, ""); err != nil || left != 0 {
		f.Errorf("%v, %v", left, err)
	}
	_, err = f.use("ann", 1, "")
	f.refused(gateway.RoundsExhausted, err)
	if m := f.member("ann"); m.Method != gateway.UnlockTrial || m.In() {
		f.Errorf("%+v", m)
	}
	// Redeeming in the name of somebody the back end knows proves nothing.
	if r := f.admitted("A", "ann"); r.Founding {
		f.Errorf("%+v", r)
	}
	if m := f.member("ann"); m.Left != 100 || m.Method != gateway.UnlockInvite {
		f.Errorf("%+v", m)
	}
}

// raceRounds has many take one round of thirty each.
func raceRounds(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Unlock.TrialRounds = 30 })
	var crowd sync.WaitGroup
	var mu sync.Mutex
	met := map[gateway.Rounds]int{}
	for range 50 {
		crowd.Go(func() {
			left, err := f.use("ann", 1, "")
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				met[left]++
			case !errors.Is(err, gateway.Refuse(gateway.RoundsExhausted)):
				f.Error(err)
			}
		})
	}
	crowd.Wait()
	if len(met) != 30 {
		f.Errorf("%d answers of 30 rounds", len(met))
	}
	for left, n := range met {
		if n != 1 {
			f.Errorf("%v left was answered %d times", left, n)
		}
	}
}
