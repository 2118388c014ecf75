package gateway

import (
	"context"
	"errors"
	"sync"
)

// ErrSuperseded says that the history in which a position stood was given up:
// whether Postgres holds what stood there cannot be told from the position.
var ErrSuperseded = errors.New("gateway: the history of this position was given up for a later epoch")

// Persisted knows how far each launch's journal has come in Postgres, and lets
// a caller wait for a position. The syncer, or word from it, moves it forward.
// Positions are compared within one epoch only: a later history uses the same
// numbers for other records.
type Persisted struct {
	mu       sync.Mutex
	launches map[string]*persistedLaunch
}

type persistedLaunch struct {
	epoch, position uint64
	moved           chan struct{} // closed and replaced when either grows
}

// Advance records that Postgres holds the launch's journal up to a position of
// an epoch. What is older than known changes nothing.
func (p *Persisted) Advance(launch string, epoch, position uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.launch(launch)
	if epoch < l.epoch || epoch == l.epoch && position <= l.position {
		return
	}
	l.epoch, l.position = epoch, position
	close(l.moved)
	l.moved = make(chan struct{})
}

// Reached reports whether Postgres is known to hold a position of an epoch.
func (p *Persisted) Reached(launch string, epoch, position uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.launch(launch)
	return l.epoch == epoch && l.position >= position
}

// Wait returns nil once Postgres holds a position of an epoch, ErrSuperseded
// once a later epoch has begun, or the context's error.
func (p *Persisted) Wait(ctx context.Context, launch string, epoch, position uint64) error {
	for {
		p.mu.Lock()
		l := p.launch(launch)
		reached, superseded, moved := l.epoch == epoch && l.position >= position, l.epoch > epoch, l.moved
		p.mu.Unlock()
		switch {
		case reached:
			return nil
		case superseded:
			return ErrSuperseded
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
