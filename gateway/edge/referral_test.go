package edge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"admitone/gateway"
)

// fakeLedger counts how often it is asked for a leaderboard.
type fakeLedger struct {
	Ledger
	asked atomic.Int32
	err   error
}

func (f *fakeLedger) Leaderboard(context.Context, string, int) ([]gateway.LeaderRow, error) {
	f.asked.Add(1)
	return []gateway.LeaderRow{{Rank: 1, Name: "Ann", Referrals: 3}, {Rank: 2, Name: "Ben", Referrals: 2}}, f.err
}

// TestLeaderboardIsAskedForOnce: however many ask, Postgres is asked now and
// then, also while it fails.
func TestLeaderboardIsAskedForOnce(t *testing.T) {
	var later atomic.Int64
	ledger := &fakeLedger{}
	w := newWorld(t, func(c *Config) {
		c.Ledger, c.Now = ledger, func() time.Time { return noon.Add(time.Duration(later.Load())) }
	})
	crowd := func(status int, want int32) {
		t.Helper()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if a := w.get("/v1/launches/writer/leaderboard"); a.status != status {
					t.Errorf("got %v, want %d", a, status)
				}
			})
		}
		all.Wait()
		if n := ledger.asked.Swap(0); n != want {
			t.Errorf("asked %d times, want %d", n, want)
		}
	}
	crowd(200, 1)
	if a := w.get("/v1/launches/writer/leaderboard?limit=1"); !strings.Contains(a.body, "Ann") || strings.Contains(a.body, "Ben") {
		t.Error(a)
	}
	crowd(200, 0)
	later.Add(int64(leadersFresh))
	crowd(200, 1)
	later.Add(int64(leadersFresh))
	ledger.err = errors.New("Postgres is away")
	crowd(500, 1)
	crowd(500, 0)
	ledger.err = nil
	later.Add(int64(leadersAgain))
	crowd(200, 1)
}

// endlessLedger answers only to who would not wait for ever.
type endlessLedger struct{ Ledger }

func (endlessLedger) ends(ctx context.Context) error {
	if _, ok := ctx.Deadline(); ok {
		return context.DeadlineExceeded
	}
	return errors.New("asked without an end")
}

func (l endlessLedger) Referrals(ctx context.Context, _, _ string, _ int, _ gateway.Page) (gateway.List[gateway.ReferralRow], error) {
	return gateway.List[gateway.ReferralRow]{}, l.ends(ctx)
}

func (l endlessLedger) Invites(ctx context.Context, _, _ string, _ gateway.Page) (gateway.List[gateway.InviteRow], error) {
	return gateway.List[gateway.InviteRow]{}, l.ends(ctx)
}

func (l endlessLedger) Account(ctx context.Context, _, _ string) (gateway.Account, error) {
	return gateway.Account{}, l.ends(ctx)
}

func (l endlessLedger) ReferralStats(ctx context.Context, _, _ string, _ gateway.Page) (gateway.ReferralStats, error) {
	return gateway.ReferralStats{}, l.ends(ctx)
}

// TestQuestionsEnd: no caller's question keeps Postgres busy for ever.
func TestQuestionsEnd(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Ledger = endlessLedger{} })
	for _, path := range []string{"members/bob/referrals?depth=50", "members/bob/invites", "members/bob", "referral/stats?subject=bob"} {
		if a := w.get("/v1/launches/writer/"+path, "Authorization: Bearer ao_server"); a.status != 503 || a.word("code") != "unavailable" {
			t.Errorf("%s: %v", path, a)
		}
	}
}
