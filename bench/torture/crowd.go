package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"admitone/gateway"
	"admitone/gateway/client"
)

// crowd are the clients of a round and their ledger.
type crowd struct {
	world    *world
	launch   string
	campaign string
	codes    []string
	began    time.Time
	asked    atomic.Int64
	answered atomic.Int64
	last     atomic.Int64           // when somebody was answered, since began, ns
	silent   atomic.Int64           // the longest silence, ns
	shut     [gateways]atomic.Int64 // since when a gateway answers not_admitted, since began, ns; 0: it does not
	fenced   [gateways]atomic.Int64 // how long each did, ns

	mu      sync.Mutex
	told    map[gateway.ID]*told
	history []porcupine.Operation
}

// told is a redemption that clients were told of.
type told struct {
	asked
	safe bool // they were told that it is persisted
}

func (w *world) crowd(launch, campaign string, codes []string) *crowd {
	return &crowd{world: w, launch: launch, campaign: campaign, codes: codes, began: time.Now(), told: map[gateway.ID]*told{}}
}

// ask redeems until the context is over. A request whose outcome is unknown is
// repeated, at any gateway, until it is known; now and then one is repeated
// that is known.
func (c *crowd) ask(ctx context.Context, number int, rng *rand.Rand) {
	var want asked
	for ctx.Err() == nil {
		if want.code == "" || rng.IntN(10) > 0 {
			want = asked{c.codes[rng.IntN(len(c.codes))], fmt.Sprintf("s%d", rng.IntN(subjects))}
		}
		c.redeem(ctx, number, want, rng.IntN(3) == 0, func() int { return rng.IntN(len(c.world.gateways)) })
	}
}

// served returns once every gateway has decided something after the fault: so
// each has noticed what happened.
func (c *crowd) served(ctx context.Context, rng *rand.Rand) error {
	for n := range c.world.gateways {
		want := asked{c.codes[rng.IntN(len(c.codes))], fmt.Sprintf("probe-%d", n)}
		patient, cancel := context.WithTimeout(ctx, time.Minute)
		end := c.redeem(patient, -1-n, want, false, func() int { return n })
		cancel()
		if end == unknown {
			return fmt.Errorf("gateway %d decides nothing within a minute", n)
		}
	}
	return nil
}

// redeem asks for one use until its outcome is known or the context is over,
// each time at the gateway that at tells.
func (c *crowd) redeem(ctx context.Context, number int, want asked, persisted bool, at func() int) outcome {
	r := client.Redeem{Code: want.code, Subject: want.subject}
	if persisted {
		r.Ack = gateway.DurabilityPersisted
	}
	call, end := time.Since(c.began), unknown
	for end == unknown && ctx.Err() == nil {
		n := at()
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		answer, err := c.world.gateways[n].api.Redeem(attempt, c.launch, r)
		cancel()
		c.asked.Add(1)
		if end = c.note(n, want, answer, err); end == unknown {
			pause(ctx, 5*time.Millisecond)
		}
	}
	c.record(number, want, call, end)
	return end
}

// record adds a request that has ended to the history.
func (c *crowd) record(number int, want asked, call time.Duration, end outcome) {
	back := int64(time.Since(c.began))
	if end == unknown {
		back = math.MaxInt64 // it may still be decided
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, porcupine.Operation{ClientId: number, Input: want, Call: int64(call), Output: end, Return: back})
}

// note writes an answer down.
func (c *crowd) note(n int, want asked, answer client.Redemption, err error) outcome {
	now := int64(time.Since(c.began))
	var e *gateway.Error
	if err != nil && !errors.As(err, &e) {
		return unknown
	}
	if err != nil && (e.RetryAfter > 0 || e.Reason.Status() >= 500) {
		if e.Reason == gateway.NotAdmitted {
			c.shut[n].CompareAndSwap(0, now)
		}
		return unknown
	}
	c.answered.Add(1)
	if since := c.shut[n].Swap(0); since != 0 && since < now {
		c.fenced[n].Add(now - since)
	}
	raise(&c.silent, now-c.last.Swap(now))
	if err != nil {
		return exhausted
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.told[answer.ID]
	if t == nil {
		t = &told{asked: want}
		c.told[answer.ID] = t
	}
	t.safe = t.safe || answer.Receipt.Durability == gateway.DurabilityPersisted
	return admitted
}

func raise(highest *atomic.Int64, n int64) {
	for was := highest.Load(); n > was && !highest.CompareAndSwap(was, n); was = highest.Load() {
	}
}

// settle compares what clients were told with both stores.
func (c *crowd) settle(ctx context.Context, one *Round) error {
	one.Asked, one.Answered, one.Admitted = int(c.asked.Load()), int(c.answered.Load()), one.Admitted+len(c.told)
	one.Silent = time.Duration(c.silent.Load())
	for n := range c.fenced {
		one.Fenced = max(one.Fenced, time.Duration(c.fenced[n].Load()))
	}
	inPostgres, err := c.stored(ctx)
	if err != nil {
		return err
	}
	perCode := map[string]int{}
	in := map[asked]int{}
	for _, of := range inPostgres {
		perCode[of.code]++
		in[of]++
	}
	for id, t := range c.told {
		if t.safe {
			one.Persisted++
		}
		if _, ok := inPostgres[id]; ok {
			continue
		}
		one.Lost++
		if t.safe {
			one.LostSafe++
		}
	}
	for _, n := range in {
		one.Over += n - 1 // a subject that used a code twice
	}
	for _, n := range perCode {
		one.Over += max(0, n-usesOfACode)
	}
	// A loss that is excused is a hole in the history.
	if one.Lost == 0 || !one.Excused {
		one.Crooked, one.Unchecked = check(known(c.history, in), usesOfACode)
	}
	return eventually(ctx, "both stores are compared", func() error {
		conflicts, err := c.world.gateways[0].api.Conflicts(ctx, c.launch)
		if err != nil {
			return err
		}
		v, err := c.world.gateways[0].api.Verify(ctx, c.launch)
		one.Conflicts, one.Drift = len(conflicts), v.Drift
		return err
	})
}

// stored are the redemptions that Postgres holds, and of what.
func (c *crowd) stored(ctx context.Context) (map[gateway.ID]asked, error) {
	all := map[gateway.ID]asked{}
	for p := (gateway.Page{Limit: 100}); ; {
		page, err := c.world.gateways[0].api.Redemptions(ctx, c.launch, gateway.RedemptionFilter{Campaign: c.campaign, Status: gateway.Committed}, p)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Data {
			all[r.ID] = asked{r.Code, r.Subject}
		}
		if !page.HasMore {
			return all, nil
		}
		p.After = page.Next
	}
}
