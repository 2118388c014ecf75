package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"admitone/gateway"
)

// Mint hands a minting over.
func (q *Queue) Mint(ctx context.Context, j gateway.MintJob) error {
	return q.ledger.CreateJob(ctx, j, func(tx pgx.Tx) error {
		return q.insertTx(ctx, tx, mintArgs{j.Launch, j.ID})
	})
}

type mintArgs struct {
	Launch string     `json:"launch"`
	ID     gateway.ID `json:"id"`
}

// Kind names the job in River's table.
func (mintArgs) Kind() string { return "mint" }

// minter mints in chunks, and notes after each how far it has come. The codes
// follow from a secret of the job's own: one that begins again makes the same.
type minter struct {
	river.WorkerDefaults[mintArgs]
	store   Store
	ledger  Ledger
	keyring Keyring
}

// Timeout is for a million codes, and some. What it cuts off goes on where it
// stopped.
func (m *minter) Timeout(*river.Job[mintArgs]) time.Duration { return 15 * time.Minute }

func (m *minter) Work(ctx context.Context, job *river.Job[mintArgs]) error {
	j, err := m.ledger.Job(ctx, job.Args.Launch, job.Args.ID)
	if err != nil {
		return err
	}
	if !j.EndedAt.IsZero() {
		return nil
	}
	l, err := m.store.Launch(ctx, j.Launch)
	if snooze := later(err, time.Second); snooze != nil {
		return snooze
	}
	if err != nil {
		return err
	}
	campaign := l.Campaign(j.Campaign)
	if campaign == nil {
		return m.ledger.JobDone(ctx, j, j.Done, gateway.CampaignUnknown.Sentence())
	}
	minting := gateway.Minting{Store: m.store, Checker: m.keyring, Launch: l, Campaign: campaign, By: gateway.Actor{Name: j.Actor, Note: "job " + j.ID.String()}}
	err = minting.Derive(ctx, m.keyring.MintKey(j.Launch, j.ID.String()), j.Done, j.Count, func(done int) error {
		j.Done = done
		return m.ledger.JobDone(ctx, j, done, "")
	})
	if err == nil {
		return nil
	}
	if snooze := later(err, time.Second); snooze != nil {
		return snooze // however long it takes: the job goes on where it stopped
	}
	if refused, ok := errors.AsType[*gateway.Error](err); ok {
		return m.ledger.JobDone(ctx, j, j.Done, refused.Error()) // trying again would not help
	}
	if ctx.Err() == nil && job.Attempt >= job.MaxAttempts {
		// The job's own record says that it ended; River's log says why.
		err = errors.Join(err, m.ledger.JobDone(ctx, j, j.Done, gateway.Internal.Sentence()))
	}
	return err
}

// NextRetry is for a Redis or a Postgres that restarts.
func (m *minter) NextRetry(job *river.Job[mintArgs]) time.Time { return backoff(job.Attempt) }
