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
