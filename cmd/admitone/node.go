package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/gateway/admin"
	"admitone/gateway/challenge"
	"admitone/gateway/country"
	"admitone/gateway/edge"
	"admitone/gateway/keyring"
	"admitone/lua"
	"admitone/sync/heal"
	"admitone/sync/jobs"
	"admitone/sync/ledger"
	"admitone/sync/syncer"
)

// node is one gateway process: both listeners, the store, the syncer.
type node struct {
	listen
	redis     redis.UniversalClient
	postgres  string // URL
	keyring   *keyring.Keyring
	adminKey  string
	log       *slog.Logger
	bound     uint64 // bytes of journal that Postgres may lack
	drain     time.Duration
	rehearsal bool // clocks may be set ahead
	mail      jobs.SMTP

	ledger    *ledger.Ledger
	store     *lua.Store
	healer    *heal.Healer
	jobs      *jobs.Queue
	scheduler *jobs.Scheduler
	public    net.Listener
	private   net.Listener
	edge      *edge.Server
	admin     *http.Server
	work      sync.WaitGroup
	stopWork  context.CancelFunc
	unsafe    func(context.Context) []string
	countries *country.DB
	challenge *challenge.Verifier
	lastError chan error
	draining  atomic.Bool // stopping: no more traffic
}

// start connects, heals what it must, and serves. When it returns nil, both
// listeners answer.
func (n *node) start(ctx context.Context) (err error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(), poolStats(n.redis))
	if n.ledger, err = ledger.Open(ctx, n.postgres, n.keyring); err != nil {
		return fmt.Errorf("with Postgres: %w", err)
	}
	if err := n.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("no answer from Redis: %w", err)
	}
	persisted := new(gateway.Persisted)
	n.healer = &heal.Healer{Ledger: n.ledger, Pool: n.ledger.Pool(), Log: n.log, ID: gateway.NewID(time.Now())}
	n.store = lua.New(lua.Options{
		Redis: n.redis, Keyring: n.keyring, Admitter: n.healer, Persisted: persisted, Logger: n.log, Registry: registry, JournalBytes: n.bound,
	})
	n.healer.Serve(n.store)
	if err := n.warm(ctx); err != nil {
		return err
	}
	proxies, err := n.proxies()
	if err != nil {
		return err
	}
	allow, err := networks("--webhook-allow", n.WebhookAllow)
	if err != nil {
		return err
	}
	n.unsafe = func(ctx context.Context) []string {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a probe does not wait for a Postgres that hangs
		defer cancel()
		closed, _, _ := n.closed(ctx) // a Redis that does not answer is said elsewhere
		return slices.Concat(closed, unsafeSettings(ctx, n.redis), n.unable(ctx), n.unsent(ctx))
	}
	for _, w := range n.unsafe(ctx) {
		n.log.Warn("Redis: " + w)
	}
	if n.jobs, err = jobs.New(ctx, jobs.Options{
		Pool: n.ledger.Pool(), Store: n.store, Members: n.store, Ledger: n.ledger, Keyring: n.keyring, Logger: n.log, WebhookAllow: allow, SMTP: n.mail, Registry: registry,
		PublicURL: n.publicURL,
	}); err != nil {
		return err
	}
	n.ledger.Follow(n.jobs)
	n.scheduler = &jobs.Scheduler{Store: n.store, Prometheus: strings.TrimSuffix(n.PrometheusURL, "/"), Log: n.log}
	n.scheduler.Register(registry)
	keys := gateway.NewKeys(n.ledger, n.adminKey)
	public := edge.Config{
		Store: n.store, Ledger: n.ledger, Keyring: n.keyring, Persisted: persisted, Keys: keys, TrustedProxies: proxies, UseForwarded: n.Forwarded,
		ConnectionsPerAddress: n.PerAddress, Log: n.log, Metrics: registry,
	}
	if err := n.screens(&public); err != nil {
		return err
	}
	if err := n.shops.onto(&public); err != nil {
		return err
	}
	n.edge = edge.New(public)
	n.admin = admin.Serve(admin.New(admin.Config{
		Store: n.store, Ledger: n.ledger, Verifier: n.healer, Queue: n.jobs, Keys: keys, Checker: n.keyring, Persisted: persisted, Log: n.log, Metrics: registry, Rehearsal: n.rehearsal, Keyring: n.keyring, HeldBack: n.scheduler.HeldBack,
		Ready: n.notReady, Warnings: n.unsafe,
	}))
	if n.public, err = net.Listen("tcp", n.Addr); err != nil {
		return fmt.Errorf("the public listener: %w; choose another port with --addr", err)
	}
	if n.private, err = net.Listen("tcp", n.AdminAddr); err != nil {
		n.public.Close()
		return fmt.Errorf("the private listener: %w; choose another port with --admin-addr", err)
	}
	return n.run(registry, persisted)
}

// screens opens what policies need to know of addresses and people.
func (n *node) screens(c *edge.Config) (err error) {
	if n.countries, err = n.listen.countries(); err != nil {
		return err
	}
	if n.challenge, err = n.challenger(); err != nil {
		return err
	}
	if n.countries != nil {
		c.Countries = n.countries
	}
	if n.challenge != nil {
		c.Challenger = n.challenge
	}
	return nil
}

// unable lists what policies ask of this process and it cannot do.
func (n *node) unable(ctx context.Context) (warnings []string) {
	names, err := n.store.Launches(ctx)
	if err != nil {
		return nil // said elsewhere
	}
	for _, name := range names {
		l, err := n.store.Launch(ctx, name)
		if err != nil {
			continue
		}
		abuse := &l.Policy.Abuse
		if n.countries == nil && len(abuse.Countries.Allow)+len(abuse.Countries.Deny) > 0 {
			warnings = append(warnings, "the launch "+name+" has rules of countries, and there is no --country-database: they refuse nobody")
		}
		if n.challenge == nil && l.Policy.Limits.AddressDedup.Action == gateway.DedupChallenge {
			warnings = append(warnings, "the launch "+name+" asks for a challenge, and there is no ADMITONE_CHALLENGE_SECRET: nobody can solve it")
		}
	}
	return warnings
}

// publicURL is where people reach the public listener.
func (n *node) publicURL() string {
	if n.PublicURL == "" && n.rehearsal && n.public != nil {
		return "http://" + reachable(n.public.Addr()) // on this machine
	}
	return strings.TrimSuffix(n.PublicURL, "/")
}

// warmFor is how long a start waits for launches to be admitted. One that takes
// longer answers not_admitted until it is.
const warmFor = 30 * time.Second

// warm admits every launch that Postgres knows, so that the first request
// finds it ready and a Redis that lost something is healed before it serves.
func (n *node) warm(ctx context.Context) error {
	names, err := n.ledger.Launches(ctx)
	if err != nil {
		return fmt.Errorf("with Postgres: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, warmFor)
	defer cancel()
	for _, name := range names {
		_, err := n.store.Launch(ctx, name)
		for err != nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
				_, err = n.store.Launch(ctx, name)
			}
		}
		if err != nil {
			n.log.Warn("a launch is not served yet", "launch", name, "error", err)
		}
	}
	return nil
}

// run starts what goes on in the background.
func (n *node) run(registry *prometheus.Registry, persisted *gateway.Persisted) error {
	work, stop := context.WithCancel(context.Background())
	n.stopWork = stop
	n.lastError = make(chan error, 2)
	copier := syncer.New(syncer.Options{Source: n.store, Ledger: n.ledger, Persisted: persisted, Logger: n.log, Registry: registry})
	n.work.Go(func() { copier.Run(work, n.ledger.Pool()) })
	n.work.Go(func() { n.store.Listen(work) })
	n.work.Go(func() { n.store.KeepLines(work) })
	n.work.Go(func() { n.scheduler.Run(work, time.Second) })
	n.work.Go(func() { n.store.SweepEvery(work, time.Second) })
	drift := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "admitone_drift_rows", Help: "Rows of the last sample on which Redis and Postgres did not agree.",
	}, []string{"launch"})
	registry.MustRegister(drift)
	n.work.Go(func() {
		n.healer.Patrol(work, time.Minute, func(launch string, rows int) { drift.WithLabelValues(launch).Set(float64(rows)) })
	})
	if n.countries != nil {
		n.work.Go(func() { n.countries.Watch(work, time.Minute, n.log) })
	}
	n.work.Go(func() { n.healer.Watch(work, 250*time.Millisecond) })
	go func() { n.lastError <- n.edge.Serve(n.public) }()
	go func() {
		if err := n.admin.Serve(n.private); !errors.Is(err, http.ErrServerClosed) {
			n.lastError <- err
		}
	}()
	return n.jobs.Start(work)
}

// notReady lists why this process should get no traffic. A launch that is not
// admitted is no reason while others are: their users would pay for it.
func (n *node) notReady(ctx context.Context) []string {
	if n.draining.Load() {
		return []string{"it is stopping"}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.redis.Ping(ctx).Err(); err != nil {
		return []string{"Redis does not answer"}
	}
	closed, open, err := n.closed(ctx)
	if err != nil {
		return []string{"Redis does not answer"}
	}
	if open > 0 {
		return nil
	}
	return closed
}

// closed says which launches are not admitted, and how many are.
func (n *node) closed(ctx context.Context) (closed []string, open int, err error) {
	names, err := n.store.Launches(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		_, err := n.store.Launch(ctx, name)
		switch {
		case err == nil:
			open++
		case !errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)):
			closed = append(closed, "the launch "+name+" is not admitted")
		}
	}
	return closed, open, nil
}

// stop drains: no new connections, requests in hand are finished, then the
// syncer copies what they decided, then everything closes.
func (n *node) stop() {
	n.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), n.drain)
	defer cancel()
	if n.edge != nil && n.public != nil {
		if err := n.edge.Shutdown(ctx); err != nil {
			n.log.Warn("connections were cut off", "error", err)
		}
	}
	if n.admin != nil && n.private != nil {
		if err := n.admin.Shutdown(ctx); err != nil {
			n.log.Warn("admin connections were cut off", "error", err)
		}
	}
	if n.stopWork != nil {
		if err := n.jobs.Stop(ctx); err != nil {
			n.log.Warn("jobs were cut off; they go on at the next start", "error", err)
		}
		n.flush(ctx)
		n.stopWork()
		n.work.Wait()
		if err := n.ledger.Gone(ctx, n.healer.ID); err != nil {
			n.log.Warn("the other gateways are not told that this one ends", "error", err)
		}
	}
	if n.ledger != nil {
		n.ledger.Close()
	}
	if err := n.redis.Close(); err != nil {
		n.log.Warn("closing Redis", "error", err)
	}
}

// flush gives whoever leads the time to copy what this process decided. While a
// launch is closed this process may be the only one that remembers it: then it
// waits until a healed Redis has been told.
func (n *node) flush(ctx context.Context) {
	for name := range n.store.Remembered() {
		for ctx.Err() == nil {
			at, err := n.store.Position(ctx, name)
			if err == nil && at.Entries == 0 || err != nil && n.store.Remembered()[name] == 0 {
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	for name, answers := range n.store.Remembered() {
		if answers > 0 && ctx.Err() != nil {
			n.log.Warn("this process ends before Postgres holds all that it answered: where Redis has lost it too, nobody remembers it", "launch", name, "answers", answers)
		}
	}
}

func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "admitone_build_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	g.Set(1)
	return g
}

// poolStats tells how the connections to Redis are used.
func poolStats(r redis.UniversalClient) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "admitone_redis_connections", Help: "Open connections to Redis.",
	}, func() float64 { return float64(r.PoolStats().TotalConns) })
}
