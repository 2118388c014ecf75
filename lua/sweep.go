package lua

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

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

// sweepAtOnce is how many holds, or offers, a sweep of one launch ends at the
// most.
const sweepAtOnce = 1000

// due lists what has come to its time, of a sorted set of times.
func (s *Store) due(ctx context.Context, l *launch, times string) ([]string, error) {
	now, err := s.Now(ctx, l.name)
	if err != nil {
		return nil, err
	}
	list, err := s.redis.ZRangeByScore(ctx, times, &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: sweepAtOnce,
	}).Result()
	if err != nil {
		return nil, s.outage(err)
	}
	return list, nil
}
