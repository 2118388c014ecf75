package rig

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct{ Nodes []*Redis }

// StartCluster starts so many nodes, at least three, and makes a Cluster of
// them.
func StartCluster(ctx context.Context, o RedisOptions, nodes int) (*Cluster, error) {
	cli, err := find("redis-cli", "redis-tools")
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	args := []string{"--cluster", "create"}
	for n := range nodes {
		one := o
		one.Dir = filepath.Join(o.Dir, fmt.Sprintf("node-%d", n))
		one.Args = append(slices.Clone(o.Args), "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no")
		if one.Port, err = clusterPort(); err != nil {
			return nil, err
		}
		node, err := StartRedis(ctx, one)
		if err != nil {
			c.Kill()
			return nil, err
		}
		c.Nodes = append(c.Nodes, node)
		args = append(args, node.Addr())
	}
	if out, err := exec.CommandContext(ctx, cli, append(args, "--cluster-yes")...).CombinedOutput(); err != nil {
		c.Kill()
		return nil, fmt.Errorf("rig: redis-cli --cluster create: %w: %s", err, out)
	}
	if err := c.Agree(ctx); err != nil {
		c.Kill()
		return nil, err
	}
	return c, nil
}

// clusterPort is a free port whose bus port, 10,000 above, exists.
func clusterPort() (int, error) {
	for {
		port, err := FreePort()
		if err != nil || port < 55_000 {
			return port, err
		}
	}
}

// URL is what a client connects to.
func (c *Cluster) URL() string {
	addrs := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addrs[i] = n.Addr()
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// Kill ends all nodes at once.
func (c *Cluster) Kill() {
	for _, n := range c.Nodes {
		n.Kill()
	}
}

// Agree waits until every node holds the Cluster to be whole.
func (c *Cluster) Agree(ctx context.Context) error {
	for _, n := range c.Nodes {
		err := n.until(ctx, "part of a whole Cluster", func(r *redis.Client) bool {
			info, err := r.ClusterInfo(ctx).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Owner is the node that holds a key's slot.
func (c *Cluster) Owner(ctx context.Context, key string) (node, slot int, err error) {
	client := redis.NewClient(&redis.Options{Addr: c.Nodes[0].Addr()})
	defer client.Close()
	n, err := client.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return 0, 0, err
	}
	shards, err := client.ClusterShards(ctx).Result()
	if err != nil {
		return 0, 0, err
	}
	for _, s := range shards {
		holds := slices.ContainsFunc(s.Slots, func(r redis.SlotRange) bool { return r.Start <= n && n <= r.End })
		if !holds || len(s.Nodes) == 0 {
			continue
		}
		if i := slices.IndexFunc(c.Nodes, func(r *Redis) bool { return int64(r.options.Port) == s.Nodes[0].Port }); i >= 0 {
			return i, int(n), nil
		}
	}
	return 0, int(n), fmt.Errorf("rig: nobody holds slot %d", n)
}

// Reshard moves a slot and its keys from one node to another while it is used:
// what redis-cli --cluster reshard does, for a slot of one's choice.
func (c *Cluster) Reshard(ctx context.Context, slot, from, to int) error {
	source := redis.NewClient(&redis.Options{Addr: c.Nodes[from].Addr()})
	defer source.Close()
	target := redis.NewClient(&redis.Options{Addr: c.Nodes[to].Addr()})
	defer target.Close()
	sourceID, err1 := source.Do(ctx, "CLUSTER", "MYID").Text()
	targetID, err2 := target.Do(ctx, "CLUSTER", "MYID").Text()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := target.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID).Err(); err != nil {
		return err
	}
	if err := source.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID).Err(); err != nil {
		return err
	}
	host, port, _ := strings.Cut(c.Nodes[to].Addr(), ":")
	for {
		keys, err := source.ClusterGetKeysInSlot(ctx, slot, 100).Result()
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		if err := source.Do(ctx, args...).Err(); err != nil {
			return fmt.Errorf("rig: migrate: %w", err)
		}
	}
	// The new owner first, so that no moment has none.
	for _, i := range append([]int{to, from}, others(len(c.Nodes), from, to)...) {
		client := redis.NewClient(&redis.Options{Addr: c.Nodes[i].Addr()})
		err := client.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", targetID).Err()
		client.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func others(n, a, b int) (list []int) {
	for i := range n {
		if i != a && i != b {
			list = append(list, i)
		}
	}
	return list
}
