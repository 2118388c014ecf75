package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/gateway/client"
)

// What goes on in a line while it is polled.
const (
	trafficJoins    = 200 // a second
	trafficBoosts   = 20  // a second
	trafficRelease  = time.Second
	trafficReleased = 20 // each time
	movingAtOnce    = 16 // places looked at together while all moves
	exactPlaces     = 1_000
	// movingSlack is what a place may change by between two looks at Redis, 20 ms
	// apart: a release and some joins.
	movingSlack = trafficReleased + 10
	// oldest is what an answer's as_of may be behind: a second, and what a
	// generator that takes all processors delays.
	oldest = 3 * time.Second
)

// traffic are the writes beside the polls, and what watches that polls are
// right.
type traffic struct {
	q                             *queue
	joins, boosts, offers, moving atomic.Int64
	age                           atomic.Int64 // of an answer, the highest, ns

	still  sync.RWMutex // writes hold it to read
	cancel context.CancelFunc
	all    sync.WaitGroup
	mu     sync.Mutex
	failed error
}

func startTraffic(ctx context.Context, q *queue) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{q: q, cancel: cancel}
	for range 4 {
		t.every(ctx, 4*time.Second/trafficJoins, t.join)
	}
	t.every(ctx, time.Second/trafficBoosts, t.boost)
	t.every(ctx, trafficRelease, t.release)
	t.every(ctx, time.Millisecond, t.watch)
	return t
}

// stop ends it, and returns the first thing that went wrong.
func (t *traffic) stop() error {
	t.cancel()
	t.all.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

func (t *traffic) every(ctx context.Context, pause time.Duration, do func(context.Context) error) {
	t.all.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// What began is brought to its end.
			if err := do(context.WithoutCancel(ctx)); err != nil {
				t.mu.Lock()
				t.failed = errors.Join(t.failed, err)
				t.mu.Unlock()
				return
			}
		}
	})
}

func (t *traffic) join(ctx context.Context) error {
	t.still.RLock()
	defer t.still.RUnlock()
	n := t.joins.Add(1)
	source := []string{"web", "twitter", "producthunt"}[n%3]
	_, err := t.q.g.api.Join(ctx, lineLaunch, client.Join{Email: fmt.Sprintf("late-%d@example.com", n), Source: source})
	return err
}

func (t *traffic) boost(ctx context.Context) error {
	t.still.RLock()
	defer t.still.RUnlock()
	_, err := t.q.g.api.Boost(ctx, lineLaunch, t.q.keys[rand.IntN(len(t.q.keys))], 1+rand.IntN(20), "bench", "")
	if errors.Is(err, gateway.Refuse(gateway.NotWaiting)) {
		return nil
	}
	t.boosts.Add(1)
	return err
}

func (t *traffic) release(ctx context.Context) error {
	t.still.RLock()
	defer t.still.RUnlock()
	r, err := t.q.g.api.LetIn(ctx, lineLaunch, trafficReleased, "", "", "", "")
	if err == nil && !r.Ended {
		r, err = t.q.g.api.WaitRelease(ctx, lineLaunch, r.ID, nil)
	}
	t.offers.Add(int64(r.Done))
	return err
}

// rank is where an entry stood at a moment.
type rank struct {
	at    time.Time
	place int // 0: it does not wait
}

// watch polls a few places while all moves: each must be one that the entry had
// between its as_of and the answer.
func (t *traffic) watch(ctx context.Context) error {
	picked := make([]int, movingAtOnce)
	for i := range picked {
		picked[i] = rand.IntN(len(t.q.keys))
	}
	seen := make([][]rank, movingAtOnce)
	look := func() error {
		commands, err := t.q.g.commands.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, i := range picked {
				p.ZRank(ctx, "ao:{"+lineLaunch+"}:queue", t.q.keys[i])
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		for i, c := range commands {
			place := 0
			if c.Err() == nil {
				place = int(c.(*redis.IntCmd).Val()) + 1
			}
			seen[i] = append(seen[i], rank{time.Now(), place})
		}
		return nil
	}
	answers, back := make([]client.Place, movingAtOnce), make([]time.Time, movingAtOnce)
	for began := time.Now(); time.Since(began) < 1500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		if err := look(); err != nil {
			return err
		}
	}
	for i, n := range picked {
		var err error
		if answers[i], err = t.q.g.api.Place(ctx, lineLaunch, t.q.tickets[n]); err != nil {
			return err
		}
		back[i] = time.Now()
		if err := look(); err != nil {
			return err
		}
	}
	for i := range picked {
		if err := t.within(answers[i], back[i], seen[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *traffic) within(got client.Place, back time.Time, seen []rank) error {
	age := back.Sub(got.AsOf)
	for was := t.age.Load(); int64(age) > was && !t.age.CompareAndSwap(was, int64(age)); was = t.age.Load() {
	}
	if age > oldest {
		return fmt.Errorf("an answer is as of %v ago", age)
	}
	low, high := 0, 0
	for i, r := range seen {
		// The look before as_of counts too: what it saw held until the next.
		if i+1 < len(seen) && seen[i+1].at.Before(got.AsOf) || i > 0 && seen[i-1].at.After(back) {
			continue
		}
		if r.place == 0 {
			return nil // it was let in meanwhile
		}
		if low == 0 || r.place < low {
			low = r.place
		}
		high = max(high, r.place)
	}
	if low == 0 || got.Position == 0 {
		return nil
	}
	if got.Position < low-movingSlack || got.Position > high+movingSlack {
		return fmt.Errorf("a poll says %d as of %v, Redis said %d to %d meanwhile: no figure", got.Position, got.AsOf, low, high)
	}
	t.moving.Add(1)
	return nil
}

// exact lets writes stand still and compares places with Redis: all must be
// equal.
func (t *traffic) exact(ctx context.Context, f *waitlist) error {
	t.still.Lock()
	defer t.still.Unlock()
	if err := t.q.g.drained(ctx, lineLaunch); err != nil {
		return err
	}
	since := time.Now()
	total, err := t.q.g.commands.ZCard(ctx, "ao:{"+lineLaunch+"}:queue").Result()
	if err != nil {
		return err
	}
	for range exactPlaces {
		n := rand.IntN(len(t.q.keys))
		want := 0
		switch at, err := t.q.g.commands.ZRank(ctx, "ao:{"+lineLaunch+"}:queue", t.q.keys[n]).Result(); {
		case err == nil:
			want = int(at) + 1
		case !errors.Is(err, redis.Nil):
			return err
		}
		var got client.Place
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if got, err = t.q.g.api.Place(ctx, lineLaunch, t.q.tickets[n]); err != nil {
				return err
			}
			if got.AsOf.After(since) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("the copy of the line stands still as of %v", got.AsOf)
			}
		}
		if got.Position != want || want > 0 && got.Total != int(total) {
			return fmt.Errorf("a poll says %d of %d, Redis %d of %d: no figure", got.Position, got.Total, want, total)
		}
		f.Exact++
	}
	return nil
}
