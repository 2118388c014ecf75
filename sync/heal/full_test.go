package heal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/sync/syncer"
)

// memory is how many bytes Redis uses.
func (n *node) memory() (used int64) {
	n.Helper()
	info, err := n.redis.Info(n.Context(), "memory").Result()
	if err != nil {
		n.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	if _, err := fmt.Sscan(rest, &used); err != nil {
		n.Fatal(err)
	}
	return used
}

func (n *node) limitMemory(bytes int64) {
	n.Helper()
	if err := n.redis.ConfigSet(n.Context(), "maxmemory", fmt.Sprint(bytes)).Err(); err != nil {
		n.Fatal(err)
	}
}

// TestFull: a Redis that its journal has filled up while Postgres was away
// refuses new work and keeps its word, and makes room by itself once Postgres
// takes the journal.
func TestFull(t *testing.T) {
	n := open(t)
	t.Cleanup(func() { n.redis.ConfigSet(context.Background(), "maxmemory", "0") })
	n.populate()
	note := gateway.Actor{Name: "test", Note: strings.Repeat("n", 10_000)}
	for i := range 400 {
		if _, err := n.store.SetOpen(t.Context(), launch, i%2 == 1, note); err != nil {
			t.Fatal(err)
		}
	}
	n.limitMemory(n.memory() - 1<<20)
	before, err := n.store.Position(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.redeem(gateway.Redeem{Code: "C070", Subject: "too many"}); !errors.Is(err, gateway.Refuse(gateway.Overloaded)) {
		t.Fatalf("a full Redis answered %v", err)
	}
	if after, err := n.store.Position(t.Context(), launch); err != nil || after.Seq != before.Seq {
		t.Fatalf("a full Redis decided: %+v, before %+v, %v", after, before, err)
	}
	copier := syncer.New(syncer.Options{Source: n.store, Ledger: n.ledger, Wait: 500 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { copier.Lead(ctx) })
	defer work.Wait()
	defer stop()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err = n.redeem(gateway.Redeem{Code: "C070", Subject: "in time"}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Redis is full for ever: %v, %d bytes", err, n.memory())
		}
	}
	n.caughtUp()
	n.limitMemory(0)
	n.verified()
}
