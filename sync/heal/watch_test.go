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

// beats has a healer beat until the test ends, and do nothing else.
func (n *node) beats(h *Healer) {
	if err := n.ledger.Beat(n.Context(), h.ID); err != nil {
		n.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				_ = n.ledger.Beat(ctx, h.ID) // one that fails is followed by another
			}
		}
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

// TestVouch: a gateway waits for another that lives and has not vouched yet. It
// ends when a later epoch begins, where the other one may wait for it; and it
// opens the launch without one that lives and never vouches, after a while.
func TestVouch(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	n.caughtUp()
	at, _, err := n.ledger.Position(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	_, mute := n.gateway()
	n.beats(mute)
	ended := make(chan error, 1)
	vouch := func(epoch uint64) {
		t.Helper()
		go func() { ended <- n.healer.vouch(t.Context(), launch, epoch) }()
		n.eventually("vouching", func() bool {
			var count int
			err := n.ledger.Pool().QueryRow(t.Context(), `SELECT count(*) FROM vouchers WHERE epoch = $1`, epoch).Scan(&count)
			return err == nil && count == 1
		})
	}

	n.healer.Patience = 30 * time.Second
	next, err := n.ledger.Bump(t.Context(), launch, at.Epoch, at.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	vouch(next.Epoch)
	select {
	case err := <-ended:
		t.Fatal("it does not wait for the other: ", err)
	default:
	}
	later, err := n.ledger.Bump(t.Context(), launch, next.Epoch, next.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ledger.ErrFenced) {
		t.Fatal("in an epoch that is over: ", err)
	}

	n.healer.Patience = time.Second
	vouch(later.Epoch)
	if err := <-ended; err != nil {
		t.Fatal("without one that never vouches: ", err)
	}
}
