package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// The overload: with every call to Redis held back for callTakes, two calls at
// a time of 128 items each let about 320 redemptions a second through; five
// times as many come, whether or not those before were answered.
const (
	callTakes    = 800 * time.Millisecond
	offered      = 1600 // a second
	overloadsFor = 4 * time.Second
)

// What an overloaded gateway must keep to, on a machine that does other things
// besides: bounds that a queue without one misses by far, and that a busy
// machine does not.
const (
	acceptedWithin = 6 * time.Second // half of those that were let in
	refusedWithin  = time.Second     // half of those that were not
	mayGrow        = 256 << 20       // bytes of memory
)

var overloadFault = fault{name: "overload", kind: standalone, hits: hitsNetwork | hitsGateways, do: overload}

// burst is what became of an open loop's requests.
type burst struct {
	mu                sync.Mutex
	accepted, refused []time.Duration
	unknown           int
}

func overload(ctx context.Context, s *scene) error {
	g := s.one()
	before, _, err := g.resident()
	if err != nil {
		return err
	}
	for _, each := range s.gateways {
		each.link.Delay(callTakes / 2)
		defer each.link.Restore()
	}
	api := client.New("http://"+g.public, "", "", client.Options{Retries: -1, HTTP: &http.Client{Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, MaxIdleConnsPerHost: 4000, MaxConnsPerHost: 4000, // below the gateway's limit for an address
	}}})
	defer api.Close()
	b := &burst{}
	var requests sync.WaitGroup
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for time.Since(began) < overloadsFor && ctx.Err() == nil {
		<-tick.C
		for due := int(time.Since(began).Seconds() * offered); sent < due; sent++ {
			want := asked{s.crowd.codes[s.rng.IntN(len(s.crowd.codes))], fmt.Sprintf("burst-%d", sent)}
			requests.Go(func() { b.ask(ctx, s.crowd, g, api, want) })
		}
	}
	requests.Wait()
	after, _, err := g.resident()
	if err != nil {
		return err
	}
	return b.judge(s, sent, after-before)
}

// ask sends one request, once.
func (b *burst) ask(ctx context.Context, c *crowd, g *process, api *client.Client, want asked) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	call := time.Since(c.began)
	answer, err := api.Redeem(ctx, c.launch, client.Redeem{Code: want.code, Subject: want.subject})
	took := time.Since(c.began) - call
	c.asked.Add(1)
	if errors.Is(err, gateway.Refuse(gateway.Overloaded)) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.refused = append(b.refused, took)
		return // it was not decided
	}
	end := c.note(g.n, want, answer, err)
	c.record(-100, want, call, end)
	b.mu.Lock()
	defer b.mu.Unlock()
	if end == unknown {
		b.unknown++
		return
	}
	b.accepted = append(b.accepted, took)
}

func (b *burst) judge(s *scene, sent int, grown int64) error {
	s.note("overload: %d sent in %v; %d decided, 50 of 100 within %v and 99 within %v; %d told to come back, 50 within %v and 99 within %v; %d unknown; %d MiB more memory",
		sent, overloadsFor, len(b.accepted), part100(b.accepted, 50), part100(b.accepted, 99), len(b.refused), part100(b.refused, 50), part100(b.refused, 99), b.unknown, grown>>20)
	switch {
	case len(b.accepted) == 0 || len(b.refused) == 0:
		return fmt.Errorf("of %d requests %d were decided and %d refused: this was no overload", sent, len(b.accepted), len(b.refused))
	case part100(b.accepted, 50) > acceptedWithin:
		return fmt.Errorf("what was let in waited %v", part100(b.accepted, 50))
	case part100(b.refused, 50) > refusedWithin:
		return fmt.Errorf("what was not let in waited %v to be told so", part100(b.refused, 50))
	case grown > mayGrow:
		return fmt.Errorf("the gateway took %d MiB more", grown>>20)
	}
	return nil
}

// part100 is the time within which so many of 100 were answered.
func part100(list []time.Duration, of100 int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[(len(list)-1)*of100/100].Round(time.Millisecond)
}
