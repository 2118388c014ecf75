package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"admitone/sync/journal"
)

// leaderLock is the advisory lock that the one writer holds.
const leaderLock = 0x61646d6974 // "admit"

// A leader that meets records of a newer version leaves the lock to others for
// stepAside, for one of them may be newer. If it gets the lock again all the
// same it leads for insist, so that the other launches are copied, before it
// tries that again.
const (
	stepAside = 5 * time.Second
	insist    = time.Minute
)

// Run waits for the lock in Postgres and leads while it holds it, again and
// again until the context is over.
func (s *Syncer) Run(ctx context.Context, pool *pgxpool.Pool) {
	var stepped time.Time
	for ctx.Err() == nil {
		again := s.Pause
		if err := s.term(ctx, pool, time.Since(stepped) > insist); err != nil && ctx.Err() == nil {
			s.Logger.Warn("the syncer is not leading", "error", err)
			if errors.Is(err, journal.ErrVersion) {
				again, stepped = stepAside, time.Now()
			}
		}
		pause(ctx, again)
	}
}

// term is one leadership: from getting the lock to losing it, or leaving it to
// others.
func (s *Syncer) term(ctx context.Context, pool *pgxpool.Pool, aside bool) error {
	config := pool.Config().ConnConfig.Copy()
	config.RuntimeParams["tcp_keepalives_idle"] = "10"
	config.RuntimeParams["statement_timeout"] = "5000"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var leads bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, leaderLock).Scan(&leads); err != nil {
		return err
	}
	if !leads {
		return s.depose(ctx, conn)
	}
	s.Logger.Info("the syncer leads")
	term, end := context.WithCancel(ctx)
	defer end()
	lost := make(chan error, 1)
	go func() {
		lost <- s.hold(term, conn)
		end()
	}()
	err = s.lead(term, aside)
	end()
	if lock := <-lost; lock != nil {
		return fmt.Errorf("syncer: the lock is lost: %w", lock)
	}
	return err
}

// depose ends the connection of a leader that gives no sign of life. Whoever
// asks next gets its lock; what the old leader still has in hand, the ledger's
// position refuses.
func (s *Syncer) depose(ctx context.Context, conn *pgx.Conn) error {
	tag, err := conn.Exec(ctx, `
		SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.classid = $1 AND l.objid = $2 AND l.objsubid = 1 AND l.granted
		  AND a.datname = current_database() AND a.state_change < now() - $3::interval`,
		uint32(leaderLock>>32), uint32(leaderLock&0xffffffff), s.Lease)
	if err == nil && tag.RowsAffected() > 0 {
		s.Logger.Warn("the syncer's leader hangs; its lock is taken away")
	}
	return err
}

// hold asks the connection that holds the lock whether it lives, until the
// term ends. To others that is the sign that the leader does.
func (s *Syncer) hold(ctx context.Context, conn *pgx.Conn) error {
	tick := time.NewTicker(s.Lease / 5)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := conn.Ping(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
