package lua

import (
	"sync"
	"time"
)

// group is group commit: items that arrive while batches are in flight leave
// together in the next one. There is no timer, a lone item leaves at once.
type group[T any] struct {
	run     func([]*T) // decides a batch and answers every item in it
	most    int        // items a batch
	flights int        // batches at once
	bound   int        // items waiting; more are turned away

	mu      sync.Mutex
	waiting []*T
	flying  int
	took    time.Duration // a batch, a moving average
	moved   time.Time     // when a batch last left from rest or came back
}

// patience is how long an item may be expected to wait in a group. Beyond it
// the caller is better told at once to come back later.
const patience = time.Second

// add hands an item over; it is answered by run. It reports false when too
// many wait already, or too long, and then the item is still the caller's.
func (g *group[T]) add(item *T) bool {
	g.mu.Lock()
	if len(g.waiting) >= g.bound || len(g.waiting) >= g.most && g.delay(time.Now()) > patience {
		g.mu.Unlock()
		return false
	}
	g.waiting = append(g.waiting, item)
	start := g.flying < g.flights
	if start {
		if g.flying == 0 {
			g.moved = time.Now()
		}
		g.flying++
	}
	g.mu.Unlock()
	if start {
		go g.fly()
	}
	return true
}

// delay is how long who comes now would wait for a batch to leave: as many
// batches as wait before, each as long as they take of late, or as the one that
// has not come back.
func (g *group[T]) delay(now time.Time) time.Duration {
	return max(g.took, now.Sub(g.moved)) * time.Duration(len(g.waiting)/g.most) / time.Duration(g.flights)
}

// fly runs one batch after another until nothing waits.
func (g *group[T]) fly() {
	batch := make([]*T, 0, g.most)
	for {
		g.mu.Lock()
		n := min(len(g.waiting), g.most)
		if n == 0 {
			g.flying--
			g.mu.Unlock()
			return
		}
		batch = append(batch[:0], g.waiting[:n]...)
		rest := copy(g.waiting, g.waiting[n:])
		clear(g.waiting[rest:])
		g.waiting = g.waiting[:rest]
		g.mu.Unlock()
		began := time.Now()
		g.run(batch)
		g.landed(began, time.Now())
	}
}

func (g *group[T]) landed(began, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.took == 0 {
		g.took = now.Sub(began)
	}
	g.took += (now.Sub(began) - g.took) / 8
	g.moved = now
}
