package lua

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"

	"admitone/bench/rig"
	"admitone/gateway"
)

// usedMemory is what Redis holds, in bytes.
func usedMemory(t *testing.T, s *Store) int {
	t.Helper()
	info, err := s.redis.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	line, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestOutOfMemory: a full Redis refuses new work without a trace of it, answers
// who is in, and is emptied again by trimming what Postgres holds, after a
// restart too.
func TestOutOfMemory(t *testing.T) {
	server := rig.TestRedis(t)
	s := openStore(t, server.Addr())
	launchForTest(t, s, "l", 1000)
	first, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "in"})
	if err != nil {
		t.Fatal(err)
	}
	at, err := s.Position(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	before := snapshotRedis(t, s.redis)
	if err := s.redis.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(usedMemory(t, s)/2)).Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.redis.ConfigSet(context.Background(), "maxmemory", "0") })

	_, err = s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "new"})
	if e := (*gateway.Error)(nil); !errors.As(err, &e) || e.Reason != gateway.Overloaded || e.RetryAfter == 0 {
		t.Fatalf("a full Redis: %v", err)
	}
	if after := snapshotRedis(t, s.redis); !maps.Equal(before, after) {
		t.Error("a refused redemption left a trace")
	}
	again, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "in"})
	if err != nil || again.ID != first.ID {
		t.Errorf("who is in: %+v, %v", again, err)
	}
	if ok, err := s.Adopt(t.Context(), "l", at.Epoch, at.Seq, at.Epoch+1); err != nil || !ok {
		t.Fatalf("a full Redis is not let in: %v, %v", ok, err)
	}
	if err := s.Trim(t.Context(), "l", at.Epoch+1, at.Seq, at.Bytes); err != nil {
		t.Fatalf("a full Redis cannot be trimmed: %v", err)
	}
	// What is kept for those who follow the journal goes later, although
	// nothing new comes.
	s.trims.launches["l"].before = at.Seq
	if err := s.Trim(t.Context(), "l", at.Epoch+1, at.Seq, at.Bytes); err != nil {
		t.Fatal(err)
	}
	if n, err := s.redis.XLen(t.Context(), newKeys("l").journal).Result(); err != nil || n != 0 {
		t.Errorf("%d records are left, %v", n, err)
	}
}
