package gateway

import (
	"context"
	"sync"
)

// Persisted knows how far each launch's journal has come in Postgres, and lets
// a caller wait for a position. The syncer, or word from it, moves it forward.
type Persisted struct {
	mu       sync.Mutex
	launches map[string]*persistedLaunch
}

type persistedLaunch struct {
	position uint64
	moved    chan struct{} // closed and replaced when position grows
}

// Advance records that Postgres holds the launch's journal up to position.
// A lower position than known changes nothing.
func (p *Persisted) Advance(launch string, position uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.launch(launch)
	if position <= l.position {
		return
	}
	l.position = position
	close(l.moved)
	l.moved = make(chan struct{})
}

// Position is the highest position known to be in Postgres.
func (p *Persisted) Position(launch string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.launch(launch).position
}

// Wait returns nil once Postgres holds the position, or the context's error.
func (p *Persisted) Wait(ctx context.Context, launch string, position uint64) error {
	for {
		p.mu.Lock()
		l := p.launch(launch)
		reached, moved := l.position >= position, l.moved
		p.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Persisted) launch(name string) *persistedLaunch {
	if p.launches == nil {
		p.launches = make(map[string]*persistedLaunch)
	}
	l := p.launches[name]
	if l == nil {
		l = &persistedLaunch{moved: make(chan struct{})}
		p.launches[name] = l
	}
	return l
}
