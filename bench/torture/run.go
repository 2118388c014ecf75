package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/client"
)

// Options say what to break and for how long.
type Options struct {
	Seed    uint64
	Rounds  int
	Only    string
	Alone   bool // never two faults at once
	Clients int
	Edits   []edit // of the gateway's sources, for this run only
	// UntilBreach ends the run with the first round in which a promise breaks.
	UntilBreach bool
	Progress    io.Writer
}

// The size of a round: codes run dry while the fault is on, so that both a lost
// use and one too many show.
const (
	codesARound = 40
	usesOfACode = 200
	subjects    = 100_000
)

// torture is a run: worlds are built when a fault first asks for one.
type torture struct {
	Options
	dir      string
	binaries binaries
	worlds   map[kind]*world
	rng      *rand.Rand
}

// Run tortures. What it reports before an error is reported with it.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	list, err := chosen(o.Only)
	if err != nil {
		return nil, err
	}
	t := &torture{Options: o, worlds: map[kind]*world{}, rng: rand.New(rand.NewPCG(o.Seed, 1))}
	if t.dir, err = os.MkdirTemp("", "admitone-binaries-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(t.dir)
	if t.binaries.current, err = compile(ctx, t.dir, "admitone", o.Edits...); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(list, func(f fault) bool { return f.after != nil }) {
		if t.binaries.next, err = compile(ctx, t.dir, "admitone-next", nextRelease...); err != nil {
			return nil, err
		}
	}
	report := &Report{Seed: o.Seed}
	defer func() {
		for _, w := range t.worlds {
			w.close()
		}
		report.Left = len(children())
	}()
	for n := range o.Rounds {
		together := t.pick(list, n)
		one, err := t.round(ctx, n, together)
		if err != nil && ctx.Err() == nil {
			t.keep()
		}
		if err != nil {
			return report, fmt.Errorf("round %d, %s, seed %d: %w", n, names(together), o.Seed, err)
		}
		report.Rounds = append(report.Rounds, one)
		fmt.Fprintf(o.Progress, "round %d: %s: %d requests, %d admitted, %d lost, %d over, %d drift, fenced for %v, silent for %v %s\n",
			n, one.Fault, one.Asked, one.Admitted, one.Lost, one.Over, one.Drift, one.Fenced.Round(time.Millisecond), one.Silent.Round(time.Millisecond), one.Breach())
		if o.UntilBreach && one.Breach() != "" {
			break
		}
	}
	return report, nil
}

// keep leaves the worlds' directories behind and tells where they are: the
// servers' logs are in them.
func (t *torture) keep() {
	for _, w := range t.worlds {
		w.keep = true
		fmt.Fprintln(t.Progress, "logs:", w.dir)
	}
}

// pick chooses a round's faults: each one alone first, then any, every third
// time with another beside it.
func (t *torture) pick(list []fault, n int) []fault {
	if n < len(list) {
		return list[n : n+1]
	}
	first := list[t.rng.IntN(len(list))]
	if t.Alone || t.rng.IntN(3) > 0 {
		return []fault{first}
	}
	var others []fault
	for _, f := range list {
		if mixable(first, f) {
			others = append(others, f)
		}
	}
	if len(others) == 0 {
		return []fault{first}
	}
	return []fault{first, others[t.rng.IntN(len(others))]}
}

func names(list []fault) string {
	words := make([]string, len(list))
	for i, f := range list {
		words[i] = f.name
	}
	return strings.Join(words, " + ")
}

// world is the one of a kind, built when it is first asked for.
func (t *torture) world(ctx context.Context, k kind) (*world, error) {
	if w := t.worlds[k]; w != nil {
		return w, nil
	}
	starting, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	w, err := build(starting, k, t.binaries)
	if err != nil {
		return nil, fmt.Errorf("starting a %s world: %w", k, err)
	}
	t.worlds[k] = w
	return w, nil
}

// round plays faults in a launch of its own.
func (t *torture) round(ctx context.Context, n int, together []fault) (one Round, err error) {
	w, err := t.world(ctx, together[0].kind)
	if err != nil {
		return one, err
	}
	launch := fmt.Sprintf("round-%d", n)
	if err := w.create(ctx, launch); err != nil {
		return one, err
	}
	return t.play(ctx, w, launch, "c", together)
}

// play plays faults in a launch, with a campaign of its own, and settles what
// clients were told.
func (t *torture) play(ctx context.Context, w *world, launch, campaign string, together []fault) (one Round, err error) {
	one = Round{Fault: names(together), Mixed: len(together) > 1}
	breaks, loses, orphans := false, false, false
	for _, f := range together {
		breaks, loses, orphans = breaks || f.breaks, loses || f.loses, orphans || f.orphans
	}
	one.Excused = loses && orphans
	codes, err := w.mint(ctx, launch, campaign)
	if err != nil {
		return one, err
	}
	epoch, err := w.epoch(ctx, launch)
	if err != nil {
		return one, err
	}
	crowd := w.crowd(launch, campaign, codes)
	line, err := w.line(ctx, launch, campaign)
	if err != nil {
		return one, err
	}
	party, err := w.party(ctx, launch, campaign)
	if err != nil {
		return one, err
	}
	load, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	for number := range t.Clients {
		own := rand.New(rand.NewPCG(t.rng.Uint64(), 2))
		clients.Go(func() { crowd.ask(load, number, own) })
	}
	for range max(2, t.Clients/4) {
		own := rand.New(rand.NewPCG(t.rng.Uint64(), 4))
		clients.Go(func() { line.stand(load, own) })
	}
	for number := range max(2, t.Clients/4) {
		own := rand.New(rand.NewPCG(t.rng.Uint64(), 6))
		clients.Go(func() { party.give(load, number, own) })
	}
	operator := rand.New(rand.NewPCG(t.rng.Uint64(), 5))
	clients.Go(func() { line.release(load, operator) })
	pause(ctx, 400*time.Millisecond)
	scenes := make([]*scene, len(together))
	for i := range together {
		scenes[i] = &scene{world: w, launch: launch, rng: rand.New(rand.NewPCG(t.rng.Uint64(), 3)), crowd: crowd, note: one.note}
	}
	err = happen(ctx, together, scenes)
	if err == nil {
		err = crowd.served(ctx, t.rng)
	}
	pause(ctx, 400*time.Millisecond)
	stop()
	clients.Wait()
	if err != nil {
		return one, err
	}
	if err := w.calm(ctx, launch); err != nil {
		return one, err
	}
	now, err := w.epoch(ctx, launch)
	if err != nil {
		return one, err
	}
	one.Unfenced = breaks && now <= epoch
	if err := line.settle(ctx, t.rng, loses, &one); err != nil {
		return one, err
	}
	if err := party.settle(ctx, t.rng, loses, &one); err != nil {
		return one, err
	}
	if err := crowd.settle(ctx, &one); err != nil {
		return one, err
	}
	for i, f := range together {
		if f.after == nil {
			continue
		}
		if err := f.after(ctx, scenes[i]); err != nil {
			return one, fmt.Errorf("after %s: %w", f.name, err)
		}
	}
	return one, nil
}

// brief is note for what may come a thousand times: the first ones tell.
func (r *Round) brief(format string, args ...any) {
	if len(r.Notes) < 10 {
		r.note(format, args...)
	}
}

func (r *Round) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// happen lets faults happen, all at the same time.
func happen(ctx context.Context, together []fault, scenes []*scene) error {
	results := make(chan error, len(together))
	for i, f := range together {
		go func() {
			err := f.do(ctx, scenes[i])
			if err != nil {
				err = fmt.Errorf("the fault %s itself: %w", f.name, err)
			}
			results <- err
		}()
	}
	var first error
	for range together {
		if err := <-results; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// create makes a launch that both gateways serve and Postgres knows.
func (w *world) create(ctx context.Context, name string) error {
	policy := fmt.Sprintf("launch: %s\nlimits: {failed_attempts: {per_address: 'off', per_subject: 'off'}}\nsubjects: {once_per_launch: false}\nwaitlist: {boosts: {referred: 10, referrer: 5}}\n", name) + memberPolicy
	err := eventually(ctx, "the launch is made", func() error {
		_, err := w.gateways[0].api.CreateLaunch(ctx, "application/yaml", []byte(policy))
		return unless(err, gateway.LaunchExists)
	})
	if err != nil {
		return err
	}
	return w.calm(ctx, name)
}

// mint makes a campaign with codes, all of it in Postgres before it returns.
func (w *world) mint(ctx context.Context, launch, campaign string) ([]string, error) {
	api := w.gateways[0].api
	err := eventually(ctx, "the campaign is made", func() error {
		_, err := api.CreateCampaign(ctx, launch, client.Campaign{Name: campaign, Type: gateway.TypeLink, MaxUses: usesOfACode})
		return unless(err, gateway.CampaignExists)
	})
	if err != nil {
		return nil, err
	}
	var codes []string
	err = eventually(ctx, "codes are minted", func() error {
		minted, _, err := api.Mint(ctx, launch, campaign, codesARound) // once more does no harm
		for _, m := range minted {
			codes = append(codes, m.Code)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return codes, w.calm(ctx, launch)
}

// unless is an error that is not this refusal.
func unless(err error, reason gateway.Reason) error {
	if errors.Is(err, gateway.Refuse(reason)) {
		return nil
	}
	return err
}

func directClient(r *rig.Redis) *redis.Client { return redis.NewClient(&redis.Options{Addr: r.Addr()}) }

// children are the processes that this one has started and that still run.
func children() (list []string) {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err == nil {
			list = append(list, strings.Fields(string(b))...)
		}
	}
	return list
}
