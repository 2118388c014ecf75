package lua

import (
	"context"
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"admitone/gateway"
)

var attemptsScript = declare("attempts", contract{
	keys:     "meta journal attempts0 attempts1",
	args:     "epoch seen bound",
	eachArgs: "verb code subject address",
	replies: []string{
		"decided seq version persisted now each",
		"breach what",
		"each refused reason address_ms subject_ms",
	},
})

// A guess of a code that cannot exist is answered without the decision of
// redeem or validate: Redis only counts it, and once it has said how long an
// address or a subject has to wait, not even that.
//
// That no code looks like the guess is known of a snapshot, so the snapshot
// must not be older than the guess: a reply of Redis vouches for it, for one
// lease; and no code of a new shape is minted before the leases on older
// snapshots have run out, in whatever gateway they are (widely).

// lease is how long a reply vouches for the snapshot of its version, from when
// it was asked for. It is asked for again at renewAfter.
const (
	lease      = 100 * time.Millisecond
	renewAfter = 40 * time.Millisecond
)

// vouch notes that the snapshot was current at a time.
func (l *launch) vouch(at int64) {
	for {
		was := l.vouched.Load()
		if at <= was || l.vouched.CompareAndSwap(was, at) {
			return
		}
	}
}

// widely waits until no gateway takes a code of this snapshot for impossible.
func (s *Store) widely(ctx context.Context, l *launch) error {
	wait := time.Duration(l.widened.Load() + int64(lease) - s.mono())
	if l.widened.Load() == 0 || wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mono is the time since the store began, in nanoseconds; never 0.
func (s *Store) mono() int64 { return int64(time.Since(s.began)) + 1 }

// guess is an attempt with a code that cannot exist.
type guess struct {
	verb    string
	code    gateway.Code
	subject string // its key; "" if there is none
	address netip.Prefix
}

// suspect reports whether a code has to be looked at as a guess before it is
// decided on: it cannot exist, or its subject may have guessed a moment ago.
// What a script would answer first, or hide, is left to it.
func (s *Store) suspect(l *launch, code gateway.Code) bool {
	if l.guessers.late.Load() > 0 {
		return true
	}
	snapshot := l.snapshot.Load()
	return snapshot.Open && snapshot.Policy.Refusals != gateway.RefusalsOpaque && snapshot.Impossible(s.keyring, code)
}

// guessed answers a guess of a code that cannot exist; nil says that the code
// is to be decided on.
func (s *Store) guessed(l *launch, g guess) error {
	snapshot := l.snapshot.Load()
	if !snapshot.Open || snapshot.Policy.Refusals == gateway.RefusalsOpaque || !snapshot.Impossible(s.keyring, g.code) {
		if l.guessers.of(guesser{subject: g.subject}).late {
			return s.settleGuesses(l) // counted before a real code is looked at
		}
		return nil
	}
	now := s.mono()
	age := now - l.vouched.Load()
	if age > int64(renewAfter) && l.renewing.CompareAndSwap(false, true) {
		go s.renew(l)
	}
	if age > int64(lease) {
		return nil
	}
	limits := &snapshot.Policy.Limits.FailedAttempts
	byAddress := guesser{address: g.address}
	if limits.PerAddress.Count == 0 {
		byAddress = guesser{}
	} else if until := l.guessers.of(byAddress).blocked(snapshot.Version); until > now {
		return refusal(string(gateway.AttemptsExceeded), time.Duration(until-now))
	}
	bySubject := guesser{subject: g.subject}
	if limits.PerSubject.Count == 0 {
		bySubject = guesser{}
	} else if until := l.guessers.of(bySubject).blocked(snapshot.Version); until > now {
		return refusal(string(gateway.AttemptsExceeded), time.Duration(until-now))
	}
	switch {
	case byAddress == guesser{} && bySubject == guesser{}: // nobody is counted
		return gateway.Refuse(gateway.CodeUnknown)
	case byAddress == guesser{} && l.guessers.meet(bySubject):
		// A back end that names no address is trusted; its user's first wrong
		// code here is answered at once and counted soon.
		g.code = gateway.Code(strings.Clone(string(g.code))) // it outlives the request
		c := &guessCall{guess: g, by: bySubject}
		if !l.attempts.add(c) {
			l.guessers.counted(bySubject)
			return s.turnedAway("attempts")
		}
		return gateway.Refuse(gateway.CodeUnknown)
	}
	return s.countGuess(l, g)
}

// renew asks for a reply that vouches for the snapshot.
func (s *Store) renew(l *launch) {
	defer l.renewing.Store(false)
	_ = s.settleGuesses(l) // the next guess finds out
}

// settleGuesses waits until all guesses that were answered before they were
// counted are counted: calls of one launch go one after the other.
func (s *Store) settleGuesses(l *launch) error {
	c := guessCalls.Get().(*guessCall)
	defer guessCalls.Put(c)
	c.guess, c.by, c.empty = guess{}, guesser{}, true
	return s.await(l, c)
}

func (s *Store) countGuess(l *launch, g guess) error {
	c := guessCalls.Get().(*guessCall)
	defer guessCalls.Put(c)
	c.guess, c.by, c.empty = g, guesser{}, false
	return s.await(l, c)
}

func (s *Store) await(l *launch, c *guessCall) error {
	if !l.attempts.add(c) {
		return s.turnedAway("attempts")
	}
	<-c.done
	return c.err
}

// guessCall is a guess on its way through a batch.
type guessCall struct {
	guess
	empty bool    // nothing to count: only the reply is wanted
	by    guesser // who was answered already
	err   error
	done  chan struct{} // cap 1; nil: nobody waits
}

var guessCalls = sync.Pool{New: func() any { return &guessCall{done: make(chan struct{}, 1)} }}

// runAttempts sends a batch of guesses and hands each its answer.
func (s *Store) runAttempts(l *launch, batch []*guessCall) {
	s.metrics.batch.WithLabelValues("attempts").Observe(float64(len(batch)))
	epoch, version, began := l.epoch.Load(), l.snapshot.Load().Version, s.mono()
	args := append(make([]any, 0, 3+len(batch)), epoch, l.seen.Load(), s.options.JournalBytes)
	items := 0
	for _, c := range batch {
		if c.empty {
			continue
		}
		address := ""
		if c.address.IsValid() {
			address = s.keyring.Address(l.name, c.address)
		}
		args = append(args, c.verb+"\t"+string(c.code)+"\t"+c.subject+"\t"+address)
		items++
	}
	answers, _, err := s.sendBatch(l, attemptsScript, epoch, []string{l.meta, l.journal, l.attempts0, l.attempts1}, args, items)
	items = 0
	for _, c := range batch {
		c.err = err
		if err == nil && !c.empty {
			c.err = s.readGuess(l, c, answers[items], version, began)
			items++
		}
		if c.by != (guesser{}) {
			l.guessers.counted(c.by)
		}
		if c.done != nil {
			c.done <- struct{}{}
		}
	}
}

// readGuess reads one guess's answer, and remembers who has to wait.
func (s *Store) readGuess(l *launch, c *guessCall, answer string, version uint64, began int64) error {
	word, rest, _ := strings.Cut(answer, "\t")
	reason, rest, _ := strings.Cut(rest, "\t")
	byAddress, bySubject, ok := strings.Cut(rest, "\t")
	if word != "refused" || !ok {
		return s.malformed(l, answer)
	}
	address, subject := retry(byAddress), retry(bySubject)
	if address > 0 {
		l.guessers.block(guesser{address: c.address}, version, began+int64(address))
	}
	if subject > 0 {
		l.guessers.block(guesser{subject: c.subject}, version, began+int64(subject))
	}
	switch gateway.Reason(reason) {
	case gateway.AttemptsExceeded:
		return refusal(reason, max(address, subject))
	case gateway.Overloaded:
		return refusal(reason, time.Second)
	}
	return refusal(reason, 0)
}

// guesser is whom guesses are counted against: an address or a subject's key.
type guesser struct {
	address netip.Prefix
	subject string
}

// standing is what this gateway knows of a guesser.
type standing struct {
	until   int64  // of its wait, as mono counts; 0: none known
	version uint64 // of the launch, whose limits the wait came from
	late    bool   // a guess was answered that is not counted yet
}

// blocked is until when the guesser waits, 0 if that is not known. Failures
// are only added while the limits stay as they are, so a wait that Redis once
// told holds until its end.
func (s standing) blocked(version uint64) int64 {
	if s.version != version {
		return 0
	}
	return s.until
}

// guessers remembers the guessers of a launch, as many as it has room for:
// whoever is forgotten is looked up in Redis again.
type guessers struct {
	late   atomic.Int64 // how many are late
	shards [16]struct {
		sync.RWMutex
		known map[guesser]standing
	}
}

// guessersMost bounds each shard.
const guessersMost = 4096

var guesserSeed = maphash.MakeSeed()

func (g *guessers) shard(who guesser) int {
	return int(maphash.Comparable(guesserSeed, who) % uint64(len(g.shards)))
}

func (g *guessers) of(who guesser) standing {
	shard := &g.shards[g.shard(who)]
	shard.RLock()
	defer shard.RUnlock()
	return shard.known[who]
}

// change writes what is known of a guesser, and forgets another where there is
// no room. It reports whether the change was made.
func (g *guessers) change(who guesser, change func(*standing, bool) bool) bool {
	shard := &g.shards[g.shard(who)]
	shard.Lock()
	defer shard.Unlock()
	now, met := shard.known[who]
	if !change(&now, met) {
		return false
	}
	if !met && len(shard.known) >= guessersMost {
		for other, is := range shard.known {
			if !is.late {
				delete(shard.known, other)
				break
			}
		}
	}
	if shard.known == nil {
		shard.known = make(map[guesser]standing)
	}
	shard.known[who] = now
	return true
}

// meet notes a guesser that is not known yet, whose guess is counted later.
func (g *guessers) meet(who guesser) bool {
	return g.change(who, func(is *standing, met bool) bool {
		if met {
			return false
		}
		is.late = true
		g.late.Add(1)
		return true
	})
}

// counted notes that the guess which was late has been counted, or lost.
func (g *guessers) counted(who guesser) {
	g.change(who, func(is *standing, _ bool) bool {
		if is.late {
			is.late = false
			g.late.Add(-1)
		}
		return true
	})
}

// block notes until when a guesser has to wait.
func (g *guessers) block(who guesser, version uint64, until int64) {
	g.change(who, func(is *standing, _ bool) bool {
		is.version, is.until = version, until
		return true
	})
}
