package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"admitone/gateway"
)

// The tables of the peers on Postgres. used has no index, so its updates are
// HOT; the room for them is in fillfactor.
const schema = `
CREATE TABLE codes (
    code text PRIMARY KEY COLLATE "C", max_uses integer NOT NULL, used integer NOT NULL DEFAULT 0,
    starts_at timestamptz, ends_at timestamptz, revoked boolean NOT NULL DEFAULT false,
    CHECK (used <= max_uses)
) WITH (fillfactor = 50);
CREATE TABLE redemptions (
    subject text PRIMARY KEY COLLATE "C", id uuid NOT NULL, code text NOT NULL, address text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE attempts (who text COLLATE "C", hour bigint, failed integer NOT NULL, PRIMARY KEY (who, hour));`

// pool connects to Postgres and seeds it.
func pool(ctx context.Context, o Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(o.Postgres)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(o.Pool)
	if o.Pool == 0 {
		config.MaxConns = 32
	}
	config.MinConns = config.MaxConns
	p, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := seedPostgres(ctx, p, o.Codes); err != nil {
		p.Close()
		return nil, fmt.Errorf("seeding: %w", err)
	}
	return p, nil
}

func seedPostgres(ctx context.Context, p *pgxpool.Pool, codes []Code) error {
	var durable string
	if err := p.QueryRow(ctx, `SHOW synchronous_commit`).Scan(&durable); err != nil {
		return err
	}
	if durable != "on" {
		return fmt.Errorf("synchronous_commit is %s", durable)
	}
	if _, err := p.Exec(ctx, schema); err != nil {
		return err
	}
	_, err := p.CopyFrom(ctx, pgx.Identifier{"codes"}, []string{"code", "max_uses"}, pgx.CopyFromSlice(len(codes), func(i int) ([]any, error) {
		return []any{codes[i].Code, codes[i].Uses}, nil
	}))
	if err != nil {
		return err
	}
	_, err = p.Exec(ctx, `VACUUM ANALYZE codes`)
	return err
}

func countPostgres(ctx context.Context, p *pgxpool.Pool) (c Counts, err error) {
	err = p.QueryRow(ctx, `SELECT (SELECT coalesce(sum(used), 0) FROM codes), (SELECT count(*) FROM redemptions)`).Scan(&c.Uses, &c.Members)
	c.Records = c.Members
	return c, err
}

// row is a code as it is locked.
type row struct {
	code         string
	max, used    int
	starts, ends *time.Time
	revoked      bool
	now          time.Time
}

const rowColumns = `code, max_uses, used, starts_at, ends_at, revoked, clock_timestamp()`

func (r *row) targets() []any {
	return []any{&r.code, &r.max, &r.used, &r.starts, &r.ends, &r.revoked, &r.now}
}

// refusal is why the code cannot be used, "" if it can.
func (r *row) refusal() string {
	switch {
	case r.revoked:
		return revoked
	case r.starts != nil && r.now.Before(*r.starts):
		return notYet
	case r.ends != nil && !r.now.Before(*r.ends):
		return expired
	case r.used >= r.max:
		return exhausted
	}
	return ""
}

// postgres locks the code's row, looks, and writes: two round trips, because
// statements that do not depend on each other go out together.
type postgres struct{ pool *pgxpool.Pool }

func newPostgres(ctx context.Context, o Options) (Decider, error) {
	p, err := pool(ctx, o)
	if err != nil {
		return nil, err
	}
	return &postgres{p}, nil
}

const (
	failedSQL = `SELECT who, failed FROM attempts WHERE who = ANY($1) AND hour = $2`
	failSQL   = `INSERT INTO attempts VALUES ($1, $2, 1) ON CONFLICT (who, hour) DO UPDATE SET failed = attempts.failed + 1`
)

func hour() int64 { return time.Now().Unix() / 3600 }

func (p *postgres) Decide(ctx context.Context, a Ask) (Answer, error) {
	for {
		answer, err := p.decide(ctx, a)
		var state *pgconn.PgError
		if errors.As(err, &state) && state.Code == "23505" {
			continue // the subject has been let in meanwhile: look again
		}
		return answer, err
	}
}

func (p *postgres) decide(ctx context.Context, a Ask) (answer Answer, err error) {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Release()
	look := &pgx.Batch{}
	look.Queue("BEGIN")
	look.Queue(`SELECT `+rowColumns+` FROM codes WHERE code = $1 FOR UPDATE`, a.Code)
	look.Queue(`SELECT id, code FROM redemptions WHERE subject = $1`, a.Subject)
	look.Queue(failedSQL, []string{"a" + a.Address, "s" + a.Subject}, hour())
	results := conn.SendBatch(ctx, look)
	var (
		code    row
		before  [16]byte
		with    string
		blocked bool
	)
	_, err = results.Exec()
	found := results.QueryRow().Scan(code.targets()...)
	again := results.QueryRow().Scan(&before, &with)
	rows, failed := results.Query()
	if failed == nil {
		blocked, failed = overLimit(rows)
	}
	for _, e := range []error{found, again} {
		if e != nil && !errors.Is(e, pgx.ErrNoRows) {
			err = errors.Join(err, e)
		}
	}
	if err = errors.Join(err, failed, results.Close()); err != nil {
		_, back := conn.Exec(ctx, "ROLLBACK")
		return Answer{}, errors.Join(err, back)
	}
	switch {
	case again == nil && with == a.Code:
		answer = Answer{ID: gateway.ID(before), Replay: true}
	case again == nil:
		answer = Answer{Reason: redeemed}
	case blocked:
		answer = Answer{Reason: attempts}
	case found != nil:
		answer = Answer{Reason: unknown}
	default:
		answer = Answer{ID: a.ID, Reason: code.refusal()}
	}
	write := &pgx.Batch{}
	switch {
	case answer.Reason == unknown:
		write.Queue(failSQL, "a"+a.Address, hour())
		write.Queue(failSQL, "s"+a.Subject, hour())
	case answer.Reason == "" && !answer.Replay:
		write.Queue(`INSERT INTO redemptions (subject, id, code, address) VALUES ($1, $2, $3, $4)`, a.Subject, [16]byte(a.ID), a.Code, a.Address)
		write.Queue(`UPDATE codes SET used = used + 1 WHERE code = $1`, a.Code)
	}
	write.Queue("COMMIT")
	if err := conn.SendBatch(ctx, write).Close(); err != nil {
		_, back := conn.Exec(ctx, "ROLLBACK")
		return Answer{}, errors.Join(err, back)
	}
	return answer, nil
}

// overLimit reads rows of who and failed.
func overLimit(rows pgx.Rows) (bool, error) {
	blocked := false
	var who string
	var n int
	_, err := pgx.ForEachRow(rows, []any{&who, &n}, func() error {
		blocked = blocked || over(who, n)
		return nil
	})
	return blocked, err
}

func over(who string, n int) bool {
	return who[0] == 'a' && n >= perAddress || who[0] == 's' && n >= perSubject
}

func (p *postgres) Count(ctx context.Context) (Counts, error) { return countPostgres(ctx, p.pool) }

func (p *postgres) Close() { p.pool.Close() }
