package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// launchID is the launch's id here; 0 while Postgres does not know it, which
// no row has.
func (l *Ledger) launchID(ctx context.Context, launch string) (id int32, err error) {
	err = l.pool.QueryRow(ctx, `SELECT id FROM launches WHERE name = $1`, launch).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

const redemptionColumns = `r.id, coalesce(c.display, r.code), g.name, g.channel, r.subject, r.email, r.name, r.source, r.status, r.created_at, r.expires_at, r.settled_at, r.position
	FROM redemptions r JOIN campaigns g ON g.launch = r.launch AND g.number = r.campaign LEFT JOIN codes c ON c.launch = r.launch AND c.code = r.code`

func scanRedemptionRow(row pgx.CollectableRow) (r gateway.RedemptionRow, err error) {
	var expires, settled *time.Time
	err = row.Scan((*[16]byte)(&r.ID), &r.Code, &r.Campaign, &r.Channel, &r.Subject, &r.Email, &r.Name, &r.Source, &r.Status, &r.At, &expires, &settled, &r.Position)
	r.At, r.ExpiresAt, r.SettledAt = r.At.UTC(), orZero(expires), orZero(settled)
	return r, err
}

// Redemptions lists redemptions, newest first.
func (l *Ledger) Redemptions(ctx context.Context, launch string, f gateway.RedemptionFilter, p gateway.Page) (gateway.List[gateway.RedemptionRow], error) {
	before, err := idCursor(p)
	if err != nil {
		return gateway.List[gateway.RedemptionRow]{}, err
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return gateway.List[gateway.RedemptionRow]{}, err
	}
	rows, err := l.pool.Query(ctx, `SELECT `+redemptionColumns+`
		WHERE r.launch = $1 AND ($2::uuid IS NULL OR r.id < $2) AND ($3 = '' OR g.name = $3) AND ($4 = '' OR r.subject = $4)
		  AND ($5 = '' OR r.code = $5) AND ($6 = '' OR r.status = $6) ORDER BY r.id DESC LIMIT $7`,
		id, before, f.Campaign, f.Subject, string(f.Code), string(f.Status), p.Limit+1)
	if err != nil {
		return gateway.List[gateway.RedemptionRow]{}, err
	}
	return page(rows, p.Limit, scanRedemptionRow, func(r gateway.RedemptionRow) string { return r.ID.String() })
}
