package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// WebhookListeners are the endpoints of a launch that are told of events, as
// the transaction sees them. They are not deleted before it ends.
func (l *Ledger) WebhookListeners(ctx context.Context, tx pgx.Tx, launch string) ([]gateway.WebhookEndpoint, error) {
	rows, err := tx.Query(ctx, `SELECT id, events, codes FROM webhook_endpoints WHERE launch = $1 AND disabled_at IS NULL ORDER BY id FOR KEY SHARE`, launch)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e gateway.WebhookEndpoint, err error) {
		err = row.Scan((*[16]byte)(&e.ID), &e.Events, &e.Codes)
		return e, err
	})
}

// WebhookLookup reads the rows that events speak of, as the transaction sees
// them.
func (l *Ledger) WebhookLookup(ctx context.Context, tx pgx.Tx, launch string, refs gateway.WebhookRefs) (gateway.WebhookLookup, error) {
	look := gateway.WebhookLookup{Redemptions: map[gateway.ID]gateway.RedemptionRow{}, Campaigns: map[uint32]string{}, Entries: map[string]gateway.WebhookEntry{}, Members: map[string]string{}, Payments: map[string]string{}}
	rows, err := tx.Query(ctx, `SELECT g.number, g.name FROM campaigns g JOIN launches l ON l.id = g.launch WHERE l.name = $1`, launch)
	if err != nil {
		return look, err
	}
	var number uint32
	var key, name string
	if _, err := pgx.ForEachRow(rows, []any{&number, &name}, func() error {
		look.Campaigns[number] = name
		return nil
	}); err != nil {
		return look, err
	}
	if len(refs.Redemptions) > 0 {
		ids := make([][16]byte, len(refs.Redemptions))
		for i, id := range refs.Redemptions {
			ids[i] = id
		}
		rows, err := tx.Query(ctx, `SELECT `+redemptionColumns+` WHERE r.launch = (SELECT id FROM launches WHERE name = $1) AND r.id = ANY($2)`, launch, ids)
		if err != nil {
			return look, err
		}
		list, err := pgx.CollectRows(rows, scanRedemptionRow)
		if err != nil {
			return look, err
		}
		for _, r := range list {
			look.Redemptions[r.ID] = r
		}
	}
	if len(refs.Members) > 0 {
		rows, err := tx.Query(ctx, `SELECT m.subject_key, m.subject FROM members m JOIN launches l ON l.id = m.launch WHERE l.name = $1 AND m.subject_key = ANY($2)`, launch, refs.Members)
		if err != nil {
			return look, err
		}
		if _, err := pgx.ForEachRow(rows, []any{&key, &name}, func() error {
			look.Members[key] = name
			return nil
		}); err != nil {
			return look, err
		}
	}
	if len(refs.Payments) > 0 {
		rows, err := tx.Query(ctx, `SELECT p.key, p.id FROM payments p JOIN launches l ON l.id = p.launch WHERE l.name = $1 AND p.key = ANY($2)`, launch, refs.Payments)
		if err != nil {
			return look, err
		}
		if _, err := pgx.ForEachRow(rows, []any{&key, &name}, func() error {
			look.Payments[key] = name
			return nil
		}); err != nil {
			return look, err
		}
	}
	if len(refs.Entries) == 0 {
		return look, nil
	}
	rows, err = tx.Query(ctx, `SELECT e.key, e.email, e.source FROM entries e JOIN launches l ON l.id = e.launch WHERE l.name = $1 AND e.key = ANY($2)`, launch, refs.Entries)
	if err != nil {
		return look, err
	}
	var e gateway.WebhookEntry
	_, err = pgx.ForEachRow(rows, []any{&key, &e.Email, &e.Source}, func() error {
		look.Entries[key] = e
		return nil
	})
	return look, err
}

// Told is a message and the endpoints that it goes to, each under the id of
// its delivery.
type Told struct {
	gateway.WebhookMessage
	To map[gateway.ID]gateway.ID // endpoint → delivery
}

// TellWebhooks keeps messages and their deliveries, in the transaction that
// they speak of.
func (l *Ledger) TellWebhooks(ctx context.Context, tx pgx.Tx, launch string, list []Told) error {
	messages := make([][]any, len(list))
	var deliveries [][]any
	for i, m := range list {
		messages[i] = []any{[16]byte(m.ID), launch, m.Type, m.At, string(m.Body), string(m.Revealed), m.Subject}
		for endpoint, id := range m.To {
			deliveries = append(deliveries, []any{[16]byte(id), [16]byte(endpoint), [16]byte(m.ID), time.Now()})
		}
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"webhook_messages"}, []string{"id", "launch", "type", "at", "body", "revealed", "subject_key"}, pgx.CopyFromRows(messages))
	if err != nil {
		return err
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"webhook_deliveries"}, []string{"id", "endpoint", "message", "next_at"}, pgx.CopyFromRows(deliveries))
	return err
}

// Dispatch is what an attempt of a delivery needs. It returns not_found when
// the delivery or its endpoint is gone.
func (l *Ledger) Dispatch(ctx context.Context, id gateway.ID) (w gateway.WebhookDispatch, err error) {
	var tried, next, disabled, failing, until *time.Time
	var masked, revealed string
	into := append(deliveryInto(&w.Delivery, &tried, &next), endpointInto(&w.Endpoint, &disabled, &failing)...)
	err = l.pool.QueryRow(ctx, `
		SELECT `+deliveryColumns+`, `+endpointColumns+`, d.round, m.body, m.revealed, e.secret, e.previous, e.previous_until
		FROM webhook_deliveries d JOIN webhook_messages m ON m.id = d.message JOIN webhook_endpoints e ON e.id = d.endpoint WHERE d.id = $1`, [16]byte(id)).
		Scan(append(into, &w.Round, &masked, &revealed, &w.Secret, &w.Previous, &until)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return w, gateway.Refuse(gateway.NotFound)
	}
	w.Delivery.NextAt, w.Endpoint.DisabledAt, w.Endpoint.Failing = orZero(next), orZero(disabled), orZero(failing)
	w.Body = []byte(masked)
	if w.Endpoint.Codes && revealed != "" {
		w.Body = []byte(revealed)
	}
	if until == nil || time.Now().After(*until) {
		w.Previous = ""
	}
	return w, err
}

// Attempted notes how an attempt ended: d's state, status, error, time and
// answer, and when the next one is. disable is why the endpoint is told
// nothing any more, "" if it is.
func (l *Ledger) Attempted(ctx context.Context, endpoint gateway.ID, d gateway.WebhookDelivery, disable string) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE webhook_deliveries SET state = $2, attempts = attempts + 1, round = round + 1, tried_at = now(), next_at = $3,
				status = $4, error = $5, duration_ms = $6, response = $7 WHERE id = $1 AND state = 'pending'`,
			[16]byte(d.ID), d.State, timeOrNil(d.NextAt), d.Status, d.Error, d.Millis, printable(d.Response))
		if err != nil {
			return err
		}
		sql := `UPDATE webhook_endpoints SET failing_since = coalesce(failing_since, now()) WHERE id = $1 AND failing_since IS NULL`
		if d.State == gateway.WebhookDelivered {
			sql = `UPDATE webhook_endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL`
		}
		if _, err := tx.Exec(ctx, sql, [16]byte(endpoint)); err != nil || disable == "" {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = $2 WHERE id = $1 AND disabled_at IS NULL`, [16]byte(endpoint), disable)
		return err
	})
}

// Undelivered ends a delivery that is not attempted any more, and says why.
func (l *Ledger) Undelivered(ctx context.Context, id gateway.ID, cause string) error {
	_, err := l.pool.Exec(ctx, `UPDATE webhook_deliveries SET state = 'failed', next_at = NULL, error = $2 WHERE id = $1 AND state = 'pending'`, [16]byte(id), cause)
	return err
}
