package ledger

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"admitone/gateway"
)

func joined(key string, arrival uint64, email string) gateway.EntryJoined {
	person, _ := json.Marshal(gateway.Person{Subject: email, Email: email, Name: "N"})
	return gateway.EntryJoined{Key: key, Arrival: arrival, Source: "web", Sealed: person}
}

// TestWaitlist: what a batch does to an entry more than once comes to its last
// state, in one batch or in several.
func TestWaitlist(t *testing.T) {
	ends := time.UnixMilli(1_800_001_000_000).UTC()
	events := []gateway.Event{
		joined("ann", 1, "ann@x.example"),
		joined("bob", 2, "bob@x.example"),
		gateway.EntryBoosted{Key: "ann", Cause: gateway.BoostByHand, Points: 5, Priority: 5, Referrals: 1, Boosts: "h:5:1:x", By: gateway.Actor{Name: "op"}},
		gateway.ReleasePut{ID: "r", Count: 3, Order: gateway.ByPriority, Upto: 2, Slot: ends},
		gateway.OfferMade{Release: "r", Key: "ann", Code: "A1", Display: "A1", Campaign: 1, ExpiresAt: ends, Recipient: "~ann"},
		gateway.OfferMade{Release: "r", Key: "bob", Code: "B1", Display: "B1", Campaign: 1, ExpiresAt: ends, Recipient: "bob"},
		gateway.EntryMoved{Key: "bob", From: gateway.EntryInvited, To: gateway.EntryDeclined, Cause: "decline", Code: "B1", Revoked: true, Refill: "r"},
		gateway.ReleaseEnded{ID: "r", Done: 1},
		gateway.SchedulePut{Running: true, Since: ends},
		joined("bob", 3, "bob@x.example"),
	}
	for name, split := range map[string]bool{"one batch": false, "a batch each": true} {
		h := begin(t, 1, 0, "X")
		if split {
			for _, e := range events {
				h.apply(h.record(e))
			}
		} else {
			h.apply(h.record(events...))
		}
		if n := h.count(`SELECT count(*) FROM conflicts`); n != 0 {
			t.Fatalf("%s: %d conflicts", name, n)
		}
		d := &dumped{codes: map[gateway.Code]gateway.StoredCode{}, redemptions: map[gateway.ID]gateway.StoredRedemption{}}
		if err := h.Dump(context.Background(), "l", Selection{}, d); err != nil {
			t.Fatal(err)
		}
		entries := map[string]gateway.StoredEntry{}
		for _, e := range d.entries {
			entries[e.Key] = e
		}
		if e := entries["ann"]; e.Status != gateway.EntryInvited || e.Code != "A1" || e.Priority != 5 || e.Referrals != 1 || e.Packed != "h:5:1:x" || !e.Ends.Equal(ends) || e.Release != "r" {
			t.Errorf("%s: %+v", name, e)
		}
		if e := entries["bob"]; e.Status != gateway.EntryWaiting || e.Code != "" || e.Arrival != 3 || e.Release != "" {
			t.Errorf("%s: %+v", name, e)
		}
		if c := d.codes["B1"]; !c.Revoked || c.Recipient != "bob" || !c.ExpiresAt.Equal(ends) {
			t.Errorf("%s: %+v", name, c)
		}
		if d.launch.Arrivals != 3 || len(d.queue.Releases) != 1 || d.queue.Releases[0].Done != 1 || !d.queue.Releases[0].Ended || !d.queue.Running || d.queue.Made != 3 {
			t.Errorf("%s: %+v, %+v", name, d.launch, d.queue)
		}
		if n := h.count(`SELECT made FROM releases`); n != 2 {
			t.Errorf("%s: %d offers were made", name, n)
		}
	}
}
