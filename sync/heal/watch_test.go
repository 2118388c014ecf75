package heal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/sync/ledger"
)

// watch runs a healer's watch until the test ends.
func (n *node) watch(h *Healer) {
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.Watch(ctx, 10*time.Millisecond)
	}()
	n.Cleanup(func() {
		end()
		<-ended
	})
}

// eventually waits until something is true.
func (n *node) eventually(what string, ok func() bool) {
	n.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.Fatal(what, "does not happen")
		}
	}
}

// TestFirstServer: the server that a launch was made on is known by its run
// soon after, although no other gateway asks for the launch: another run with a
// shorter tail does not pass for it.
func TestFirstServer(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	n.caughtUp()
	n.watch(n.healer)
	n.eventually("knowing the first server", func() bool {
		at, _, err := n.ledger.Position(t.Context(), launch)
		return err == nil && at.Identity != ""
	})
	identity, err := n.store.Identity(t.Context(), launch)
	if at, _, err2 := n.ledger.Position(t.Context(), launch); err != nil || err2 != nil || at.Identity != identity {
		t.Fatal(at, identity, err, err2)
	}
	at, _, _ := n.ledger.Position(t.Context(), launch)
	if err := n.ledger.Claim(t.Context(), launch, at.Epoch, "another run"); err != nil {
		t.Fatal(err)
	}
	if again, _, err := n.ledger.Position(t.Context(), launch); err != nil || again.Identity != identity {
		t.Fatal(again, err)
	}
}

// TestNeverAsked: a gateway that was never asked for a launch does not keep it
// closed for the others.
func TestNeverAsked(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	n.caughtUp()
	_, other := n.gateway()
	n.watch(n.healer)
	n.watch(other)
	if err := n.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	tries := 0
	n.eventually("opening the launch", func() bool {
		tries++
		_, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: fmt.Sprint("n", tries)})
		return err == nil
	})
}

// TestHungHealer: a process that hangs in the middle of a heal, and goes on
// after another has healed, writes nothing over what was decided since.
func TestHungHealer(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	n.caughtUp()
	old, _, err := n.ledger.Position(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	hung, err := n.store.Restore(t.Context(), launch, old.Epoch+1)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.ledger.Dump(t.Context(), launch, ledger.Selection{}, hung); err != nil {
		t.Fatal(err)
	}
	if _, err := n.ledger.Bump(t.Context(), launch, old.Epoch, old.Epoch); err != nil {
		t.Fatal(err)
	}
	n.eventually("healing", func() bool {
		_, err := n.redeem(gateway.Redeem{Code: "C099", Subject: "since"})
		return err == nil
	})
	stale := []gateway.StoredCode{{Code: "C099", Display: "C099", Campaign: 1}}
	if err := hung.Codes(t.Context(), stale); err == nil {
		t.Error("a restore that hung writes codes")
	}
	if err := hung.Finish(t.Context()); err == nil {
		t.Error("a restore that hung finishes")
	}
	if _, err := n.redeem(gateway.Redeem{Code: "C099", Subject: "thief"}); !errors.Is(err, gateway.Refuse(gateway.CodeExhausted)) {
		t.Errorf("a code of one use admits another: %v", err)
	}
	n.caughtUp()
	n.verified()
}
