package heal

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"admitone/gateway"
)

// TestPurchases tells of 10,000 purchases, of refunds and of disputes, each
// five times and shuffled, and wants the accounts right to the cent: as they
// follow from the facts alone, by other arithmetic than the script's.
func TestPurchases(t *testing.T) {
	n := open(t)
	n.sync()
	purchases := 10_000
	if testing.Short() {
		purchases = 1000
	}
	p := gateway.DefaultPolicy(launch)
	p.Rewards = gateway.RewardsPolicy{
		Qualifies: gateway.QualifiesPolicy{Minimum: gateway.MoneyPolicy{Amount: 1000, Currency: "usd"}},
		Pays:      gateway.PaysPolicy{Referrer: 1000, Referee: 700}, Clawback: true,
	}
	if _, err := n.store.CreateLaunch(t.Context(), p, by); err != nil {
		t.Fatal(err)
	}
	if _, err := n.store.CreateCampaign(t.Context(), launch, gateway.Campaign{Name: "ref", Kind: gateway.KindReferral, Type: gateway.TypeLink, MaxUses: 1000, Format: "{random:8}", Vanity: true}, by); err != nil {
		t.Fatal(err)
	}
	const referrers, friends = 20, 2000
	for i := range referrers {
		code := gateway.NewCode{Code: gateway.Code(fmt.Sprintf("REF%d", i)), Issuer: fmt.Sprintf("referrer%d", i)}
		if _, err := n.store.Mint(t.Context(), launch, 1, []gateway.NewCode{code}, by); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	n.each(friends, func(i int) error {
		_, err := n.redeem(gateway.Redeem{Code: gateway.Code(fmt.Sprintf("REF%d", i%referrers)), Subject: fmt.Sprintf("friend%d", i)})
		return err
	})
	// The facts, and what is told of them.
	want, stands, told := map[string]int{}, map[int]bool{}, []gateway.Payment{}
	for i := range purchases {
		friend := r.IntN(friends + 200) // some were referred by nobody
		buy := gateway.Payment{
			ID: fmt.Sprintf("pi_%d", i), Event: fmt.Sprintf("evt_b%d", i), Subject: fmt.Sprintf("friend%d", friend),
			Amount: 500 + r.IntN(1500), Currency: []string{"usd", "usd", "usd", "eur"}[r.IntN(4)],
		}
		told = append(told, buy)
		left := buy.Amount
		for part := range r.IntN(3) {
			refund := min(buy.Amount, (part+1)*r.IntN(900))
			if refund > 0 {
				left = min(left, buy.Amount-refund)
				told = append(told, gateway.Payment{ID: buy.ID, Event: fmt.Sprintf("evt_r%d_%d", i, part), Refunded: refund})
			}
		}
		if r.IntN(5) == 0 {
			dispute := gateway.Payment{ID: buy.ID, Event: fmt.Sprintf("evt_d%d", i), Dispute: fmt.Sprintf("dp_%d", i), State: gateway.DisputeOpen}
			told = append(told, dispute)
			if end := r.IntN(3); end > 0 {
				dispute.Event, dispute.State = dispute.Event+"_end", []gateway.DisputeState{"", gateway.DisputeWon, gateway.DisputeLost}[end]
				told = append(told, dispute)
			}
			if dispute.State != gateway.DisputeWon {
				left = 0
			}
		}
		if left >= 1000 && buy.Currency == "usd" && friend < friends {
			stands[friend] = true
		}
	}
	for friend := range stands {
		want[fmt.Sprintf("referrer%d", friend%referrers)] += 1000
		want[fmt.Sprintf("friend%d", friend)] += 700
	}
	deliveries := make([]gateway.Payment, 0, 5*len(told))
	for range 5 {
		deliveries = append(deliveries, told...)
	}
	r.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
	n.each(len(deliveries), func(i int) error {
		_, err := n.store.Purchase(t.Context(), launch, deliveries[i])
		return err
	})
	n.caughtUp()
	check := func() {
		t.Helper()
		total := 0
		for i := range friends + 200 {
			total += n.hasBalance(fmt.Sprintf("friend%d", i), want)
		}
		for i := range referrers {
			total += n.hasBalance(fmt.Sprintf("referrer%d", i), want)
		}
		var sum, entries int
		if err := n.ledger.Pool().QueryRow(t.Context(), `SELECT sum(amount), count(*) FROM credit_entries`).Scan(&sum, &entries); err != nil || sum != 0 {
			t.Errorf("all entries come to %d, %v", sum, err)
		}
		if total == 0 || total != 1700*len(stands) {
			t.Errorf("%d cents in all, want %d", total, 1700*len(stands))
		}
		t.Logf("%d deliveries of %d facts: %d friends qualify, %d cents, %d entries", len(deliveries), len(told), len(stands), total, entries)
	}
	check()
	if r := n.verified(); r.Members == 0 {
		t.Errorf("%+v", r)
	}
	// An emptied Redis goes on as if nothing had happened.
	if err := n.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	other, healer := n.gateway()
	n.store, n.healer = other, healer
	if _, err := other.Launch(t.Context(), launch); err != nil {
		t.Fatal(err)
	}
	n.sync()
	n.each(len(told), func(i int) error {
		_, err := other.Purchase(t.Context(), launch, told[i])
		return err
	})
	n.caughtUp()
	check()
	n.verified()
	// A cent that was moved by hand is noticed.
	if _, err := n.ledger.Pool().Exec(t.Context(), `UPDATE credit_entries SET amount = amount + 1 WHERE (position, ordinal, account) IN (
		SELECT position, ordinal, account FROM credit_entries WHERE account <> '' LIMIT 1)`); err != nil {
		t.Fatal(err)
	}
	if r, err := n.healer.Verify(t.Context(), launch); err != nil || r.Drift < 2 {
		t.Errorf("a cent too much goes unnoticed: %+v, %v", r, err)
	}
}

// hasBalance is what a subject has, which must be what is wanted.
func (n *node) hasBalance(subject string, want map[string]int) int {
	n.Helper()
	a, err := n.ledger.Account(n.Context(), launch, n.ring.Subject(launch, subject))
	if err != nil {
		n.Fatal(err)
	}
	has := 0
	for _, m := range a.Balance {
		if m.Currency != "usd" {
			n.Errorf("%s has %+v", subject, m)
		}
		has += m.Amount
	}
	if has != want[subject] {
		n.Errorf("%s has %d cents, want %d", subject, has, want[subject])
	}
	return has
}

// each runs jobs, some at once.
func (n *node) each(count int, do func(int) error) {
	n.Helper()
	var crowd sync.WaitGroup
	next := make(chan int)
	for range 16 {
		crowd.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					n.Error(err)
				}
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	crowd.Wait()
}
