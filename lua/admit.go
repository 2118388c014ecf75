package lua

import (
	"context"
	"errors"
	"time"

	"admitone/gateway"
)

// admission is one attempt to let a launch's history in.
type admission struct {
	done chan struct{} // closed when it has ended
	err  error
}

// admit waits for the launch's history to be let in, for a moment: healing a
// large launch takes longer than anybody waits, and goes on without them.
func (s *Store) admit(ctx context.Context, l *launch) error {
	l.mu.Lock()
	if l.epoch.Load() != 0 {
		l.mu.Unlock()
		return nil
	}
	a := l.admission
	if a == nil {
		if time.Since(l.tried) < retryAdmit {
			l.mu.Unlock()
			return notAdmitted()
		}
		a = &admission{done: make(chan struct{})}
		l.admission = a
		go s.admitNow(context.WithoutCancel(ctx), l, a)
	}
	l.mu.Unlock()
	moment := time.NewTimer(waitAdmit)
	defer moment.Stop()
	select {
	case <-a.done:
		return a.err
	case <-moment.C:
		return notAdmitted()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// admitNow makes one attempt.
func (s *Store) admitNow(ctx context.Context, l *launch, a *admission) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	a.err = s.letIn(ctx, l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.err != nil && !errors.Is(a.err, gateway.Refuse(gateway.LaunchUnknown)) {
		l.tried = time.Now()
	}
	l.admission = nil
	close(a.done)
}

// letIn asks which history may be served, tells Redis what it may have lost of
// it, and reads the launch's snapshot.
func (s *Store) letIn(ctx context.Context, l *launch) error {
	var a Admission
	var err error
	if s.admitter == nil {
		a.Identity, err = s.Identity(ctx, l.name)
		if err != nil {
			return err
		}
	} else if a, err = s.admitter.Admit(ctx, l.name, l.last); err != nil {
		return err
	}
	snapshot, at, err := s.read(ctx, l)
	if s.admitter != nil && errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) {
		return notAdmitted() // it was there a moment ago: its state here must not be forgotten
	}
	if err != nil {
		return err
	}
	if s.admitter != nil && (snapshot.Epoch != a.Epoch || at.Seq < a.Position) {
		return notAdmitted()
	}
	l.identity.Store(&a.Identity)
	l.seen.Store(max(a.Position, at.Seq))
	a.Epoch = snapshot.Epoch
	if err := s.reassert(ctx, l, a); err != nil {
		return err
	}
	if a.Vouch != nil {
		if err := a.Vouch(ctx); err != nil {
			return err
		}
	}
	if snapshot.Wider(l.snapshot.Load()) {
		l.widened.Store(s.mono())
	}
	l.vouched.Store(0)
	l.snapshot.Store(snapshot)
	l.checked.Store(time.Now().UnixNano())
	l.last = Served{snapshot.Epoch, a.Identity}
	l.epoch.Store(snapshot.Epoch)
	return nil
}

// breached closes the launch: a script found another history than the one
// admitted. The next call admits it anew.
func (s *Store) breached(l *launch, epoch uint64, what string) error {
	if l.epoch.CompareAndSwap(epoch, 0) {
		s.log.Warn("launch closed: Redis does not hold the admitted history", "launch", l.name, "breach", what, "epoch", epoch, "seen", l.seen.Load())
		s.metrics.breaches.WithLabelValues(what).Inc()
	}
	return notAdmitted()
}

// Serving is what this gateway serves of a launch now; the zero value if it
// does not.
func (s *Store) Serving(name string) Served {
	s.mu.RLock()
	l := s.launches[name]
	s.mu.RUnlock()
	if l == nil {
		return Served{}
	}
	epoch, identity := l.epoch.Load(), l.identity.Load()
	if epoch == 0 || identity == nil {
		return Served{}
	}
	return Served{epoch, *identity}
}

// Supersede closes a launch whose history was given up for a later epoch: a
// gateway that still reaches the old server would go on in vain. It reports
// whether the launch is closed here, or was never asked for: then too the other
// gateways wait for this one to vouch.
func (s *Store) Supersede(name string, epoch uint64) bool {
	s.mu.RLock()
	l := s.launches[name]
	s.mu.RUnlock()
	if l == nil {
		return true
	}
	if served := l.epoch.Load(); served != 0 && served < epoch {
		_ = s.breached(l, served, "superseded") // the next call finds it closed
	}
	return l.epoch.Load() == 0
}
