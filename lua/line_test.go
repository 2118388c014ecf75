package lua

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
)

// lineFor waits until the copy holds all that Redis does.
func lineFor(t *testing.T, s *Store, name string) *gateway.Line {
	t.Helper()
	total, err := s.redis.ZCard(t.Context(), newKeys(name).queue).Result()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for deadline := began.Add(20 * time.Second); ; {
		if line := s.Line(name); line != nil && line.Total() == int(total) && line.AsOf().After(began) {
			return line
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no copy of the line")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// agrees compares the copy with Redis, entry by entry.
func agrees(t *testing.T, s *Store, name string, keys []string) {
	t.Helper()
	line := lineFor(t, s, name)
	for _, key := range keys {
		rank, err := s.redis.ZRank(t.Context(), newKeys(name).queue, key).Result()
		want := int(rank) + 1
		if err == redis.Nil {
			want = 0
		} else if err != nil {
			t.Fatal(err)
		}
		e, err := s.Entry(t.Context(), name, key)
		if err != nil {
			t.Fatal(err)
		}
		k, _ := gateway.ParseEntryKey(key)
		p, ok := line.Place(k)
		if !ok || p.Position != want || p.Status != e.Status || fmt.Sprint(p.Boosts) != fmt.Sprint(e.Boosts) || p.Referrals != e.Referrals {
			t.Fatalf("the copy says %+v, %v of %+v; its rank is %d", p, ok, e, want)
		}
	}
}

// TestLine: the copy is right while joins, boosts, leaves and releases run, and
// after it was made anew in the middle of them.
func TestLine(t *testing.T) {
	server := rig.TestRedis(t)
	s, other := openStore(t, server.Addr()), openStore(t, server.Addr())
	ctx, cancel := context.WithCancel(t.Context())
	var keeping sync.WaitGroup
	for _, each := range []*Store{s, other} {
		keeping.Go(func() { each.KeepLines(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		keeping.Wait()
	})
	p := gateway.DefaultPolicy("l")
	p.Waitlist.Boosts = gateway.BoostsPolicy{Referred: 10, Referrer: 5}
	by := gateway.Actor{Name: "test"}
	if _, err := s.CreateLaunch(t.Context(), p, by); err != nil {
		t.Fatal(err)
	}
	campaign, err := s.CreateCampaign(t.Context(), "l", gateway.Campaign{Name: "w", Kind: gateway.KindInvite, Type: gateway.TypeWaitlist, MaxUses: 1, Format: "{random:10}", Vanity: true}, by)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutRelease(t.Context(), "l", gateway.Cohort{ID: "r", Count: 200, Order: gateway.ByPriority}, 0, by); err != nil {
		t.Fatal(err)
	}
	const workers, steps = 4, 150
	keys := make([][]string, workers)
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(w)))
			for i := range steps {
				j := gateway.Join{Email: fmt.Sprintf("p%d-%d@x.example", w, i)}
				if len(keys[w]) > 0 && random.IntN(2) == 0 {
					j.Referrer = keys[w][random.IntN(len(keys[w]))]
				}
				a, err := s.Join(t.Context(), "l", &j)
				if err != nil {
					t.Error(err)
					return
				}
				keys[w] = append(keys[w], a.Key)
				change := gateway.ChangeEntry{Key: keys[w][random.IntN(len(keys[w]))], Points: random.IntN(40) - 20, By: by, Verb: gateway.BoostEntry}
				if random.IntN(10) == 0 {
					change.Verb = gateway.LeaveEntry
				}
				_, _ = s.ChangeEntry(t.Context(), "l", change) // refused where it left or was let in
				if w == 0 && i%10 == 9 {
					front, _ := s.Front(t.Context(), "l", 5)
					list := make([]gateway.Offered, len(front))
					for n, key := range front {
						list[n] = gateway.Offered{Key: key, Code: gateway.Code(fmt.Sprintf("C%dX%d", i, n))}
					}
					if _, _, err := s.Offer(t.Context(), "l", "r", campaign, list); err != nil {
						t.Error(err)
					}
				}
				if i == steps/2 {
					other.Line("l") // a copy that begins in the middle
				}
			}
		})
	}
	s.Line("l")
	work.Wait()
	var all []string
	for _, list := range keys {
		all = append(all, list...)
	}
	if _, err := other.Launch(t.Context(), "l"); err != nil {
		t.Fatal(err)
	}
	agrees(t, s, "l", all)
	agrees(t, other, "l", all)

	// What was trimmed before it was read is not missed: the copy is made anew.
	if err := s.redis.XTrimMaxLen(t.Context(), newKeys("l").journal, 0).Err(); err != nil {
		t.Fatal(err)
	}
	a, err := s.Join(t.Context(), "l", &gateway.Join{Email: "after@x.example"})
	if err != nil {
		t.Fatal(err)
	}
	agrees(t, s, "l", append(all, a.Key))
}

func TestTrims(t *testing.T) {
	var trims trims
	now := time.Unix(1_800_000_000, 0)
	for _, step := range []struct {
		after          time.Duration
		position, want uint64
	}{{0, 10, 0}, {time.Second, 20, 0}, {2 * time.Second, 30, 10}, {3 * time.Second, 40, 10}, {4 * time.Second, 50, 30}, {9 * time.Second, 60, 50}} {
		if got := trims.upTo("l", step.position, now.Add(step.after)); got != step.want {
			t.Errorf("after %v: up to %d, want %d", step.after, got, step.want)
		}
	}
}
