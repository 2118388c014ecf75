package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
)

// RewardLedger is what settling rewards asks of Postgres.
type RewardLedger interface {
	launches
	DueRewards(ctx context.Context, launch string, now time.Time, most int) ([]string, error)
}

const (
	rewardLook  = 5 * time.Second // how often it is looked for rewards that have become due
	rewardChunk = 500             // of one launch at a time
)

type rewardArgs struct{}

// Kind names the job in River's table.
func (rewardArgs) Kind() string { return "rewards" }

// payer settles rewards that have become due: whose delay is over, or whose
// friend was referred after the purchase. Settling twice pays once.
type payer struct {
	river.WorkerDefaults[rewardArgs]
	members Members
	ledger  RewardLedger
	log     *slog.Logger
}

func (p *payer) Work(ctx context.Context, _ *river.Job[rewardArgs]) error {
	if p.members == nil {
		return nil
	}
	return eachLaunch(ctx, p.ledger, p.log, "rewards are not settled yet", p.settle)
}

func (p *payer) settle(ctx context.Context, name string) error {
	now, err := p.members.Now(ctx, name)
	if err != nil {
		return err
	}
	due, err := p.ledger.DueRewards(ctx, name, now, rewardChunk)
	if err != nil {
		return err
	}
	for _, subject := range due {
		if _, err := p.members.SettleReward(ctx, name, subject); err != nil {
			return err
		}
	}
	return nil
}
