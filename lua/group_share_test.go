package lua

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"admitone/bench/rig"
	"admitone/gateway"
)

// TestGroup: items leave in the order in which they came, each in one batch, no
// batch larger than it may be, no more batches at once, and no more items
// waiting than there is room for.
func TestGroup(t *testing.T) {
	const most, flights, bound = 4, 2, 10
	began, end := make(chan []int, 100), make(chan struct{})
	var flying, highest atomic.Int64
	g := group[int]{most: most, flights: flights, bound: bound, run: func(batch []*int) {
		n := flying.Add(1)
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		var list []int
		for _, item := range batch {
			list = append(list, *item)
		}
		began <- list
		<-end
		flying.Add(-1)
	}}
	// Two leave at once, alone; then as many wait as may.
	accepted := 0
	for i := range flights {
		item := i
		if !g.add(&item) {
			t.Fatal("a lone item is turned away")
		}
		if batch := <-began; len(batch) != 1 || batch[0] != i {
			t.Fatalf("the first batches hold %v", batch)
		}
		accepted++
	}
	for i := flights; i < flights+2*bound; i++ {
		item := i
		if g.add(&item) {
			accepted++
		}
	}
	if accepted != flights+bound {
		t.Fatalf("%d items accepted, there is room for %d", accepted, flights+bound)
	}
	close(end)
	met := map[int]bool{}
	for len(met) < bound {
		batch := <-began
		if len(batch) > most {
			t.Fatalf("a batch of %d", len(batch))
		}
		for i, item := range batch {
			if met[item] || i > 0 && item != batch[i-1]+1 {
				t.Fatalf("a batch holds %v", batch)
			}
			met[item] = true
		}
	}
	if highest.Load() > flights {
		t.Fatalf("%d batches at once", highest.Load())
	}
}

// TestFairness: of 50 launches that open at once and are all wanted the same,
// none gets less than half its share. Redemptions are counted, not timed: when
// so many have been made in all, each launch has its part of them.
func TestFairness(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	const launches, callers, total = 50, 8, 20_000
	for i := range launches {
		launchForTest(t, s, fmt.Sprint("l", i), gateway.MaxUses)
	}
	var made [launches]atomic.Int64
	var all atomic.Int64
	var work sync.WaitGroup
	for i := range launches {
		for c := range callers {
			work.Go(func() {
				for n := 0; all.Add(1) <= total; n++ {
					r := gateway.Redeem{Code: "H0T", Subject: fmt.Sprintf("%d-%d", c, n)}
					if _, err := s.Redeem(context.Background(), fmt.Sprint("l", i), &r); err != nil {
						t.Error(err)
						return
					}
					made[i].Add(1)
				}
			})
		}
	}
	work.Wait()
	for i := range made {
		if n := made[i].Load(); n < total/launches/2 {
			t.Errorf("launch %d got %d of %d, its share is %d", i, n, total, total/launches)
		}
	}
}
