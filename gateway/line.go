package gateway

import (
	"encoding/base64"
	"sync"
	"time"
)

// Line is a gateway's own copy of a launch's waitlist, kept current by the
// journal: it answers where somebody stands without asking Redis. It is safe
// for concurrent use.
type Line struct {
	mu      sync.RWMutex
	index   map[EntryKey]int32
	entries []lineEntry
	order   order
	pace    pace
	asOf    time.Time
	changed chan struct{} // closed at the next change
	ready   bool
}

// EntryKey is an entry's key in 12 bytes.
type EntryKey [12]byte

// ParseEntryKey reads the 16 characters of base64url that keyring.Subject
// writes.
func ParseEntryKey(s string) (k EntryKey, ok bool) {
	if len(s) != 16 {
		return k, false
	}
	_, err := base64.RawURLEncoding.Strict().Decode(k[:], []byte(s))
	return k, err == nil
}

// String is the form that Redis, the journal and Postgres hold.
func (k EntryKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// lineEntry is what the copy keeps of an entry.
type lineEntry struct {
	score       uint64 // of an entry that waits
	ends        int64  // of an offer, Unix milliseconds
	status      EntryStatus
	offer       Code
	boosts      []Boost
	priority    int32
	referrals   int32
	best        int32 // the best place that was shown; 0 if none was
	unconfirmed bool
}

// Place is where somebody stands.
type Place struct {
	Status      EntryStatus
	Position    int // 1 is the front; 0 when the entry does not wait
	Total       int // entries that wait
	Boosts      []Boost
	Referrals   int
	Unconfirmed bool
	Offer       Code      // of an entry that is invited
	OfferEnds   time.Time //
	ETA         time.Time // by the pace of the last days; zero if there is none
	AsOf        time.Time // by the launch's clock
}

// Score is the line's order in one number below 2^53: the smaller the nearer to
// the front. A higher priority comes first, then the earlier arrival.
func Score(priority int, arrival uint64) uint64 {
	return uint64(1<<20-priority)<<32 + arrival
}

// NewLine makes an empty copy, which is not ready yet.
func NewLine() *Line {
	return &Line{index: map[EntryKey]int32{}, changed: make(chan struct{})}
}

// Place finds an entry. ok is false if the copy does not know it, or is not
// ready.
func (l *Line) Place(key EntryKey) (p Place, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	i, ok := l.index[key]
	if !ok || !l.ready {
		return Place{}, false
	}
	return l.place(&l.entries[i]), true
}

func (l *Line) place(e *lineEntry) Place {
	p := Place{
		Status: e.status, Total: l.order.total, Boosts: e.boosts, Referrals: int(e.referrals), Unconfirmed: e.unconfirmed, AsOf: l.asOf,
	}
	switch e.status {
	case EntryWaiting:
		p.Position = l.order.rank(e.score) + 1
		p.ETA = l.pace.eta(p.Position, l.asOf)
	case EntryInvited:
		p.Offer, p.OfferEnds = e.offer, time.UnixMilli(e.ends).UTC()
	}
	return p
}

// BestPlace is the best position that an entry was shown here or that the
// caller remembers (0: none), the present one included; it is kept.
func (l *Line) BestPlace(key EntryKey, position, remembered int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, ok := l.index[key]
	if !ok || position == 0 {
		return position
	}
	e := &l.entries[i]
	for _, seen := range []int{remembered, int(e.best)} {
		if seen > 0 && seen < position {
			position = seen
		}
	}
	e.best = int32(position)
	return position
}

// Changed is closed when something in the line has changed.
func (l *Line) Changed() <-chan struct{} {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.changed
}

// Total is how many wait.
func (l *Line) Total() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.order.total
}

// AsOf is the time by the launch's clock at which the copy was known to be
// right.
func (l *Line) AsOf() time.Time {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.asOf
}

// Retire tells those who wait for a change to look for the copy that took this
// one's place.
func (l *Line) Retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Load takes entries as Redis holds them.
func (l *Line) Load(entries []Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range entries {
		l.load(&entries[i])
	}
}

func (l *Line) load(e *Entry) {
	key, ok := ParseEntryKey(e.Key)
	if !ok {
		return
	}
	to := l.entry(key)
	l.leave(to)
	to.status, to.boosts, to.priority, to.referrals, to.unconfirmed = e.Status, e.Boosts, int32(e.Priority), int32(e.Referrals), e.Unconfirmed
	to.best, to.offer, to.ends = 0, e.Offer, e.OfferEnds.UnixMilli()
	if e.Status == EntryWaiting {
		to.score = Score(e.Priority, e.Arrival)
		l.order.add(to.score)
	}
}

func (l *Line) entry(key EntryKey) *lineEntry {
	i, ok := l.index[key]
	if !ok {
		i = int32(len(l.entries))
		l.index[key] = i
		l.entries = append(l.entries, lineEntry{})
	}
	return &l.entries[i]
}

// leave takes an entry out of the order, if it waits.
func (l *Line) leave(e *lineEntry) {
	if e.status == EntryWaiting {
		l.order.remove(e.score)
	}
}

// LoadReleases takes the releases that were made before.
func (l *Line) LoadReleases(list []Cohort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range list {
		l.pace.add(r.At, r.Done)
	}
}

// Current says that the copy holds all that Redis held at a time.
func (l *Line) Current(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.order.count()
	l.asOf, l.ready = at, true
}

// Apply takes a record of the journal. Records come in order; one that the
// loaded entries hold already changes nothing that a later one does not change
// again.
func (l *Line) Apply(r *Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	moved := false
	for _, event := range r.Events {
		moved = l.apply(event, r.At) || moved
	}
	if moved {
		l.order.count()
		close(l.changed)
		l.changed = make(chan struct{})
	}
	if r.At.After(l.asOf) {
		l.asOf = r.At
	}
}

// apply takes one event and reports whether it is one of the waitlist.
func (l *Line) apply(event Event, at time.Time) bool {
	switch e := event.(type) {
	case EntryJoined:
		l.load(&Entry{
			Key: e.Key, Status: EntryWaiting, Arrival: e.Arrival, Priority: e.Priority, Boosts: ParseBoosts(e.Boosts), Unconfirmed: e.Unconfirmed,
			Referrals: l.referrals(e.Key),
		})
	case EntryBoosted:
		l.change(e.Key, func(to *lineEntry) {
			if to.status == EntryWaiting {
				l.order.remove(to.score)
				to.score = Score(e.Priority, to.score&(1<<32-1))
				l.order.add(to.score)
			}
			to.priority, to.referrals, to.boosts = int32(e.Priority), int32(e.Referrals), ParseBoosts(e.Boosts)
		})
	case EntryConfirmed:
		l.change(e.Key, func(to *lineEntry) { to.unconfirmed = false })
	case EntryMoved:
		l.change(e.Key, func(to *lineEntry) {
			l.leave(to)
			to.status = e.To
		})
	case OfferMade:
		l.change(e.Key, func(to *lineEntry) {
			l.leave(to)
			to.status, to.offer, to.ends = EntryInvited, e.Code, e.ExpiresAt.UnixMilli()
		})
		l.pace.add(at, 1)
	default:
		return false
	}
	return true
}

// referrals is what an entry that comes back keeps.
func (l *Line) referrals(text string) int {
	key, _ := ParseEntryKey(text)
	if i, ok := l.index[key]; ok {
		return int(l.entries[i].referrals)
	}
	return 0
}

func (l *Line) change(text string, do func(*lineEntry)) {
	key, _ := ParseEntryKey(text)
	if i, ok := l.index[key]; ok {
		do(&l.entries[i])
	}
}

// pace is how many offers were made in each of the last hours.
type pace struct{ hours []hourly }

type hourly struct {
	hour int64 // since 1970
	n    int
}

// paceDays is how far back the pace is taken from.
const paceDays = 7

func (p *pace) add(at time.Time, n int) {
	hour := at.Unix() / 3600
	for i := range p.hours {
		if p.hours[i].hour == hour {
			p.hours[i].n += n
			return
		}
	}
	kept := p.hours[:0]
	for _, h := range p.hours {
		if h.hour > hour-24*paceDays {
			kept = append(kept, h)
		}
	}
	p.hours = append(kept, hourly{hour, n})
}

// eta is when a position comes up if releases go on as in the last days; the
// zero time if there were none.
func (p *pace) eta(position int, now time.Time) time.Time {
	hour, first, n := now.Unix()/3600, now.Unix()/3600, 0
	for _, h := range p.hours {
		if h.hour > hour-24*paceDays && h.hour <= hour {
			n += h.n
			first = min(first, h.hour)
		}
	}
	if n == 0 {
		return time.Time{}
	}
	took := max(hour-first, 24) * 3600 // a day at least: schedules are daily at the most common
	return now.Add(time.Duration(float64(position)/float64(n)*float64(took)) * time.Second).Truncate(time.Minute)
}
