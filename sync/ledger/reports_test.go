package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

// readAll reads a list page by page and checks that the pages hang together.
func readAll[T any](t *testing.T, limit int, read func(gateway.Page) (gateway.List[T], error)) []T {
	t.Helper()
	var rows []T
	for p := (gateway.Page{Limit: limit}); ; {
		list, err := read(p)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, list.Data...)
		if len(list.Data) > limit || list.HasMore != (list.Next != "") || list.HasMore && len(list.Data) < limit || list.Data == nil {
			t.Fatalf("page after %q: %d rows, has_more %v, next %q", p.After, len(list.Data), list.HasMore, list.Next)
		}
		if !list.HasMore {
			return rows
		}
		p.After = list.Next
	}
}

func TestRedemptions(t *testing.T) {
	h := begin(t, 100, 0, "A", "B")
	var want []gateway.ID
	for i := range 25 {
		code := gateway.Code("A")
		if i%5 == 0 {
			code = "B"
		}
		r := redeemed(code, fmt.Sprintf("s%d", i), gateway.Committed)
		r.ID = gateway.NewID(time.Unix(1_800_000_000+int64(i), 0))
		h.apply(h.record(r))
		want = append(want, r.ID)
	}
	slices.Reverse(want)
	list := func(f gateway.RedemptionFilter) []gateway.RedemptionRow {
		return readAll(t, 10, func(p gateway.Page) (gateway.List[gateway.RedemptionRow], error) {
			return h.Redemptions(context.Background(), "l", f, p)
		})
	}
	got := list(gateway.RedemptionFilter{})
	for i, r := range got {
		if i >= len(want) || r.ID != want[i] {
			t.Fatalf("row %d of %d is %v", i, len(got), r)
		}
	}
	if len(got) != 25 || got[0].Subject != "s24" || got[0].Campaign != "c" || got[0].Position != h.seq {
		t.Errorf("%d rows, first %+v", len(got), got[0])
	}
	for name, test := range map[string]struct {
		f    gateway.RedemptionFilter
		rows int
	}{
		"code": {gateway.RedemptionFilter{Code: "B"}, 5}, "subject": {gateway.RedemptionFilter{Subject: "s3"}, 1}, "status": {gateway.RedemptionFilter{Status: gateway.Held}, 0},
		"campaign": {gateway.RedemptionFilter{Campaign: "c"}, 25}, "no campaign": {gateway.RedemptionFilter{Campaign: "d"}, 0}, "two": {gateway.RedemptionFilter{Code: "A", Subject: "s5"}, 0},
	} {
		if rows := list(test.f); len(rows) != test.rows {
			t.Errorf("%s: %d rows, want %d", name, len(rows), test.rows)
		}
	}
	none, err := h.Redemptions(context.Background(), "unknown", gateway.RedemptionFilter{}, gateway.Page{Limit: 1})
	if err != nil || len(none.Data) != 0 || none.Data == nil {
		t.Errorf("of an unknown launch: %+v, %v", none, err)
	}
}

// TestCursors: a cursor that no list gave is refused, whatever it holds.
func TestCursors(t *testing.T) {
	h := begin(t, 1, 0, "A")
	ctx := context.Background()
	for _, after := range []string{"!", "=", encodeCursor("\x00"), encodeCursor("\xff"), encodeCursor("a b c"), encodeCursor("1 2"), encodeCursor("99999999999999999999 1 x")} {
		p := gateway.Page{Limit: 1, After: after}
		_, err1 := h.Redemptions(ctx, "l", gateway.RedemptionFilter{}, p)
		_, err2 := h.CodeEvents(ctx, "l", "A", p)
		_, err3 := h.Changes(ctx, "l", p)
		for i, err := range []error{err1, err2, err3} {
			if !errors.Is(err, gateway.Refuse(gateway.InvalidRequest)) {
				t.Errorf("list %d after %q: %v", i, after, err)
			}
		}
		if _, err := h.Codes(ctx, "l", 1, p); err != nil && !errors.Is(err, gateway.Refuse(gateway.InvalidRequest)) {
			t.Errorf("codes after %q: %v", after, err)
		}
	}
}

func TestCodesAndExport(t *testing.T) {
	h := begin(t, 2, 0, "A", "B")
	var many []gateway.Code
	for i := range 2*exportPage + 3 {
		many = append(many, gateway.Code(fmt.Sprintf("M%06d", i)))
	}
	h.apply(h.record(minted(many...)))
	h.apply(h.record(redeemed("A", "ann", gateway.Committed), redeemed("A", "bob", gateway.Committed),
		gateway.CodesChanged{Change: gateway.Revoke, Codes: []gateway.Code{"B"}},
		gateway.CodesChanged{Change: gateway.Renew, Codes: []gateway.Code{"M000000"}, ExpiresAt: time.Unix(1_000_000_000, 0)}))

	list := readAll(t, 100, func(p gateway.Page) (gateway.List[gateway.CodeRow], error) {
		return h.Codes(context.Background(), "l", 1, p)
	})
	var exported []gateway.CodeRow
	if err := h.ExportCodes(context.Background(), "l", 1, func(r gateway.CodeRow) error { exported = append(exported, r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(many)+2 || len(exported) != len(list) {
		t.Fatalf("%d listed, %d exported, want %d", len(list), len(exported), len(many)+2)
	}
	for i := range list {
		if list[i].Code != exported[i].Code || i > 0 && list[i].Code <= list[i-1].Code {
			t.Fatalf("row %d: listed %q, exported %q", i, list[i].Code, exported[i].Code)
		}
	}
	for i, want := range []gateway.CodeState{gateway.CodeIsExhausted, gateway.CodeIsRevoked, gateway.CodeIsExpired, gateway.CodeActive} {
		if list[i].State != want {
			t.Errorf("%s is %s, want %s", list[i].Code, list[i].State, want)
		}
	}
	if list[0].Used != 2 || list[0].MaxUses != 2 || list[0].Campaign != "c" {
		t.Errorf("%+v", list[0])
	}
	if n, err := h.CountCodes(context.Background(), "l", 1); err != nil || n != len(list) {
		t.Errorf("%d codes counted, %v", n, err)
	}
	stop := errors.New("enough")
	if err := h.ExportCodes(context.Background(), "l", 0, func(gateway.CodeRow) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// TestCodeEvents: the life of a code, in order, page by page.
func TestCodeEvents(t *testing.T) {
	h := begin(t, 5, 0, "A", "B")
	bob, cid := redeemed("A", "bob", gateway.Held), redeemed("A", "cid", gateway.Held)
	h.apply(h.record(redeemed("A", "ann", gateway.Committed)), h.record(bob), h.record(cid), h.record(redeemed("B", "dan", gateway.Committed)))
	confirmed := settled(bob, gateway.Held, gateway.Committed)
	confirmed.Cause = gateway.Confirm
	refused := gateway.Refused{Reason: gateway.CodeExhausted, Verb: "redeem", Code: "A"}
	h.apply(h.record(confirmed), h.record(settled(cid, gateway.Held, gateway.Released)),
		h.record(refused, refused, gateway.CodesChanged{Change: gateway.Revoke, Codes: []gateway.Code{"A"}, By: gateway.Actor{Name: "ops", Note: "leaked"}}))
	want := "issued redeemed held held confirmed released revoked refused refused"
	for _, limit := range []int{1, 2, 100} {
		events := readAll(t, limit, func(p gateway.Page) (gateway.List[gateway.AuditEvent], error) {
			return h.CodeEvents(context.Background(), "l", "A", p)
		})
		var kinds []string
		for _, e := range events {
			kinds = append(kinds, e.Kind)
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("by %d: %s, want %s", limit, got, want)
			continue
		}
		if events[1].Subject != "ann" || events[6].Actor != "ops" || events[6].Note != "leaked" || !strings.Contains(string(events[7].Detail), "code_exhausted") {
			t.Errorf("%+v", events)
		}
	}
}

func TestChanges(t *testing.T) {
	h := begin(t, 5, 0, "A", "B")
	h.apply(h.record(gateway.CodesChanged{Change: gateway.Revoke, Codes: []gateway.Code{"A", "B"}, By: gateway.Actor{Name: "ops"}}))
	events := readAll(t, 2, func(p gateway.Page) (gateway.List[gateway.AuditEvent], error) {
		return h.Changes(context.Background(), "l", p)
	})
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	if got := strings.Join(kinds, " "); got != "revoked minted campaign launch" || events[0].Subject != "2 codes" || events[0].Actor != "ops" {
		t.Errorf("%s: %+v", got, events)
	}
}

func TestConflictsAndParked(t *testing.T) {
	h := begin(t, 1, 0, "A")
	for i := range 3 {
		h.apply(h.record(redeemed("NONE", fmt.Sprint(i), gateway.Committed), redeemed("NONE", fmt.Sprint(i, "b"), gateway.Committed)))
	}
	conflicts := readAll(t, 2, func(p gateway.Page) (gateway.List[gateway.ConflictRow], error) {
		return h.Conflicts(context.Background(), "l", p)
	})
	if len(conflicts) != 6 || conflicts[0].Position != h.seq || conflicts[0].Kind == "" || conflicts[5].Position != h.seq-2 {
		t.Errorf("%+v", conflicts)
	}
	for range 3 {
		r := h.record()
		if err := h.Park(context.Background(), Batch{Launch: "l", Epoch: h.epoch, After: r.Seq - 1, Records: []gateway.Record{r}}, errors.New("unreadable")); err != nil {
			t.Fatal(err)
		}
	}
	parked := readAll(t, 2, func(p gateway.Page) (gateway.List[gateway.ParkedRow], error) {
		return h.Parked(context.Background(), "l", p)
	})
	if len(parked) != 3 || parked[0].Position != h.seq || parked[0].Error != "unreadable" {
		t.Errorf("%+v", parked)
	}
}

func TestStats(t *testing.T) {
	h := begin(t, 2, 0, "A", "B", "C")
	bob := redeemed("B", "bob", gateway.Held)
	ann := redeemed("C", "ann", gateway.Committed)
	h.apply(h.record(redeemed("A", "ann", gateway.Committed), redeemed("A", "cid", gateway.Committed), bob, ann))
	rolled := settled(ann, gateway.Committed, gateway.RolledBack)
	rolled.Cause = gateway.Rollback
	h.apply(h.record(settled(bob, gateway.Held, gateway.Released), rolled, redeemed("B", "dan", gateway.Held)),
		h.record(gateway.Opened{Code: "A", Campaign: 1, Count: 9}, gateway.CodesChanged{Change: gateway.Revoke, Codes: []gateway.Code{"C"}},
			gateway.Refused{Reason: gateway.CodeUnknown, Code: "X"}, gateway.Refused{Reason: gateway.CodeUnknown, Code: "Y"}))
	s, err := h.Stats(context.Background(), "l")
	if err != nil || len(s.Campaigns) != 1 || len(s.Channels) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	want := gateway.CampaignStats{Campaign: "c", Kind: s.Campaigns[0].Kind, Issued: 3, Revoked: 1, Exhausted: 1, Opened: 9, Held: 1, Redeemed: 2, Released: 1, RolledBack: 1, Subjects: 2}
	if s.Campaigns[0] != want {
		t.Errorf("got  %+v\nwant %+v", s.Campaigns[0], want)
	}
	if s.Channels[0] != (gateway.ChannelStats{Issued: 3, Opened: 9, Redeemed: 2}) || s.Position != h.seq || s.Refused[gateway.CodeUnknown] != 2 {
		t.Errorf("%+v", s)
	}
	if s, err := h.Stats(context.Background(), "unknown"); err != nil || s.Campaigns == nil || s.Position != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAPIKeys(t *testing.T) {
	l, ctx := openTest(t), context.Background()
	secret := gateway.NewAPIKey()
	now := time.Now().UTC().Truncate(time.Microsecond)
	key := gateway.APIKey{ID: gateway.NewID(now), Name: "k", Scopes: []gateway.Scope{gateway.ScopeRead, gateway.ScopeServer}, Launch: "l", ExpiresAt: now.Add(time.Hour), Created: now}
	if err := l.CreateKey(ctx, key, gateway.HashAPIKey(secret)); err != nil {
		t.Fatal(err)
	}
	found, err := l.FindKey(ctx, gateway.HashAPIKey(secret))
	if err != nil || found.Name != "k" || !slices.Equal(found.Scopes, key.Scopes) || !found.ExpiresAt.Equal(key.ExpiresAt) || found.LastUsed.IsZero() {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := l.FindKey(ctx, gateway.HashAPIKey("another")); !errors.Is(err, gateway.Refuse(gateway.Unauthorized)) {
		t.Errorf("a key that does not exist: %v", err)
	}
	if err := l.RevokeKey(ctx, key.ID); err != nil {
		t.Fatal(err)
	}
	if found, err = l.FindKey(ctx, gateway.HashAPIKey(secret)); err != nil || found.Good(time.Now().Add(time.Second)) {
		t.Errorf("a revoked key: %+v, %v", found, err)
	}
	if err := l.RevokeKey(ctx, gateway.ID{1}); !errors.Is(err, gateway.Refuse(gateway.NotFound)) {
		t.Errorf("revoking none: %v", err)
	}
	if keys, err := l.Keys(ctx); err != nil || len(keys) != 1 || keys[0].RevokedAt.IsZero() {
		t.Errorf("%+v, %v", keys, err)
	}
}

func TestOnce(t *testing.T) {
	l, ctx := openTest(t), context.Background()
	one, two := sha256.Sum256([]byte("1")), sha256.Sum256([]byte("2"))
	begin := func(key string, request [32]byte) (*gateway.Answered, error) {
		return l.BeginOnce(ctx, "s", key, request)
	}
	first := func(key string, request [32]byte) {
		t.Helper()
		if a, err := begin(key, request); a != nil || err != nil {
			t.Errorf("not the first: %v, %v", a, err)
		}
	}
	first("k", one)
	if _, err := begin("k", one); !errors.Is(err, gateway.Refuse(gateway.IdempotencyInFlight)) {
		t.Errorf("in flight: %v", err)
	}
	if _, err := begin("k", two); !errors.Is(err, gateway.Refuse(gateway.IdempotencyMismatch)) {
		t.Errorf("another request: %v", err)
	}
	if err := l.FinishOnce(ctx, "s", "k", gateway.Answered{Status: 201, ContentType: "text/plain", Body: []byte("body")}); err != nil {
		t.Fatal(err)
	}
	if a, err := begin("k", one); err != nil || a.Status != 201 || a.ContentType != "text/plain" || string(a.Body) != "body" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, status := range []int{409, 429, 500, 503} {
		first("again", one)
		if err := l.FinishOnce(ctx, "s", "again", gateway.Answered{Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	first("again", two)
	// After a day a key is new; one whose gateway died, after five minutes.
	for key, age := range map[string]string{"k": "25 hours", "again": "6 minutes"} {
		if _, err := l.pool.Exec(ctx, `UPDATE idempotency SET created_at = now() - $2::text::interval WHERE key = $1`, key, age); err != nil {
			t.Fatal(err)
		}
	}
	first("k", two)
	first("again", one)
}
