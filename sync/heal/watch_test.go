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

// TestVouch: a gateway waits for another that lives and has not vouched yet, at
// first even for one that was not seen of late: nobody beats while Postgres is
// away. It does not wait for ever for one that does not reach Redis, nor in an
// epoch that is over.
func TestVouch(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	n.caughtUp()
	at, _, err := n.ledger.Position(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}
	next, err := n.ledger.Bump(t.Context(), launch, at.Epoch, at.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	_, other := n.gateway()
	for _, c := range []struct {
		name  string
		beat  ledger.Beat
		seen  string // ago
		v     ledger.Voucher
		waits bool
	}{
		{"it lives", ledger.Beat{}, "0", ledger.Voucher{}, true},
		{"it lives, for long", ledger.Beat{}, "0", ledger.Voucher{Waited: time.Hour, Alone: true}, true},
		{"it is cut off", ledger.Beat{CutOff: true}, "0", ledger.Voucher{Waited: 10 * time.Second}, true},
		{"it is cut off for long", ledger.Beat{CutOff: true}, "0", ledger.Voucher{Waited: time.Hour, Alone: true}, false},
		{"nobody could beat", ledger.Beat{}, "20 minutes", ledger.Voucher{}, true},
		{"it does not beat", ledger.Beat{}, "20 minutes", ledger.Voucher{Waited: ledger.AliveFor}, false},
	} {
		c.beat.ID, c.v.Launch, c.v.Epoch, c.v.Gateway = other.ID, launch, next.Epoch, n.healer.ID
		if err := n.ledger.Beat(t.Context(), c.beat); err != nil {
			t.Fatal(err)
		}
		for _, sql := range []string{`UPDATE gateways SET seen_at = now() - '` + c.seen + `'::interval`, `UPDATE positions SET opened = 0`} {
			if _, err := n.ledger.Pool().Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		if opens, err := n.ledger.Vouch(t.Context(), c.v); err != nil || opens == c.waits {
			t.Errorf("%s: opens %v, %v", c.name, opens, err)
		}
	}

	// The healer itself, in an epoch that ends while it waits.
	if err := n.ledger.Beat(t.Context(), ledger.Beat{ID: other.ID}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	again, err := n.ledger.Bump(t.Context(), launch, next.Epoch, next.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	go func() { ended <- n.healer.vouch(t.Context(), launch, again.Epoch) }()
	n.eventually("vouching", func() bool {
		var count int
		err := n.ledger.Pool().QueryRow(t.Context(), `SELECT count(*) FROM vouchers WHERE epoch = $1`, again.Epoch).Scan(&count)
		return err == nil && count == 1
	})
	if _, err := n.ledger.Bump(t.Context(), launch, again.Epoch, again.Epoch); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
		t.Fatal("in an epoch that is over: ", err)
	}
}

// TestBeat: a gateway that was not seen of late is forgotten by one whose own
// beats Postgres has taken all the while, and by no other.
func TestBeat(t *testing.T) {
	n := open(t)
	_, gone := n.gateway()
	for _, steady := range []bool{false, true} {
		if err := n.ledger.Beat(t.Context(), ledger.Beat{ID: gone.ID}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.ledger.Pool().Exec(t.Context(), `UPDATE gateways SET seen_at = now() - interval '1 minute'`); err != nil {
			t.Fatal(err)
		}
		if err := n.ledger.Beat(t.Context(), ledger.Beat{ID: n.healer.ID, Steady: steady}); err != nil {
			t.Fatal(err)
		}
		var known int
		err := n.ledger.Pool().QueryRow(t.Context(), `SELECT count(*) FROM gateways WHERE id = $1`, [16]byte(gone.ID)).Scan(&known)
		if err != nil || (known == 0) != steady {
			t.Errorf("steady %v: known %d, %v", steady, known, err)
		}
	}
}

// TestCutOff: a gateway that does not reach Redis says so.
func TestCutOff(t *testing.T) {
	n := open(t)
	n.watch(n.healer)
	cutOff := func() (is bool) {
		err := n.ledger.Pool().QueryRow(t.Context(), `SELECT cut_off FROM gateways WHERE id = $1`, [16]byte(n.healer.ID)).Scan(&is)
		return err == nil && is
	}
	n.redis.Close()
	n.eventually("saying that Redis is not reached", cutOff)
}
