package lua

import (
	"context"
	"errors"
	"time"

	"admitone/gateway"
)

// SweepEvery ends expired holds and settles offers of all launches until the
// context is over.
func (s *Store) SweepEvery(ctx context.Context, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		names, err := s.Launches(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("expired holds and offers could not be ended", "error", err)
		}
		for _, name := range names {
			_, _ = s.Launch(ctx, name) // looks how far Postgres is behind, on an idle launch too
			for _, sweep := range []func(context.Context, string) (int, error){s.SweepHolds, s.SweepOffers} {
				if _, err := sweep(ctx, name); err != nil && ctx.Err() == nil && !errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) {
					s.log.Warn("expired holds and offers could not be ended", "launch", name, "error", err)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
