package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// notes writes down what it is told, in the transaction it is given.
type notes struct{ fail bool }

func (n *notes) Follow(ctx context.Context, tx pgx.Tx, launch string, events []gateway.Placed) error {
	for _, e := range events {
		if _, err := tx.Exec(ctx, `INSERT INTO noted VALUES ($1, $2)`, launch, fmt.Sprint(e.Kind(), " ", e.Position, " ", e.At.UnixMilli())); err != nil {
			return err
		}
	}
	if n.fail {
		return errors.New("the follower fails")
	}
	return nil
}

func TestFollow(t *testing.T) {
	h := begin(t, 1, 0, "A")
	ctx := context.Background()
	if _, err := h.pool.Exec(ctx, `CREATE TABLE noted (launch text, kind text)`); err != nil {
		t.Fatal(err)
	}
	n := &notes{}
	h.Follow(n)
	// The second use of A breaks its cap: it becomes a conflict and is not told.
	if got := h.apply(h.record(redeemed("A", "ann", gateway.Committed)), h.record(redeemed("A", "bob", gateway.Committed))); got != 1 {
		t.Fatalf("%d conflicts, want 1", got)
	}
	told := `SELECT count(*) FROM noted WHERE launch = 'l' AND kind = 'redeemed 4 1800000000004'`
	if got := h.count(told); got != 1 {
		t.Errorf("the follower was told of %d redemptions, want 1", got)
	}
	n.fail = true
	r := h.record(gateway.LaunchPut{Version: 9, Open: true, Policy: []byte(`{"launch":"l"}`)})
	if _, err := h.Apply(ctx, Batch{Launch: "l", Epoch: h.epoch, After: r.Seq - 1, Records: []gateway.Record{r}}); err == nil {
		t.Error("a follower's error did not stop the batch")
	}
	if got := h.count(`SELECT count(*) FROM launches WHERE version = 9`); got != 0 {
		t.Error("the rows of a batch whose follower failed were kept")
	}
}
