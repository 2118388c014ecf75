package heal

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"admitone/gateway"
)

// TestManyLaunches: an emptied Redis with more launches than a process has
// connections to Postgres is healed, whoever asks for them all at once.
func TestManyLaunches(t *testing.T) {
	n := open(t)
	n.sync()
	most := int(n.ledger.Pool().Config().MaxConns) + 4
	names := make([]string, most)
	for i := range names {
		names[i] = fmt.Sprint("l", i)
		if _, err := n.store.CreateLaunch(t.Context(), gateway.DefaultPolicy(names[i]), by); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if at, err := n.store.Position(t.Context(), name); err == nil && at.Entries == 0 {
				break
			} else if time.Now().After(deadline) {
				t.Fatal(name, at, err)
			}
		}
	}
	if err := n.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	var askers sync.WaitGroup
	for _, name := range names {
		askers.Go(func() {
			for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				_, err := n.store.SetOpen(t.Context(), name, true, by)
				if err == nil {
					return
				}
				if time.Now().After(deadline) {
					t.Errorf("%s is not healed: %v", name, err)
					return
				}
			}
		})
	}
	askers.Wait()
}

// TestOthers: where a launch shows that its server is another run, the launches
// that lived on the same one are healed too, although nobody asks for them.
func TestOthers(t *testing.T) {
	n := open(t)
	stop := n.sync()
	names := []string{"asked", "idle"}
	for _, name := range names {
		if _, err := n.store.CreateLaunch(t.Context(), gateway.DefaultPolicy(name), by); err != nil {
			t.Fatal(err)
		}
		n.eventually("copying "+name, func() bool {
			at, err := n.store.Position(t.Context(), name)
			return err == nil && at.Entries == 0
		})
	}
	stop()
	if _, err := n.ledger.Pool().Exec(t.Context(), `UPDATE positions SET identity = 'a run that is over'`); err != nil {
		t.Fatal(err)
	}
	other, _ := n.gateway()
	if _, err := other.SetOpen(t.Context(), "asked", true, by); err != nil {
		t.Fatal(err)
	}
	run, err := n.store.Identity(t.Context(), "idle")
	if err != nil {
		t.Fatal(err)
	}
	n.eventually("healing the idle launch", func() bool {
		at, _, err := n.ledger.Position(t.Context(), "idle")
		return err == nil && at.Identity == run
	})
}
