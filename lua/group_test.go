package lua

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestGroupPatience: where batches take long, so many are let in as leave
// within a second, and the rest is turned away at once.
func TestGroupPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const took, most, flights = 200 * time.Millisecond, 10, 2
		type item struct{ at time.Time }
		var (
			mu       sync.Mutex
			answered []time.Duration
		)
		g := &group[item]{most: most, flights: flights, bound: 1_000_000, run: func(list []*item) {
			time.Sleep(took)
			mu.Lock()
			defer mu.Unlock()
			for _, one := range list {
				answered = append(answered, time.Since(one.at))
			}
		}}
		refused := 0
		for range 5000 { // 500 a second; 100 leave
			if !g.add(&item{time.Now()}) {
				refused++
			}
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(answered)+refused != 5000 {
			t.Fatalf("%d answered, %d refused", len(answered), refused)
		}
		// 10 s and what waited then, at 100 a second.
		if len(answered) < 1000 || len(answered) > 1300 {
			t.Errorf("%d answered", len(answered))
		}
		for _, wait := range answered {
			if wait > 2*time.Second {
				t.Fatalf("one waited %v", wait)
			}
		}
	})
}

// TestGroupHangs: while no batch comes back, a queue that has begun to form
// turns away who comes later.
func TestGroupHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		g := &group[int]{most: 2, flights: 1, bound: 1_000_000, run: func([]*int) { <-release }}
		for range 5 {
			if !g.add(new(int)) {
				t.Fatal("turned away at once")
			}
		}
		time.Sleep(2 * time.Second)
		if g.add(new(int)) {
			t.Error("let in behind a batch that hangs")
		}
		close(release)
		synctest.Wait()
		if !g.add(new(int)) {
			t.Error("still turned away")
		}
		synctest.Wait()
	})
}
