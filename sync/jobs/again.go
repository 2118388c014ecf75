package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"admitone/gateway"
)

// every makes River's leader insert a job once a period, beginning now. One that
// fails is not tried again: the next period comes soon.
func every(period time.Duration, args river.JobArgs) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(period), func() (river.JobArgs, *river.InsertOpts) {
		return args, &river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByPeriod: period}}
	}, &river.PeriodicJobOpts{RunOnStart: true})
}

// launches lists the launches that Postgres knows.
type launches interface {
	Launches(ctx context.Context) ([]string, error)
}

// eachLaunch does something for every launch. Where that fails it is said in
// the log, in the words of failed, and waits for the next time: one launch keeps
// no other waiting.
func eachLaunch(ctx context.Context, of launches, log *slog.Logger, failed string, do func(ctx context.Context, launch string) error) error {
	names, err := of.Launches(ctx)
	for _, name := range names {
		if e := do(ctx, name); e != nil && !errors.Is(e, gateway.Refuse(gateway.LaunchUnknown)) {
			log.Warn(failed, "launch", name, "error", e)
		}
	}
	return err
}

// passes reports whether a refusal is of the moment.
func passes(e *gateway.Error) bool {
	switch e.Reason {
	case gateway.Overloaded, gateway.NotAdmitted, gateway.Unavailable:
		return true
	}
	return false
}

// later puts a job off that met a refusal of the moment, by at least so long;
// nil for every other error, and for none.
func later(err error, least time.Duration) error {
	if refused, ok := errors.AsType[*gateway.Error](err); ok && passes(refused) {
		return river.JobSnooze(max(refused.RetryAfter, least))
	}
	return nil
}

// backoff is when a job that failed so often is tried again: soon at first, for
// what failed is mostly a server that restarts.
func backoff(attempt int) time.Time { return time.Now().Add(time.Second << min(attempt, 8)) }
