package main

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// faults are what can break.
var faults = []fault{
	{"none", func(context.Context, *world, *rand.Rand) error { return nil }},
	{"redis-kill", func(ctx context.Context, w *world, _ *rand.Rand) error {
		w.redis.Kill()
		return w.redis.Restart(ctx)
	}},
	{"power-cut", func(ctx context.Context, w *world, rng *rand.Rand) error {
		// What a power cut takes with appendfsync everysec: up to a second of
		// the append-only file. kill -9 alone takes nothing, the page cache
		// lives on.
		path, before := w.appendOnly()
		pause(ctx, time.Duration(200+rng.IntN(800))*time.Millisecond)
		w.redis.Kill()
		// A rewrite may have begun another file meanwhile: then this one is on
		// the disk whole.
		if now, size := w.appendOnly(); now == path && size > before {
			if err := os.Truncate(path, before+rng.Int64N(size-before)); err != nil {
				return err
			}
		}
		return w.redis.Restart(ctx)
	}},
	{"flushall", func(ctx context.Context, w *world, _ *rand.Rand) error {
		return w.client.FlushAll(ctx).Err()
	}},
	{"empty-server", func(ctx context.Context, w *world, _ *rand.Rand) error {
		w.redis.Kill()
		if err := os.RemoveAll(filepath.Join(w.dir, "redis", "appendonlydir")); err != nil {
			return err
		}
		return w.redis.Restart(ctx)
	}},
	{"redis-freeze", func(ctx context.Context, w *world, rng *rand.Rand) error {
		if err := w.redis.Freeze(); err != nil {
			return err
		}
		pause(ctx, time.Duration(200+rng.IntN(1800))*time.Millisecond)
		return w.redis.Thaw()
	}},
	{"script-flush", func(ctx context.Context, w *world, _ *rand.Rand) error {
		for range 20 {
			if err := w.client.ScriptFlush(ctx).Err(); err != nil {
				return err
			}
			pause(ctx, 10*time.Millisecond)
		}
		return nil
	}},
	{"postgres-kill", func(ctx context.Context, w *world, rng *rand.Rand) error {
		w.postgres.Kill()
		pause(ctx, time.Duration(rng.IntN(1000))*time.Millisecond)
		return w.postgres.Restart(ctx)
	}},
	{"postgres-stop", func(ctx context.Context, w *world, rng *rand.Rand) error {
		if err := w.postgres.Stop(ctx); err != nil {
			return err
		}
		pause(ctx, time.Duration(500+rng.IntN(2000))*time.Millisecond)
		return w.postgres.Restart(ctx)
	}},
	{"gateway-kill", func(ctx context.Context, w *world, rng *rand.Rand) error {
		g := w.gateways[rng.IntN(len(w.gateways))]
		g.program.Kill()
		return g.start(ctx)
	}},
	{"gateway-freeze", func(ctx context.Context, w *world, rng *rand.Rand) error {
		g := w.gateways[rng.IntN(len(w.gateways))]
		if err := g.program.Freeze(); err != nil {
			return err
		}
		pause(ctx, time.Duration(500+rng.IntN(3500))*time.Millisecond)
		return g.program.Thaw()
	}},
	{"redis-and-postgres", func(ctx context.Context, w *world, rng *rand.Rand) error {
		w.postgres.Kill()
		pause(ctx, time.Duration(rng.IntN(300))*time.Millisecond)
		w.redis.Kill()
		if err := w.postgres.Restart(ctx); err != nil {
			return err
		}
		return w.redis.Restart(ctx)
	}},
}

// appendOnly is the append-only file that grows now, and its length.
func (w *world) appendOnly() (path string, size int64) {
	files, _ := filepath.Glob(filepath.Join(w.dir, "redis", "appendonlydir", "*.incr.aof"))
	if len(files) == 0 {
		return "", 0
	}
	// appendonly.aof.N.incr.aof: by N, not by name.
	path = slices.MaxFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	return path, size
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
