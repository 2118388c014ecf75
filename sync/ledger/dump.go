package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
	"admitone/sync/journal"
)

// Reader takes what Dump reads, in this order: the launch once, then the rest
// in chunks.
type Reader interface {
	Launch(context.Context, gateway.StoredLaunch) error
	Campaigns(context.Context, []gateway.StoredCampaign) error
	Codes(context.Context, []gateway.StoredCode) error
	Redemptions(context.Context, []gateway.StoredRedemption) error
	Members(context.Context, []gateway.StoredRecord) error
	Payments(context.Context, []gateway.StoredText) error
	Earnings(context.Context, []gateway.StoredText) error
	Failures(context.Context, []gateway.StoredFailure) error
	Queue(context.Context, gateway.StoredQueue) error
	Entries(context.Context, []gateway.StoredEntry) error
}

// dumpChunk is how many rows a Reader gets at once.
const dumpChunk = 5000

// Selection narrows a dump.
type Selection struct {
	FailuresSince time.Time
	Only          bool // the codes, redemptions and members listed, not all
	Codes         []gateway.Code
	Redemptions   []gateway.ID
	Entries       []string // keys
	Members       []string // keys
	Payments      []string // keys
	Earnings      []string // keys
}

// Dump reads a launch as of one moment: everything that Redis needs to serve
// it, or what is selected. It returns launch_unknown if Postgres does not know
// the launch.
func (l *Ledger) Dump(ctx context.Context, launch string, s Selection, r Reader) error {
	ids := make([]string, len(s.Redemptions))
	for i, id := range s.Redemptions {
		ids[i] = id.String()
	}
	codes := make([]string, len(s.Codes))
	for i, c := range s.Codes {
		codes[i] = string(c)
	}
	return pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		var id int32
		var head gateway.StoredLaunch
		err := tx.QueryRow(ctx, `
			SELECT l.id, l.name, l.version, l.open, l.policy, p.seq, p.epoch, p.bytes, l.ahead_ms * 1000000,
				(SELECT coalesce(max(arrival), 0) FROM entries e WHERE e.launch = l.id)
			FROM launches l JOIN positions p ON p.launch = l.id WHERE l.name = $1`, launch).
			Scan(&id, &head.Name, &head.Version, &head.Open, &head.Policy, &head.Seq, &head.Epoch, &head.Bytes, &head.Ahead, &head.Arrivals)
		if err == pgx.ErrNoRows {
			return gateway.Refuse(gateway.LaunchUnknown)
		}
		if err != nil {
			return fmt.Errorf("ledger: dump: %w", err)
		}
		if err := r.Launch(ctx, head); err != nil {
			return err
		}
		if err := stream(ctx, tx, r.Campaigns, func(row pgx.CollectableRow) (c gateway.StoredCampaign, err error) {
			err = row.Scan(&c.Campaign, &c.Used)
			return c, err
		}, `SELECT document, used FROM campaigns WHERE launch = $1 ORDER BY number`, id); err != nil {
			return err
		}
		if err := stream(ctx, tx, r.Codes, scanCode, `
			SELECT code, display, campaign, used, held, coalesce(max_uses, 0), revoked, expires_at, recipient_key, issuer_key
			FROM codes WHERE launch = $1 AND (NOT $2 OR code = ANY ($3))`, id, s.Only, codes); err != nil {
			return err
		}
		// Of redemptions that ended, Redis keeps the last one of a subject and
		// code, and only while no later one took its place.
		if err := stream(ctx, tx, r.Redemptions, scanRedemption, `
			SELECT id, subject_key, address_key, code, campaign, status, proof, created_at, expires_at FROM redemptions r
			WHERE launch = $1 AND (status IN ('held', 'committed') OR NOT EXISTS (
				SELECT FROM redemptions o WHERE o.launch = r.launch AND o.subject_key = r.subject_key AND o.code = r.code AND o.position > r.position))
			AND (NOT $2 OR id = ANY ($3::uuid[])) ORDER BY subject_key, id`, id, s.Only, ids); err != nil {
			return err
		}
		if err := stream(ctx, tx, r.Members, scanRecord, `
			SELECT subject_key, record FROM members WHERE launch = $1 AND (NOT $2 OR subject_key = ANY ($3))`, id, s.Only, s.Members); err != nil {
			return err
		}
		if err := dumpQueue(ctx, tx, id, r); err != nil {
			return err
		}
		if err := stream(ctx, tx, r.Entries, scanEntry, `
			SELECT `+storedEntryColumns+` FROM entries WHERE launch = $1 AND (NOT $2 OR key = ANY ($3))`, id, s.Only, append([]string{}, s.Entries...)); err != nil {
			return err
		}
		for _, t := range []struct {
			to       func(context.Context, []gateway.StoredText) error
			sql      string
			selected []string
		}{
			{r.Payments, `SELECT key, record FROM payments WHERE launch = $1 AND (NOT $2 OR key = ANY ($3))`, s.Payments},
			{r.Earnings, `SELECT subject_key, record FROM earnings WHERE launch = $1 AND (NOT $2 OR subject_key = ANY ($3))`, s.Earnings},
		} {
			if err := stream(ctx, tx, t.to, func(row pgx.CollectableRow) (one gateway.StoredText, err error) {
				return one, row.Scan(&one.Key, &one.Record)
			}, t.sql, id, s.Only, append([]string{}, t.selected...)); err != nil {
				return err
			}
		}
		return stream(ctx, tx, r.Failures, func(row pgx.CollectableRow) (f gateway.StoredFailure, err error) {
			err = row.Scan(&f.Subject, &f.Address, &f.At)
			return f, err
		}, `SELECT subject_key, address_key, at FROM attempts WHERE launch = $1 AND counted AND at >= $2 ORDER BY at`, id, s.FailuresSince)
	})
}

func scanCode(row pgx.CollectableRow) (c gateway.StoredCode, err error) {
	var expires *time.Time
	err = row.Scan(&c.Code, &c.Display, &c.Campaign, &c.Used, &c.Held, &c.MaxUses, &c.Revoked, &expires, &c.Recipient, &c.Issuer)
	c.ExpiresAt = orZero(expires)
	return c, err
}

func scanRedemption(row pgx.CollectableRow) (r gateway.StoredRedemption, err error) {
	var expires *time.Time
	err = row.Scan((*[16]byte)(&r.ID), &r.Subject, &r.Address, &r.Code, &r.Campaign, &r.Status, &r.Proof, &r.At, &expires)
	r.At, r.ExpiresAt = r.At.UTC(), orZero(expires)
	return r, err
}

func scanRecord(row pgx.CollectableRow) (r gateway.StoredRecord, err error) {
	var record string
	if err := row.Scan(&r.Subject, &record); err != nil {
		return r, err
	}
	r.StoredMember, err = journal.ParseMember(record)
	return r, err
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// stream hands the rows of a query on in chunks, without holding more.
func stream[T any](ctx context.Context, tx pgx.Tx, to func(context.Context, []T) error, scan pgx.RowToFunc[T], sql string, args ...any) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("ledger: dump: %w", err)
	}
	defer rows.Close()
	chunk := make([]T, 0, dumpChunk)
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return fmt.Errorf("ledger: dump: %w", err)
		}
		if chunk = append(chunk, one); len(chunk) == dumpChunk {
			if err := to(ctx, chunk); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("ledger: dump: %w", err)
	}
	if len(chunk) == 0 {
		return nil
	}
	return to(ctx, chunk)
}

// Sample picks about n codes, redemptions and members of a launch at random.
func (l *Ledger) Sample(ctx context.Context, launch string, n int) (s Selection, err error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return s, err
	}
	s.Only = true
	const percent = `least(100, 100.0 * $2 / greatest(1, (SELECT reltuples FROM pg_class WHERE oid = $3::regclass)))`
	rows, err := l.pool.Query(ctx, `SELECT code FROM codes TABLESAMPLE BERNOULLI (`+percent+`) WHERE launch = $1 LIMIT $2`, id, n, "codes")
	if err != nil {
		return s, err
	}
	if s.Codes, err = pgx.CollectRows(rows, pgx.RowTo[gateway.Code]); err != nil {
		return s, err
	}
	rows, err = l.pool.Query(ctx, `SELECT key FROM entries TABLESAMPLE BERNOULLI (`+percent+`) WHERE launch = $1 LIMIT $2`, id, n, "entries")
	if err != nil {
		return s, err
	}
	if s.Entries, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return s, err
	}
	rows, err = l.pool.Query(ctx, `SELECT id FROM redemptions TABLESAMPLE BERNOULLI (`+percent+`) WHERE launch = $1 LIMIT $2`, id, n, "redemptions")
	if err != nil {
		return s, err
	}
	s.Redemptions, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (id gateway.ID, err error) {
		err = row.Scan((*[16]byte)(&id))
		return id, err
	})
	if err != nil {
		return s, err
	}
	rows, err = l.pool.Query(ctx, `SELECT subject_key FROM members TABLESAMPLE BERNOULLI (`+percent+`) WHERE launch = $1 LIMIT $2`, id, n, "members")
	if err != nil {
		return s, err
	}
	s.Members, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return s, err
}
