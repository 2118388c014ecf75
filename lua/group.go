package lua

import "sync"

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
}

// add hands an item over; it is answered by run. It reports false when too
// many wait already, and then the item is still the caller's.
func (g *group[T]) add(item *T) bool {
	g.mu.Lock()
	if len(g.waiting) >= g.bound {
		g.mu.Unlock()
		return false
	}
	g.waiting = append(g.waiting, item)
	start := g.flying < g.flights
	if start {
		g.flying++
	}
	g.mu.Unlock()
	if start {
		go g.fly()
	}
	return true
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
		g.run(batch)
	}
}
