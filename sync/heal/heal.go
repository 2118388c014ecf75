// Package heal decides which history a Redis may serve, and makes a Redis right
// that holds none, an old one or too little.
//
// Redis and Postgres are two prefixes of one history. Redis ahead is the normal
// case: the syncer catches up. Redis behind, or of another epoch, has lost
// something: then everything is written anew from Postgres, under a new epoch,
// before anybody is served.
package heal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"admitone/gateway"
	"admitone/lua"
	"admitone/sync/ledger"
)

// Healer admits launches. It is safe for concurrent use, also by many
// processes: one heals a launch, the others wait for it.
type Healer struct {
	Ledger *ledger.Ledger
	Pool   *pgxpool.Pool // of the ledger
	Log    *slog.Logger
	store  *lua.Store
}

// Serve gives the healer the store that it heals; the store in turn asks the
// healer before it serves a launch.
func (h *Healer) Serve(s *lua.Store) { h.store = s }

// Admit returns the epoch and the position that Redis must hold of a launch,
// healing it first where it must. It returns launch_unknown if neither store
// has the launch, not_admitted while another process heals it.
func (h *Healer) Admit(ctx context.Context, launch string) (epoch, position uint64, err error) {
	stored, inRedis, known, err := h.compare(ctx, launch)
	switch {
	case err != nil:
		return 0, 0, h.unavailable(launch, err)
	case whole(stored, inRedis, known):
		return inRedis.Epoch, stored.Seq, nil
	case !known.redis && !known.postgres:
		return 0, 0, gateway.Refuse(gateway.LaunchUnknown)
	}
	if _, err := h.Heal(ctx, launch); err != nil {
		return 0, 0, h.unavailable(launch, err)
	}
	stored, inRedis, known, err = h.compare(ctx, launch)
	if err != nil || !whole(stored, inRedis, known) {
		return 0, 0, h.unavailable(launch, err)
	}
	return inRedis.Epoch, stored.Seq, nil
}

// presence says which stores know a launch.
type presence struct{ redis, postgres bool }

func (h *Healer) compare(ctx context.Context, launch string) (stored gateway.StoredLaunch, inRedis gateway.Position, known presence, err error) {
	// Redis first: what Postgres holds afterwards can only be more.
	inRedis, known.redis, err = h.store.Peek(ctx, launch)
	if err != nil {
		return
	}
	stored, known.postgres, err = h.Ledger.Position(ctx, launch)
	return
}

// whole reports whether Redis' history is Postgres' and at least as long. A
// launch that Postgres does not know yet was made a moment ago.
func whole(stored gateway.StoredLaunch, inRedis gateway.Position, known presence) bool {
	if !known.postgres {
		return known.redis && inRedis.Persisted == 0
	}
	return known.redis && inRedis.Epoch == stored.Epoch && inRedis.Seq >= stored.Seq
}

func (h *Healer) unavailable(launch string, err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		h.Log.Warn("a launch cannot be admitted yet", "launch", launch, "error", err)
	}
	return &gateway.Error{Reason: gateway.NotAdmitted, RetryAfter: time.Second}
}

// Report says what a heal did.
type Report struct {
	Launch string `json:"launch"`
	Healed bool   `json:"healed"` // false: there was nothing to do
	Epoch  uint64 `json:"epoch"`
	Seq    uint64 `json:"position"`
	lua.RestoreCount
	Took time.Duration `json:"took_ns"`
}

// Heal writes a launch anew in Redis from Postgres, unless Redis is whole. One
// process does it at a time.
func (h *Healer) Heal(ctx context.Context, launch string) (Report, error) {
	report := Report{Launch: launch}
	conn, err := h.Pool.Acquire(ctx)
	if err != nil {
		return report, err
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtext('admitone heal'), hashtext($1))`, launch).Scan(&mine); err != nil {
		return report, err
	}
	if !mine {
		return report, errors.New("another process is healing it")
	}
	defer func() {
		// Should it fail, the lock ends with its connection.
		if _, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext('admitone heal'), hashtext($1))`, launch); err != nil {
			conn.Conn().Close(context.WithoutCancel(ctx))
		}
	}()
	stored, inRedis, known, err := h.compare(ctx, launch)
	if err != nil {
		return report, err
	}
	if !known.postgres {
		return report, gateway.Refuse(gateway.LaunchUnknown)
	}
	if whole(stored, inRedis, known) {
		report.Epoch, report.Seq = inRedis.Epoch, inRedis.Seq
		return report, nil
	}
	began := time.Now()
	h.Log.Warn("healing: Redis does not hold the history that Postgres does", "launch", launch,
		"redis_has_it", known.redis, "redis_epoch", inRedis.Epoch, "redis_position", inRedis.Seq, "epoch", stored.Epoch, "position", stored.Seq)
	// From here on a syncer that still reads the old history cannot commit.
	epoch, err := h.Ledger.Bump(ctx, launch, stored.Epoch)
	if err != nil {
		return report, err
	}
	restore, err := h.store.Restore(ctx, launch, epoch)
	if err != nil {
		return report, err
	}
	if err := h.Ledger.Dump(ctx, launch, ledger.Selection{FailuresSince: time.Now().Add(-7 * 24 * time.Hour)}, restore); err != nil {
		return report, fmt.Errorf("heal: %w", err)
	}
	if err := restore.Finish(ctx); err != nil {
		return report, err
	}
	report.Healed, report.Epoch, report.Seq, report.RestoreCount, report.Took = true, epoch, stored.Seq, restore.Counted, time.Since(began)
	h.Log.Info("healed", "launch", launch, "epoch", epoch, "position", stored.Seq, "codes", report.Codes, "redemptions", report.Redemptions, "took", report.Took)
	return report, nil
}
