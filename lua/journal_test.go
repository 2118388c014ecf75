package lua

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
)

// TestReadersLeaveRoom: however many launches' journals are followed, their
// readers do not take the connections that redemptions need.
func TestReadersLeaveRoom(t *testing.T) {
	client := NewClient(&redis.UniversalOptions{Addrs: []string{rig.TestRedis(t).Addr()}, PoolSize: 2 * waitersMost})
	defer client.Close()
	s := New(Options{Redis: client, Keyring: testRing(t)})
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	for i := range 8 * waitersMost {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _ = s.ReadJournal(ctx, fmt.Sprint("l", i), 0, 10, time.Second) // fails when the test ends
			}
		})
	}
	blocked := 0
	for deadline := time.Now().Add(20 * time.Second); blocked < waitersMost && time.Now().Before(deadline); {
		blocked = blockedClients(t, client)
	}
	for range 50 {
		if blocked = max(blocked, blockedClients(t, client)); blocked != waitersMost {
			t.Fatalf("%d connections wait for records, want %d", blocked, waitersMost)
		}
	}
	// Who looks instead of waiting finds what is written all the same.
	id := client.XAdd(ctx, &redis.XAddArgs{Stream: newKeys("late").journal, ID: "1-0", Values: []string{"r", "x"}})
	if err := id.Err(); err != nil {
		t.Fatal(err)
	}
	if list, err := s.ReadJournal(ctx, "late", 0, 10, time.Second); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
}

// blockedClients is how many connections wait at Redis.
func blockedClients(t *testing.T, client redis.UniversalClient) (n int) {
	t.Helper()
	info, err := client.Info(t.Context(), "clients").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "blocked_clients:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
