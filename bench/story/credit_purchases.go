package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// The size of the flood.
const (
	floodPurchases = 10_000
	floodTimes     = 5 // that each event is delivered
	floodAtOnce    = 256
)

// flood delivers 10,000 purchases, their refunds and disputes, five times each
// and shuffled, as Stripe would, and compares every account with what follows
// from the facts alone.
func (c *referralCredit) flood(t *tale, ctx context.Context) error {
	r := rand.New(rand.NewPCG(2027, 3))
	friends, err := c.friends(t, ctx)
	if err != nil {
		return err
	}
	var facts [][]byte
	tell := func(id, kind string, object map[string]any) { facts = append(facts, eventBody(id, kind, object)) }
	// pays has who paid ten dollars or more that stand in the end.
	pays, refunds, disputes := map[string]bool{}, 0, 0
	for i := range c.purchases {
		friend := friends[r.IntN(len(friends))]
		payment, cents := fmt.Sprint("pi_x", i), 500+r.IntN(3000)
		tell(fmt.Sprint("evt_x", i), "checkout.session.completed", paid(payment, friend, cents))
		left := cents
		if r.IntN(3) > 0 { // most people of this story regret it
			refund := 1 + r.IntN(cents)
			if r.IntN(2) == 0 {
				refund = cents
			}
			left, refunds = cents-refund, refunds+1
			tell(fmt.Sprint("evt_r", i), "charge.refunded", map[string]any{"id": fmt.Sprint("ch_x", i), "payment_intent": payment, "amount_refunded": refund})
		}
		if r.IntN(8) == 0 {
			disputes++
			dispute := map[string]any{"id": fmt.Sprint("dp_x", i), "payment_intent": payment, "status": "needs_response"}
			tell(fmt.Sprint("evt_d", i), "charge.dispute.created", dispute)
			if dispute["status"] = []string{"won", "lost"}[r.IntN(2)]; dispute["status"] == "lost" {
				left = 0
			}
			tell(fmt.Sprint("evt_e", i), "charge.dispute.closed", dispute)
		}
		if left >= 1000 {
			pays[friend] = true
		}
	}
	list := make([]int, 0, floodTimes*len(facts))
	for range floodTimes {
		for i := range facts {
			list = append(list, i)
		}
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if err := c.deliver(t, ctx, facts, list); err != nil {
		return err
	}
	cents, err := c.accounts(t, ctx, friends, pays)
	t.fact("flood", "%d purchases, %d refunds, %d disputes, each delivered %d times and shuffled: %d deliveries", c.purchases, refunds, disputes, floodTimes, len(list))
	t.fact("to the cent", "%d friends, %d of whom qualify in the end: $%d.%02d in %d accounts, as recomputed from the facts", len(friends), len(pays), cents/100, cents%100, len(friends)+c.referrers())
	return err
}

// referrers have ten friends each, as many as a code takes, who make ten
// purchases each.
func (c *referralCredit) referrers() int { return c.purchases / 100 }

// friends are ten for each referrer.
func (c *referralCredit) friends(t *tale, ctx context.Context) ([]string, error) {
	var friends []string
	codes := map[string]string{}
	for i := range c.referrers() {
		code, err := t.server.ReferralCode(ctx, t.launch, fmt.Sprint("referrer", i))
		if err != nil {
			return nil, err
		}
		for n := range 10 {
			friend := fmt.Sprintf("friend%d-of-%d", n, i)
			friends, codes[friend] = append(friends, friend), code.Code
		}
	}
	addresses := make([]string, len(friends))
	for i := range addresses {
		addresses[i] = t.address()
	}
	var mu sync.Mutex
	var failed error
	each(friends, func(i int, friend string) {
		r, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: codes[friend], Subject: friend, IP: addresses[i]})
		if err != nil || !r.Referred {
			mu.Lock()
			failed = errors.Join(failed, fmt.Errorf("%s: %+v, %w", friend, r, orNothing(err)))
			mu.Unlock()
		}
	})
	return friends, failed
}

// deliver sends the events of the list, many at once; each delivery is signed
// anew.
func (c *referralCredit) deliver(t *tale, ctx context.Context, facts [][]byte, list []int) error {
	var crowd sync.WaitGroup
	var next atomic.Int64
	failed := make(chan error, floodAtOnce)
	public := t.server.As("")
	for range floodAtOnce {
		crowd.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(list) || ctx.Err() != nil {
					return
				}
				body := facts[list[n]]
				if _, err := public.Stripe(ctx, t.launch, body, sign(body, time.Now(), stripeSecret)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	crowd.Wait()
	close(failed)
	return <-failed
}

// accounts compares every balance with what the purchases come to, and adds them
// up.
func (c *referralCredit) accounts(t *tale, ctx context.Context, friends []string, pays map[string]bool) (total int, err error) {
	if err := t.settled(ctx); err != nil {
		return 0, err
	}
	due := map[string]int{}
	for i := range c.referrers() {
		due[fmt.Sprint("referrer", i)] = 0
	}
	for i, friend := range friends {
		due[friend] = 0
		if pays[friend] {
			due[friend] = 1000
			due[fmt.Sprint("referrer", i/10)] += 1000
		}
	}
	for who, cents := range due {
		s, statsErr := t.server.ReferralStats(ctx, t.launch, who)
		has := 0
		for _, m := range s.CurrentBalance {
			has += m.Amount
		}
		err = errors.Join(err, statsErr, want("cents of "+who, has, cents))
		total += has
	}
	return total, err
}

// behind shows that whoever came behind the tenth earns nobody anything, and that
// the purchase stands.
func (c *referralCredit) behind(t *tale, ctx context.Context) error {
	before, err := balance(t, ctx, "ann")
	if err != nil {
		return err
	}
	p, err := c.stripe(t, ctx, "evt_cap", "checkout.session.completed", paid("pi_cap", "stranger "+c.mine.Code, 5000))
	if err := errors.Join(err, want("the reward of the eleventh", p.Reward, gateway.RewardNone), want("news", p.Known, false), t.has(ctx, "ann", before)); err != nil {
		return err
	}
	v, err := t.server.As("").ValidateReferral(ctx, t.launch, c.mine.Code)
	if err := errors.Join(err, want("valid, with uses left", fmt.Sprint(v.Valid, v.RemainingUses), "false 0")); err != nil {
		return err
	}
	// Twenty ask for their code at once: it is one.
	var mu sync.Mutex
	met := map[string]bool{}
	crowd(20, func(int) error {
		code, err := t.server.ReferralCode(ctx, t.launch, "greta")
		mu.Lock()
		met[code.Code] = true
		mu.Unlock()
		return err
	})
	t.fact("cap", "the 11th friend pays $50.00: the purchase stands, no bonus; validate says 0 of 10 uses are left; asked for by 20 at once, a code is one")
	return want("codes of one user", len(met), 1)
}

// reports are what an operator sees of all this.
func (c *referralCredit) reports(t *tale, ctx context.Context) error {
	if err := t.settled(ctx); err != nil {
		return err
	}
	a, err := t.admin.Analytics(ctx, t.launch)
	if err != nil {
		return err
	}
	if len(a.Top) != gateway.MaxReferrers || a.Top[0].Referrals != 10 || a.Top[0].Rewarded == 0 {
		return fmt.Errorf("top referrers: %+v", a.Top)
	}
	recent, err := t.admin.Rewards(ctx, t.launch, gateway.RewardPaid, "", gateway.Page{Limit: 100})
	if err != nil {
		return err
	}
	if len(a.Rewards) != 1 || a.FirstPurchase.Median == nil || a.Total.Conversion.Paid == nil {
		return fmt.Errorf("the reports: %+v, %+v, %+v", a.Rewards, a.FirstPurchase, a.Total)
	}
	paid := a.Rewards[0]
	t.fact("reports", "top referrers: %d, the first with %d friends, %d rewarded; recent: %d rewards on the first page; total paid $%d.%02d, taken back $%d.%02d",
		len(a.Top), a.Top[0].Referrals, a.Top[0].Rewarded, len(recent.Data), paid.Paid/100, paid.Paid%100, paid.ClawedBack/100, paid.ClawedBack%100)
	t.fact("conversion", "%.0f%% of %d referred paid; time to first purchase: %.1f s in the median", 100**a.Total.Conversion.Paid, a.Total.Subjects, *a.FirstPurchase.Median)
	return want("net", paid.Net, paid.Paid-paid.ClawedBack)
}
