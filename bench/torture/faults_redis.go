package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"admitone/bench/rig"
)

// redisFaults hit a standalone redis-server.
var redisFaults = []fault{
	{
		// kill -9 takes nothing from the append-only file: the page cache lives on.
		name: "redis-kill", kind: standalone, hits: hitsRedis, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error {
			s.redis.Kill()
			return s.redis.Restart(ctx)
		},
	},
	{
		name: "power-cut", kind: standalone, hits: hitsRedis, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error {
			s.while(ctx, 200*time.Millisecond, time.Second) // since the last sync to disk
			return s.cutPower(ctx)
		},
	},
	{
		// With appendfsync always an answer is on the disk before it is given:
		// it survives the power cut and every gateway.
		name: "power-cut-always", kind: standalone, hits: hitsRedis | hitsNetwork | hitsGateways, breaks: true,
		do: func(ctx context.Context, s *scene) error {
			if err := s.client.ConfigSet(ctx, "appendfsync", "always").Err(); err != nil {
				return err
			}
			s.while(ctx, 500*time.Millisecond, time.Second)
			// Redis first: what it answers meanwhile is answered.
			if err := s.redis.Freeze(); err != nil {
				return err
			}
			for _, g := range s.gateways {
				g.program.Kill()
			}
			if err := s.cutPower(ctx); err != nil {
				return err
			}
			for _, g := range s.gateways {
				if err := g.start(ctx); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "flushall", kind: standalone, hits: hitsRedis, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error { return s.client.FlushAll(ctx).Err() },
	},
	{
		name: "empty-server", kind: standalone, hits: hitsRedis, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error {
			s.redis.Kill()
			if err := os.RemoveAll(filepath.Join(s.redis.Dir(), "appendonlydir")); err != nil {
				return err
			}
			return s.redis.Restart(ctx)
		},
	},
	{
		// The replica misses what its master answered behind the cut link; then
		// it is promoted and takes the master's place.
		name: "stale-replica", kind: standalone, hits: hitsRedis | hitsNetwork, breaks: true, loses: true,
		do: staleReplica,
	},
	{
		name: "redis-freeze", kind: standalone, hits: hitsRedis,
		do: func(ctx context.Context, s *scene) error {
			if err := s.redis.Freeze(); err != nil {
				return err
			}
			s.while(ctx, 200*time.Millisecond, 2*time.Second)
			return s.redis.Thaw()
		},
	},
	{
		name: "script-flush", kind: standalone, hits: hitsRedis,
		do: func(ctx context.Context, s *scene) error {
			for range 20 {
				if err := s.client.ScriptFlush(ctx).Err(); err != nil {
					return err
				}
				pause(ctx, 10*time.Millisecond)
			}
			return nil
		},
	},
	{
		name: "out-of-memory", kind: standalone, hits: hitsRedis,
		do: func(ctx context.Context, s *scene) error {
			info, err := s.client.Info(ctx, "memory").Result()
			if err != nil {
				return err
			}
			_, rest, _ := strings.Cut(info, "used_memory:")
			line, _, _ := strings.Cut(rest, "\r")
			used, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				return fmt.Errorf("used_memory: %w", err)
			}
			if err := s.client.ConfigSet(ctx, "maxmemory", strconv.FormatInt(used+s.rng.Int64N(100_000), 10)).Err(); err != nil {
				return err
			}
			s.while(ctx, time.Second, 3*time.Second)
			return s.client.ConfigSet(ctx, "maxmemory", "0").Err()
		},
	},
	{
		name: "clock-jump", kind: standalone, hits: hitsRedis,
		do: func(ctx context.Context, s *scene) error {
			const day = 24 * time.Hour
			jumps := []time.Duration{day, -day}
			s.rng.Shuffle(len(jumps), func(i, j int) { jumps[i], jumps[j] = jumps[j], jumps[i] })
			for _, ahead := range append(jumps, 0) {
				if err := s.shim.setAhead(ahead); err != nil {
					return err
				}
				s.while(ctx, 300*time.Millisecond, 700*time.Millisecond)
			}
			return nil
		},
	},
	{
		name: "redis-and-postgres", kind: standalone, hits: hitsRedis | hitsPostgres, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error {
			s.postgres.Kill()
			s.while(ctx, 0, 300*time.Millisecond)
			s.redis.Kill()
			if err := s.postgres.Restart(ctx); err != nil {
				return err
			}
			return s.redis.Restart(ctx)
		},
	},
	{
		// Redis and everybody who answered at once: an accepted answer may be
		// lost, a persisted one may not.
		name: "redis-and-gateways", kind: standalone, hits: hitsRedis | hitsNetwork | hitsGateways, breaks: true, loses: true, orphans: true,
		do: func(ctx context.Context, s *scene) error {
			for _, g := range s.gateways {
				g.program.Kill()
			}
			if err := s.cutPower(ctx); err != nil {
				return err
			}
			for _, g := range s.gateways {
				if err := g.start(ctx); err != nil {
					return err
				}
			}
			return nil
		},
	},
}

// cutPower kills Redis and leaves of its append-only file what was on the disk.
func (s *scene) cutPower(ctx context.Context) error {
	s.redis.Kill()
	if _, err := s.shim.cutPower(s.redis.Dir()); err != nil {
		return err
	}
	return s.redis.Restart(ctx)
}

func staleReplica(ctx context.Context, s *scene) error {
	link, err := rig.StartProxy(s.redis.Addr())
	if err != nil {
		return err
	}
	defer link.Close()
	s.replicas++
	replica, err := rig.StartRedis(ctx, rig.RedisOptions{
		Dir: filepath.Join(s.dir, fmt.Sprintf("redis-%d", s.replicas)), AppendOnly: true, Fsync: "everysec", ReplicaOf: link.Addr(), Env: s.shim.env(),
	})
	if err != nil {
		return err
	}
	if err := replica.InSync(ctx); err != nil {
		return err
	}
	link.Cut()
	s.while(ctx, 200*time.Millisecond, 800*time.Millisecond)
	if err := replica.Promote(ctx); err != nil {
		return err
	}
	for _, g := range s.gateways {
		g.link.Point(replica.Addr())
	}
	old := s.redis
	s.redis = replica
	old.Kill()
	s.client.Close()
	s.client = directClient(replica)
	return os.RemoveAll(old.Dir())
}
