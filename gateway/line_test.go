package gateway

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestOrder: whatever is added and removed, a score's rank is its place in the
// sorted list.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o order
		var sorted []uint64
		scores := rapid.Uint64Range(0, 4000)
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for _, s := range rapid.SliceOfN(scores, 0, 2000).Draw(t, "add") {
				o.add(s)
				if i, found := slices.BinarySearch(sorted, s); !found {
					sorted = slices.Insert(sorted, i, s)
				}
			}
			for _, s := range rapid.SliceOfN(scores, 0, 2000).Draw(t, "remove") {
				o.remove(s)
				if i, found := slices.BinarySearch(sorted, s); found {
					sorted = slices.Delete(sorted, i, i+1)
				}
			}
			o.count()
			if o.total != len(sorted) {
				t.Fatalf("total %d, want %d", o.total, len(sorted))
			}
			for i, s := range sorted {
				if o.rank(s) != i {
					t.Fatalf("rank of %d is %d, want %d", s, o.rank(s), i)
				}
			}
		}
	})
}

func TestScore(t *testing.T) {
	last := uint64(0)
	for _, e := range []struct {
		priority int
		arrival  uint64
	}{{MaxPoints, 1}, {MaxPoints, 1<<32 - 1}, {1, 2}, {0, 1}, {0, 2}, {-1, 1}, {-MaxPoints, 1<<32 - 1}} {
		s := Score(e.priority, e.arrival)
		if s <= last || s >= 1<<53 {
			t.Errorf("%+v scores %d behind %d", e, s, last)
		}
		last = s
	}
}

func key(n byte) string { return EntryKey{n}.String() }

func TestLine(t *testing.T) {
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	l := NewLine()
	l.Load([]Entry{{Key: key(1), Status: EntryWaiting, Arrival: 1}, {Key: key(2), Status: EntryWaiting, Arrival: 2}})
	first, _ := ParseEntryKey(key(1))
	second, _ := ParseEntryKey(key(2))
	third, _ := ParseEntryKey(key(3))
	if _, ok := l.Place(first); ok {
		t.Error("a copy that is not current answers")
	}
	l.Current(at)
	want := func(k EntryKey, position, total int, status EntryStatus) Place {
		t.Helper()
		p, ok := l.Place(k)
		if !ok || p.Position != position || p.Total != total || p.Status != status {
			t.Errorf("%+v, %v; want %d of %d, %s", p, ok, position, total, status)
		}
		return p
	}
	want(first, 1, 2, EntryWaiting)
	want(second, 2, 2, EntryWaiting)
	changed := l.Changed()
	l.Apply(&Record{At: at.Add(time.Second), Events: []Event{
		EntryJoined{Key: key(3), Arrival: 3, Priority: 20, Boosts: "s:20:1800000000:producthunt"},
		EntryBoosted{Key: key(2), Priority: 5, Referrals: 1, Boosts: "f:5:1800000000:"},
	}})
	select {
	case <-changed:
	default:
		t.Error("a change is not told")
	}
	p := want(third, 1, 3, EntryWaiting)
	if len(p.Boosts) != 1 || p.Boosts[0].Reason != "producthunt" || p.Boosts[0].Points != 20 || !p.AsOf.Equal(at.Add(time.Second)) || !p.ETA.IsZero() {
		t.Errorf("%+v", p)
	}
	want(second, 2, 3, EntryWaiting)
	want(first, 3, 3, EntryWaiting)
	l.Apply(&Record{At: at.Add(time.Minute), Events: []Event{
		OfferMade{Release: "r", Key: key(3), Code: "ABC", ExpiresAt: at.Add(time.Hour)}, EntryMoved{Key: key(2), From: EntryWaiting, To: EntryLeft},
	}})
	if p := want(third, 0, 1, EntryInvited); p.Offer != "ABC" || !p.OfferEnds.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v", p)
	}
	want(second, 0, 1, EntryLeft)
	if p := want(first, 1, 1, EntryWaiting); !p.ETA.Equal(at.Add(24 * time.Hour).Truncate(time.Minute).Add(time.Minute)) {
		t.Errorf("one a day, and the ETA is %v", p.ETA)
	}
	// Records that the loaded entries hold already may come again.
	l.Load([]Entry{{Key: key(2), Status: EntryWaiting, Arrival: 9, Referrals: 1}})
	l.Apply(&Record{At: at, Events: []Event{EntryJoined{Key: key(2), Arrival: 9}}})
	if p := want(second, 2, 2, EntryWaiting); p.Referrals != 1 {
		t.Errorf("%+v", p)
	}
	if got := l.BestPlace(second, 2, 0); got != 2 {
		t.Errorf("best %d", got)
	}
	l.Apply(&Record{At: at, Events: []Event{EntryJoined{Key: key(4), Arrival: 10, Priority: 1}}})
	if got := l.BestPlace(second, 3, 0); got != 2 {
		t.Errorf("the best place that was shown was 2, not %d", got)
	}
	if got := l.BestPlace(second, 3, 1); got != 1 {
		t.Errorf("the caller remembers 1, not %d", got)
	}
	changed = l.Changed()
	l.Retire()
	select {
	case <-changed:
	default:
		t.Error("who waits is not told that the copy is replaced")
	}
}

// BenchmarkLine is what a copy of a million entries takes, and what a place in it
// costs: a fifth of the entries have a boost, a tenth two.
//
//	go test ./gateway -run '^$' -bench Line -benchtime 1x
func BenchmarkLine(b *testing.B) {
	const entries = 1_000_000
	keyOf := func(n int) (k EntryKey) {
		binary.BigEndian.PutUint64(k[:], uint64(n)*0x9e3779b97f4a7c15)
		return k
	}
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	l := NewLine()
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range entries {
		e := EntryJoined{Key: keyOf(n).String(), Arrival: uint64(n + 1)}
		switch n % 10 {
		case 0:
			e.Priority, e.Boosts = 30, "s:20:1800000000:producthunt,r:10:1800000000:"
		case 5:
			e.Priority, e.Boosts = 5, "s:5:1800000000:twitter"
		}
		l.Apply(&Record{At: at, Events: []Event{e}})
	}
	l.Current(at)
	size := float64(held()-before) / entries
	n := 0
	for b.Loop() {
		n++
		if p, ok := l.Place(keyOf(n % entries)); !ok || p.Position == 0 {
			b.Fatalf("%+v, %v", p, ok)
		}
	}
	b.ReportMetric(size, "B/entry")
	runtime.KeepAlive(l)
}
