package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
)

func TestMain(m *testing.M) { rig.Run(m) }

// plain opens seals that were never sealed.
type plain struct{}

func (plain) Open(_ string, sealed []byte) ([]byte, error) {
	if string(sealed) == "broken" {
		return nil, errors.New("broken seal")
	}
	return sealed, nil
}

func openTest(t testing.TB) *Ledger {
	t.Helper()
	l, err := Open(context.Background(), rig.TestPostgres(t), plain{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// history makes records one after the other.
type history struct {
	testing.TB
	*Ledger
	seq, epoch uint64
}

func (h *history) record(events ...gateway.Event) gateway.Record {
	h.seq++
	return gateway.Record{
		Launch: "l", Seq: h.seq, Epoch: h.epoch, At: time.UnixMilli(1_800_000_000_000 + int64(h.seq)).UTC(), Bytes: h.seq * 100,
		Events: events, Raw: fmt.Sprintf("raw %d", h.seq),
	}
}

func (h *history) apply(records ...gateway.Record) int {
	h.Helper()
	r, err := h.Apply(context.Background(), Batch{Launch: "l", Epoch: h.epoch, After: records[0].Seq - 1, Records: records})
	if err != nil {
		h.Fatal(err)
	}
	return r.Conflicts
}

func begin(t testing.TB, uses, limit int, codes ...gateway.Code) *history {
	t.Helper()
	h := &history{TB: t, Ledger: openTest(t), epoch: 5}
	h.apply(
		h.record(gateway.LaunchPut{Version: 1, Open: true, Policy: []byte(`{"launch":"l"}`)}),
		h.record(gateway.CampaignPut{Version: 2, Campaign: campaignJSON(t, uses, limit)}),
		h.record(minted(codes...)),
	)
	return h
}

func campaignJSON(t testing.TB, uses, limit int) []byte {
	t.Helper()
	document, err := json.Marshal(gateway.Campaign{ID: gateway.ID{1}, Number: 1, Name: "c", MaxUses: uses, Cap: limit, Format: "{random:10}"})
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func minted(codes ...gateway.Code) gateway.CodesMinted {
	e := gateway.CodesMinted{Campaign: 1}
	for _, c := range codes {
		e.Codes = append(e.Codes, gateway.MintedCode{Code: c, Display: string(c)})
	}
	return e
}

func redeemed(code gateway.Code, subject string, status gateway.Status) gateway.Redeemed {
	person, _ := json.Marshal(gateway.Person{Subject: subject})
	return gateway.Redeemed{ID: gateway.NewID(time.Unix(1_800_000_000, 0)), Status: status, Code: code, Campaign: 1, Subject: "key-" + subject, Sealed: person}
}

func settled(r gateway.Redeemed, from, to gateway.Status) gateway.Settled {
	return gateway.Settled{ID: r.ID, From: from, To: to, Cause: gateway.Release, Code: r.Code, Campaign: 1, Subject: r.Subject}
}

func (h *history) used(code string) (used, held int) {
	h.Helper()
	if err := h.pool.QueryRow(context.Background(), `SELECT used, held FROM codes WHERE code = $1`, code).Scan(&used, &held); err != nil {
		h.Fatal(err)
	}
	return used, held
}

func (h *history) count(sql string, args ...any) (n int) {
	h.Helper()
	if err := h.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		h.Fatal(err)
	}
	return n
}

func TestApply(t *testing.T) {
	h := begin(t, 2, 0, "A", "B", "C")
	ann, bob, cid := redeemed("A", "ann", gateway.Committed), redeemed("A", "bob", gateway.Held), redeemed("B", "cid", gateway.Held)
	h.apply(h.record(ann, bob), h.record(cid), h.record(settled(cid, gateway.Held, gateway.Released)))
	// Within one batch: a hold of an earlier batch ends, the same subject
	// redeems the same code again, that ends too, and once more.
	again, third := redeemed("A", "bob", gateway.Held), redeemed("A", "bob", gateway.Committed)
	h.apply(h.record(settled(bob, gateway.Held, gateway.Released), again), h.record(settled(again, gateway.Held, gateway.Released), third))
	h.apply(h.record(minted("D"), redeemed("D", "dan", gateway.Committed)), h.record(gateway.CodesChanged{Change: gateway.Revoke, Codes: []gateway.Code{"D", "C"}},
		gateway.CodesChanged{Change: gateway.Reinstate, Codes: []gateway.Code{"C"}}, gateway.CodesChanged{Change: gateway.Renew, Codes: []gateway.Code{"C"}, ExpiresAt: time.Unix(1_900_000_000, 0)}))
	h.apply(h.record(gateway.Opened{Code: "A", Campaign: 1, Count: 3}, gateway.Opened{Code: "A", Campaign: 1, Count: 4}, gateway.Refused{Reason: gateway.CodeUnknown, Counted: true, Verb: "redeem", Code: "X", Subject: "key-x"}))

	for code, want := range map[string][2]int{"A": {2, 0}, "B": {0, 0}, "D": {1, 0}} {
		if used, held := h.used(code); used != want[0] || held != want[1] {
			t.Errorf("%s: used %d, held %d; want %v", code, used, held, want)
		}
	}
	for sql, want := range map[string]int{
		`SELECT count(*) FROM redemptions WHERE status = 'committed'`:               3,
		`SELECT count(*) FROM redemptions WHERE status = 'released'`:                3,
		`SELECT count(*) FROM redemptions WHERE subject = 'bob'`:                    3,
		`SELECT used FROM campaigns`:                                                3,
		`SELECT count(*) FROM codes WHERE revoked`:                                  1,
		`SELECT count(*) FROM codes WHERE code = 'C' AND expires_at > '2030-01-01'`: 1,
		`SELECT opened FROM visits`:                                                 7,
		`SELECT count(*) FROM attempts WHERE counted`:                               1,
		`SELECT count(*) FROM journal`:                                              int(h.seq),
		`SELECT count(*) FROM conflicts`:                                            0,
		`SELECT seq FROM positions`:                                                 int(h.seq),
	} {
		if got := h.count(sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
}

// TestFence: a batch counts once, in order, in its epoch.
func TestFence(t *testing.T) {
	h := begin(t, 2, 0, "A")
	r := h.record(redeemed("A", "ann", gateway.Committed))
	h.apply(r)
	ctx := context.Background()
	for name, b := range map[string]Batch{
		"again":          {Launch: "l", Epoch: 5, After: r.Seq - 1, Records: []gateway.Record{r}},
		"a gap":          {Launch: "l", Epoch: 5, After: r.Seq + 1, Records: []gateway.Record{r}},
		"another epoch":  {Launch: "l", Epoch: 4, After: r.Seq, Records: []gateway.Record{h.record(redeemed("A", "bob", gateway.Committed))}},
		"from the start": {Launch: "l", Epoch: 5, After: 0, Records: []gateway.Record{r}},
	} {
		if _, err := h.Apply(ctx, b); !errors.Is(err, ErrFenced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if epoch, err := h.Bump(ctx, "l", 5, 5); err != nil || epoch.Epoch != 6 {
		t.Fatalf("epoch %d, %v", epoch.Epoch, err)
	}
	if _, err := h.Bump(ctx, "l", 5, 5); !errors.Is(err, ErrFenced) {
		t.Errorf("a second bump from the same epoch: %v", err)
	}
	next := h.record(redeemed("A", "cid", gateway.Committed))
	if _, err := h.Apply(ctx, Batch{Launch: "l", Epoch: 5, After: r.Seq, Records: []gateway.Record{next}}); !errors.Is(err, ErrFenced) {
		t.Errorf("a writer of the old epoch: %v", err)
	}
	if n := h.count(`SELECT count(*) FROM redemptions`); n != 1 {
		t.Errorf("%d redemptions", n)
	}
}

// TestConflicts: what the constraints refuse is kept and shown, and the rest of
// its batch goes in.
func TestConflicts(t *testing.T) {
	h := begin(t, 2, 3, "A", "B", "C")
	ann := redeemed("A", "ann", gateway.Committed)
	n := h.apply(h.record(
		ann, redeemed("A", "bob", gateway.Committed), redeemed("A", "one too many", gateway.Committed),
		redeemed("N0NE", "cid", gateway.Committed), redeemed("B", "dan", gateway.Committed),
		redeemed("B", "above the cap", gateway.Committed),
		settled(redeemed("A", "nobody", gateway.Committed), gateway.Committed, gateway.RolledBack),
		minted("A"),
	), h.record(gateway.Opened{Code: "A", Campaign: 1, Count: 1}))
	if n != 5 {
		t.Errorf("%d conflicts, want 5", n)
	}
	for sql, want := range map[string]int{
		`SELECT count(*) FROM redemptions`: 3, `SELECT used FROM codes WHERE code = 'A'`: 2, `SELECT used FROM codes WHERE code = 'B'`: 1,
		`SELECT used FROM campaigns`: 3, `SELECT count(*) FROM conflicts`: 5, `SELECT opened FROM visits`: 1,
		`SELECT count(*) FROM conflicts WHERE kind = 'cap'`: 2, `SELECT count(*) FROM conflicts WHERE kind = 'code_exists'`: 1,
		`SELECT count(*) FROM conflicts WHERE kind = 'campaign_cap'`: 1, `SELECT count(*) FROM conflicts WHERE kind = 'unknown_redemption'`: 1,
	} {
		if got := h.count(sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
	if n := h.apply(h.record(redeemed("C", "above the cap", gateway.Committed))); n != 1 {
		t.Errorf("%d conflicts above the cap, want 1", n)
	}
	h.apply(h.record(settled(ann, gateway.Committed, gateway.RolledBack)))
	r := redeemed("C", "x", gateway.Committed)
	r.Sealed = []byte("broken")
	if n := h.apply(h.record(r)); n != 0 || h.count(`SELECT count(*) FROM redemptions WHERE subject_key = 'key-x' AND subject = ''`) != 1 {
		t.Error("a seal that does not open loses its redemption")
	}
}

// TestLowered: uses that were granted before an operator lowered the limits
// stay, in one batch and in two.
func TestLowered(t *testing.T) {
	h := begin(t, 3, 0, "A")
	n := h.apply(
		h.record(redeemed("A", "ann", gateway.Committed)), h.record(redeemed("A", "bob", gateway.Committed)),
		h.record(gateway.CampaignPut{Version: 3, Campaign: campaignJSON(t, 1, 1)}),
	)
	if used, _ := h.used("A"); n != 0 || used != 2 {
		t.Errorf("%d conflicts, used %d", n, used)
	}
}

func TestPark(t *testing.T) {
	h := begin(t, 1, 0, "A")
	r := h.record()
	r.Raw = "not\x00a record"
	if err := h.Park(context.Background(), Batch{Launch: "l", Epoch: 5, After: r.Seq - 1, Records: []gateway.Record{r}}, errors.New("why")); err != nil {
		t.Fatal(err)
	}
	h.apply(h.record(redeemed("A", "ann", gateway.Committed)))
	if h.count(`SELECT count(*) FROM parked WHERE error = 'why'`) != 1 {
		t.Error("it is not parked")
	}
}

// dumped gathers a dump.
type dumped struct {
	launch      gateway.StoredLaunch
	campaigns   []gateway.StoredCampaign
	codes       map[gateway.Code]gateway.StoredCode
	redemptions map[gateway.ID]gateway.StoredRedemption
	members     []gateway.StoredRecord
	failures    []gateway.StoredFailure
	queue       gateway.StoredQueue
	entries     []gateway.StoredEntry
}

func (d *dumped) Launch(_ context.Context, l gateway.StoredLaunch) error { d.launch = l; return nil }

func (d *dumped) Campaigns(_ context.Context, c []gateway.StoredCampaign) error {
	d.campaigns = append(d.campaigns, c...)
	return nil
}

func (d *dumped) Codes(_ context.Context, c []gateway.StoredCode) error {
	for _, each := range c {
		d.codes[each.Code] = each
	}
	return nil
}

func (d *dumped) Redemptions(_ context.Context, r []gateway.StoredRedemption) error {
	for _, each := range r {
		d.redemptions[each.ID] = each
	}
	return nil
}

func (d *dumped) Members(_ context.Context, m []gateway.StoredRecord) error {
	d.members = append(d.members, m...)
	return nil
}

func (d *dumped) Payments(context.Context, []gateway.StoredText) error { return nil }

func (d *dumped) Earnings(context.Context, []gateway.StoredText) error { return nil }

func (d *dumped) Failures(_ context.Context, f []gateway.StoredFailure) error {
	d.failures = append(d.failures, f...)
	return nil
}

func (d *dumped) Queue(_ context.Context, q gateway.StoredQueue) error { d.queue = q; return nil }

func (d *dumped) Entries(_ context.Context, e []gateway.StoredEntry) error {
	d.entries = append(d.entries, e...)
	return nil
}

func TestDump(t *testing.T) {
	h := begin(t, 2, 0, "A", "B")
	ann, bob, gone, kept := redeemed("A", "ann", gateway.Committed), redeemed("A", "bob", gateway.Held), redeemed("B", "cid", gateway.Held), redeemed("B", "cid", gateway.Held)
	h.apply(h.record(ann, bob, gone), h.record(settled(gone, gateway.Held, gateway.Released)), h.record(kept), h.record(settled(kept, gateway.Held, gateway.Released)),
		h.record(gateway.Refused{Reason: gateway.CodeUnknown, Counted: true, Verb: "redeem", Code: "X", Subject: "s", Address: "a"}))
	d := &dumped{codes: map[gateway.Code]gateway.StoredCode{}, redemptions: map[gateway.ID]gateway.StoredRedemption{}}
	if err := h.Dump(context.Background(), "l", Selection{}, d); err != nil {
		t.Fatal(err)
	}
	if d.launch.Seq != h.seq || d.launch.Epoch != 5 || d.launch.Bytes != h.seq*100 || !d.launch.Open || d.launch.Version != 2 {
		t.Errorf("launch %+v", d.launch)
	}
	if len(d.campaigns) != 1 || d.campaigns[0].Used != 2 || d.campaigns[0].Name != "c" {
		t.Errorf("campaigns %+v", d.campaigns)
	}
	if c := d.codes["A"]; len(d.codes) != 2 || c.Used != 2 || c.Held != 1 || c.Campaign != 1 {
		t.Errorf("codes %+v", d.codes)
	}
	if len(d.redemptions) != 3 || d.redemptions[bob.ID].Status != gateway.Held || d.redemptions[kept.ID].Status != gateway.Released {
		t.Errorf("redemptions %+v", d.redemptions)
	}
	if len(d.failures) != 1 || d.failures[0].Address != "a" {
		t.Errorf("failures %+v", d.failures)
	}
	if err := h.Dump(context.Background(), "nowhere", Selection{}, d); !errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) {
		t.Errorf("a launch that is not there: %v", err)
	}
}

// BenchmarkApply is how fast batches of 3,200 redemptions go into Postgres: of
// one hot code; of codes minted a moment ago, in their order; and of 300,000
// minted at once, in no order, as on a launch day.
func BenchmarkApply(b *testing.B) {
	const records, each = 50, 64
	for _, kind := range []string{"hot", "distinct", "launch-day"} {
		b.Run(kind, func(b *testing.B) {
			h := begin(b, gateway.MaxUses, 0, "H0T")
			var codes []gateway.Code
			mint := func(n int) {
				first := len(codes)
				for range n {
					codes = append(codes, gateway.Code(fmt.Sprintf("D%09d", len(codes))))
				}
				for fresh := range slices.Chunk(codes[first:], 10_000) {
					h.apply(h.record(minted(fresh...)))
				}
			}
			applied := 0
			next := func() gateway.Code { applied++; return codes[applied-1] }
			switch kind {
			case "hot":
				next = func() gateway.Code { applied++; return "H0T" }
			case "launch-day":
				mint(max(300_000, b.N*records*each))
				rand.New(rand.NewPCG(1, 2)).Shuffle(len(codes), func(i, j int) { codes[i], codes[j] = codes[j], codes[i] })
			}
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				if kind == "distinct" {
					mint(records * each)
				}
				list := make([]gateway.Record, 0, records)
				for range records {
					events := make([]gateway.Event, each)
					for i := range events {
						events[i] = redeemed(next(), fmt.Sprint("s", applied), gateway.Committed)
					}
					list = append(list, h.record(events...))
				}
				b.StartTimer()
				h.apply(list...)
			}
			b.ReportMetric(float64(applied)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// TestWritersAtOnce: two processes that both think they lead apply the same
// records at the same time, in whatever order the rows come. One of them does,
// the other is told so; neither waits for a row that the other one has.
func TestWritersAtOnce(t *testing.T) {
	codes := make([]gateway.Code, 200)
	for i := range codes {
		codes[i] = gateway.Code(fmt.Sprintf("W%03d", i))
	}
	h := begin(t, 1000, 0, codes...)
	other := *h.Ledger // another process, on connections of the same pool
	for round := range 20 {
		var events []gateway.Event
		for i, c := range codes {
			events = append(events, redeemed(c, fmt.Sprintf("r%d-%d", round, i), gateway.Committed))
		}
		after := h.seq
		batch := Batch{Launch: "l", Epoch: h.epoch, After: after, Records: []gateway.Record{h.record(events...)}}
		results := make(chan error, 2)
		for _, l := range []*Ledger{h.Ledger, &other} {
			go func() {
				r, err := l.Apply(context.Background(), batch)
				if err == nil && r.Conflicts > 0 {
					err = fmt.Errorf("%d conflicts", r.Conflicts)
				}
				results <- err
			}()
		}
		applied := 0
		for range 2 {
			switch err := <-results; {
			case err == nil:
				applied++
			case !errors.Is(err, ErrFenced):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if applied != 1 {
			t.Fatalf("round %d: %d of two writers applied it", round, applied)
		}
	}
	if n := h.count(`SELECT count(*) FROM redemptions`); n != 20*len(codes) {
		t.Errorf("%d redemptions", n)
	}
}
