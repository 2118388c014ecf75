package lua

import (
	"errors"
	"path/filepath"
	"testing"

	"admitone/bench/rig"
	"admitone/gateway"
)

// TestReplica: a replica is nobody to let in or to heal.
func TestReplica(t *testing.T) {
	master := rig.TestRedis(t)
	launchForTest(t, openStore(t, master.Addr()), "l", 10)
	replica, err := rig.StartRedis(t.Context(), rig.RedisOptions{Dir: filepath.Join(t.TempDir(), "replica"), ReplicaOf: master.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer replica.Kill()
	if err := replica.InSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, replica.Addr())
	if id, err := s.Identity(t.Context(), "l"); !errors.Is(err, gateway.Refuse(gateway.Unavailable)) {
		t.Fatalf("a replica: %q, %v", id, err)
	}
	if err := replica.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id, err := s.Identity(t.Context(), "l"); err != nil || id == "" {
		t.Fatalf("promoted: %q, %v", id, err)
	}
}
