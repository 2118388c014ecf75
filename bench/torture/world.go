package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/keyring"
	"admitone/lua"
)

// kind is how Redis is deployed.
type kind string

// The kinds.
const (
	standalone kind = "standalone"
	sentinel   kind = "sentinel"
	cluster    kind = "cluster"
)

// world is everything that runs: a Redis of one kind, a postgres, gateways.
type world struct {
	kind     kind
	dir      string
	shim     *shim      // standalone
	redis    *rig.Redis // standalone, sentinel: the master
	replica  *rig.Redis // sentinel
	sentinel *rig.Sentinel
	cluster  *rig.Cluster
	client   redis.UniversalClient // of the harness itself
	postgres *rig.Postgres
	toStore  *rig.Proxy // between the gateways and postgres
	gateways []*process
	adminKey string
	replicas int  // made so far
	keep     bool // the directory, for its logs
}

const gateways = 2

// binaries are the gateway as it is and as its next release may be.
type binaries struct{ current, next string }

// build starts a world. Its postgres, gateways and secrets are its own.
func build(ctx context.Context, k kind, b binaries) (_ *world, err error) {
	dir, err := os.MkdirTemp("", "admitone-torture-")
	if err != nil {
		return nil, err
	}
	w := &world{kind: k, dir: dir, adminKey: gateway.NewAPIKey()}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // postgres is another user
		return nil, err
	}
	if w.postgres, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(dir, "postgres"), Durable: true}); err != nil {
		return nil, err
	}
	if err := w.postgres.Create(ctx, "admitone"); err != nil {
		return nil, err
	}
	store, err := url.Parse(w.postgres.Database("admitone"))
	if err != nil {
		return nil, err
	}
	if w.toStore, err = rig.StartProxy(store.Host); err != nil {
		return nil, err
	}
	store.Host = w.toStore.Addr()
	if err := w.startRedis(ctx); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"secrets": keyring.GenerateSecret(), "admin-key": w.adminKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for n := range gateways {
		p, err := newProcess(w, n, b, store.String())
		if err != nil {
			return nil, err
		}
		w.gateways = append(w.gateways, p)
		if err := p.start(ctx); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// startRedis starts the kind of Redis that the world has.
func (w *world) startRedis(ctx context.Context) (err error) {
	o := rig.RedisOptions{Dir: filepath.Join(w.dir, "redis"), AppendOnly: true, Fsync: "everysec"}
	switch w.kind {
	case standalone:
		if w.shim, err = buildShim(ctx, w.dir); err != nil {
			return err
		}
		o.Env = w.shim.env()
		if w.redis, err = rig.StartRedis(ctx, o); err != nil {
			return err
		}
		w.client = directClient(w.redis)
	case sentinel:
		if w.redis, err = rig.StartRedis(ctx, o); err != nil {
			return err
		}
		o.Dir, o.ReplicaOf = filepath.Join(w.dir, "replica"), w.redis.Addr()
		if w.replica, err = rig.StartRedis(ctx, o); err != nil {
			return err
		}
		if err := w.replica.InSync(ctx); err != nil {
			return err
		}
		w.sentinel, err = rig.StartSentinel(ctx, rig.SentinelOptions{
			Dir: filepath.Join(w.dir, "sentinel"), Name: "admitone", Master: w.redis.Addr(), Quorum: 1, DownAfter: time.Second,
		})
		if err != nil {
			return err
		}
		if err := w.sentinel.Knows(ctx, 1); err != nil {
			return err
		}
		w.client = lua.NewClient(&redis.UniversalOptions{Addrs: []string{w.sentinel.Addr()}, MasterName: "admitone"})
	case cluster:
		if w.cluster, err = rig.StartCluster(ctx, o, 3); err != nil {
			return err
		}
		w.client = lua.NewClient(&redis.UniversalOptions{Addrs: []string{w.cluster.Nodes[0].Addr()}, IsClusterMode: true})
	}
	return nil
}

func (w *world) close() {
	for _, g := range w.gateways {
		if g.program != nil {
			g.program.Kill()
		}
		if g.link != nil {
			g.link.Close()
		}
	}
	if w.client != nil {
		w.client.Close()
	}
	if w.sentinel != nil {
		w.sentinel.Kill()
	}
	for _, r := range []*rig.Redis{w.redis, w.replica} {
		if r != nil {
			r.Kill()
		}
	}
	if w.cluster != nil {
		w.cluster.Kill()
	}
	if w.toStore != nil {
		w.toStore.Close()
	}
	if w.postgres != nil {
		w.postgres.Kill()
	}
	if w.keep {
		return
	}
	os.RemoveAll(w.dir)
}

// calm waits until every gateway serves the launch and Postgres holds what
// Redis does.
func (w *world) calm(ctx context.Context, launch string) error {
	return eventually(ctx, "every gateway serves the launch, and Postgres holds what Redis does", func() error {
		for _, g := range w.gateways {
			asking, cancel := context.WithTimeout(ctx, 5*time.Second)
			at, err := g.api.Position(asking, launch)
			cancel()
			if err != nil {
				return fmt.Errorf("gateway %d: %w", g.n, err)
			}
			if at.Entries > 0 {
				return fmt.Errorf("gateway %d: Redis is at position %d, Postgres at %d", g.n, at.Seq, at.Persisted)
			}
		}
		return nil
	})
}

// epoch is the launch's epoch as a gateway that serves it says.
func (w *world) epoch(ctx context.Context, launch string) (epoch uint64, err error) {
	err = eventually(ctx, "the epoch is known", func() error {
		at, err := w.gateways[0].api.Position(ctx, launch)
		epoch = at.Epoch
		return err
	})
	return epoch, err
}

// eventually tries for a minute: what a fault needs may be broken by another.
func eventually(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("not so within a minute: %s: %w", what, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
