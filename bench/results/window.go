package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"admitone/bench/rig"
	"admitone/bench/storm"
)

// sample is what one window measured.
type sample struct {
	Rate float64            `json:"per_s"`  // right answers
	CPU  map[string]float64 `json:"cpu_us"` // per right answer, by process; "generator" is this one
	P50  float64            `json:"p50_ms"` // closed loop
	P99  float64            `json:"p99_ms"`
}

// load makes what is sent to a contender. prefix is of subjects that nobody has
// been before.
type load func(c *contender, prefix string) *storm.Mix

// hot redeems one code of plenty of uses, distinct a code a request.
func hot(c *contender, prefix string) *storm.Mix {
	return storm.One("redeem", storm.Redeem(c.target, c.launch, []string{c.hot}, storm.People{Prefix: prefix}), 201)
}

func distinct(c *contender, prefix string) *storm.Mix {
	return storm.One("redeem", storm.Redeem(c.target, c.launch, c.codes, storm.People{Prefix: prefix}), 201)
}

// turn is a contender in some circumstances.
type turn struct {
	name   string
	c      *contender
	before func(context.Context) error
	after  func(context.Context, sample) error
}

// window measures a turn once, in closed loop. An answer that was not right, or
// that was lost, is an error: there are no figures then.
func (w *world) window(ctx context.Context, t turn, l load) (s sample, err error) {
	if t.before != nil {
		if err := t.before(ctx); err != nil {
			return s, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	s, err = w.measure(ctx, t.c, l, connections)
	if err != nil {
		err = fmt.Errorf("%s: %w", t.name, err)
	}
	if t.after != nil {
		err = errors.Join(err, t.after(ctx, s))
	}
	return s, err
}

func (w *world) measure(ctx context.Context, c *contender, l load, clients int) (sample, error) {
	var began, ended []time.Duration
	var failed error
	r, err := storm.Run(ctx, storm.Options{
		Target: c.target, Mix: l(c, "s-"+rand.Text()[:10]+"-"), Connections: clients, Warmup: w.warm, For: w.plan.window, Timeout: 20 * time.Second,
		Window: func(begins bool) {
			used, err := c.cpu()
			failed = errors.Join(failed, err)
			if begins {
				began = used
			} else {
				ended = used
			}
		},
	})
	if r != nil {
		c.told += r.Statuses[201]
	}
	if err = errors.Join(err, failed); err != nil {
		return sample{}, err
	}
	if err := clean(r); err != nil {
		return sample{}, err
	}
	s := sample{Rate: r.Rate, CPU: map[string]float64{"generator": r.CPUMicros}, P50: r.Latency.P50, P99: r.Latency.P99}
	for i, p := range c.pids {
		s.CPU[p.name] = float64((ended[i] - began[i]).Microseconds()) / float64(max(r.Right, 1))
	}
	return s, nil
}

// clean refuses a run of which not every answer was right.
func clean(r *storm.Result) error {
	switch {
	case r.Lost > 0:
		return fmt.Errorf("%d answers were lost (%v): no figure", r.Lost, r.Losses)
	case r.Unexpected > 0:
		return fmt.Errorf("%d of %d answers were not right (by status: %v): no figure", r.Unexpected, r.Answered, r.Statuses)
	case r.Right == 0:
		return errors.New("nothing was answered: no figure")
	}
	return nil
}

// cpu is what the contender's processes have used.
func (c *contender) cpu() ([]time.Duration, error) {
	pids := make([]int, len(c.pids))
	for i, p := range c.pids {
		pids[i] = p.pid
	}
	return rig.CPU(pids...)
}

// asTurn is a peer in its turn.
func (c *contender) asTurn() turn { return turn{name: c.name, c: c} }

// drain is a journal being copied while nothing else happens.
type drain struct {
	events  float64
	seconds float64
}

// aside is the gateway while Postgres stands still: what it decides, for itself.
// Afterwards the journal is copied, and how fast is noted.
func (g *gatewaySide) aside(name string, c *contender) turn {
	var told uint64
	return turn{
		name: name, c: c,
		before: func(context.Context) error {
			told = c.told
			return g.postgres.Freeze()
		},
		after: func(ctx context.Context, _ sample) error {
			if err := g.postgres.Thaw(); err != nil {
				return err
			}
			return g.drain(ctx, c.launch, float64(c.told-told))
		},
	}
}

// along is the gateway as it is run: its syncer copies to a Postgres on the
// same processors meanwhile.
func (g *gatewaySide) along(name string, c *contender) turn {
	return turn{name: name, c: c, after: func(ctx context.Context, _ sample) error { return g.drained(ctx, c.launch) }}
}

// always is aside with an fsync for each write of Redis.
func (g *gatewaySide) always(name string, c *contender) turn {
	t := g.aside(name, c)
	before, after := t.before, t.after
	t.before = func(ctx context.Context) error {
		return errors.Join(g.commands.ConfigSet(ctx, "appendfsync", "always").Err(), before(ctx))
	}
	t.after = func(ctx context.Context, s sample) error {
		return errors.Join(g.commands.ConfigSet(ctx, "appendfsync", "everysec").Err(), after(ctx, s))
	}
	return t
}

// drain waits until the journal is copied. The time counts from the first
// commit on, and so do the events: a share of all of them, by records.
func (g *gatewaySide) drain(ctx context.Context, launch string, events float64) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	first, err := g.api.Position(ctx, launch)
	if err != nil {
		return err
	}
	all := float64(first.Entries)
	var began time.Time
	var left float64
	for {
		at, err := g.api.Position(ctx, launch)
		if err != nil {
			return err
		}
		switch {
		case at.Entries == 0:
			if !began.IsZero() && left > all/2 {
				g.drains = append(g.drains, drain{events * left / all, time.Since(began).Seconds()})
			}
			return nil
		case began.IsZero() && at.Persisted > first.Persisted:
			began, left = time.Now(), float64(at.Entries)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway's Postgres does not catch up: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// drainRate is the median of the drains, in events a second; 0 if none was long
// enough to tell.
func (g *gatewaySide) drainRate() float64 {
	var rates []float64
	for _, d := range g.drains {
		if d.seconds > 0 {
			rates = append(rates, d.events/d.seconds)
		}
	}
	return median(rates)
}

// median is 0 of nothing.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
