//go:build !race

package lua

import (
	"fmt"
	"net/netip"
	"testing"

	"admitone/bench/rig"
	"admitone/gateway"
)

// The budget of a redemption and of a validation in this package, go-redis
// included: none of their own; a script call makes some, which its items share.
// The race detector adds its own, so this file is left out with it.
func TestRedeemBudget(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	launchForTest(t, s, "l", gateway.MaxUses)
	l, err := s.launch(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	const size, rounds = 128, 20
	asked, batches := 0, make([][]*redeemCall, rounds+1)
	ask := func() *gateway.Redeem {
		asked++
		return &gateway.Redeem{
			Code: "H0T", Subject: fmt.Sprint("subject-", asked), Email: fmt.Sprintf("e%d@x.example", asked), Name: "Ann", Source: "web",
			Address: netip.MustParsePrefix("192.0.2.1/32"),
		}
	}
	for i := range batches {
		for range size {
			c := redeemCalls.New().(*redeemCall)
			s.pack(c, l, ask())
			batches[i] = append(batches[i], c)
		}
	}
	again, r := batches[0][0], ask()
	if got := testing.AllocsPerRun(100, func() { s.pack(again, l, r) }); got != 0 {
		t.Errorf("packing an item makes %v allocations", got)
	}
	next := 0
	perCall := testing.AllocsPerRun(rounds, func() {
		s.runRedeem(l, batches[next])
		for _, c := range batches[next] {
			<-c.done
		}
		next++
	})
	for _, c := range batches[rounds] {
		if c.err != nil || c.answer.Status != gateway.Committed {
			t.Fatal(c.err)
		}
	}
	if perCall > size/2 {
		t.Errorf("a call of %d redemptions makes %v allocations", size, perCall)
	}
	t.Logf("%v allocations a call of %d", perCall, size)
}
