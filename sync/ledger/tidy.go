package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"admitone/gateway"
)

// monthsAhead is how many months of the journal have a partition before they
// begin.
const monthsAhead = 2

// Tidy makes the partitions that the journal will need, and forgets what the
// launches' policies say is old enough. It may run at any time, anywhere.
func (l *Ledger) Tidy(ctx context.Context, now time.Time) error {
	for i := range monthsAhead + 1 {
		if err := l.partition(ctx, now, i); err != nil {
			return fmt.Errorf("ledger: partition: %w", err)
		}
	}
	if _, err := l.pool.Exec(ctx, `DELETE FROM idempotency WHERE created_at < $1`, now.Add(-24*time.Hour)); err != nil {
		return fmt.Errorf("ledger: tidy idempotency: %w", err)
	}
	if err := l.tidyWebhooks(ctx, now); err != nil {
		return fmt.Errorf("ledger: tidy webhooks: %w", err)
	}
	if err := l.tidyMails(ctx, now); err != nil {
		return fmt.Errorf("ledger: tidy e-mails: %w", err)
	}
	rows, err := l.pool.Query(ctx, `SELECT id, policy FROM launches WHERE version > 0`)
	if err != nil {
		return fmt.Errorf("ledger: tidy: %w", err)
	}
	type launch struct {
		id     int32
		policy gateway.RetentionPolicy
	}
	var launches []launch
	for rows.Next() {
		var one launch
		var document []byte
		if err := rows.Scan(&one.id, &document); err != nil {
			return err
		}
		var p struct{ Retention gateway.RetentionPolicy }
		p.Retention = gateway.DefaultPolicy("").Retention
		if err := json.Unmarshal(document, &p); err != nil {
			return fmt.Errorf("ledger: tidy: a policy does not parse: %w", err)
		}
		one.policy = p.Retention
		launches = append(launches, one)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	longest := gateway.Duration(0)
	for _, one := range launches {
		longest = max(longest, one.policy.Journal)
		if _, err := l.pool.Exec(ctx, `DELETE FROM attempts WHERE launch = $1 AND at < $2`, one.id, now.Add(-time.Duration(one.policy.Attempts))); err != nil {
			return fmt.Errorf("ledger: tidy attempts: %w", err)
		}
		if _, err := l.pool.Exec(ctx, `DELETE FROM signals WHERE launch = $1 AND at < $2`, one.id, now.Add(-time.Duration(one.policy.Attempts))); err != nil {
			return fmt.Errorf("ledger: tidy signals: %w", err)
		}
	}
	if longest > 0 {
		return l.dropBefore(ctx, now.Add(-time.Duration(longest)))
	}
	return nil
}

func month(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// partition makes the journal's partition of a month, unless the default one
// holds records of it already: then they stay there.
func (l *Ledger) partition(ctx context.Context, now time.Time, ahead int) error {
	from := month(now).AddDate(0, ahead, 0)
	name := "journal_" + from.Format("200601")
	var there bool
	err := l.pool.QueryRow(ctx, `
		SELECT to_regclass($1) IS NOT NULL OR EXISTS (SELECT FROM journal_other WHERE at >= $2 AND at < $3)`,
		name, from, from.AddDate(0, 1, 0)).Scan(&there)
	if err != nil || there {
		return err
	}
	_, err = l.pool.Exec(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s PARTITION OF journal FOR VALUES FROM ('%s') TO ('%s')`,
		name, from.Format(time.RFC3339), from.AddDate(0, 1, 0).Format(time.RFC3339)))
	return err
}

// dropBefore drops the journal's months that end before a time.
func (l *Ledger) dropBefore(ctx context.Context, before time.Time) error {
	for m := month(before).AddDate(0, -1, 0); m.After(before.AddDate(-2, 0, 0)); m = m.AddDate(0, -1, 0) {
		if _, err := l.pool.Exec(ctx, "DROP TABLE IF EXISTS journal_"+m.Format("200601")); err != nil {
			return fmt.Errorf("ledger: drop a month of the journal: %w", err)
		}
	}
	return nil
}
