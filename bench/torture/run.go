package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// Options say what to break and for how long.
type Options struct {
	Seed     uint64
	Rounds   int
	Only     string
	Clients  int
	Progress io.Writer
}

// Report is what came of it.
type Report struct {
	Seed   uint64
	Rounds []Round
}

// Round is one fault under load.
type Round struct {
	Fault     string
	Asked     int           // requests, repetitions included
	Admitted  int           // distinct redemptions that clients were told of
	Persisted int           // of these, told to be persisted
	Lost      int           // told, and not there any more
	LostSafe  int           // of these, told to be persisted
	Over      int           // redemptions above a code's uses, in what clients were told
	Drift     int           // differences between Redis and Postgres
	Closed    time.Duration // the longest time in which nobody was answered
}

// Breaches are rounds in which a promise did not hold.
func (r *Report) Breaches() (n int) {
	for _, one := range r.Rounds {
		if one.Lost > 0 || one.Over > 0 || one.Drift > 0 {
			n++
		}
	}
	return n
}

// Print writes the table.
func (r *Report) Print(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\trounds\trequests\tadmitted\tpersisted\tlost\tlost persisted\tover-redeemed\tdrift\tlongest silence\t")
	total := map[string]*Round{}
	count := map[string]int{}
	var names []string
	for _, one := range r.Rounds {
		for _, name := range []string{one.Fault, "all"} {
			t := total[name]
			if t == nil {
				t = &Round{Fault: name}
				total[name] = t
				names = append(names, name)
			}
			count[name]++
			t.Asked += one.Asked
			t.Admitted += one.Admitted
			t.Persisted += one.Persisted
			t.Lost += one.Lost
			t.LostSafe += one.LostSafe
			t.Over += one.Over
			t.Drift += one.Drift
			t.Closed = max(t.Closed, one.Closed)
		}
	}
	for _, name := range names {
		if name != "all" {
			line(w, total[name], count[name])
		}
	}
	if total["all"] != nil {
		line(w, total["all"], count["all"])
	}
	w.Flush()
	fmt.Fprintf(to, "seed %d, %d breaches\n", r.Seed, r.Breaches())
}

func line(w io.Writer, t *Round, n int) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t\n", t.Fault, n, t.Asked, t.Admitted, t.Persisted, t.Lost, t.LostSafe, t.Over, t.Drift, t.Closed.Round(time.Millisecond))
}

// The size of a round: codes run dry while the fault is on, so that both a lost
// use and one too many show.
const (
	codesARound = 40
	usesOfACode = 200
	subjects    = 100_000
)

// Run tortures.
func Run(ctx context.Context, o Options) (*Report, error) {
	list, err := chosen(o.Only)
	if err != nil {
		return nil, err
	}
	w, err := build(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	report := &Report{Seed: o.Seed}
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	for n := range o.Rounds {
		f := list[rng.IntN(len(list))]
		if n < len(list) {
			f = list[n] // each one at least once
		}
		one, err := w.round(ctx, n, f, rng, o)
		if err != nil {
			return report, fmt.Errorf("round %d, %s, seed %d: %w", n, f.name, o.Seed, err)
		}
		report.Rounds = append(report.Rounds, one)
		fmt.Fprintf(o.Progress, "round %d: %s: %d requests, %d admitted, %d lost, %d over, %d drift, silent for %v\n",
			n, f.name, one.Asked, one.Admitted, one.Lost, one.Over, one.Drift, one.Closed.Round(time.Millisecond))
	}
	return report, nil
}

// round plays one fault in a launch of its own.
func (w *world) round(ctx context.Context, n int, f fault, rng *rand.Rand, o Options) (Round, error) {
	launch := fmt.Sprintf("round-%d", n)
	codes, err := w.launch(ctx, launch)
	if err != nil {
		return Round{}, err
	}
	crowd := &crowd{world: w, launch: launch, codes: codes, told: map[told]gateway.ID{}, safe: map[told]bool{}}
	crowd.last.Store(time.Now().UnixNano())
	load, stop := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for range o.Clients {
		own := rand.New(rand.NewPCG(rng.Uint64(), 2))
		clients.Go(func() { crowd.ask(load, own) })
	}
	pause(ctx, 400*time.Millisecond)
	err = f.do(ctx, w, rng)
	if err == nil {
		err = w.calmEnough(ctx, launch)
	}
	pause(ctx, 400*time.Millisecond)
	stop()
	clients.Wait()
	if err != nil {
		return Round{}, fmt.Errorf("the fault itself: %w", err)
	}
	if err := w.calm(ctx, launch); err != nil {
		return Round{}, err
	}
	return crowd.settle(ctx, f.name)
}

// calmEnough waits until some gateway serves the launch again.
func (w *world) calmEnough(ctx context.Context, launch string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		for _, g := range w.gateways {
			if _, err := g.api.Position(ctx, launch); err == nil {
				return nil
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
	return errors.New("no gateway serves the launch within a minute")
}

// launch makes a launch with codes, all of it in Postgres before it returns.
func (w *world) launch(ctx context.Context, name string) ([]string, error) {
	api := w.gateways[0].api
	policy := fmt.Sprintf("launch: %s\nlimits: {failed_attempts: {per_address: 'off', per_subject: 'off'}}\nsubjects: {once_per_launch: false}\n", name)
	if _, err := api.CreateLaunch(ctx, "application/yaml", []byte(policy)); err != nil {
		return nil, err
	}
	if _, err := api.CreateCampaign(ctx, name, client.Campaign{Name: "c", Type: gateway.TypeLink, MaxUses: usesOfACode}); err != nil {
		return nil, err
	}
	minted, _, err := api.Mint(ctx, name, "c", codesARound)
	if err != nil {
		return nil, err
	}
	codes := make([]string, len(minted))
	for i, m := range minted {
		codes[i] = m.Code
	}
	return codes, w.calm(ctx, name)
}

// told is what a client was told of: a subject is in by a code.
type told struct{ code, subject string }

// crowd are the clients of a round and their ledger.
type crowd struct {
	world  *world
	launch string
	codes  []string
	asked  atomic.Int64
	last   atomic.Int64 // when somebody was answered, Unix ns
	quiet  atomic.Int64 // the longest silence, ns

	mu   sync.Mutex
	told map[told]gateway.ID
	safe map[told]bool
	twin int // answers that named another redemption than before
}

// ask redeems until the context is over. A request whose outcome is unknown is
// repeated, at any gateway, until it is known.
func (c *crowd) ask(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		r := client.Redeem{Code: c.codes[rng.IntN(len(c.codes))], Subject: fmt.Sprintf("s%d", rng.IntN(subjects))}
		if rng.IntN(3) == 0 {
			r.Ack = gateway.DurabilityPersisted
		}
		for ctx.Err() == nil {
			g := c.world.gateways[rng.IntN(len(c.world.gateways))]
			attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			answer, err := g.api.Redeem(attempt, c.launch, r)
			cancel()
			c.asked.Add(1)
			if c.note(r, answer, err) {
				break
			}
			pause(ctx, 5*time.Millisecond)
		}
	}
}

// note writes an answer down; false for one that decides nothing.
func (c *crowd) note(r client.Redeem, answer client.Redemption, err error) bool {
	var e *gateway.Error
	if err != nil && !(errors.As(err, &e) && e.RetryAfter == 0 && e.Reason.Status() < 500) {
		return false
	}
	now := time.Now().UnixNano()
	silence := now - c.last.Swap(now)
	for longest := c.quiet.Load(); silence > longest && !c.quiet.CompareAndSwap(longest, silence); longest = c.quiet.Load() {
	}
	if err != nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := told{r.Code, r.Subject}
	if id, ok := c.told[k]; ok && id != answer.ID {
		c.twin++
	}
	c.told[k] = answer.ID
	c.safe[k] = c.safe[k] || answer.Receipt.Durability == gateway.DurabilityPersisted
	return true
}

// settle compares what clients were told with both stores.
func (c *crowd) settle(ctx context.Context, fault string) (Round, error) {
	one := Round{Fault: fault, Asked: int(c.asked.Load()), Admitted: len(c.told), Closed: time.Duration(c.quiet.Load()), Over: c.twin}
	inPostgres := map[gateway.ID]bool{}
	api := c.world.gateways[0].api
	for p := (gateway.Page{Limit: 100}); ; {
		page, err := api.Redemptions(ctx, c.launch, gateway.RedemptionFilter{Status: gateway.Committed}, p)
		if err != nil {
			return one, err
		}
		for _, r := range page.Data {
			inPostgres[r.ID] = true
		}
		if !page.HasMore {
			break
		}
		p.After = page.Next
	}
	perCode := map[string]int{}
	for k, id := range c.told {
		perCode[k.code]++
		if c.safe[k] {
			one.Persisted++
		}
		if !inPostgres[id] {
			one.Lost++
			if c.safe[k] {
				one.LostSafe++
			}
		}
	}
	for _, n := range perCode {
		one.Over += max(0, n-usesOfACode)
	}
	v, err := api.Verify(ctx, c.launch)
	if err != nil {
		return one, err
	}
	one.Drift = v.Drift
	return one, nil
}
