package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

const jobColumns = `id, launch, campaign, count, done, error, actor, created_at, ended_at`

func scanJob(row pgx.CollectableRow) (j gateway.MintJob, err error) {
	var ended *time.Time
	err = row.Scan((*[16]byte)(&j.ID), &j.Launch, &j.Campaign, &j.Count, &j.Done, &j.Error, &j.Actor, &j.Created, &ended)
	j.Created, j.EndedAt = j.Created.UTC(), orZero(ended)
	return j, err
}

// CreateJob keeps a minting that will be worked on later, in one transaction
// with what else is to be written.
func (l *Ledger) CreateJob(ctx context.Context, j gateway.MintJob, with func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO mint_jobs (id, launch, campaign, count, actor) VALUES ($1, $2, $3, $4, $5)`,
			[16]byte(j.ID), j.Launch, j.Campaign, j.Count, j.Actor)
		if err != nil {
			return err
		}
		return with(tx)
	})
}

// Job finds a minting. It returns not_found if there is none.
func (l *Ledger) Job(ctx context.Context, launch string, id gateway.ID) (gateway.MintJob, error) {
	rows, err := l.pool.Query(ctx, `SELECT `+jobColumns+` FROM mint_jobs WHERE launch = $1 AND id = $2`, launch, [16]byte(id))
	if err != nil {
		return gateway.MintJob{}, err
	}
	j, err := pgx.CollectExactlyOneRow(rows, scanJob)
	if errors.Is(err, pgx.ErrNoRows) {
		return j, gateway.Refuse(gateway.NotFound)
	}
	return j, err
}

// JobDone notes how far a minting has come; cause is why it ended early.
func (l *Ledger) JobDone(ctx context.Context, j gateway.MintJob, done int, cause string) error {
	_, err := l.pool.Exec(ctx, `
		UPDATE mint_jobs SET done = $2, error = $3, ended_at = CASE WHEN $2 >= count OR $3 <> '' THEN now() END WHERE id = $1`,
		[16]byte(j.ID), done, cause)
	return err
}
