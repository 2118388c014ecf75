package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

const keyColumns = `id, name, scopes, launch, created_at, expires_at, revoked_at, last_used_at`

func scanKey(row pgx.CollectableRow) (*gateway.APIKey, error) {
	k := new(gateway.APIKey)
	var expires, revoked, used *time.Time
	err := row.Scan((*[16]byte)(&k.ID), &k.Name, &k.Scopes, &k.Launch, &k.Created, &expires, &revoked, &used)
	k.ExpiresAt, k.RevokedAt, k.LastUsed = orZero(expires), orZero(revoked), orZero(used)
	return k, err
}

// FindKey finds an API key by its hash. It returns unauthorized if there is
// none.
func (l *Ledger) FindKey(ctx context.Context, hash [sha256.Size]byte) (*gateway.APIKey, error) {
	rows, err := l.pool.Query(ctx, `UPDATE api_keys SET last_used_at = now() WHERE hash = $1 RETURNING `+keyColumns, hash[:])
	if err != nil {
		return nil, err
	}
	k, err := pgx.CollectExactlyOneRow(rows, scanKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, gateway.Refuse(gateway.Unauthorized)
	}
	return k, err
}

// CreateKey keeps a new API key under its hash.
func (l *Ledger) CreateKey(ctx context.Context, k gateway.APIKey, hash [sha256.Size]byte) error {
	_, err := l.pool.Exec(ctx, `INSERT INTO api_keys (id, name, hash, scopes, launch, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		[16]byte(k.ID), k.Name, hash[:], k.Scopes, k.Launch, k.Created, timeOrNil(k.ExpiresAt))
	return err
}

// Keys lists all API keys, newest first.
func (l *Ledger) Keys(ctx context.Context) ([]*gateway.APIKey, error) {
	rows, err := l.pool.Query(ctx, `SELECT `+keyColumns+` FROM api_keys ORDER BY id DESC`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanKey)
}

// RevokeKey ends an API key. It returns not_found if there is none.
func (l *Ledger) RevokeKey(ctx context.Context, id gateway.ID) error {
	tag, err := l.pool.Exec(ctx, `UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1`, [16]byte(id))
	if err == nil && tag.RowsAffected() == 0 {
		return gateway.Refuse(gateway.NotFound)
	}
	return err
}
