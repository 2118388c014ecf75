package lua

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/sync/journal"
)

var journalTrim = declare("journal_trim", contract{
	keys:    "meta journal",
	args:    "epoch position bytes trim",
	replies: []string{"trimmed", "breach what"},
})

const (
	// waitersMost is how many connections may wait for records at once: each is
	// one less for redemptions.
	waitersMost = 16
	// lookEvery is how often a reader looks that may not wait at Redis.
	lookEvery = 100 * time.Millisecond
)

// ReadJournal returns up to most records after a position, in order, waiting
// for the first one. None in that time is not an error.
func (s *Store) ReadJournal(ctx context.Context, name string, after uint64, most int, wait time.Duration) ([]journal.Entry, error) {
	until := time.Now().Add(wait)
	for {
		left := time.Until(until)
		select {
		case s.waiters <- struct{}{}:
			list, err := s.readJournal(ctx, name, after, most, max(left, time.Millisecond))
			<-s.waiters
			return list, err
		default: // as many wait as may: this one looks now and then
		}
		list, err := s.readJournal(ctx, name, after, most, -1)
		if err != nil || len(list) > 0 || left <= 0 {
			return list, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(min(left, lookEvery)):
		}
	}
}

// readJournal waits at Redis for the first record, or not at all below 0.
func (s *Store) readJournal(ctx context.Context, name string, after uint64, most int, wait time.Duration) ([]journal.Entry, error) {
	streams, err := s.redis.XRead(ctx, &redis.XReadArgs{
		Streams: []string{newKeys(name).journal, strconv.FormatUint(after, 10) + "-0"},
		Count:   int64(most), Block: wait,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lua: read journal: %w", err)
	}
	var entries []journal.Entry
	for _, m := range streams[0].Messages {
		text, _, _ := strings.Cut(m.ID, "-")
		seq, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("lua: read journal: stream id %q", m.ID)
		}
		raw, _ := m.Values["r"].(string)
		entries = append(entries, journal.Entry{Seq: seq, Raw: raw})
	}
	return entries, nil
}

// Trim notes that Postgres holds the journal up to a position, tells every
// gateway, and forgets what Postgres has held for a moment: those who follow
// the journal read it too. bytes is the record's running total. It returns not_admitted
// if this is not the history of the epoch.
func (s *Store) Trim(ctx context.Context, name string, epoch, position, bytes uint64) error {
	k := newKeys(name)
	r, err := s.send(ctx, journalTrim, introduction{}, []string{k.meta, k.journal}, []any{epoch, position, bytes, s.trims.upTo(name, position, time.Now())})
	if err != nil {
		return err
	}
	if r.word(0) == "breach" {
		return notAdmitted()
	}
	if err := s.redis.Publish(ctx, persistedChannel, fmt.Sprintf("%s %d %d", name, epoch, position)).Err(); err != nil {
		return s.outage(err)
	}
	return nil
}

// trims remembers, by launch, what Postgres held a moment ago.
type trims struct {
	mu       sync.Mutex
	launches map[string]*trim
}

type trim struct {
	since       time.Time
	now, before uint64
}

// trimAfter is how long what Postgres holds is kept in the journal, at least.
const trimAfter = 2 * time.Second

// upTo is the position up to which a launch's journal may be forgotten, now
// that Postgres holds it up to position.
func (t *trims) upTo(name string, position uint64, now time.Time) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.launches == nil {
		t.launches = map[string]*trim{}
	}
	l := t.launches[name]
	if l == nil {
		l = &trim{since: now, now: position}
		t.launches[name] = l
	}
	if now.Sub(l.since) >= trimAfter {
		l.since, l.before, l.now = now, l.now, position
	}
	return min(l.before, position)
}

// Listen moves the persisted positions as the syncer tells of them, until the
// context is over. What it misses while a connection is down, the next script
// call or snapshot brings.
func (s *Store) Listen(ctx context.Context) {
	subscription := s.redis.Subscribe(ctx, persistedChannel)
	defer subscription.Close()
	heard := subscription.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-heard:
			if !ok {
				return
			}
			var name string
			var epoch, position uint64
			if n, _ := fmt.Sscanf(m.Payload, "%s %d %d", &name, &epoch, &position); n == 3 && gateway.ValidLaunchName(name) {
				s.persisted.Advance(name, epoch, position)
			}
		}
	}
}
