package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// How far back activity is counted anew, and how long it is kept.
const (
	activityAgain = 15 * time.Minute
	activityKept  = 8 * 24 * time.Hour
	activityMost  = 50 // subjects of a bucket: sources are the callers' words
)

// CountActivity counts what happened in the last buckets up to a time. What
// came to Postgres late is counted the next time. Redemptions are found by their
// ids, which begin with their time.
func (l *Ledger) CountActivity(ctx context.Context, launch string, now time.Time) error {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return err
	}
	from := now.Add(-activityAgain).Truncate(gateway.ActivityBucket)
	var first gateway.ID // of all that may have been made since
	copy(first[:6], idTime(from))
	_, err = l.pool.Exec(ctx, `
		WITH recent AS (
			SELECT date_bin('5 minutes', r.created_at, 'epoch') AS at, g.name AS campaign, r.country, r.source
			FROM redemptions r JOIN campaigns g ON g.launch = r.launch AND g.number = r.campaign
			WHERE r.launch = $1 AND r.id >= $2 AND r.created_at >= $3),
		counted AS (
			SELECT 'campaign' AS dimension, campaign AS subject, at, count(*) AS n FROM recent GROUP BY 2, 3
			UNION ALL SELECT 'country', country, at, count(*) FROM recent WHERE country <> '' GROUP BY 2, 3
			UNION ALL SELECT 'source', source, at, count(*) FROM recent GROUP BY 2, 3
			UNION ALL SELECT 'refused', '', date_bin('5 minutes', at, 'epoch'), count(*) FROM attempts WHERE launch = $1 AND at >= $3 AND counted GROUP BY 3),
		ranked AS (SELECT *, row_number() OVER (PARTITION BY dimension, at ORDER BY n DESC, subject) AS rank FROM counted)
		INSERT INTO activity (launch, dimension, subject, at, n) SELECT $1, dimension, subject, at, n FROM ranked WHERE rank <= $4
		ON CONFLICT (launch, dimension, at, subject) DO UPDATE SET n = excluded.n`, id, [16]byte(first), from, activityMost)
	if err != nil {
		return err
	}
	_, err = l.pool.Exec(ctx, `DELETE FROM activity WHERE launch = $1 AND at < $2`, id, now.Add(-activityKept))
	return err
}

// idTime is how ids of a time begin.
func idTime(t time.Time) []byte {
	id := gateway.NewID(t)
	return id[:6]
}

// Activity is what was counted since a time, oldest first.
func (l *Ledger) Activity(ctx context.Context, launch string, since time.Time) ([]gateway.Activity, error) {
	rows, err := l.pool.Query(ctx, `
		SELECT a.dimension, a.subject, a.at, a.n FROM activity a JOIN launches l ON l.id = a.launch WHERE l.name = $1 AND a.at >= $2 ORDER BY a.at`, launch, since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.Activity])
}

// busiestMost bounds how many addresses are told of.
const busiestMost = 20

// BusiestAddresses are the keys of addresses with at least so many redemptions
// since a time, and how many.
func (l *Ledger) BusiestAddresses(ctx context.Context, launch string, since time.Time, least int) (map[string]int, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return nil, err
	}
	var first gateway.ID
	copy(first[:6], idTime(since))
	rows, err := l.pool.Query(ctx, `
		SELECT address_key, count(*) FROM redemptions WHERE launch = $1 AND id >= $2 AND address_key <> '' AND status IN ('held', 'committed')
		GROUP BY 1 HAVING count(*) >= $3 ORDER BY 2 DESC, 1 LIMIT $4`, id, [16]byte(first), least, busiestMost)
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	var key string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&key, &n}, func() error {
		found[key] = n
		return nil
	})
	return found, err
}

const anomalyColumns = `id, kind, subject, value, usual, bound, began_at, seen_at, ended_at`

func scanAnomaly(row pgx.CollectableRow) (a gateway.Anomaly, err error) {
	var ended *time.Time
	err = row.Scan((*[16]byte)(&a.ID), &a.Kind, &a.Subject, &a.Value, &a.Usual, &a.Bound, &a.BeganAt, &a.SeenAt, &ended)
	a.BeganAt, a.SeenAt, a.EndedAt = a.BeganAt.UTC(), a.SeenAt.UTC(), orZero(ended)
	return a, err
}

// KeepAnomalies notes what is unusual now. What was so already goes on; what
// was not seen for as long as quiet has ended. with gets what began and what
// ended, in the same transaction.
func (l *Ledger) KeepAnomalies(ctx context.Context, launch string, now time.Time, list []gateway.Anomaly, quiet time.Duration, with func(tx pgx.Tx, began, ended []gateway.Anomaly) error) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		var began []gateway.Anomaly
		for _, a := range list {
			var fresh bool
			err := tx.QueryRow(ctx, `
				INSERT INTO anomalies (id, launch, kind, subject, value, usual, bound, began_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
				ON CONFLICT (launch, kind, subject) WHERE ended_at IS NULL DO UPDATE
				SET value = excluded.value, usual = excluded.usual, bound = excluded.bound, seen_at = excluded.seen_at RETURNING xmax = 0`,
				[16]byte(a.ID), launch, string(a.Kind), printable(a.Subject), a.Value, a.Usual, a.Bound, now).Scan(&fresh)
			if err != nil {
				return err
			}
			if fresh {
				a.BeganAt, a.SeenAt = now, now
				began = append(began, a)
			}
		}
		rows, err := tx.Query(ctx, `UPDATE anomalies SET ended_at = $2 WHERE launch = $1 AND ended_at IS NULL AND seen_at < $3 RETURNING `+anomalyColumns, launch, now, now.Add(-quiet))
		if err != nil {
			return err
		}
		ended, err := pgx.CollectRows(rows, scanAnomaly)
		if err != nil {
			return err
		}
		return with(tx, began, ended)
	})
}

// Anomalies lists what was unusual, newest first; with open only what still is.
func (l *Ledger) Anomalies(ctx context.Context, launch string, open bool, p gateway.Page) (gateway.List[gateway.Anomaly], error) {
	before, err := idCursor(p)
	if err != nil {
		return gateway.List[gateway.Anomaly]{}, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT `+anomalyColumns+` FROM anomalies WHERE launch = $1 AND ($2::uuid IS NULL OR id < $2) AND (NOT $3 OR ended_at IS NULL)
		ORDER BY id DESC LIMIT $4`, launch, before, open, p.Limit+1)
	if err != nil {
		return gateway.List[gateway.Anomaly]{}, err
	}
	return page(rows, p.Limit, scanAnomaly, func(a gateway.Anomaly) string { return a.ID.String() })
}
