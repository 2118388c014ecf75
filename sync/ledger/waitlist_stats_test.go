package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"admitone/gateway"
)

// onList is one person of a waitlist as the test counts it.
type onList struct {
	source                   string
	counted                  bool
	status                   gateway.EntryStatus
	joined, invited, settled time.Time
}

// TestWaitlistStats: the figures of a random history of three weeks are those
// that a count of its people gives, to the row.
func TestWaitlistStats(t *testing.T) {
	const seed = 20261121
	rng := rand.New(rand.NewPCG(seed, seed))
	h, at := begin(t, 1, 0, "X"), time.Date(2027, 1, 1, 22, 0, 0, 0, time.UTC)
	people, keys := map[string]*onList{}, []string(nil)
	var records []gateway.Record
	tell := func(e gateway.Event) {
		r := h.record(e)
		r.At = at
		records = append(records, r)
	}
	tell(gateway.ReleasePut{ID: "r", Count: 1000, Order: gateway.ByPriority, Upto: 1 << 30})
	arrivals := uint64(0)
	join := func(key string) {
		arrivals++
		p := &onList{source: []string{"", "web", "producthunt", "friend"}[rng.IntN(4)], counted: rng.IntN(3) == 0, status: gateway.EntryWaiting, joined: at}
		people[key] = p
		person, err := json.Marshal(gateway.Person{Subject: key + "@x.example", Email: key + "@x.example"})
		if err != nil {
			t.Fatal(err)
		}
		tell(gateway.EntryJoined{Key: key, Arrival: arrivals, Source: p.source, Counted: p.counted, Sealed: person})
	}
	for len(records) < 1500 {
		at = at.Add(time.Duration(rng.IntN(40*60*1000)) * time.Millisecond)
		if len(keys) == 0 || rng.IntN(2) == 0 {
			keys = append(keys, "p"+strconv.Itoa(len(keys)))
			join(keys[len(keys)-1])
			continue
		}
		key := keys[rng.IntN(len(keys))]
		p := people[key]
		move := func(to gateway.EntryStatus, cause string) {
			tell(gateway.EntryMoved{Key: key, From: p.status, To: to, Cause: cause})
			p.status, p.settled = to, at
		}
		switch p.status {
		case gateway.EntryWaiting:
			switch rng.IntN(4) {
			case 0:
				move(gateway.EntryLeft, "leave")
			case 1:
				move(gateway.EntryRegistered, "redeem") // another code than an offer's
			default:
				tell(gateway.OfferMade{Release: "r", Key: key, Code: gateway.Code(fmt.Sprint("O", len(records))), Campaign: 1, ExpiresAt: at.Add(time.Hour), Recipient: key})
				p.status, p.invited = gateway.EntryInvited, at
			}
		case gateway.EntryInvited:
			to := []gateway.EntryStatus{gateway.EntryRegistered, gateway.EntryDeclined, gateway.EntryExpired}[rng.IntN(3)]
			move(to, "settle")
		case gateway.EntryLeft, gateway.EntryDeclined, gateway.EntryExpired:
			join(key) // back, as somebody new
		}
	}
	h.apply(records...)

	want := gateway.WaitlistStats{Launch: "l", Position: h.seq, Statuses: map[gateway.EntryStatus]int{}}
	days, sources := map[string]*gateway.GrowthDay{}, map[string]*gateway.SourceStats{}
	day := func(at time.Time) *gateway.GrowthDay {
		name := at.Format(time.DateOnly)
		if days[name] == nil {
			days[name] = &gateway.GrowthDay{Day: name}
		}
		return days[name]
	}
	var waits []float64
	converted := map[string]int{}
	for _, p := range people {
		s := sources[p.source]
		if s == nil {
			s = &gateway.SourceStats{Source: p.source}
			sources[p.source] = s
		}
		want.Entries++
		want.Statuses[p.status]++
		s.Joined++
		day(p.joined).Joined++
		if p.counted {
			want.Referred++
			s.Referred++
			day(p.joined).Referred++
		}
		if !p.invited.IsZero() {
			want.Invited++
			s.Invited++
			day(p.invited).Invited++
			waits = append(waits, p.invited.Sub(p.joined).Seconds())
		}
		if p.status == gateway.EntryRegistered {
			s.Registered++
			day(p.settled).Registered++
			if !p.invited.IsZero() {
				converted[p.source]++
			}
		}
	}
	want.Viral = float64(want.Referred) / float64(want.Entries)
	for _, s := range sources {
		s.Conversion = float64(converted[s.Source]) / float64(s.Invited)
		want.Sources = append(want.Sources, *s)
	}
	slices.SortFunc(want.Sources, func(a, b gateway.SourceStats) int {
		return cmp.Or(cmp.Compare(b.Joined, a.Joined), cmp.Compare(a.Source, b.Source))
	})
	for _, name := range slices.Sorted(maps.Keys(days)) {
		want.Growth = append(want.Growth, *days[name])
	}
	slices.Sort(waits)
	for _, w := range waits {
		want.InviteMean += w / float64(len(waits))
	}
	want.InviteMedian = (waits[(len(waits)-1)/2] + waits[len(waits)/2]) / 2

	got, err := h.WaitlistStats(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) < 0.001 }
	if !near(got.InviteMean, want.InviteMean) || !near(got.InviteMedian, want.InviteMedian) {
		t.Errorf("invited after %v and %v s; want %v and %v", got.InviteMean, got.InviteMedian, want.InviteMean, want.InviteMedian)
	}
	got.InviteMean, got.InviteMedian = want.InviteMean, want.InviteMedian
	if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); a != b {
		t.Errorf("seed %d:\n%s\nwant\n%s", seed, a, b)
	}
}
