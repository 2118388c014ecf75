package lua

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway/gatewaytest"
	"admitone/gateway/keyring"
)

func TestMain(m *testing.M) { rig.Run(m) }

func testRing(t testing.TB) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New(gatewaytest.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func openStore(t testing.TB, addr string) *Store {
	t.Helper()
	client := NewClient(&redis.UniversalOptions{Addrs: []string{addr}, MaxRetries: -1})
	t.Cleanup(func() { client.Close() })
	return New(Options{Redis: client, Keyring: testRing(t)})
}

func TestMiniredis(t *testing.T) {
	gatewaytest.Exercise(t, func(t *testing.T) gatewaytest.Store {
		return openStore(t, miniredis.RunT(t).Addr())
	})
}

func TestRedis(t *testing.T) {
	gatewaytest.Exercise(t, func(t *testing.T) gatewaytest.Store {
		return openStore(t, rig.TestRedis(t).Addr())
	})
}

// TestCluster runs the suite on a Cluster of one node, through a Cluster
// client: every script's keys must lie in one slot, and be declared.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	server, err := rig.StartRedis(t.Context(), rig.RedisOptions{Dir: t.TempDir(), Args: []string{"--cluster-enabled", "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	node := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer node.Close()
	if err := node.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for {
		info, err := node.ClusterInfo(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "cluster_state:ok") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	gatewaytest.Exercise(t, func(t *testing.T) gatewaytest.Store {
		if err := node.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		client := NewClient(&redis.UniversalOptions{Addrs: []string{server.Addr()}, IsClusterMode: true})
		t.Cleanup(func() { client.Close() })
		return New(Options{Redis: client, Keyring: testRing(t)})
	})
}
