// Package syncer copies every launch's journal from Redis into the ledger: in
// order, in batches, one writer at a time.
//
// The writer is whoever holds an advisory lock in Postgres, on a connection of
// its own. A writer that lost it without noticing does no harm: the ledger's
// position and epoch refuse its batches.
package syncer

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"admitone/gateway"
	"admitone/sync/journal"
	"admitone/sync/ledger"
)

// Source is Redis' side of the journal.
type Source interface {
	Launches(ctx context.Context) ([]string, error)
	ReadJournal(ctx context.Context, launch string, after uint64, most int, wait time.Duration) ([]journal.Entry, error)
	Trim(ctx context.Context, launch string, epoch, position, bytes uint64) error
}

// Ledger is Postgres' side.
type Ledger interface {
	Position(ctx context.Context, launch string) (gateway.StoredLaunch, bool, error)
	Apply(ctx context.Context, b ledger.Batch) (ledger.Result, error)
	Park(ctx context.Context, b ledger.Batch, cause error) error
	Tidy(ctx context.Context, now time.Time) error
}

// Options are what a Syncer needs. Zero numbers take the defaults named.
type Options struct {
	Source    Source
	Ledger    Ledger
	Persisted *gateway.Persisted
	Logger    *slog.Logger
	Registry  prometheus.Registerer // nil: none

	Records int           // a batch; 512
	Events  int           // a batch, about; 5,000
	Wait    time.Duration // for the next record; 1 s
	Pause   time.Duration // after an error, with jitter; 500 ms
	Lease   time.Duration // a leader that hangs for longer loses its lock to another; 10 s
}

// Syncer copies journals while it leads.
type Syncer struct {
	Options
	metrics *metrics
}

// New makes a syncer.
func New(o Options) *Syncer {
	if o.Records == 0 {
		o.Records = 512
	}
	if o.Events == 0 {
		o.Events = 5000
	}
	if o.Wait == 0 {
		o.Wait = time.Second
	}
	if o.Pause == 0 {
		o.Pause = 500 * time.Millisecond
	}
	if o.Lease == 0 {
		o.Lease = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Persisted == nil {
		o.Persisted = new(gateway.Persisted)
	}
	return &Syncer{Options: o, metrics: newMetrics(o.Registry)}
}

// tidyEvery is how often the ledger forgets what is old.
const tidyEvery = time.Hour

// Lead copies all journals until the context is over. Run does it while this
// process holds the lock.
func (s *Syncer) Lead(ctx context.Context) { _ = s.lead(ctx, false) } // nothing else ends it

// lead copies all journals until the context is over. With aside set it returns
// journal.ErrVersion, before that, when it meets a record that only a newer
// release can read: such a one should lead.
func (s *Syncer) lead(ctx context.Context, aside bool) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s.metrics.leader.Set(1)
	defer s.metrics.leader.Set(0)
	var launches sync.WaitGroup
	defer launches.Wait()
	known := map[string]bool{}
	began := time.Now()
	tidied := began
	for ctx.Err() == nil {
		names, err := s.Source.Launches(ctx)
		if err != nil {
			s.Logger.Warn("the syncer cannot list the launches", "error", err)
		}
		for _, name := range names {
			if !known[name] {
				known[name] = true
				launches.Go(func() {
					s.follow(ctx, name, func(err error) {
						if aside || time.Since(began) > insist {
							end(err)
						}
					})
				})
			}
		}
		if time.Since(tidied) > tidyEvery {
			tidied = time.Now()
			if err := s.Ledger.Tidy(ctx, tidied); err != nil {
				s.Logger.Warn("the ledger could not be tidied", "error", err)
			}
		}
		pause(ctx, discover)
	}
	if cause := context.Cause(ctx); errors.Is(cause, journal.ErrVersion) {
		return cause
	}
	return nil
}

// discover is about how often the syncer looks for new launches.
const discover = 200 * time.Millisecond

// pause waits about as long, so that many do not wake up together.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// follow copies one launch's journal until the context is over. Whatever goes
// wrong, it begins again from the position that Postgres tells; what is too new
// for it is told to tooNew.
func (s *Syncer) follow(ctx context.Context, launch string, tooNew func(error)) {
	log := s.Logger.With("launch", launch)
	for ctx.Err() == nil {
		err := s.copy(ctx, launch)
		if err == nil || ctx.Err() != nil {
			continue
		}
		reason := stallReason(err)
		s.metrics.errors.WithLabelValues(launch, reason).Inc()
		s.metrics.stalled.WithLabelValues(launch).Set(1)
		log.Warn("the journal is not being copied; trying again", "reason", reason, "error", err)
		if errors.Is(err, journal.ErrVersion) {
			tooNew(err)
		}
		pause(ctx, s.Pause)
	}
	s.metrics.forget(launch)
}

// trimIdle is how many times an idle journal is trimmed, once a Wait.
const trimIdle = 10

var errGap = errors.New("syncer: the journal does not continue where Postgres stands")

func stallReason(err error) string {
	switch {
	case errors.Is(err, journal.ErrVersion):
		return "version"
	case errors.Is(err, errGap):
		return "gap"
	case errors.Is(err, ledger.ErrFenced):
		return "fenced"
	case errors.Is(err, gateway.Refuse(gateway.NotAdmitted)):
		return "not_admitted"
	}
	return "unavailable"
}

// copy begins at Postgres' position and goes on until something is wrong.
func (s *Syncer) copy(ctx context.Context, launch string) error {
	at, known, err := s.Ledger.Position(ctx, launch)
	if err != nil {
		return err
	}
	if known {
		s.Persisted.Advance(launch, at.Epoch, at.Seq)
		// The commit may have been ours, and its trim lost.
		// And a Redis of another epoch is not read: it has to be healed first.
		if err := s.Source.Trim(ctx, launch, at.Epoch, at.Seq, at.Bytes); err != nil {
			return err
		}
	}
	idle := 0
	for ctx.Err() == nil {
		entries, err := s.Source.ReadJournal(ctx, launch, at.Seq, s.Records, s.Wait)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			// The source keeps for a moment what Postgres holds: it goes now,
			// or a Redis that is full would wait for records that it refuses.
			if idle++; idle <= trimIdle && at.Seq > 0 {
				if err := s.Source.Trim(ctx, launch, at.Epoch, at.Seq, at.Bytes); err != nil {
					return err
				}
			}
			s.metrics.lag(launch, 0, 0)
			s.metrics.stalled.WithLabelValues(launch).Set(0)
			if again, _, err := s.Ledger.Position(ctx, launch); err != nil || again.Epoch != at.Epoch || again.Seq != at.Seq {
				return err // a heal moved on without us, or Postgres is away
			}
			continue
		}
		idle = 0
		if err := s.apply(ctx, launch, &at, entries); err != nil {
			return err
		}
		s.metrics.stalled.WithLabelValues(launch).Set(0)
	}
	return nil
}

// apply commits entries in batches and lets Redis forget them.
func (s *Syncer) apply(ctx context.Context, launch string, at *gateway.StoredLaunch, entries []journal.Entry) error {
	for len(entries) > 0 {
		batch, n, parseErr := s.batch(launch, at, entries)
		if len(batch.Records) == 0 {
			return s.park(ctx, launch, at, entries[0], batch, parseErr)
		}
		at.Epoch = batch.Epoch
		// A commit in hand is finished even when it is time to stop.
		whole := context.WithoutCancel(ctx)
		began := time.Now()
		result, err := s.Ledger.Apply(whole, batch)
		if err != nil {
			if poison(err) && len(batch.Records) > 1 {
				n, batch.Records = 1, batch.Records[:1]
				result, err = s.Ledger.Apply(whole, batch)
			}
			if err != nil && poison(err) {
				return s.park(ctx, launch, at, entries[0], batch, err)
			}
			if err != nil {
				return err
			}
		}
		last := batch.Records[len(batch.Records)-1]
		s.metrics.applied(launch, batch.Records, result, time.Since(began))
		s.metrics.lag(launch, len(entries)-n, time.Since(last.At))
		if err := s.moved(whole, launch, at, last); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// moved notes that Postgres holds the journal up to a record, and trims it.
func (s *Syncer) moved(ctx context.Context, launch string, at *gateway.StoredLaunch, last gateway.Record) error {
	at.Seq, at.Bytes = last.Seq, last.Bytes
	s.Persisted.Advance(launch, at.Epoch, last.Seq)
	return s.Source.Trim(ctx, launch, at.Epoch, last.Seq, last.Bytes)
}

// batch is as many entries as one transaction takes, up to the first that
// cannot be parsed or belongs to another epoch.
func (s *Syncer) batch(launch string, at *gateway.StoredLaunch, entries []journal.Entry) (ledger.Batch, int, error) {
	b := ledger.Batch{Launch: launch, Epoch: at.Epoch, After: at.Seq}
	events := 0
	for _, e := range entries {
		if e.Seq != at.Seq+uint64(len(b.Records))+1 {
			return b, len(b.Records), errGap
		}
		r, err := journal.Parse(launch, e.Raw)
		if err == nil && r.Seq != e.Seq {
			err = journal.ErrMalformed
		}
		if err != nil {
			return b, len(b.Records), err
		}
		if at.Seq == 0 && len(b.Records) == 0 {
			b.Epoch = r.Epoch // a launch's first record says in which history it begins
		}
		if events > 0 && events+len(r.Events) > s.Events {
			break
		}
		events += len(r.Events)
		b.Records = append(b.Records, r)
	}
	return b, len(b.Records), nil
}

// poison reports whether an error is about the record rather than about
// Postgres: a malformed value, of SQLSTATE class 22.
func poison(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && len(state.SQLState()) == 5 && state.SQLState()[:2] == "22"
}

// park puts a record aside that cannot be read or applied, so that the journal
// goes on. A record of a newer version is not poison, nor is one that is
// missing: they are waited for, and alarm.
func (s *Syncer) park(ctx context.Context, launch string, at *gateway.StoredLaunch, e journal.Entry, b ledger.Batch, cause error) error {
	if errors.Is(cause, journal.ErrVersion) || errors.Is(cause, errGap) {
		return cause
	}
	r := gateway.Record{Launch: launch, Seq: e.Seq, Epoch: at.Epoch, At: time.Now(), Bytes: at.Bytes, Raw: e.Raw}
	b.After, b.Records = at.Seq, []gateway.Record{r}
	whole := context.WithoutCancel(ctx)
	if err := s.Ledger.Park(whole, b, cause); err != nil {
		return err
	}
	s.Logger.Error("a journal record is parked", "launch", launch, "position", e.Seq, "error", cause)
	s.metrics.parked.WithLabelValues(launch).Inc()
	return s.moved(whole, launch, at, r)
}
