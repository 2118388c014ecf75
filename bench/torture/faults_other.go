package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// networkFaults hit the connections between gateways and Redis.
var networkFaults = []fault{
	{
		name: "network-cut", kind: standalone, hits: hitsNetwork,
		do: func(ctx context.Context, s *scene) error {
			return s.onLinks(ctx, func(g *process) { g.link.Cut() })
		},
	},
	{
		name: "network-slow", kind: standalone, hits: hitsNetwork,
		do: func(ctx context.Context, s *scene) error {
			delay := time.Duration(20+s.rng.IntN(200)) * time.Millisecond
			return s.onLinks(ctx, func(g *process) { g.link.Delay(delay) })
		},
	},
	{
		name: "replies-lost", kind: standalone, hits: hitsNetwork,
		do: func(ctx context.Context, s *scene) error {
			return s.onLinks(ctx, func(g *process) { g.link.DropReplies() })
		},
	},
}

// onLinks breaks the way to Redis of some gateways for a while.
func (s *scene) onLinks(ctx context.Context, breaks func(*process)) error {
	some := s.some()
	for _, g := range some {
		breaks(g)
	}
	s.while(ctx, 200*time.Millisecond, 2*time.Second)
	for _, g := range some {
		g.link.Restore()
	}
	return nil
}

// postgresFaults hit Postgres.
var postgresFaults = []fault{
	{
		name: "postgres-kill", kind: standalone, hits: hitsPostgres,
		do: func(ctx context.Context, s *scene) error {
			s.postgres.Kill()
			s.while(ctx, 0, time.Second)
			return s.postgres.Restart(ctx)
		},
	},
	{
		name: "postgres-stop", kind: standalone, hits: hitsPostgres,
		do: func(ctx context.Context, s *scene) error {
			if err := s.postgres.Stop(ctx); err != nil {
				return err
			}
			s.while(ctx, 500*time.Millisecond, 2500*time.Millisecond)
			return s.postgres.Restart(ctx)
		},
	},
	{
		name: "postgres-slow", kind: standalone, hits: hitsPostgres,
		do: func(ctx context.Context, s *scene) error {
			s.toStore.Delay(time.Duration(20+s.rng.IntN(80)) * time.Millisecond)
			defer s.toStore.Restore()
			s.while(ctx, time.Second, 3*time.Second)
			return nil
		},
	},
	{
		name: "leader-cut", kind: standalone, hits: hitsPostgres,
		do: func(ctx context.Context, s *scene) error {
			for range 3 {
				if err := s.endLeader(ctx); err != nil {
					return err
				}
				s.while(ctx, 100*time.Millisecond, 600*time.Millisecond)
			}
			return nil
		},
	},
}

// endLeader ends the connection on which the syncer's leader holds its lock.
func (s *scene) endLeader(ctx context.Context) error {
	return eventually(ctx, "the leader's connection is ended", func() error {
		conn, err := pgx.Connect(ctx, s.postgres.Database("admitone"))
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_locks
			WHERE locktype = 'advisory' AND classid = $1 AND objid = $2 AND objsubid = 1 AND granted`, leaderLock>>32, leaderLock&0xffffffff)
		return err
	})
}

// leaderLock is the advisory lock of the syncer's leader: "admit".
const leaderLock = 0x61646d6974

// gatewayFaults hit gateways.
var gatewayFaults = []fault{
	{
		name: "gateway-kill", kind: standalone, hits: hitsGateways, orphans: true,
		do: func(ctx context.Context, s *scene) error {
			g := s.one()
			g.program.Kill()
			return g.start(ctx)
		},
	},
	{
		name: "gateway-freeze", kind: standalone, hits: hitsGateways, orphans: true,
		do: func(ctx context.Context, s *scene) error {
			return s.freeze(ctx, s.one(), 500*time.Millisecond, 4*time.Second)
		},
	},
	{
		// The leader hangs, loses its lock to another, and goes on where it was.
		name: "syncer-freeze", kind: standalone, hits: hitsGateways | hitsPostgres, orphans: true,
		do: func(ctx context.Context, s *scene) error {
			leader, err := s.leader(ctx)
			if err != nil {
				return err
			}
			if err := leader.program.Freeze(); err != nil {
				return err
			}
			if err := s.endLeader(ctx); err != nil {
				return err
			}
			s.while(ctx, 500*time.Millisecond, 4*time.Second)
			return leader.program.Thaw()
		},
	},
	{
		// The next release beside this one: its records carry a version that
		// this one does not know.
		name: "rolling-upgrade", kind: standalone, hits: hitsGateways | hitsNetwork, orphans: true,
		do: func(ctx context.Context, s *scene) error {
			first := s.rng.IntN(len(s.gateways))
			for i := range s.gateways {
				next := s.gateways[(first+i)%len(s.gateways)]
				if err := s.replace(ctx, next, true); err != nil {
					return err
				}
				s.while(ctx, 500*time.Millisecond, 1500*time.Millisecond)
				// The codes may be used up by now: a record of the next version.
				err := eventually(ctx, "the next release mints a code", func() error {
					_, _, err := next.api.Mint(ctx, s.launch, s.crowd.campaign, 1)
					return err
				})
				if err != nil {
					return err
				}
				if err := s.copied(ctx); err != nil {
					return err
				}
			}
			return nil
		},
		after: func(ctx context.Context, s *scene) error {
			for _, g := range s.gateways {
				if err := s.replace(ctx, g, false); err != nil {
					return err
				}
			}
			return nil
		},
	},
}

func (s *scene) freeze(ctx context.Context, g *process, least, most time.Duration) error {
	if err := g.program.Freeze(); err != nil {
		return err
	}
	s.while(ctx, least, most)
	return g.program.Thaw()
}

// copied waits until Postgres holds what Redis holds now: whoever leads copies
// what both releases write.
func (s *scene) copied(ctx context.Context) error {
	var target uint64
	return eventually(ctx, "Postgres catches up", func() error {
		at, err := s.one().api.Position(ctx, s.launch)
		if err != nil {
			return err
		}
		if target == 0 {
			target = at.Seq
		}
		if at.Persisted < target {
			return fmt.Errorf("at position %d of %d", at.Persisted, target)
		}
		return nil
	})
}

// replace ends a gateway in order and starts it as the next release, or as the
// present one again.
func (s *scene) replace(ctx context.Context, g *process, next bool) error {
	stopping, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := g.program.Stop(stopping); err != nil {
		return err
	}
	g.binary = g.binaries.current
	if next {
		g.binary = g.binaries.next
	}
	return g.start(ctx)
}

// sentinelFaults hit a master that a Sentinel watches.
var sentinelFaults = []fault{
	{
		name: "sentinel-promotion", kind: sentinel, hits: hitsRedis, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error {
			old := s.redis
			old.Kill()
			if _, err := s.sentinel.Promoted(ctx, old.Addr()); err != nil {
				return err
			}
			if err := old.Restart(ctx); err != nil {
				return err
			}
			return s.paired(ctx)
		},
	},
	{
		name: "sentinel-failover", kind: sentinel, hits: hitsRedis, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error {
			old := s.redis
			// The Sentinel refuses a second failover soon after another.
			err := eventually(ctx, "the Sentinel begins a failover", func() error { return s.sentinel.Failover(ctx) })
			if err != nil {
				return err
			}
			if _, err := s.sentinel.Promoted(ctx, old.Addr()); err != nil {
				return err
			}
			return s.paired(ctx)
		},
	},
}

// paired makes the server that is not the master the replica of the one that
// is, by the Sentinel's word: on a busy machine it may promote once more.
func (s *scene) paired(ctx context.Context) error {
	return eventually(ctx, "the Sentinel's master has a replica", func() error {
		at, err := s.sentinel.Master(ctx)
		if err != nil {
			return err
		}
		if s.redis.Addr() != at {
			s.redis, s.replica = s.replica, s.redis
		}
		trying, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := s.replica.Follow(trying, s.redis.Addr()); err != nil {
			return err
		}
		if err := s.replica.InSync(trying); err != nil {
			return err
		}
		if err := s.sentinel.Knows(trying, 1); err != nil {
			return err
		}
		if now, err := s.sentinel.Master(ctx); err != nil || now != at {
			return fmt.Errorf("promoted again: %s, %w", now, err)
		}
		return nil
	})
}

// clusterFaults hit a Cluster.
var clusterFaults = []fault{
	{
		name: "cluster-reshard", kind: cluster, hits: hitsRedis, breaks: true,
		do: func(ctx context.Context, s *scene) error {
			from, slot, err := s.cluster.Owner(ctx, "ao:{"+s.launch+"}:meta")
			if err != nil {
				return err
			}
			to := (from + 1 + s.rng.IntN(len(s.cluster.Nodes)-1)) % len(s.cluster.Nodes)
			return s.cluster.Reshard(ctx, slot, from, to)
		},
	},
	{
		name: "cluster-node-kill", kind: cluster, hits: hitsRedis, breaks: true, loses: true,
		do: func(ctx context.Context, s *scene) error {
			owner, _, err := s.cluster.Owner(ctx, "ao:{"+s.launch+"}:meta")
			if err != nil {
				return err
			}
			s.cluster.Nodes[owner].Kill()
			if err := s.cluster.Nodes[owner].Restart(ctx); err != nil {
				return err
			}
			return s.cluster.Agree(ctx)
		},
	},
}
