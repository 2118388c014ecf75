package lua

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"admitone/gateway"
)

// witness keeps what this gateway answered and Postgres does not hold yet: the
// redemptions that it made and the settlements of them, joins and what changed
// them. A Redis that lost them
// is told again before the launch is served. It is bounded by turning new
// redemptions away, never by forgetting.
type witness struct {
	mu      sync.Mutex
	batches [][]testimony // in the order of positions, about; none empty, each of one position
	size    atomic.Int64  // of all batches: so that requests ask without the lock
}

// testimony is one answer: a redemption, or with settle, join or change set one
// of these.
type testimony struct {
	position            uint64
	id                  gateway.ID
	item                string // of a redemption, as the script took it
	codeKey, subjectKey string
	entryKey            string
	settle              []any // arguments of redemption_settle behind epoch and seen
	join                bool  // a join: codeKey and subjectKey are the buckets of entry and referrer
	change              *gateway.ChangeEntry
}

// witnessMost is how many answers are kept: at 50,000 redemptions a second,
// what a Postgres that is away for 20 seconds does not hold.
const witnessMost = 1_000_000

// full reports whether no more can be kept. What Postgres holds by now is let
// go first.
func (w *witness) full(persisted func(position uint64) bool) bool {
	if w.size.Load() < witnessMost {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letGo(persisted)
	return w.size.Load() >= witnessMost
}

// keep adds the testimonies of one position, and lets go what Postgres holds
// once that is most of the batches. The list is the witness's from now on.
func (w *witness) keep(persisted func(position uint64) bool, list ...testimony) {
	if len(list) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.batches) > 0 && persisted(w.batches[len(w.batches)/2][0].position) {
		w.letGo(persisted)
	}
	w.batches = append(w.batches, list)
	w.size.Add(int64(len(list)))
}

func (w *witness) letGo(persisted func(position uint64) bool) {
	w.batches = slices.DeleteFunc(w.batches, func(batch []testimony) bool {
		gone := persisted(batch[0].position)
		if gone {
			w.size.Add(-int64(len(batch)))
		}
		return gone
	})
}

// behind takes out the testimonies behind a position, and lets the others go.
func (w *witness) behind(position uint64) []testimony {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letGo(func(at uint64) bool { return at <= position })
	list := slices.Concat(w.batches...)
	w.batches = nil
	w.size.Store(0)
	return list
}

// put gives back what was not asserted yet.
func (w *witness) put(list []testimony) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.size.Add(int64(len(list)))
	var batches [][]testimony
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].position == list[0].position {
			n++
		}
		batches = append(batches, list[:n:n])
		list = list[n:]
	}
	w.batches = append(batches, w.batches...)
}

// persistedIn tells which positions of the history served Postgres holds.
func (s *Store) persistedIn(l *launch) func(uint64) bool {
	epoch := l.epoch.Load()
	return func(position uint64) bool { return s.persisted.Reached(l.name, epoch, position) }
}

// reassert tells a Redis again what this gateway answered and Postgres did not
// hold when the epoch began: what Redis knows it answers again, what it lost it
// takes. A use that others have taken meanwhile is not given twice: it is
// logged and counted, and the client's redemption is lost.
func (s *Store) reassert(ctx context.Context, l *launch, a Admission) (err error) {
	l.flights.Lock() // what is on its way lands first
	list := l.witness.behind(a.Base)
	l.flights.Unlock()
	if len(list) == 0 {
		return nil
	}
	s.log.Info("telling Redis again what it may have lost", "launch", l.name, "answers", len(list))
	defer func() { l.witness.put(list) }() // what an error left over
	for len(list) > 0 {
		n := 0
		for n < len(list) && n < s.options.Batch && list[n].settle == nil && list[n].change == nil && list[n].join == list[0].join {
			n++
		}
		switch {
		case list[0].change != nil:
			n = 1
			err = s.rechange(ctx, l, a.Epoch, list[0])
		case n == 0:
			n = 1
			err = s.resettle(ctx, l, a.Epoch, list[0])
		case list[0].join:
			err = s.rejoin(ctx, l, a.Epoch, list[:n])
		default:
			err = s.reredeem(ctx, l, a.Epoch, list[:n])
		}
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (s *Store) reredeem(ctx context.Context, l *launch, epoch uint64, list []testimony) error {
	keys := redeemKeys(l, len(list))
	args := []any{epoch, 0, s.options.JournalBytes, "assert"}
	for _, t := range list {
		keys, args = append(keys, t.codeKey, t.subjectKey, t.entryKey), append(args, t.item)
	}
	r, err := s.send(ctx, redeemScript, s.introduce(l), keys, args)
	if err != nil {
		return err
	}
	answers := r.items()
	if r.word(0) == "breach" || len(answers) != len(list) {
		return notAdmitted()
	}
	position := r.number(1)
	for i, t := range list {
		if _, _, err := s.readRedemption(l, t.id, answers[i]); err != nil {
			s.metrics.unkept.Inc()
			s.log.Error("an answered redemption could not be kept", "launch", l.name, "redemption", t.id, "error", err)
			continue
		}
		t.position = position
		l.witness.keep(none, t)
	}
	l.saw(position)
	return nil
}

func (s *Store) resettle(ctx context.Context, l *launch, epoch uint64, t testimony) error {
	keys := []string{l.meta, l.journal, l.campaigns, l.holds, l.members, l.queue, l.offers, t.codeKey, t.subjectKey, t.entryKey}
	r, err := s.send(ctx, redemptionSettle, s.introduce(l), keys, append([]any{epoch, 0}, t.settle...))
	if err != nil {
		return err
	}
	switch r.word(0) {
	case "breach":
		return notAdmitted()
	case "refused":
		s.metrics.unkept.Inc()
		s.log.Error("an answered settlement could not be kept", "launch", l.name, "redemption", t.id, "reason", r.word(1))
	default:
		t.position = r.number(1)
		l.witness.keep(none, t)
		l.saw(t.position)
	}
	return nil
}

// none of the positions of a history that is not served yet are persisted.
func none(uint64) bool { return false }
