// Command results takes the figures of docs/performance.md: a gateway and what
// would be built or picked instead of it, each a process of its own on this
// machine, under the same load, in turns.
//
//	go run ./bench/results            the whole table, about half an hour
//	go run ./bench/results -quick     the ratios, within three minutes
//
// It writes bench/results/latest.json, and with -docs the tables and plots of
// docs/performance.md. Where what clients were told, Redis and Postgres do not
// agree there are no figures: it says what is wrong and ends with status 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// plan is how much is measured.
type plan struct {
	quick   bool
	rounds  int           // of ABBA
	warm    time.Duration // of a window
	window  time.Duration
	open    time.Duration // of the open loop
	codes   int           // distinct ones
	grow    int           // the most codes of the growth curve
	million int           // codes that memory is measured with
	entries int           // of the waitlist that is watched
	watch   bool          // take the figures of the waitlist only, and write nothing
	only    []string      // peers; nil: all
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "peer" {
		if err := servePeer(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "peer:", err)
			os.Exit(1)
		}
		return
	}
	quick := flag.Bool("quick", false, "the ratios only, within three minutes")
	rounds := flag.Int("rounds", 0, "ABBA rounds; 0: 3, or 1 with -quick")
	window := flag.Duration("window", 0, "of each measurement; 0: 4s, or 1.2s with -quick")
	grow := flag.Int("grow", 10_000_000, "the most codes of the growth curve")
	only := flag.String("only", "", "peers, separated by commas; all if none is named")
	docs := flag.Bool("docs", false, "rewrite the tables and plots of docs/performance.md")
	watch := flag.Bool("watch", false, "the figures of watching a waitlist only: polls, pollers, streams; printed, not written")
	entries := flag.Int("entries", 0, "of the waitlist that is watched; 0: 1000000, or 10000 with -quick")
	profile := flag.String("profile", "", "directory to write profiles of the peak to, and nothing else")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "results: what is %q? See -h.\n", flag.Arg(0))
		os.Exit(2)
	}
	p := plan{quick: *quick, rounds: 3, warm: time.Second, window: 4 * time.Second, open: 20 * time.Second, codes: 100_000, grow: *grow, million: 1_000_000, entries: 1_000_000, watch: *watch}
	if p.quick {
		p.rounds, p.warm, p.window, p.open, p.codes, p.entries = 1, 300*time.Millisecond, 1200*time.Millisecond, 6*time.Second, 20_000, 10_000
	}
	if *rounds > 0 {
		p.rounds = *rounds
	}
	if *window > 0 {
		p.window = *window
	}
	if *entries > 0 {
		p.entries = *entries
	}
	if p.watch {
		p.only = []string{"none"}
	}
	if *only != "" {
		p.only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return measure(ctx, p, *docs) }
	if *profile != "" {
		p.only = []string{"none"}
		run = func() error { return profileOnly(ctx, p, *profile) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "results:", err)
		os.Exit(1)
	}
}

// profileOnly takes profiles, not figures.
func profileOnly(ctx context.Context, p plan, dir string) (err error) {
	root, err := repository()
	if err != nil {
		return err
	}
	w, err := build(ctx, root, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(err != nil)) }()
	return takeProfile(ctx, w, dir)
}

// measure takes the figures and writes them.
func measure(ctx context.Context, p plan, docs bool) (err error) {
	began := time.Now()
	root, err := repository()
	if err != nil {
		return err
	}
	w, err := build(ctx, root, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(err != nil)) }()
	f := &figures{Machine: machine(), Commit: commit(ctx, root), Quick: p.quick, At: began.UTC().Truncate(time.Second), Peers: map[string]string{}}
	for name, why := range w.missing {
		f.Peers[name] = why
		note("no figures of %s: %s", name, why)
	}
	for _, step := range []struct {
		what string
		do   func(context.Context, *world, *figures) error
		full bool
		by   time.Duration // with -quick: left out when it is later than this
	}{
		{"noise and ratios", takeRatios, false, 0},
		{"ceilings", takeCeilings, false, 0},
		{"the waitlist", takeWaitlist, false, 0},
		{"latency at half of the peak", takeLatency, false, 0},
		{"fairness of 50 launches", takeFairness, true, 0},
		{"growth", takeGrowth, true, 0},
		{"correctness", checkAll, false, 0},
		{"watchers of the waitlist", takeWatchers, true, 0},
		{"memory", takeMemory, false, 130 * time.Second},
		{"allocations", takeAllocations, false, 160 * time.Second},
	} {
		watches := strings.Contains(step.what, "waitlist")
		if step.full && p.quick && !p.watch || p.watch && !watches {
			continue
		}
		if p.quick && step.by > 0 && time.Since(began) > step.by {
			note("%s: left out, or it would take longer than three minutes", step.what)
			continue
		}
		note("%s (%s)", step.what, time.Since(began).Round(time.Second))
		if e := step.do(ctx, w, f); e != nil && step.full && !p.watch && ctx.Err() == nil {
			note("%s: no figures: %v", step.what, e)
			err = errors.Join(err, fmt.Errorf("%s: %w", step.what, e)) // the others stand
		} else if e != nil {
			return fmt.Errorf("%s: %w", step.what, e)
		}
	}
	f.Took = time.Since(began).Round(time.Second).String()
	if p.watch {
		f.rest(os.Stdout)
		return nil
	}
	f.table(os.Stdout)
	return errors.Join(err, f.write(root, docs))
}

// note tells whoever waits what is being done.
func note(format string, a ...any) { fmt.Fprintf(os.Stderr, "results: "+format+"\n", a...) }
