package lua

import (
	"bytes"
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
	k, err := keyring.New(bytes.Repeat([]byte{7}, keyring.MinSecret))
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
	gatewaytest.Exercise(t, func(t *testing.T) gatewaytest.Backend {
		m := miniredis.RunT(t)
		now := time.Unix(1_800_000_000, 0)
		m.SetTime(now)
		return gatewaytest.Backend{Store: openStore(t, m.Addr()), Patient: true, Pass: func(_ *testing.T, d time.Duration) {
			now = now.Add(d)
			m.SetTime(now)
		}}
	})
}

func TestRedis(t *testing.T) {
	gatewaytest.Exercise(t, func(t *testing.T) gatewaytest.Backend {
		s := openStore(t, rig.TestRedis(t).Addr())
		return gatewaytest.Backend{Store: s, Pass: func(t *testing.T, d time.Duration) { waitFor(t, s, d) }}
	})
}

// waitFor waits until Redis' clock has moved on.
func waitFor(t *testing.T, s *Store, d time.Duration) {
	t.Helper()
	began, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for {
		now, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now.Sub(began) > d+time.Millisecond {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
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
	gatewaytest.Exercise(t, func(t *testing.T) gatewaytest.Backend {
		if err := node.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		client := NewClient(&redis.UniversalOptions{Addrs: []string{server.Addr()}, IsClusterMode: true})
		t.Cleanup(func() { client.Close() })
		s := New(Options{Redis: client, Keyring: testRing(t)})
		return gatewaytest.Backend{Store: s, Pass: func(t *testing.T, d time.Duration) { waitFor(t, s, d) }}
	})
}
