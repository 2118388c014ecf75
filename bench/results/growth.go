package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/gateway/keyring"
	"admitone/lua"
)

// growthPoint is the gateway with so many connections, or with so many codes.
type growthPoint struct {
	Of   string  `json:"of"` // connections or codes
	N    int     `json:"n"`
	Load string  `json:"load"`
	Rate float64 `json:"per_s"`
	P50  float64 `json:"p50_ms"` // closed loop
	P99  float64 `json:"p99_ms"`
}

// takeGrowth measures with ever more connections, and with ever more codes.
func takeGrowth(ctx context.Context, w *world, f *figures) error {
	g := w.gateway
	at := func(c *contender, of, name string, n, clients int, l load) error {
		t := g.aside(nameAside, c)
		if err := t.before(ctx); err != nil {
			return err
		}
		s, err := w.measure(ctx, c, l, clients)
		if err == nil {
			f.Growth = append(f.Growth, growthPoint{of, n, name, s.Rate, s.P50, s.P99})
			note("%d %s, %s: %.0f/s", n, of, name, s.Rate)
		} else {
			err = fmt.Errorf("%d %s, %s: %w", n, of, name, err)
		}
		if e := t.after(ctx, s); err == nil {
			err = e
		}
		return err
	}
	for _, n := range []int{1, 10, 100, 1000} {
		if err := at(&g.contender, "connections", "hot", n, n, hot); err != nil {
			return err
		}
		if err := at(&g.contender, "connections", "distinct", n, n, distinct); err != nil {
			return err
		}
	}
	var c *contender
	for n := 1000; n <= w.grow; n *= 10 {
		note("growing to %d codes", n)
		var err error
		if c == nil {
			c, err = w.another(ctx, "grow", "", n)
		} else {
			c.codes, err = g.mint(ctx, c.launch, "codes", n-len(c.codes))
		}
		if err != nil {
			return err
		}
		if len(c.codes) != n {
			return fmt.Errorf("%d codes were ordered, there are %d", n, len(c.codes))
		}
		if err := at(c, "codes", "distinct", n, connections, distinct); err != nil {
			return err
		}
	}
	return nil
}

// takeMemory tells what a million of each thing takes in Redis, the journal
// left out, through the store alone: Postgres keeps none of it waiting.
func takeMemory(ctx context.Context, w *world, f *figures) error {
	r, err := w.startRedis(ctx, "memory")
	if err != nil {
		return err
	}
	defer r.Kill()
	secrets, err := keyring.ParseSecrets(keyring.GenerateSecret())
	if err != nil {
		return err
	}
	ring, err := keyring.New(secrets...)
	if err != nil {
		return err
	}
	client := lua.NewClient(&redis.UniversalOptions{Addrs: []string{r.Addr()}, PoolSize: 16})
	defer client.Close()
	m := &meter{client: client, store: lua.New(lua.Options{Redis: client, Keyring: ring, JournalBytes: 1 << 40, Queue: 1 << 20})}
	f.Memory, err = m.run(ctx, w.million)
	return err
}

// meter fills a store and weighs it.
type meter struct {
	client redis.UniversalClient
	store  *lua.Store
}

func (m *meter) run(ctx context.Context, million int) (*memory, error) {
	by := gateway.Actor{Name: "bench"}
	const launch = "memory"
	if _, err := m.store.CreateLaunch(ctx, gateway.DefaultPolicy(launch), by); err != nil {
		return nil, err
	}
	campaign, err := m.store.CreateCampaign(ctx, launch, gateway.Campaign{Name: "codes", Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: 1, Format: "{random:10}", Vanity: true}, by)
	if err != nil {
		return nil, err
	}
	empty, err := m.used(ctx)
	if err != nil {
		return nil, err
	}
	code := func(n int) gateway.Code { return gateway.Code(fmt.Sprintf("M%09d", n)) }
	for n := 0; n < million; n += lua.MaxMint {
		chunk := make([]gateway.NewCode, min(lua.MaxMint, million-n))
		for i := range chunk {
			chunk[i].Code = code(n + i)
		}
		if _, err := m.store.Mint(ctx, launch, campaign.Number, chunk, by); err != nil {
			return nil, err
		}
	}
	withCodes, err := m.used(ctx)
	if err != nil {
		return nil, err
	}
	// A quarter of a million tells what a million would take: the buckets are
	// full of codes already.
	part := million / 4
	err = together(part, func(n int) error {
		_, err := m.store.Redeem(ctx, launch, &gateway.Redeem{Code: code(n), Subject: "subject-" + strconv.Itoa(n)})
		return err
	})
	if err != nil {
		return nil, err
	}
	withMembers, err := m.used(ctx)
	if err != nil {
		return nil, err
	}
	err = together(part, func(n int) error {
		_, err := m.store.Join(ctx, launch, &gateway.Join{Email: "entry-" + strconv.Itoa(n) + "@example.com"})
		return err
	})
	if err != nil {
		return nil, err
	}
	withEntries, err := m.used(ctx)
	if err != nil {
		return nil, err
	}
	per := func(bytes int64, things int) *float64 { return rounded(float64(bytes) / float64(things)) }
	return &memory{per(withCodes-empty, million), per(withMembers-withCodes, part), per(withEntries-withMembers, part)}, nil
}

// together calls f for 0 to n-1, many at once, and returns the first error.
func together(n int, f func(int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, 1)
	for range 256 {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || len(failed) > 0 {
					return
				}
				if err := f(i); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// used is Redis' memory in bytes, without the journal, which Postgres would
// have taken by now.
func (m *meter) used(ctx context.Context) (int64, error) {
	for keys := m.client.Scan(ctx, 0, "ao:{memory}:journal", 1_000_000).Iterator(); keys.Next(ctx); {
		if err := m.client.Del(ctx, keys.Val()).Err(); err != nil {
			return 0, err
		}
	}
	info, err := m.client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("the server does not tell its memory")
}

// takeAllocations asks the edge's own benchmark.
func takeAllocations(ctx context.Context, w *world, f *figures) error {
	cmd := exec.CommandContext(ctx, "go", "test", "./gateway/edge", "-run", "^$", "-bench", "^BenchmarkRedeem$", "-benchmem", "-benchtime", "5000x")
	cmd.Dir = filepath.Clean(w.root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test ./gateway/edge: %w: %s", err, out)
	}
	fields := strings.Fields(string(out))
	for i, word := range fields {
		if word == "allocs/op" && i > 0 {
			n, err := strconv.ParseFloat(fields[i-1], 64)
			f.Allocs = &n
			return err
		}
	}
	return fmt.Errorf("go test ./gateway/edge tells no allocations: %s", out)
}
