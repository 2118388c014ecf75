package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// Invites lists the codes that a member (by its key) gave away, newest first.
func (l *Ledger) Invites(ctx context.Context, launch, subject string, p gateway.Page) (gateway.List[gateway.InviteRow], error) {
	position, code, err := inviteCursor(p)
	if err != nil {
		return gateway.List[gateway.InviteRow]{}, err
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return gateway.List[gateway.InviteRow]{}, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT c.display, c.recipient, c.used, coalesce(c.max_uses, g.max_uses), coalesce(v.opened, 0), c.expires_at, c.created_at,
			(SELECT max(r.created_at) FROM redemptions r WHERE r.launch = c.launch AND r.code = c.code AND r.status IN ('held', 'committed')),
			CASE WHEN c.revoked THEN 'revoked' WHEN c.used >= coalesce(c.max_uses, g.max_uses) THEN 'accepted'
				WHEN c.expires_at <= now() + o.ahead_ms * interval '1 millisecond' THEN 'expired' ELSE 'pending' END,
			c.position, c.code
		FROM codes c JOIN campaigns g ON g.launch = c.launch AND g.number = c.campaign JOIN launches o ON o.id = c.launch
		LEFT JOIN visits v ON v.launch = c.launch AND v.code = c.code
		WHERE c.launch = $1 AND c.issuer_key = $2 AND g.document ->> 'kind' = 'invite' AND (c.position, c.code) < ($3, $4)
		ORDER BY c.position DESC, c.code DESC LIMIT $5`, id, subject, position, code, p.Limit+1)
	if err != nil {
		return gateway.List[gateway.InviteRow]{}, err
	}
	type row struct {
		gateway.InviteRow
		position int64
		code     string
	}
	return pageOf(rows, p.Limit, func(r pgx.CollectableRow) (i row, err error) {
		var expires, redeemed *time.Time
		err = r.Scan(&i.Code, &i.Recipient, &i.Uses, &i.MaxUses, &i.Opened, &expires, &i.Created, &redeemed, &i.Status, &i.position, &i.code)
		i.ExpiresAt, i.Created, i.RedeemedAt = orZero(expires), i.Created.UTC(), orZero(redeemed)
		return i, err
	}, func(i row) string { return placeKey(i.position, i.code) }, func(i row) gateway.InviteRow { return i.InviteRow })
}

// Refillable lists the keys of members behind one who had joined before a time
// and have fewer invites to mint than the policy tops up to.
func (l *Ledger) Refillable(ctx context.Context, launch string, to int, joined time.Time, after string, most int) ([]string, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return nil, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT subject_key FROM members WHERE launch = $1 AND subject_key > $2 AND allotment >= 0 AND allotment < $3
			AND (joined_at IS NULL OR joined_at < $4) AND method IN ('invite_code', 'license_key')
		ORDER BY subject_key LIMIT $5`, id, after, to, joined, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// LastRefill is when the slot began that a launch's refill has served last; the
// zero time if it has served none.
func (l *Ledger) LastRefill(ctx context.Context, launch string) (time.Time, error) {
	var slot int64
	err := l.pool.QueryRow(ctx, `
		SELECT coalesce((SELECT slot FROM refills WHERE launch = id), 0) FROM launches WHERE name = $1`, launch).Scan(&slot)
	if err != nil || slot == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(slot), nil
}

// Refilled notes that the slot that began then has been served.
func (l *Ledger) Refilled(ctx context.Context, launch string, slot time.Time) error {
	_, err := l.pool.Exec(ctx, `
		INSERT INTO refills (launch, slot) SELECT id, $2 FROM launches WHERE name = $1
		ON CONFLICT (launch) DO UPDATE SET slot = greatest(refills.slot, excluded.slot)`, launch, slot.UnixMilli())
	return err
}
