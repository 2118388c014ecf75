package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// small are faults after which every process still runs, so that what it holds
// can be compared with what it held before.
var small = []string{
	"none", "redis-kill", "redis-freeze", "script-flush", "flushall", "out-of-memory", "network-cut", "network-slow", "replies-lost",
	"postgres-kill", "postgres-stop", "postgres-slow", "leader-cut",
}

// sample is what a gateway held at rest.
type sample struct {
	memory, files, goroutines float64
}

// What a soak lets the medians of its first and its last third differ by.
const (
	growMemory     = 0.10 // and 16 MiB
	growFiles      = 16
	growGoroutines = 32
)

// Soak plays small faults in one launch for so long, and sees whether anything
// grows. It returns what does.
func Soak(ctx context.Context, o Options, d time.Duration, to io.Writer) (grows []string, err error) {
	t := &torture{Options: o, worlds: map[kind]*world{}, rng: rand.New(rand.NewPCG(o.Seed, 1))}
	if t.dir, err = os.MkdirTemp("", "admitone-binaries-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(t.dir)
	if t.binaries.current, err = compile(ctx, t.dir, "admitone", o.Edits...); err != nil {
		return nil, err
	}
	w, err := t.world(ctx, standalone)
	if err != nil {
		return nil, err
	}
	defer w.close()
	const launch = "soak"
	if err := w.create(ctx, launch); err != nil {
		return nil, err
	}
	report := &Report{Seed: o.Seed}
	samples := make([][]sample, len(w.gateways))
	began := time.Now()
	for n := 0; time.Since(began) < d; n++ {
		list, err := chosen(small[t.rng.IntN(len(small))])
		if err != nil {
			return nil, err
		}
		one, err := t.play(ctx, w, launch, fmt.Sprintf("c%d", n), list)
		if err != nil {
			t.keep()
			return nil, fmt.Errorf("round %d, %s, seed %d: %w", n, list[0].name, o.Seed, err)
		}
		report.Rounds = append(report.Rounds, one)
		if b := one.Breach(); b != "" {
			grows = append(grows, fmt.Sprintf("round %d, %s: %s", n, one.Fault, b))
		}
		for i, g := range w.gateways {
			held, err := g.sample(ctx)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], held)
			fmt.Fprintf(o.Progress, "round %d: %s: gateway %d: %.0f MiB, %.0f files, %.0f goroutines\n", n, one.Fault, i, held.memory/(1<<20), held.files, held.goroutines)
		}
	}
	report.Print(to)
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "gateway\tMiB, first third\tlast third\tfiles, first third\tlast third\tgoroutines, first third\tlast third\t")
	for i, list := range samples {
		if len(list) < 6 {
			return grows, fmt.Errorf("%d rounds are too few to compare", len(list))
		}
		first, last := median(list[:len(list)/3]), median(list[len(list)-len(list)/3:])
		fmt.Fprintf(table, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t\n", i, first.memory/(1<<20), last.memory/(1<<20), first.files, last.files, first.goroutines, last.goroutines)
		if last.memory > first.memory*(1+growMemory)+16<<20 {
			grows = append(grows, fmt.Sprintf("gateway %d: memory", i))
		}
		if last.files > first.files+growFiles {
			grows = append(grows, fmt.Sprintf("gateway %d: open files", i))
		}
		if last.goroutines > first.goroutines+growGoroutines {
			grows = append(grows, fmt.Sprintf("gateway %d: goroutines", i))
		}
	}
	return grows, table.Flush()
}

// sample is what the gateway holds now.
func (p *process) sample(ctx context.Context) (sample, error) {
	memory, files, err := p.resident()
	if err != nil {
		return sample{}, err
	}
	goroutines, err := p.metric(ctx, "go_goroutines")
	return sample{float64(memory), float64(files), goroutines}, err
}

func median(list []sample) (m sample) {
	of := func(get func(sample) float64) float64 {
		values := make([]float64, len(list))
		for i, s := range list {
			values[i] = get(s)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return sample{
		of(func(s sample) float64 { return s.memory }), of(func(s sample) float64 { return s.files }), of(func(s sample) float64 { return s.goroutines }),
	}
}
