package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"admitone/gateway"
)

// Members is what refills and rewards ask of Redis.
type Members interface {
	Launch(ctx context.Context, name string) (*gateway.Launch, error)
	Now(ctx context.Context, launch string) (time.Time, error)
	Refill(ctx context.Context, launch string, subjects []string) (int, error)
	SettleReward(ctx context.Context, launch, subject string) (gateway.Earning, error)
}

// RefillLedger is what refills ask of Postgres.
type RefillLedger interface {
	launches
	Refillable(ctx context.Context, launch string, to int, joined time.Time, after string, most int) ([]string, error)
	LastRefill(ctx context.Context, launch string) (time.Time, error)
	Refilled(ctx context.Context, launch string, slot time.Time) error
}

const (
	refillLook  = 15 * time.Second // how often the schedules are looked at
	refillChunk = 500              // members of one script call
)

type refillArgs struct{}

// Kind names the job in River's table.
func (refillArgs) Kind() string { return "refill" }

// refiller tops up the members of every launch whose schedule has come to its
// next slot: those who had joined when it began. A slot is served when all of
// its members were: one that breaks off is begun again, and tops nobody up twice.
type refiller struct {
	river.WorkerDefaults[refillArgs]
	members Members
	ledger  RefillLedger
	log     *slog.Logger
}

func (r *refiller) Work(ctx context.Context, _ *river.Job[refillArgs]) error {
	if r.members == nil {
		return nil
	}
	return eachLaunch(ctx, r.ledger, r.log, "members are not refilled yet", r.refill)
}

func (r *refiller) refill(ctx context.Context, name string) error {
	l, err := r.members.Launch(ctx, name)
	if err != nil {
		return err
	}
	policy := l.Policy.Codes.Personal.Refill
	if policy.Every == 0 || policy.To == 0 || !l.Open {
		return nil
	}
	now, err := r.members.Now(ctx, name)
	if err != nil {
		return err
	}
	every := time.Duration(policy.Every).Milliseconds()
	slot := time.UnixMilli(now.UnixMilli() / every * every)
	served, err := r.ledger.LastRefill(ctx, name)
	if err != nil || !served.Before(slot) {
		return err
	}
	for after := ""; ; {
		keys, err := r.ledger.Refillable(ctx, name, policy.To, slot, after, refillChunk)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return r.ledger.Refilled(ctx, name, slot)
		}
		if _, err := r.members.Refill(ctx, name, keys); err != nil {
			return err
		}
		after = keys[len(keys)-1]
	}
}
