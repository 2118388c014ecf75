package ledger

import (
	"context"
	"testing"
	"time"

	"admitone/gateway"
)

// TestSignals: what a rule noticed is a row beside the redemption that it let
// in, for as long as refused attempts are kept.
func TestSignals(t *testing.T) {
	h := begin(t, 2, 0, "A")
	r := redeemed("A", "ann", gateway.Committed)
	h.apply(h.record(gateway.Signalled{What: "shared_address", Redemption: r.ID, Code: "A", Campaign: 1, Subject: "key-ann", Address: "there"}, r))
	const found = `SELECT count(*) FROM signals s JOIN redemptions r ON r.id = s.redemption WHERE s.signal = 'shared_address' AND s.address_key = 'there' AND r.subject = 'ann'`
	if n := h.count(found); n != 1 {
		t.Fatalf("%d rows", n)
	}
	at := time.UnixMilli(1_800_000_000_000)
	if err := h.Tidy(context.Background(), at.Add(29*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := h.count(found); n != 1 {
		t.Error("it is forgotten too early")
	}
	if err := h.Tidy(context.Background(), at.Add(31*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := h.count(found); n != 0 {
		t.Error("it is kept for too long")
	}
}
