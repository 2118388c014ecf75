package lua

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"admitone/gateway"
)

var waitlistJoin = declare("waitlist_join", contract{
	keys:     "meta journal queue joins0 joins1",
	eachKeys: "entry_bucket referrer_bucket",
	args:     "epoch seen bound purpose",
	eachArgs: "key address proof vouched referrer source points joined sealed",
	replies: []string{
		"decided seq version persisted now each",
		"breach what",
		"each joined priority referred at position total",
		"each known status priority proof position total",
		"each refused reason retry_ms",
		"each failed why",
	},
})

// joinCall is one join on its way through a batch.
type joinCall struct {
	item                  string
	entryKey, referrerKey string
	answer                gateway.Joined
	err                   error
	done                  chan struct{} // cap 1
}

var joinCalls = sync.Pool{New: func() any { return &joinCall{done: make(chan struct{}, 1)} }}

// Join takes a place on the waitlist, together with whoever else joins at the
// same moment. An address that is on it already is told so. The reasons of its
// errors are waitlist_closed, launch_closed, joins_exceeded, overloaded,
// not_admitted, or unavailable if Redis' answer was lost.
func (s *Store) Join(ctx context.Context, name string, j *gateway.Join) (gateway.Joined, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Joined{}, err
	}
	c := joinCalls.Get().(*joinCall)
	defer joinCalls.Put(c)
	key := s.keyring.Subject(name, j.Email)
	c.entryKey, c.referrerKey = l.entry(key), l.entry(j.Referrer)
	c.item = s.joinItem(name, key, j)
	if l.witness.full(witnessReserve, s.persistedIn(l)) || !l.join.add(c) {
		s.metrics.turnedAway.WithLabelValues("join").Inc()
		return gateway.Joined{}, &gateway.Error{Reason: gateway.Overloaded, RetryAfter: time.Second}
	}
	<-c.done
	answer, err := c.answer, c.err
	answer.Key = key
	return answer, err
}

// joinItem packs a join into one script argument. What people typed travels
// sealed or escaped.
func (s *Store) joinItem(name, key string, j *gateway.Join) string {
	address, proof := "", ""
	if j.Address.IsValid() {
		address = s.keyring.Address(name, j.Address)
	}
	if j.Proof != "" {
		proof = s.keyring.Subject(name, "proof\x00"+j.Proof)[:8]
	}
	sealed := s.sealPerson(name, gateway.Person{Subject: j.Email, Email: j.Email, Name: j.Name, Source: j.Source})
	return strings.Join([]string{key, address, proof, strings.TrimPrefix(flag(j.Vouched), "0"), j.Referrer, url.QueryEscape(j.Source), strconv.Itoa(j.Points), "", string(sealed)}, "\t")
}

// The words of a join's item that are looked at again.
const (
	joinProof    = 2
	joinVouched  = 3
	joinReferrer = 4
	joinSource   = 5
	joinPoints   = 6
	joinAt       = 7
	joinWords    = 9
)

// proof is the key of the request's Idempotency-Key; "" if it had none.
func (c *joinCall) proof() string {
	return strings.SplitN(c.item, "\t", joinWords)[joinProof]
}

// testimony is what the witness keeps of an answer. An entry that was on the
// list already stays its owner's, under the proof that the owner gave; what a
// stranger says of where it came from is not kept. A new one joined at a time:
// what was answered of it since, by another gateway too, is newer.
func (c *joinCall) testimony(position uint64, owner, at string) testimony {
	t := testimony{position: position, item: c.item, codeKey: c.entryKey, subjectKey: c.referrerKey, join: true}
	w := strings.SplitN(c.item, "\t", joinWords)
	if w[joinAt] = at; c.answer.Known {
		w[joinProof] = owner
		if !c.answer.Proven && w[joinVouched] == "" {
			w[joinReferrer], w[joinSource], w[joinPoints] = "", "", "0"
		}
	}
	t.item = strings.Join(w, "\t")
	return t
}

func joinKeys(l *launch, items int) []string {
	return append(make([]string, 0, 5+2*items), l.meta, l.journal, l.queue, l.joins0, l.joins1)
}

// joinBytes is the part of the journal's bound that joins may fill: they are
// refused before redemptions are.
func (s *Store) joinBytes() uint64 { return s.options.JournalBytes / 2 }

func (s *Store) runJoin(l *launch, batch []*joinCall) {
	s.metrics.batch.WithLabelValues("join").Observe(float64(len(batch)))
	l.flights.RLock()
	defer l.flights.RUnlock()
	epoch := l.epoch.Load()
	keys, args := joinKeys(l, len(batch)), []any{epoch, l.seen.Load(), s.joinBytes(), "decide"}
	for _, c := range batch {
		keys, args = append(keys, c.entryKey, c.referrerKey), append(args, c.item)
	}
	answers, position, err := s.sendBatch(l, waitlistJoin, epoch, keys, args, len(batch))
	made := make([]testimony, 0, len(batch))
	for i, c := range batch {
		if err != nil {
			c.answer, c.err = gateway.Joined{}, err
			continue
		}
		var owner, at string
		c.answer, owner, at, c.err = s.readJoined(l, answers[i])
		c.answer.Epoch, c.answer.Position = epoch, position
		if c.err == nil {
			c.answer.Proven = !c.answer.Known || owner != "" && owner == c.proof()
			made = append(made, c.testimony(position, owner, at))
		}
	}
	l.witness.keep(s.persistedIn(l), made...) // before anybody is answered
	for _, c := range batch {
		c.done <- struct{}{}
	}
}

// readJoined reads one item's answer: whether it was proven is for the caller
// to say. owner is the proof under which an entry that is known joined, at when a
// new one did, in seconds.
func (s *Store) readJoined(l *launch, answer string) (j gateway.Joined, owner, at string, err error) {
	w := strings.Split(answer, "\t")
	number := func(i int) int { n, _ := strconv.Atoi(w[i]); return n }
	switch {
	case w[0] == "joined" && len(w) == 6:
		return gateway.Joined{
			Status: gateway.EntryWaiting, Priority: number(1), Referred: w[2] == "1", Place: number(4), Total: number(5),
		}, "", w[3], nil
	case w[0] == "known" && len(w) == 6:
		return gateway.Joined{
			Status: gateway.EntryStatus(w[1]), Known: true, Priority: number(2), Place: number(4), Total: number(5),
		}, w[3], "", nil
	case w[0] == "refused" && len(w) == 3:
		return j, "", "", refusal(w[1], retry(w[2]))
	}
	return j, "", "", s.malformed(l, answer)
}

// rejoin tells a Redis again who joined. Who is on the list keeps the place.
func (s *Store) rejoin(ctx context.Context, l *launch, epoch uint64, list []testimony) error {
	keys, args := joinKeys(l, len(list)), []any{epoch, 0, s.options.JournalBytes, "assert"}
	for _, t := range list {
		keys, args = append(keys, t.codeKey, t.subjectKey), append(args, t.item)
	}
	r, err := s.send(ctx, waitlistJoin, s.introduce(l), keys, args)
	if err != nil {
		return err
	}
	answers := r.items()
	if r.word(0) == "breach" || len(answers) != len(list) {
		return notAdmitted()
	}
	for i, t := range list {
		if _, _, _, err := s.readJoined(l, answers[i]); err != nil {
			s.metrics.unkept.Inc()
			s.log.Error("an answered join could not be kept", "launch", l.name, "error", err)
			continue
		}
		t.position = r.number(1)
		l.witness.keep(none, t)
	}
	l.saw(r.number(1))
	return nil
}

// ImportEntries puts people on the waitlist in their order, whatever the limits
// of joins. Their points are boosts of their sources. It reports how many are
// new; after an error, those before it are on the list.
func (s *Store) ImportEntries(ctx context.Context, name string, list []gateway.Join) (added int, position uint64, err error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	for len(list) > 0 {
		n := min(len(list), s.options.Batch)
		l.flights.RLock()
		epoch := l.epoch.Load()
		keys, args := joinKeys(l, n), []any{epoch, l.seen.Load(), s.options.JournalBytes, "assert"}
		for i := range list[:n] {
			key := s.keyring.Subject(name, list[i].Email)
			keys, args = append(keys, l.entry(key), l.entry("")), append(args, s.joinItem(name, key, &list[i]))
		}
		answers, at, err := s.sendBatch(l, waitlistJoin, epoch, keys, args, n)
		l.flights.RUnlock()
		if err != nil {
			return added, position, err
		}
		position = at
		for i := range n {
			a, _, _, err := s.readJoined(l, answers[i])
			if err != nil {
				return added, position, err
			}
			if !a.Known {
				added++
			}
		}
		list = list[n:]
	}
	return added, position, nil
}
