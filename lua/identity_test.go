package lua

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"

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

// TestEditions: a server that knows the scripts from a time when it was admitted
// is looked at all the same once another run is: a master that was replaced and
// is promoted again.
func TestEditions(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	launchForTest(t, s, "l", 10)
	redeem := func(subject string) error {
		_, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: subject})
		return err
	}
	if err := redeem("ann"); err != nil {
		t.Fatal(err)
	}
	other := "another run"
	s.launches["l"].identity.Store(&other)
	if err := redeem("bob"); !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
		t.Fatalf("a run that is not the admitted one decided: %v", err)
	}
	if err := redeem("bob"); err != nil {
		t.Fatalf("after the admission: %v", err)
	}
}

// TestNoInfo: whoever may not ask a server for its run lets none in.
func TestNoInfo(t *testing.T) {
	r := rig.TestRedis(t)
	s := openStore(t, r.Addr())
	launchForTest(t, s, "l", 10)
	if err := s.redis.Do(t.Context(), "ACL", "SETUSER", "gateway", "on", ">secret", "~*", "&*", "+@all", "-@dangerous").Err(); err != nil {
		t.Fatal(err)
	}
	client := NewClient(&redis.UniversalOptions{Addrs: []string{r.Addr()}, Username: "gateway", Password: "secret"})
	defer client.Close()
	may := New(Options{Redis: client, Keyring: testRing(t)})
	if id, err := may.Identity(t.Context(), "l"); !errors.Is(err, gateway.Refuse(gateway.Unavailable)) {
		t.Errorf("without INFO: %q, %v", id, err)
	}
	if err := s.redis.Do(t.Context(), "ACL", "SETUSER", "gateway", "+info").Err(); err != nil {
		t.Fatal(err)
	}
	if id, err := may.Identity(t.Context(), "l"); err != nil || id == "" || id == noIdentity {
		t.Errorf("with INFO: %q, %v", id, err)
	}
}
