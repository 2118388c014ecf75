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
