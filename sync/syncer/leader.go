package syncer

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// leaderLock is the advisory lock that the one writer holds.
const leaderLock = 0x61646d6974 // "admit"

// Run waits for the lock in Postgres and leads while it holds it, again and
// again until the context is over.
func (s *Syncer) Run(ctx context.Context, pool *pgxpool.Pool) {
	for ctx.Err() == nil {
		if err := s.term(ctx, pool); err != nil && ctx.Err() == nil {
			s.Logger.Warn("the syncer is not leading", "error", err)
		}
		pause(ctx, s.Pause)
	}
}

// term is one leadership: from getting the lock to losing it.
func (s *Syncer) term(ctx context.Context, pool *pgxpool.Pool) error {
	config := pool.Config().ConnConfig.Copy()
	config.RuntimeParams["tcp_keepalives_idle"] = "10"
	config.RuntimeParams["statement_timeout"] = "5000"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var leads bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, leaderLock).Scan(&leads); err != nil || !leads {
		return err
	}
	s.Logger.Info("the syncer leads")
	term, end := context.WithCancel(ctx)
	defer end()
	lost := make(chan error, 1)
	go func() {
		lost <- hold(term, conn)
		end()
	}()
	s.Lead(term)
	end()
	if err := <-lost; err != nil {
		return fmt.Errorf("syncer: the lock is lost: %w", err)
	}
	return nil
}

// hold asks the connection that holds the lock whether it lives, until the
// term ends.
func hold(ctx context.Context, conn *pgx.Conn) error {
	tick := time.NewTicker(2 * time.Second)
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
