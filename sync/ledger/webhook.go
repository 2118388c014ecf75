package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// webhookLog is how long a message and the log of its deliveries are kept.
const webhookLog = 30 * 24 * time.Hour

const endpointColumns = `e.id, e.url, e.description, e.events, e.codes, e.created_at, e.disabled_at, e.disabled_reason, e.failing_since`

// endpointInto lists where the columns of an endpoint go.
func endpointInto(e *gateway.WebhookEndpoint, disabled, failing **time.Time) []any {
	return []any{(*[16]byte)(&e.ID), &e.URL, &e.Description, &e.Events, &e.Codes, &e.Created, disabled, &e.Reason, failing}
}

// webhookEndpoints reads endpoints with the counts of their deliveries.
const webhookEndpoints = `
	SELECT ` + endpointColumns + `,
		(SELECT count(*) FROM webhook_deliveries d WHERE d.endpoint = e.id AND d.state = 'pending'),
		(SELECT count(*) FROM webhook_deliveries d WHERE d.endpoint = e.id AND d.state = 'failed')
	FROM webhook_endpoints e WHERE e.launch = $1`

func scanEndpoint(row pgx.CollectableRow) (e gateway.WebhookEndpoint, err error) {
	var disabled, failing *time.Time
	err = row.Scan(append(endpointInto(&e, &disabled, &failing), &e.Pending, &e.Failed)...)
	e.Created, e.DisabledAt, e.Failing = e.Created.UTC(), orZero(disabled), orZero(failing)
	return e, err
}

// Webhooks lists a launch's endpoints, oldest first.
func (l *Ledger) Webhooks(ctx context.Context, launch string) ([]gateway.WebhookEndpoint, error) {
	rows, err := l.pool.Query(ctx, webhookEndpoints+` ORDER BY e.id`, launch)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEndpoint)
}

// Webhook finds an endpoint. It returns not_found if there is none.
func (l *Ledger) Webhook(ctx context.Context, launch string, id gateway.ID) (gateway.WebhookEndpoint, error) {
	rows, err := l.pool.Query(ctx, webhookEndpoints+` AND e.id = $2`, launch, [16]byte(id))
	if err != nil {
		return gateway.WebhookEndpoint{}, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEndpoint)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, gateway.Refuse(gateway.NotFound)
	}
	return e, err
}

// maxWebhooks is how many endpoints a launch may have.
const maxWebhooks = 20

// CreateWebhook keeps a new endpoint and its sealed secret. It returns
// conflict when the launch has as many as it may.
func (l *Ledger) CreateWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint, secret []byte) error {
	tag, err := l.pool.Exec(ctx, `
		INSERT INTO webhook_endpoints (id, launch, url, description, events, codes, secret, created_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE (SELECT count(*) FROM webhook_endpoints WHERE launch = $2) < $9`,
		[16]byte(e.ID), launch, e.URL, e.Description, e.Events, e.Codes, string(secret), e.Created, maxWebhooks)
	if err == nil && tag.RowsAffected() == 0 {
		return &gateway.Error{Reason: gateway.Conflict, Detail: "A launch has at most 20 webhook endpoints. Delete one that is not needed any more."}
	}
	return err
}

// PutWebhook changes where an endpoint is and what it asks for. One that is
// enabled begins without a history of failures.
func (l *Ledger) PutWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint) error {
	return l.webhookRow(ctx, `
		UPDATE webhook_endpoints SET url = $3, description = $4, events = $5, codes = $6,
			disabled_at = CASE WHEN $7 = '' THEN NULL ELSE coalesce(disabled_at, now()) END, disabled_reason = $7,
			failing_since = CASE WHEN $7 = '' AND disabled_at IS NOT NULL THEN NULL ELSE failing_since END
		WHERE launch = $1 AND id = $2`, launch, [16]byte(e.ID), e.URL, e.Description, e.Events, e.Codes, e.Reason)
}

// RotateWebhook gives an endpoint another secret. The one before signs too
// until a time.
func (l *Ledger) RotateWebhook(ctx context.Context, launch string, id gateway.ID, secret []byte, until time.Time) error {
	return l.webhookRow(ctx, `UPDATE webhook_endpoints SET previous = secret, previous_until = $4, secret = $3 WHERE launch = $1 AND id = $2`,
		launch, [16]byte(id), string(secret), until)
}

// DeleteWebhook forgets an endpoint and the log of its deliveries.
func (l *Ledger) DeleteWebhook(ctx context.Context, launch string, id gateway.ID) error {
	return l.webhookRow(ctx, `DELETE FROM webhook_endpoints WHERE launch = $1 AND id = $2`, launch, [16]byte(id))
}

// webhookRow runs a statement that changes one endpoint; not_found if there is
// none.
func (l *Ledger) webhookRow(ctx context.Context, sql string, args ...any) error {
	tag, err := l.pool.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		return gateway.Refuse(gateway.NotFound)
	}
	return err
}

// Deliveries lists an endpoint's deliveries, newest first; of one state, or of
// all with "".
func (l *Ledger) Deliveries(ctx context.Context, launch string, endpoint gateway.ID, state string, p gateway.Page) (gateway.List[gateway.WebhookDelivery], error) {
	var none gateway.List[gateway.WebhookDelivery]
	if _, err := l.Webhook(ctx, launch, endpoint); err != nil {
		return none, err
	}
	before, err := idCursor(p)
	if err != nil {
		return none, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT `+deliveryColumns+` FROM webhook_deliveries d JOIN webhook_messages m ON m.id = d.message
		WHERE d.endpoint = $1 AND ($2::uuid IS NULL OR d.id < $2) AND ($3 = '' OR d.state = $3) ORDER BY d.id DESC LIMIT $4`,
		[16]byte(endpoint), before, state, p.Limit+1)
	if err != nil {
		return none, err
	}
	return page(rows, p.Limit, func(row pgx.CollectableRow) (d gateway.WebhookDelivery, err error) {
		var tried, next *time.Time
		err = row.Scan(deliveryInto(&d, &tried, &next)...)
		d.At, d.TriedAt, d.NextAt = d.At.UTC(), orZero(tried), orZero(next)
		return d, err
	}, func(d gateway.WebhookDelivery) string { return d.ID.String() })
}

const deliveryColumns = `d.id, m.id, m.type, m.at, d.state, d.attempts, d.tried_at, d.next_at, d.status, d.error, d.duration_ms, d.response`

func deliveryInto(d *gateway.WebhookDelivery, tried, next **time.Time) []any {
	return []any{(*[16]byte)(&d.ID), (*[16]byte)(&d.Message), &d.Type, &d.At, &d.State, &d.Attempts, tried, next, &d.Status, &d.Error, &d.Millis, &d.Response}
}

// ReplayWebhook makes deliveries pending again and hands their ids to with, in
// one transaction: at most limit of them, oldest first.
func (l *Ledger) ReplayWebhook(ctx context.Context, launch string, endpoint gateway.ID, r gateway.WebhookReplay, limit int, with func(pgx.Tx, []gateway.ID) error) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		var one any
		if r.Delivery != (gateway.ID{}) {
			one = [16]byte(r.Delivery)
		}
		rows, err := tx.Query(ctx, `
			UPDATE webhook_deliveries SET state = 'pending', round = 0, next_at = now() WHERE id IN (
				SELECT d.id FROM webhook_deliveries d JOIN webhook_messages m ON m.id = d.message JOIN webhook_endpoints e ON e.id = d.endpoint
				WHERE e.launch = $1 AND e.id = $2 AND d.state <> 'pending'
				  AND CASE WHEN $3::uuid IS NULL THEN d.state = 'failed' AND m.at >= $4 ELSE d.id = $3 END
				ORDER BY d.id LIMIT $5 FOR UPDATE OF d) RETURNING id`, launch, [16]byte(endpoint), one, r.Since, limit)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, scanID)
		if err != nil {
			return err
		}
		return with(tx, ids)
	})
}

func scanID(row pgx.CollectableRow) (id gateway.ID, err error) {
	err = row.Scan((*[16]byte)(&id))
	return id, err
}

// tidyWebhooks forgets messages that are old.
func (l *Ledger) tidyWebhooks(ctx context.Context, now time.Time) error {
	_, err := l.pool.Exec(ctx, `DELETE FROM webhook_messages WHERE at < $1`, now.Add(-webhookLog))
	return err
}
