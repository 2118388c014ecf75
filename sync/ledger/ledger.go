package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"admitone/gateway"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrFenced says that the position in Postgres is not where the caller thought:
// another writer moved it, or a heal gave the history up.
var ErrFenced = errors.New("ledger: fenced off by another writer or a newer epoch")

// errMaybe says that a commit was answered with a warning: Postgres may not
// have made it as durable as it was asked to.
var errMaybe = errors.New("ledger: postgres warned that the commit may not be durable")

// Opener opens what the journal carries sealed.
type Opener interface {
	Open(launch string, sealed []byte) ([]byte, error)
}

// Ledger is safe for concurrent use.
type Ledger struct {
	pool     *pgxpool.Pool
	opener   Opener
	warnings *atomic.Uint64 // notices of class 01 that commits got
	follower Follower
}

// Follower is told what the journal changed, inside the transaction that
// changes it: what must happen because of it becomes a job there.
type Follower interface {
	// Follow gets the events of a launch that the constraints let in, in order.
	// An error undoes the transaction; the records are applied again later.
	Follow(ctx context.Context, tx pgx.Tx, launch string, events []gateway.Placed) error
}

// Follow sets who is told. It is called once, before the first Apply.
func (l *Ledger) Follow(f Follower) { l.follower = f }

// Open connects and brings the schema up to date, one process at a time.
func Open(ctx context.Context, url string, opener Opener) (*Ledger, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("ledger: the Postgres URL: %w", hideURL(err))
	}
	warnings := new(atomic.Uint64)
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Code == "01000" {
			warnings.Add(1)
		}
	}
	if config.ConnConfig.RuntimeParams["statement_timeout"] == "" {
		config.ConnConfig.RuntimeParams["statement_timeout"] = "60000"
	}
	if config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] == "" {
		// A process that hangs with rows locked must not hold up the others.
		config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "10000"
	}
	// A host that is gone without a word must not keep its locks for the hours
	// that TCP takes to notice.
	for name, seconds := range map[string]string{"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"} {
		if config.ConnConfig.RuntimeParams[name] == "" {
			config.ConnConfig.RuntimeParams[name] = seconds
		}
	}
	config.ConnConfig.RuntimeParams["application_name"] = "admitone"
	config.MaxConns = max(config.MaxConns, 8)
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", hideURL(err))
	}
	l := &Ledger{pool: pool, opener: opener, warnings: warnings}
	if err := l.migrate(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("ledger: bringing the schema up to date: %w", err)
	}
	return l, l.Tidy(ctx, time.Now())
}

// hideURL keeps a password out of an error that quotes the URL.
func hideURL(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("it cannot be parsed; use postgres://user:password@host:port/database")
	}
	return err
}

func (l *Ledger) migrate(ctx context.Context) error {
	db := stdlib.OpenDBFromPool(l.pool)
	defer db.Close()
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, sub, goose.WithSessionLocker(locker), goose.WithAllowOutofOrder(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Close ends all connections.
func (l *Ledger) Close() { l.pool.Close() }

// Ping reports whether Postgres answers.
func (l *Ledger) Ping(ctx context.Context) error { return l.pool.Ping(ctx) }

// Pool is for what shares the database: leadership, and jobs that are inserted
// in the same transaction.
func (l *Ledger) Pool() *pgxpool.Pool { return l.pool }

// Position is how far a launch's journal has come. ok is false for a launch
// that Postgres does not know.
func (l *Ledger) Position(ctx context.Context, launch string) (p gateway.StoredLaunch, ok bool, err error) {
	err = l.pool.QueryRow(ctx, `
		SELECT l.name, l.version, l.open, l.policy, p.seq, p.epoch, p.bytes, p.identity, p.adopting
		FROM launches l JOIN positions p ON p.launch = l.id WHERE l.name = $1`, launch).
		Scan(&p.Name, &p.Version, &p.Open, &p.Policy, &p.Seq, &p.Epoch, &p.Bytes, &p.Identity, &p.Adopting)
	if errors.Is(err, pgx.ErrNoRows) {
		return gateway.StoredLaunch{}, false, nil
	}
	return p, err == nil, err
}

// Launches lists the launches that Postgres knows.
func (l *Ledger) Launches(ctx context.Context) ([]string, error) {
	rows, err := l.pool.Query(ctx, `SELECT name FROM launches ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Bump begins a heal: it gives the launch's history a new epoch, so that
// whoever still writes under the old one is fenced off, and returns the
// position row as it then is. adopting is the epoch that Redis is to carry on.
// It returns ErrFenced if from is not the epoch.
func (l *Ledger) Bump(ctx context.Context, launch string, from, adopting uint64) (p gateway.StoredLaunch, err error) {
	err = l.pool.QueryRow(ctx, `
		WITH moved AS (
			UPDATE positions SET epoch = epoch + 1, adopting = $3, identity = ''
			WHERE launch = (SELECT id FROM launches WHERE name = $1) AND epoch = $2 RETURNING *),
		noted AS (INSERT INTO epochs (launch, epoch, base) SELECT launch, epoch, seq FROM moved)
		SELECT seq, epoch, bytes, adopting FROM moved`, launch, from, adopting).
		Scan(&p.Seq, &p.Epoch, &p.Bytes, &p.Adopting)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, ErrFenced
	}
	return p, err
}

// Base is the position from which the history went on that came after an epoch;
// 0 if none did.
func (l *Ledger) Base(ctx context.Context, launch string, after uint64) (base uint64, err error) {
	err = l.pool.QueryRow(ctx, `
		SELECT base FROM epochs WHERE launch = (SELECT id FROM launches WHERE name = $1) AND epoch > $2 ORDER BY epoch LIMIT 1`, launch, after).Scan(&base)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return base, err
}

// Admit ends a heal, or begins a launch's first history: this run of a server
// serves the epoch. It returns ErrFenced if another heal began meanwhile.
func (l *Ledger) Admit(ctx context.Context, launch string, epoch uint64, identity string) error {
	tag, err := l.pool.Exec(ctx, `
		UPDATE positions SET identity = $3, adopting = 0 WHERE launch = (SELECT id FROM launches WHERE name = $1) AND epoch = $2`, launch, epoch, identity)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrFenced
	}
	return err
}

// Claim notes the run of a server that serves a launch's first history, if none
// is noted and no heal is under way.
func (l *Ledger) Claim(ctx context.Context, launch string, epoch uint64, identity string) error {
	_, err := l.pool.Exec(ctx, `
		UPDATE positions SET identity = $3 WHERE launch = (SELECT id FROM launches WHERE name = $1)
		AND epoch = $2 AND identity = '' AND adopting = 0`, launch, epoch, identity)
	return err
}

// Epochs are all launches with their epoch and admitted run, and nothing else
// of them.
func (l *Ledger) Epochs(ctx context.Context) ([]gateway.StoredLaunch, error) {
	rows, err := l.pool.Query(ctx, `SELECT l.name, p.epoch, p.identity, p.adopting FROM launches l JOIN positions p ON p.launch = l.id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p gateway.StoredLaunch, err error) {
		err = row.Scan(&p.Name, &p.Epoch, &p.Identity, &p.Adopting)
		return p, err
	})
}
