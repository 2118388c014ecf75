package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"admitone/bench/storm"
)

// openLoop is a run at half of the peak, everything on: what waits is told from
// when it was due.
type openLoop struct {
	Asked     float64 `json:"asked_per_s"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	P999      float64 `json:"p999_ms"`
	Max       float64 `json:"max_ms"`
	LateP99   float64 `json:"generator_late_p99_ms"`
	Generator float64 `json:"generator_cpu_us"`
}

func takeLatency(ctx context.Context, w *world, f *figures) error {
	g := w.gateway
	rate := f.rate(nameAlong, "hot") / 2
	if rate == 0 {
		return fmt.Errorf("the peak is not known")
	}
	r, err := storm.Run(ctx, storm.Options{
		Target: g.target, Mix: hot(&g.contender, "s-"+rand.Text()[:10]+"-"), Connections: connections, Rate: rate,
		Warmup: time.Second, For: w.open, Timeout: 20 * time.Second, Seed: 1,
	})
	if r != nil {
		g.told += r.Statuses[201]
	}
	if err != nil {
		return err
	}
	if err := g.drained(ctx, g.launch); err != nil {
		return err
	}
	if err := clean(r); err != nil {
		return err
	}
	if r.Behind != "" {
		note("no latency: %s", r.Behind)
		return nil
	}
	f.Open = &openLoop{rate, r.Latency.P50, r.Latency.P99, r.Latency.P999, r.Latency.Max, r.Late.P99, r.CPUMicros}
	return nil
}

// fairness is what each of many launches got of a gateway that all of them ask
// for as much as they get.
type fairness struct {
	Launches int     `json:"launches"`
	Rate     float64 `json:"per_s"`
	Least    float64 `json:"least_share"` // of an equal share; 1 is all of it
	Most     float64 `json:"most_share"`
}

func takeFairness(ctx context.Context, w *world, f *figures) error {
	const launches, each = 50, 4
	list := make([]*contender, launches)
	for i := range list {
		var err error
		if list[i], err = w.another(ctx, fmt.Sprintf("fair-%d", i), "", 0); err != nil {
			return err
		}
	}
	results, failures := make([]*storm.Result, launches), make([]error, launches)
	var all sync.WaitGroup
	for i, c := range list {
		all.Go(func() {
			results[i], failures[i] = storm.Run(ctx, storm.Options{
				Target: c.target, Mix: hot(c, "s-"), Connections: each, Warmup: w.warm, For: 2 * w.plan.window, Timeout: 20 * time.Second,
			})
		})
	}
	all.Wait()
	f.Fairness = &fairness{Launches: launches}
	for i, r := range results {
		if r != nil {
			list[i].told += r.Statuses[201]
		}
		if failures[i] != nil {
			return failures[i]
		}
		if err := clean(r); err != nil {
			return fmt.Errorf("%s: %w", list[i].launch, err)
		}
		f.Fairness.Rate += r.Rate
	}
	for i, r := range results {
		share := r.Rate / (f.Fairness.Rate / launches)
		if i == 0 {
			f.Fairness.Least, f.Fairness.Most = share, share
		}
		f.Fairness.Least, f.Fairness.Most = min(f.Fairness.Least, share), max(f.Fairness.Most, share)
	}
	for _, c := range list {
		if err := w.gateway.drained(ctx, c.launch); err != nil {
			return err
		}
	}
	return nil
}
