package heal

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"admitone/gateway"
	"admitone/lua"
	"admitone/sync/ledger"
)

// verifyRounds is how often what differs is looked at again while traffic runs.
const verifyRounds = 10

// Verify compares a launch in Redis and in Postgres, row by row, while traffic
// runs. Redis is ahead by what the syncer has not copied yet: so what differs
// is looked at again once Postgres has come as far as Redis was, and it counts
// if Redis held the same before and after.
func (h *Healer) Verify(ctx context.Context, launch string) (gateway.VerifyReport, error) {
	return h.verify(ctx, launch, ledger.Selection{})
}

// patrolRows is how many codes and redemptions a patrol compares at a time.
const patrolRows = 500

// Patrol compares a sample of every launch from time to time, until the context
// is over, and tells how many rows differed.
func (h *Healer) Patrol(ctx context.Context, pause time.Duration, tell func(launch string, drift int)) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		names, err := h.Ledger.Launches(ctx)
		if err != nil {
			continue // Postgres is away; there is nothing to compare with
		}
		for _, name := range names {
			sample, err := h.Ledger.Sample(ctx, name, patrolRows)
			if err != nil {
				continue
			}
			r, err := h.verify(ctx, name, sample)
			if err != nil {
				continue // healing, or Postgres is behind
			}
			tell(name, r.Drift)
			for _, d := range r.Differences {
				h.Log.Error("Redis and Postgres differ", "launch", name, "kind", d.Kind)
			}
		}
	}
}

// verify compares what is selected.
func (h *Healer) verify(ctx context.Context, launch string, s ledger.Selection) (gateway.VerifyReport, error) {
	report := gateway.VerifyReport{Launch: launch}
	var suspects []lua.Suspect
	for round := range verifyRounds {
		c, err := h.store.Compare(ctx, launch, suspects)
		if err != nil {
			return report, err
		}
		if err := h.caughtUp(ctx, launch); err != nil {
			return report, err
		}
		if round > 0 {
			s = ledger.Selection{Only: true}
		}
		for _, one := range suspects {
			if one.Code != "" {
				s.Codes = append(s.Codes, one.Code)
			}
			if one.Entry != "" {
				s.Entries = append(s.Entries, one.Entry)
			}
			if one.Redemption != (gateway.ID{}) {
				s.Redemptions = append(s.Redemptions, one.Redemption)
			}
			if one.Member != "" {
				s.Members = append(s.Members, one.Member)
			}
			if one.Payment != "" {
				s.Payments = append(s.Payments, one.Payment)
			}
			if one.Earning != "" {
				s.Earnings = append(s.Earnings, one.Earning)
			}
		}
		if err := h.Ledger.Dump(ctx, launch, s, c); err != nil {
			return report, err
		}
		report.Position = c.Position
		if round == 0 {
			report.Campaigns, report.Codes = c.Counted.Campaigns, c.Counted.Codes
			report.Redemptions, report.Entries, report.Members = c.Counted.Redemptions, c.Counted.Entries, c.Counted.Members
			if !s.Only {
				wrong, err := h.Ledger.AuditCredit(ctx, launch)
				if err != nil {
					return report, err
				}
				for _, w := range wrong {
					report.Differ("credit", w.Key, "", w.Record)
				}
				if err := h.count(ctx, launch, c, &report); err != nil {
					return report, err
				}
			}
		}
		suspects = suspects[:0]
		for _, one := range c.Suspects {
			if one.Moving {
				suspects = append(suspects, one)
			} else {
				report.Differ(one.Kind, one.Key, one.Redis, one.Postgres)
			}
		}
		if len(suspects) == 0 {
			break
		}
	}
	report.Moving = len(suspects)
	return report, nil
}

// count compares how many rows there are, so that what only Redis holds is
// found too. Under traffic the numbers move, and only more rows in Redis than
// the journal can still bring to Postgres are a difference.
func (h *Healer) count(ctx context.Context, launch string, c *lua.Compare, report *gateway.VerifyReport) error {
	n, waiting, err := c.Count(ctx)
	if err != nil {
		return err
	}
	at, _, err := h.store.Peek(ctx, launch)
	if err != nil {
		return err
	}
	if at.Seq != c.Position {
		return nil // traffic runs: a count later than the reading says nothing
	}
	for _, n := range []struct {
		kind            string
		redis, postgres int
	}{
		{"code", n.Codes, c.Counted.Codes},
		{"redemption", n.Redemptions, c.Counted.Redemptions},
		{"member", n.Members, c.Counted.Members},
		{"payment", n.Payments, c.Counted.Payments},
		{"earning", n.Earnings, c.Counted.Earnings},
		{"entry", n.Entries, c.Counted.Entries},
		{"place", waiting, c.Waiting},
	} {
		if n.redis != n.postgres {
			report.Differ(n.kind, "count", strconv.Itoa(n.redis), strconv.Itoa(n.postgres))
		}
	}
	return nil
}

// catchUp bounds how long a verification waits for the syncer.
const catchUp = 30 * time.Second

// caughtUp waits until Postgres holds what Redis holds now.
func (h *Healer) caughtUp(ctx context.Context, launch string) error {
	at, _, err := h.store.Peek(ctx, launch)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for {
		stored, _, err := h.Ledger.Position(ctx, launch)
		if err == nil && stored.Seq >= at.Seq {
			return nil
		}
		select {
		case <-ctx.Done():
			return &gateway.Error{Reason: gateway.Unavailable, RetryAfter: time.Second, Detail: fmt.Sprintf("Postgres is behind Redis (position %d of %d) and does not catch up; is a syncer running?", stored.Seq, at.Seq)}
		case <-time.After(20 * time.Millisecond):
		}
	}
}
