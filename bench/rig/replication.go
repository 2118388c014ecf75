package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Follow makes the server a replica of another, host:port; also when it is
// started again.
func (r *Redis) Follow(ctx context.Context, master string) error {
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		return err
	}
	r.options.ReplicaOf = master
	return r.do(ctx, "REPLICAOF", host, port)
}

// Promote makes a replica a master; also when it is started again.
func (r *Redis) Promote(ctx context.Context) error {
	r.options.ReplicaOf = ""
	return r.do(ctx, "REPLICAOF", "NO", "ONE")
}

// InSync waits until a replica has all that its master had a moment ago.
func (r *Redis) InSync(ctx context.Context) error {
	return r.until(ctx, "in sync with its master", func(c *redis.Client) bool {
		info, err := c.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
}

func (r *Redis) do(ctx context.Context, args ...any) error {
	c := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1})
	defer c.Close()
	return c.Do(ctx, args...).Err()
}

// until waits for something to be true of a server.
func (r *Redis) until(ctx context.Context, what string, ok func(*redis.Client) bool) error {
	c := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer c.Close()
	for !ok(c) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("rig: the redis-server at %s is not %s: %w", r.Addr(), what, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// SentinelOptions say what a Sentinel is to watch.
type SentinelOptions struct {
	Dir       string
	Name      string        // of the master
	Master    string        // host:port
	Quorum    int           // Sentinels that must agree that it is down
	DownAfter time.Duration // without an answer
}

// Sentinel watches a master and promotes a replica when it is down.
type Sentinel struct {
	name  string
	port  int
	child *child
}

// StartSentinel starts a Sentinel on a free port and waits until it answers.
func StartSentinel(ctx context.Context, o SentinelOptions) (*Sentinel, error) {
	path, err := redisServer(&o.Dir)
	if err != nil {
		return nil, err
	}
	host, masterPort, err := net.SplitHostPort(o.Master)
	if err != nil {
		return nil, err
	}
	s := &Sentinel{name: o.Name}
	if s.port, err = FreePort(); err != nil {
		return nil, err
	}
	config := filepath.Join(o.Dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 10000\n",
		s.port, o.Dir, o.Name, host, masterPort, o.Quorum, o.Name, o.DownAfter.Milliseconds(), o.Name)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.child, err = start(command{log: filepath.Join(o.Dir, "sentinel.log"), uid: -1, gid: -1, path: path, args: []string{config, "--sentinel"}}); err != nil {
		return nil, err
	}
	return s, s.child.ready(ctx, func(ctx context.Context) error {
		_, err := s.Master(ctx)
		return err
	})
}

// Addr is host:port.
func (s *Sentinel) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// URL is what a client of the master connects to.
func (s *Sentinel) URL() string { return "redis+sentinel://" + s.Addr() + "/" + s.name }

// Kill ends the Sentinel at once.
func (s *Sentinel) Kill() { s.child.kill() }

func (s *Sentinel) client() *redis.SentinelClient {
	return redis.NewSentinelClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
}

// Master is the address of the master as this Sentinel knows it.
func (s *Sentinel) Master(ctx context.Context) (string, error) {
	c := s.client()
	defer c.Close()
	at, err := c.GetMasterAddrByName(ctx, s.name).Result()
	if err != nil || len(at) != 2 {
		return "", errors.Join(errors.New("rig: the Sentinel knows no master"), err)
	}
	return net.JoinHostPort(at[0], at[1]), nil
}

// Failover promotes a replica although the master lives.
func (s *Sentinel) Failover(ctx context.Context) error {
	c := s.client()
	defer c.Close()
	return c.Failover(ctx, s.name).Err()
}

// Promoted waits until another than the old master is the master.
func (s *Sentinel) Promoted(ctx context.Context, old string) (string, error) {
	for {
		now, err := s.Master(ctx)
		if err == nil && now != old {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("rig: the Sentinel promotes nobody: %w", errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Knows waits until the Sentinel knows of so many replicas that it could
// promote.
func (s *Sentinel) Knows(ctx context.Context, replicas int) error {
	c := s.client()
	defer c.Close()
	for {
		list, err := c.Replicas(ctx, s.name).Result()
		good := 0
		for _, r := range list {
			if r["flags"] == "slave" && r["master-link-status"] == "ok" {
				good++
			}
		}
		if err == nil && good >= replicas {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rig: the Sentinel does not know %d replicas: %w", replicas, errors.Join(ctx.Err(), err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
