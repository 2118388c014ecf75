package heal

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

// queueUp makes a launch whose waitlist has a bit of everything in it, two days
// ahead of time, and returns the entries' keys.
func (n *node) queueUp() []string {
	n.Helper()
	must := func(err error) {
		n.Helper()
		if err != nil {
			n.Fatal(err)
		}
	}
	p := gateway.DefaultPolicy(launch)
	p.Waitlist.Boosts = gateway.BoostsPolicy{Referred: 10, Referrer: 5}
	p.Waitlist.Limits.PerAddress = gateway.Rate{Count: 3, Window: gateway.Duration(time.Hour)}
	_, err := n.store.CreateLaunch(n.Context(), p, by)
	must(err)
	_, err = n.store.SetClock(n.Context(), launch, 48*time.Hour, by)
	must(err)
	campaign, err := n.store.CreateCampaign(n.Context(), launch, gateway.Campaign{
		Name: "waitlist", Kind: gateway.KindInvite, Type: gateway.TypeWaitlist, MaxUses: 1, Format: "{random:10}", Expires: gateway.Duration(24 * time.Hour), Vanity: true,
	}, by)
	must(err)
	_, err = n.store.CreateCampaign(n.Context(), launch, gateway.Campaign{
		Name: "paced", Kind: gateway.KindInvite, Type: gateway.TypeLink, MaxUses: 9, Format: "{random:10}", Vanity: true, Pace: gateway.Rate{Count: 1, Window: gateway.Duration(24 * time.Hour)},
	}, by)
	must(err)
	_, err = n.store.Mint(n.Context(), launch, 2, []gateway.NewCode{{Code: "PACED"}}, by)
	must(err)
	_, err = n.redeem(gateway.Redeem{Code: "PACED", Subject: "first"})
	must(err)
	var keys []string
	for i := range 30 {
		j := gateway.Join{Email: fmt.Sprintf("p%d@x.example", i), Name: "N", Source: "web", Proof: fmt.Sprint("k", i)}
		if i%3 == 1 {
			j.Referrer = keys[i/2]
		}
		if i < 3 {
			j.Address = netip.MustParsePrefix("192.0.2.7/32")
		}
		a, err := n.store.Join(n.Context(), launch, &j)
		must(err)
		keys = append(keys, a.Key)
	}
	change := func(verb gateway.EntryVerb, key string) {
		n.Helper()
		_, err := n.store.ChangeEntry(n.Context(), launch, gateway.ChangeEntry{Verb: verb, Key: key, Points: 7, Reason: "a, b: c", By: by})
		must(err)
	}
	change(gateway.BoostEntry, keys[20])
	change(gateway.LeaveEntry, keys[21])
	must(n.store.SetSchedule(n.Context(), launch, true, by))
	_, err = n.store.PutRelease(n.Context(), launch, gateway.Cohort{ID: "one", Count: 6, Order: gateway.ByPriority}, 0, by)
	must(err)
	front, err := n.store.Front(n.Context(), launch, 6)
	must(err)
	list := make([]gateway.Offered, len(front))
	for i, key := range front {
		list[i] = gateway.Offered{Key: key, Code: gateway.Code(fmt.Sprintf("0FFER%d", i)), Recipient: i%2 == 0}
	}
	_, _, err = n.store.Offer(n.Context(), launch, "one", campaign, list)
	must(err)
	change(gateway.DeclineEntry, front[0])
	_, err = n.redeem(gateway.Redeem{Code: "0FFER1", Subject: "whoever"})
	must(err)
	_, err = n.store.SweepOffers(n.Context(), launch)
	must(err)
	return keys
}

func (n *node) entry(key string) gateway.Entry {
	n.Helper()
	e, err := n.store.Entry(n.Context(), launch, key)
	if err != nil {
		n.Fatal(err)
	}
	return e
}

// entries are all that Redis holds of the waitlist.
func (n *node) entries(keys []string) string {
	n.Helper()
	var b strings.Builder
	for _, key := range keys {
		e := n.entry(key)
		e.AsOf, e.Position = time.Time{}, 0
		fmt.Fprintln(&b, e)
	}
	list, schedule, err := n.store.Releases(n.Context(), launch)
	if err != nil {
		n.Fatal(err)
	}
	fmt.Fprintln(&b, list, schedule)
	return b.String()
}

// TestReloadWaitlist: an emptied Redis knows everybody's place once it is
// healed, and its clock is still ahead.
func TestReloadWaitlist(t *testing.T) {
	n := open(t)
	n.sync()
	keys := n.queueUp()
	n.caughtUp()
	if r := n.verified(); r.Entries != len(keys) {
		t.Fatalf("%+v", r)
	}
	before := n.entries(keys)
	if err := n.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.redeem(gateway.Redeem{Code: "PACED", Subject: "too early"}); !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
		t.Fatalf("an empty Redis was served: %v", err)
	}
	if after := n.entries(keys); after != before {
		t.Errorf("before %s\nafter %s", before, after)
	}
	if _, err := n.redeem(gateway.Redeem{Code: "PACED", Subject: "second"}); !errors.Is(err, gateway.Refuse(gateway.Paced)) {
		t.Errorf("the pace was forgotten: %v", err)
	}
	_, err := n.store.Join(t.Context(), launch, &gateway.Join{Email: "new@x.example", Address: netip.MustParsePrefix("192.0.2.7/32")})
	if !errors.Is(err, gateway.Refuse(gateway.JoinsExceeded)) {
		t.Errorf("the joins of an address were forgotten: %v", err)
	}
	if a, err := n.store.Join(t.Context(), launch, &gateway.Join{Email: "p3@x.example", Proof: "k3"}); err != nil || !a.Known || !a.Proven {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := n.store.Join(t.Context(), launch, &gateway.Join{Email: "fresh@x.example"}); err != nil || a.Known || n.entry(a.Key).Arrival != 31 {
		t.Errorf("%+v, %v; want the 31st arrival", a, err)
	}
	now, err := n.store.Now(t.Context(), launch)
	if err != nil || time.Until(now) < 47*time.Hour {
		t.Errorf("the clock is at %v, %v", now, err)
	}
	if _, err := n.store.SweepOffers(t.Context(), launch); err != nil {
		t.Fatal(err)
	}
	n.caughtUp()
	n.verified()
}

// TestWitnessJoins: joins that Redis lost before Postgres had them are there
// again before the launch is served.
func TestWitnessJoins(t *testing.T) {
	n := open(t)
	stop := n.sync()
	keys := n.queueUp()
	n.caughtUp()
	stop()
	last, err := n.store.Join(t.Context(), launch, &gateway.Join{Email: "last@x.example", Referrer: keys[5]})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	n.sync()
	for deadline := time.Now().Add(20 * time.Second); ; {
		e, err := n.store.Entry(t.Context(), launch, last.Key)
		if err == nil && e.Status == gateway.EntryWaiting && e.Referrer == keys[5] && e.Place == last.Place {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v, %v; it was answered %+v", e, err, last)
		}
		time.Sleep(10 * time.Millisecond)
	}
	n.caughtUp()
	n.verified()
}

// TestVerifyFindsEntries: a spoiled entry, place or release is found and named.
func TestVerifyFindsEntries(t *testing.T) {
	n := open(t)
	n.sync()
	keys := n.queueUp()
	n.caughtUp()
	n.verified()
	bucket := "ao:{l}:e:" + bucketOfKey(keys[25])
	record, err := n.redis.HGet(t.Context(), bucket, keys[25]).Result()
	if err != nil {
		t.Fatal(err)
	}
	score, err := n.redis.ZScore(t.Context(), "ao:{l}:queue", keys[26]).Result()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil, mend []any
		want        string
	}{
		"a priority":        {[]any{"HSET", bucket, keys[25], record + ";x"}, []any{"HSET", bucket, keys[25], record}, keys[25]},
		"a missing entry":   {[]any{"HDEL", bucket, keys[25]}, []any{"HSET", bucket, keys[25], record}, keys[25]},
		"a wrong place":     {[]any{"ZADD", "ao:{l}:queue", 5, keys[26]}, []any{"ZADD", "ao:{l}:queue", fmt.Sprintf("%.0f", score), keys[26]}, keys[26]},
		"a missing place":   {[]any{"ZREM", "ao:{l}:queue", keys[26]}, []any{"ZADD", "ao:{l}:queue", fmt.Sprintf("%.0f", score), keys[26]}, keys[26]},
		"somebody too many": {[]any{"ZADD", "ao:{l}:queue", 5, "nobody"}, []any{"ZREM", "ao:{l}:queue", "nobody"}, "count"},
	} {
		if err := n.redis.Do(t.Context(), c.spoil...).Err(); err != nil {
			t.Fatal(err)
		}
		r, err := n.healer.Verify(t.Context(), launch)
		if err != nil || r.Drift == 0 || !strings.Contains(fmt.Sprint(r.Differences), c.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if err := n.redis.Do(t.Context(), c.mend...).Err(); err != nil {
			t.Fatal(err)
		}
		n.verified()
	}
}

// bucketOfKey is where Redis holds the record of a key.
func bucketOfKey(key string) string {
	k, _ := gateway.ParseEntryKey(key)
	return fmt.Sprintf("%02x%02x", k[0], k[1])
}
