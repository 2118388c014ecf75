package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"admitone/gateway"
)

// ReleaseLedger is what the sweep of releases asks of Postgres.
type ReleaseLedger interface {
	OpenReleases(ctx context.Context) ([]gateway.OpenRelease, error)
}

// sweepReleases is how often open releases are looked at.
const sweepReleases = 5 * time.Second

type releaseSweepArgs struct{}

// Kind names the job in River's table.
func (releaseSweepArgs) Kind() string { return "release_sweep" }

// InsertOpts names the queue; one try is enough, the next sweep comes soon.
func (releaseSweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: releaseQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByPeriod: sweepReleases}}
}

func releaseSweepJob() *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(sweepReleases), func() (river.JobArgs, *river.InsertOpts) { return releaseSweepArgs{}, nil }, nil)
}

// releaseSweeper finds releases that are open and do not move: whoever worked
// on them was killed. Their work goes on here. Should the other one live, no
// offer is made twice all the same.
type releaseSweeper struct {
	river.WorkerDefaults[releaseSweepArgs]
	pool   *pgxpool.Pool
	ledger ReleaseLedger
	insert func(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
	mu     sync.Mutex
	seen   map[releaseArgs]int // offers made, as of the last sweep
}

func (w *releaseSweeper) Work(ctx context.Context, _ *river.Job[releaseSweepArgs]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	open, err := w.ledger.OpenReleases(ctx)
	if err != nil {
		return err
	}
	seen := make(map[releaseArgs]int, len(open))
	for _, r := range open {
		args := releaseArgs{r.Launch, r.ID}
		before, known := w.seen[args]
		seen[args] = r.Made
		if !known || before != r.Made {
			continue
		}
		err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
			var waiting bool // a job of it that has not begun, or waits to be tried again
			err := tx.QueryRow(ctx, `
				SELECT EXISTS (SELECT FROM river_job WHERE kind = 'release' AND state IN ('available', 'pending', 'scheduled', 'retryable')
					AND args ->> 'launch' = $1 AND args ->> 'id' = $2)`, r.Launch, r.ID).Scan(&waiting)
			if err != nil || waiting {
				return err
			}
			return w.insert(ctx, tx, args)
		})
		if err != nil {
			return err
		}
	}
	w.seen = seen
	return nil
}
