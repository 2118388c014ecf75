package heal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"admitone/gateway"
	"admitone/sync/syncer"
)

// candidates are syncers of one launch, each as if in a process of its own.
type candidates struct {
	*node
	registries []*prometheus.Registry
}

// candidates lets so many syncers run for the lock until the test ends.
func (n *node) candidates(count int, lease time.Duration) *candidates {
	c := &candidates{node: n}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	for range count {
		registry := prometheus.NewRegistry()
		s := syncer.New(syncer.Options{
			Source: n.store, Ledger: n.ledger, Registry: registry, Wait: 50 * time.Millisecond, Pause: 20 * time.Millisecond, Lease: lease,
		})
		work.Go(func() { s.Run(ctx, n.ledger.Pool()) })
		c.registries = append(c.registries, registry)
	}
	n.Cleanup(func() {
		cancel()
		work.Wait()
	})
	return c
}

// leaders are the candidates that say they lead.
func (c *candidates) leaders() (list []int) {
	c.Helper()
	for i, r := range c.registries {
		families, err := r.Gather()
		if err != nil {
			c.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "admitone_syncer_leader" && f.GetMetric()[0].GetGauge().GetValue() == 1 {
				list = append(list, i)
			}
		}
	}
	return list
}

func (c *candidates) until(what string, ok func() bool) {
	c.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("not within 30 s: %s", what)
		}
	}
}

// lock is the connection that holds the leader's lock, 0 if none does.
func (c *candidates) lock() (pid int) {
	c.Helper()
	err := c.ledger.Pool().QueryRow(c.Context(), `SELECT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.granted AND l.objid = 1684892020 AND a.datname = current_database()`).Scan(&pid)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		c.Fatal(err)
	}
	return pid
}

// TestLeaderCut: a leader whose connection is ended is followed by another,
// and what clients redeem meanwhile is in Postgres once.
func TestLeaderCut(t *testing.T) {
	n := open(t)
	c := n.candidates(3, 10*time.Second)
	n.populate()
	n.caughtUp()
	before := n.verified().Redemptions
	told := map[string]gateway.ID{}
	for round := range 4 {
		c.until("one leads", func() bool { return len(c.leaders()) == 1 && c.lock() != 0 })
		was := c.lock()
		for i := range 20 {
			subject := fmt.Sprintf("r%d-%d", round, i)
			r, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: subject})
			if err != nil {
				t.Fatal(err)
			}
			told[subject] = r.ID
			if i == 10 {
				if _, err := n.ledger.Pool().Exec(t.Context(), `SELECT pg_terminate_backend($1)`, was); err != nil {
					t.Fatal(err)
				}
			}
		}
		c.until("another connection holds the lock", func() bool { now := c.lock(); return now != 0 && now != was })
	}
	n.caughtUp()
	if r := n.verified(); r.Redemptions != before+len(told) {
		t.Fatalf("%+v; there were %d and %d were told", r, before, len(told))
	}
	conflicts, err := n.ledger.Conflicts(t.Context(), launch, gateway.Page{Limit: 10})
	if err != nil || len(conflicts.Data) != 0 {
		t.Fatalf("something came twice: %+v, %v", conflicts, err)
	}
}

// TestLeaderHangs: a leader that holds its lock but gives no sign of life
// loses it.
func TestLeaderHangs(t *testing.T) {
	n := open(t)
	hung, err := pgx.Connect(t.Context(), n.url)
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close(context.Background())
	if _, err := hung.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, 0x61646d6974); err != nil {
		t.Fatal(err)
	}
	c := n.candidates(2, 300*time.Millisecond)
	n.populate()
	c.until("one leads", func() bool { return len(c.leaders()) == 1 })
	n.caughtUp()
	n.verified()
	if err := hung.Ping(t.Context()); err == nil {
		t.Error("the connection of the leader that hung lives")
	}
	// The one that leads now gives signs of life and keeps the lock.
	holds := c.lock()
	time.Sleep(900 * time.Millisecond) // three leases
	if now := c.lock(); now != holds {
		t.Errorf("a leader that lives lost its lock: %d, then %d", holds, now)
	}
}
