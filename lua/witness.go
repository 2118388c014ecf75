package lua

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"admitone/gateway"
)

// witness keeps what this gateway answered and Postgres does not hold yet: the
// redemptions that it made and the settlements of them, joins and what changed
// them, releases. A Redis that lost them is told again before the launch is
// served. It is bounded by turning new redemptions away, never by forgetting.
type witness struct {
	mu      sync.Mutex
	batches [][]testimony // in the order of positions, about; none empty, each of one position
	size    atomic.Int64  // of all batches: so that requests ask without the lock
}

// testimony is one answer: a redemption, or with settle, join, change or order
// set one of these.
type testimony struct {
	position            uint64
	id                  gateway.ID
	item                string // of a redemption, as the script took it
	codeKey, subjectKey string
	entryKey            string
	settle              []any // arguments of redemption_settle behind epoch and seen
	join                bool  // a join: codeKey and subjectKey are the buckets of entry and referrer
	change              *gateway.ChangeEntry
	order               *order
}

// order is an operator's call that does the same the second time.
type order struct {
	script *script
	keys   []string
	args   []any // behind epoch and seen
}

// single reports whether it is told alone, not in a batch.
func (t *testimony) single() bool { return t.settle != nil || t.change != nil || t.order != nil }

// of is whom or what it speaks of: an entry or a redemption. What is said of one
// is told in the order in which it was answered.
func (t *testimony) of() string {
	switch {
	case t.change != nil:
		return t.change.Key
	case t.join:
		key, _, _ := strings.Cut(t.item, "\t")
		return key
	case t.order != nil:
		return ""
	}
	return t.id.Short()
}

// witnessMost is how many answers are kept: at 50,000 redemptions a second,
// what a Postgres that is away for 20 seconds does not hold.
const witnessMost = 1_000_000

// witnessReserve is what is kept for new redemptions: beyond it nobody joins,
// and nothing is answered again that was answered before, or who asks for the
// same a million times would keep everybody else out.
const witnessReserve = witnessMost / 2

// full reports whether so many are kept. What Postgres holds by now is let go
// first.
func (w *witness) full(most int64, persisted func(position uint64) bool) bool {
	if w.size.Load() < most {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.letGo(persisted)
	return w.size.Load() >= most
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

// Remembered is how many answers this gateway keeps of each of its launches,
// because Postgres does not hold them for all that is known.
func (s *Store) Remembered() map[string]int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := map[string]int64{}
	for name, l := range s.launches {
		l.witness.full(0, s.persistedIn(l)) // lets go what Postgres holds
		all[name] = l.witness.size.Load()
	}
	return all
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
	var later []testimony
	defer func() { l.witness.put(append(later, list...)) }() // what an error left over
	for patience := time.Now().Add(othersTell); ; {
		for len(list) > 0 {
			n, err := s.tellAgain(ctx, l, a.Epoch, list, later)
			if err == errUnknownYet && time.Now().Before(patience) {
				later = append(later, list[0])
			} else if err == errUnknownYet {
				s.metrics.unkept.Inc()
				s.log.Error("an answered change could not be kept: what it changed is lost", "launch", l.name)
			} else if err != nil {
				return err
			}
			list = list[n:]
		}
		if len(later) == 0 {
			return nil
		}
		list, later = later, nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// othersTell is how long a change waits for what it changes: another gateway may
// have answered that, and is telling it again at the same time.
const othersTell = 5 * time.Second

// errUnknownYet says that Redis does not know what is to be changed.
var errUnknownYet = errors.New("lua: what an answer changed is not known yet")

// tellAgain tells the first testimony of a list, or as many as go in one batch,
// and returns how many. What speaks of something that waits, in later, waits
// too.
func (s *Store) tellAgain(ctx context.Context, l *launch, epoch uint64, list, later []testimony) (n int, err error) {
	waits := func(t *testimony) bool {
		return len(later) > 0 && slices.ContainsFunc(later, func(other testimony) bool { return other.of() == t.of() })
	}
	first := &list[0]
	if waits(first) {
		return 1, errUnknownYet
	}
	switch {
	case first.order != nil:
		return 1, s.reorder(ctx, l, epoch, *first)
	case first.change != nil:
		return 1, s.rechange(ctx, l, epoch, *first)
	case first.settle != nil:
		return 1, s.resettle(ctx, l, epoch, *first)
	}
	for n < len(list) && n < s.options.Batch && !list[n].single() && list[n].join == first.join && !waits(&list[n]) {
		n++
	}
	if first.join {
		return n, s.rejoin(ctx, l, epoch, list[:n])
	}
	return n, s.reredeem(ctx, l, epoch, list[:n])
}

// reorder repeats an operator's call.
func (s *Store) reorder(ctx context.Context, l *launch, epoch uint64, t testimony) error {
	r, err := s.send(ctx, t.order.script, s.introduce(l), t.order.keys, append([]any{epoch, 0}, t.order.args...))
	if err != nil {
		return err
	}
	switch {
	case r.word(0) == "breach":
		return notAdmitted()
	case r.word(0) == "refused" && gateway.Reason(r.word(1)) == gateway.ReleaseExists:
		return nil // it was not lost
	case r.word(0) == "refused":
		s.metrics.unkept.Inc()
		s.log.Error("an operator's answered call could not be kept", "launch", l.name, "script", t.order.script.name, "reason", r.word(1))
		return nil
	}
	t.position = r.number(1)
	l.witness.keep(none, t)
	l.saw(t.position)
	return nil
}

// order calls a script whose answer is kept until Postgres holds it.
func (s *Store) order(ctx context.Context, l *launch, sc *script, keys []string, args ...any) (reply, error) {
	l.flights.RLock()
	defer l.flights.RUnlock()
	r, err := s.call(ctx, l, sc, keys, args...)
	if err == nil {
		l.witness.keep(s.persistedIn(l), testimony{position: r.number(1), order: &order{sc, keys, args}})
	}
	return r, err
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
	r, err := s.send(ctx, redemptionSettle, s.introduce(l), settleKeys(l, t.codeKey, t.subjectKey, t.entryKey), append([]any{epoch, 0}, t.settle...))
	if err != nil {
		return err
	}
	switch r.word(0) {
	case "breach":
		return notAdmitted()
	case "refused":
		if gateway.Reason(r.word(1)) == gateway.RedemptionUnknown {
			return errUnknownYet
		}
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
