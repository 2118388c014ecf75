package ledger

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// BeginOnce takes an Idempotency-Key for a request. It returns nil if the
// caller is the first and must call FinishOnce, the answer if the same request
// was answered before, idempotency_in_flight while another works on it,
// idempotency_mismatch if the key was used for another request.
func (l *Ledger) BeginOnce(ctx context.Context, scope, key string, request [sha256.Size]byte) (*gateway.Answered, error) {
	tag, err := l.pool.Exec(ctx, `
		INSERT INTO idempotency AS i (scope, key, request) VALUES ($1, $2, $3)
		ON CONFLICT (scope, key) DO UPDATE SET request = excluded.request, status = NULL, created_at = now()
		WHERE i.created_at < now() - interval '24 hours' OR i.status IS NULL AND i.created_at < now() - interval '5 minutes'`, scope, key, request[:])
	if err != nil || tag.RowsAffected() == 1 {
		return nil, err
	}
	var before []byte
	var status *int
	a := &gateway.Answered{}
	err = l.pool.QueryRow(ctx, `SELECT request, status, content_type, body FROM idempotency WHERE scope = $1 AND key = $2`, scope, key).
		Scan(&before, &status, &a.ContentType, &a.Body)
	switch {
	case errors.Is(err, pgx.ErrNoRows): // given up a moment ago
		return nil, gateway.Refuse(gateway.IdempotencyInFlight)
	case err != nil:
		return nil, err
	case string(before) != string(request[:]):
		return nil, gateway.Refuse(gateway.IdempotencyMismatch)
	case status == nil:
		return nil, gateway.Refuse(gateway.IdempotencyInFlight)
	}
	a.Status = *status
	return a, nil
}

// FinishOnce keeps the answer, or gives the key up for answers that a repeated
// request should not get again: 409, 429 and 5xx.
func (l *Ledger) FinishOnce(ctx context.Context, scope, key string, a gateway.Answered) error {
	if a.Status == 409 || a.Status == 429 || a.Status >= 500 {
		_, err := l.pool.Exec(ctx, `DELETE FROM idempotency WHERE scope = $1 AND key = $2 AND status IS NULL`, scope, key)
		return err
	}
	_, err := l.pool.Exec(ctx, `UPDATE idempotency SET status = $3, content_type = $4, body = $5 WHERE scope = $1 AND key = $2`,
		scope, key, a.Status, a.ContentType, a.Body)
	return err
}
