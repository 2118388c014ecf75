package gatewaytest

import (
	"time"

	"admitone/gateway"
)

func (f *fixture) purchase(want gateway.RewardStatus, p gateway.Payment) gateway.Earning {
	f.Helper()
	e, err := f.Purchase(f.ctx, theLaunch, p)
	if err != nil || e.Status != want {
		f.Errorf("%+v came to %v (%v), want %v", p, e.Status, err, want)
	}
	return e
}

// referred makes ann invite these.
func (f *fixture) referred(change func(*gateway.RewardsPolicy), subjects ...string) {
	f.Helper()
	f.launch(func(p *gateway.Policy) {
		p.Rewards = gateway.RewardsPolicy{
			Qualifies: gateway.QualifiesPolicy{Minimum: gateway.MoneyPolicy{Amount: 1000, Currency: "usd"}},
			Pays:      gateway.PaysPolicy{Referrer: 1000, Referee: 500}, Clawback: true,
		}
		if change != nil {
			change(&p.Rewards)
		}
	})
	c := f.campaign("referrals", func(c *gateway.Campaign) { c.Kind, c.MaxUses = gateway.KindReferral, 10 })
	f.issued(c, "ann", "REF")
	for _, subject := range subjects {
		f.admitted("REF", subject)
	}
}

func bought(id, subject string, amount int) gateway.Payment {
	return gateway.Payment{ID: id, Event: "bought-" + id, Subject: subject, Amount: amount, Currency: "usd"}
}

func purchases(f *fixture) {
	f.referred(nil, "bob", "cid", "dan", "eve")
	for _, bad := range []gateway.Payment{
		{},
		{ID: "a b", Subject: "bob", Amount: 1, Currency: "usd"},
		{ID: "a", Subject: "bob", Currency: "usd"},
		{ID: "a", Subject: "bob", Amount: -1, Currency: "usd"},
		{ID: "a", Subject: "bob", Amount: 1, Currency: "US$"},
		{ID: "a"},
		{ID: "a", Refunded: -1},
		{ID: "a", Dispute: "d", State: "lose"},
	} {
		_, err := f.Purchase(f.ctx, theLaunch, bad)
		f.refused(gateway.InvalidRequest, err)
	}
	// Below the minimum, or in another currency: the first that qualifies is still to come.
	f.purchase(gateway.RewardNone, bought("b1", "bob", 999))
	f.purchase(gateway.RewardNone, gateway.Payment{ID: "b2", Subject: "bob", Amount: 5000, Currency: "eur"})
	if e := f.purchase(gateway.RewardPaid, bought("b3", "bob", 1000)); !e.News {
		f.Errorf("%+v", e)
	}
	for range 4 {
		if e := f.purchase(gateway.RewardPaid, bought("b3", "bob", 1000)); e.News {
			f.Errorf("the same is news again: %+v", e)
		}
	}
	f.purchase(gateway.RewardPaid, bought("b4", "bob", 9000))
	// Refunded, but another purchase stands; then none does.
	f.purchase(gateway.RewardPaid, gateway.Payment{ID: "b3", Event: "r", Refunded: 1000})
	f.purchase(gateway.RewardReversed, gateway.Payment{ID: "b4", Refunded: 8500})
	f.purchase(gateway.RewardReversed, gateway.Payment{ID: "b4", Refunded: 9000})
	f.purchase(gateway.RewardReversed, gateway.Payment{ID: "b4", Refunded: 1}) // told late
	// A refund that comes before its purchase.
	f.purchase(gateway.RewardNone, gateway.Payment{ID: "c1", Refunded: 2000})
	f.purchase(gateway.RewardNone, bought("c1", "cid", 2000))
	// A dispute: taken back while it is open, given again when it is won, in any order.
	f.purchase(gateway.RewardPaid, bought("d1", "dan", 1500))
	f.purchase(gateway.RewardReversed, gateway.Payment{ID: "d1", Dispute: "dp1", State: gateway.DisputeOpen})
	f.purchase(gateway.RewardPaid, gateway.Payment{ID: "d1", Dispute: "dp1", State: gateway.DisputeWon})
	f.purchase(gateway.RewardPaid, gateway.Payment{ID: "d1", Dispute: "dp1", State: gateway.DisputeOpen})
	f.purchase(gateway.RewardReversed, gateway.Payment{ID: "d1", Dispute: "dp2", State: gateway.DisputeLost})
	// Who nobody referred earns nobody anything.
	f.purchase(gateway.RewardNone, bought("x1", "xav", 5000))
	f.purchase(gateway.RewardNone, bought("a1", "ann", 5000))
}

// lateReferrals: a friend who was referred after the purchase.
func lateReferrals(f *fixture) {
	f.referred(nil)
	f.purchase(gateway.RewardNone, bought("b1", "bob", 2000))
	f.admitted("REF", "bob")
	f.purchase(gateway.RewardPaid, bought("b1", "bob", 2000))
}

func putOffRewards(f *fixture) {
	f.referred(func(r *gateway.RewardsPolicy) { r.Pays.After = gateway.Duration(24 * time.Hour) }, "bob", "cid")
	f.purchase(gateway.RewardPending, bought("b1", "bob", 2000))
	f.purchase(gateway.RewardPending, bought("c1", "cid", 2000))
	f.purchase(gateway.RewardNone, gateway.Payment{ID: "c1", Refunded: 2000})
	f.pass(24*time.Hour + time.Second)
	f.purchase(gateway.RewardPaid, bought("b1", "bob", 2000))
	f.purchase(gateway.RewardNone, bought("c1", "cid", 2000))
	// Another purchase takes the place of the one that is asked back: it waits as long.
	f.purchase(gateway.RewardPending, bought("c2", "cid", 2000))
	f.pass(20 * time.Hour)
	f.purchase(gateway.RewardPending, bought("c3", "cid", 2000))
	f.purchase(gateway.RewardPending, gateway.Payment{ID: "c2", Refunded: 2000})
	f.pass(5 * time.Hour)
	f.purchase(gateway.RewardPending, bought("c3", "cid", 2000))
	f.pass(20 * time.Hour)
	f.purchase(gateway.RewardPaid, bought("c3", "cid", 2000))
}

// approvedPurchase: an operator approves one purchase, not the next.
func approvedPurchase(f *fixture) {
	f.referred(func(r *gateway.RewardsPolicy) { r.Pays.Approval, r.Pays.After = true, gateway.Duration(time.Hour) }, "bob")
	decide := func(want gateway.RewardStatus) {
		f.Helper()
		if e, err := f.DecideReward(f.ctx, theLaunch, "bob", gateway.ApproveReward, by); err != nil || e.Status != want {
			f.Errorf("%+v, %v", e, err)
		}
	}
	f.purchase(gateway.RewardPending, bought("b1", "bob", 2000))
	decide(gateway.RewardApproved)
	f.purchase(gateway.RewardApproved, bought("b2", "bob", 2000))
	f.purchase(gateway.RewardPending, gateway.Payment{ID: "b1", Refunded: 2000})
	f.pass(2 * time.Hour)
	f.purchase(gateway.RewardPending, bought("b2", "bob", 2000))
	decide(gateway.RewardPaid)
}

func decidedRewards(f *fixture) {
	f.referred(func(r *gateway.RewardsPolicy) { r.Pays.Approval, r.PerMember = true, 1 }, "bob", "cid", "dan")
	decide := func(subject string, d gateway.RewardDecision, want gateway.RewardStatus) {
		f.Helper()
		if e, err := f.DecideReward(f.ctx, theLaunch, subject, d, by); err != nil || e.Status != want {
			f.Errorf("%s %s: %+v, %v", d, subject, e, err)
		}
	}
	f.purchase(gateway.RewardPending, bought("b1", "bob", 2000))
	f.purchase(gateway.RewardPending, bought("c1", "cid", 2000))
	f.purchase(gateway.RewardPending, bought("d1", "dan", 2000))
	decide("bob", gateway.ApproveReward, gateway.RewardPaid)
	decide("cid", gateway.ApproveReward, gateway.RewardCapped)
	decide("bob", gateway.RejectReward, gateway.RewardRejected)
	decide("bob", gateway.ApproveReward, gateway.RewardRejected)
	decide("dan", gateway.ApproveReward, gateway.RewardPaid)
	decide("nobody", gateway.ApproveReward, gateway.RewardNone)
}
