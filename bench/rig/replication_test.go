package rig

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func value(t *testing.T, r *Redis, key string) string {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer c.Close()
	v, err := c.Get(t.Context(), key).Result()
	if err != nil && err != redis.Nil {
		t.Fatal(err)
	}
	return v
}

func set(t *testing.T, r *Redis, key, v string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer c.Close()
	if err := c.Set(t.Context(), key, v, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestStaleReplica: a replica behind a cut link misses what its master took
// since, and says so to nobody once it is promoted.
func TestStaleReplica(t *testing.T) {
	ctx := waiting(t)
	dir := t.TempDir()
	master, err := StartRedis(ctx, RedisOptions{Dir: filepath.Join(dir, "master")})
	if err != nil {
		t.Fatal(err)
	}
	defer master.Kill()
	set(t, master, "old", "1")
	link, err := StartProxy(master.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	replica, err := StartRedis(ctx, RedisOptions{Dir: filepath.Join(dir, "replica"), ReplicaOf: link.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Kill()
	if err := replica.InSync(ctx); err != nil {
		t.Fatal(err)
	}
	link.Cut()
	set(t, master, "new", "1")
	if err := replica.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	if old, late := value(t, replica, "old"), value(t, replica, "new"); old != "1" || late != "" {
		t.Fatalf("the promoted replica has %q and %q", old, late)
	}
	set(t, replica, "mine", "1") // it is a master
	if err := master.Follow(ctx, replica.Addr()); err != nil {
		t.Fatal(err)
	}
	if err := master.InSync(ctx); err != nil {
		t.Fatal(err)
	}
	if v := value(t, master, "mine"); v != "1" {
		t.Fatalf("the old master does not follow: %q", v)
	}
}

func TestSentinel(t *testing.T) {
	ctx := waiting(t)
	dir := t.TempDir()
	master, err := StartRedis(ctx, RedisOptions{Dir: filepath.Join(dir, "master")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { master.Kill() }()
	replica, err := StartRedis(ctx, RedisOptions{Dir: filepath.Join(dir, "replica"), ReplicaOf: master.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Kill()
	s, err := StartSentinel(ctx, SentinelOptions{Dir: filepath.Join(dir, "sentinel"), Name: "m", Master: master.Addr(), Quorum: 1, DownAfter: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Kill()
	if err := s.Knows(ctx, 1); err != nil {
		t.Fatal(err)
	}
	master.Kill()
	now, err := s.Promoted(ctx, master.Addr())
	if err != nil || now != replica.Addr() {
		t.Fatalf("promoted %s, %v; the replica is %s", now, err, replica.Addr())
	}
	set(t, replica, "k", "v")
}

func TestClusterReshard(t *testing.T) {
	ctx := waiting(t)
	c, err := StartCluster(ctx, RedisOptions{Dir: t.TempDir()}, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Nodes[0].Addr()}})
	defer client.Close()
	if err := client.MSet(ctx, "{l}a", 1, "{l}b", 2).Err(); err != nil {
		t.Fatal(err)
	}
	from, slot, err := c.Owner(ctx, "{l}")
	if err != nil {
		t.Fatal(err)
	}
	to := (from + 1) % len(c.Nodes)
	if err := c.Reshard(ctx, slot, from, to); err != nil {
		t.Fatal(err)
	}
	if now, _, err := c.Owner(ctx, "{l}"); err != nil || now != to {
		t.Fatalf("the slot is at node %d, %v; it was moved to %d", now, err, to)
	}
	if got, err := client.MGet(ctx, "{l}a", "{l}b").Result(); err != nil || len(got) != 2 || got[0] != "1" || got[1] != "2" {
		t.Fatalf("%v, %v", got, err)
	}
}
