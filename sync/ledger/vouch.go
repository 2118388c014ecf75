package ledger

import (
	"context"
	"time"

	"admitone/gateway"
)

// aliveFor is how long a gateway counts as living after its last beat. One that
// hangs holds the others up for so long after a heal.
const aliveFor = 3 * time.Second

// Beat notes that a gateway lives, and forgets those that are long gone.
func (l *Ledger) Beat(ctx context.Context, id gateway.ID) error {
	_, err := l.pool.Exec(ctx, `
		WITH gone AS (DELETE FROM gateways WHERE seen_at < now() - interval '1 hour' AND id <> $1)
		INSERT INTO gateways (id, seen_at) VALUES ($1, now()) ON CONFLICT (id) DO UPDATE SET seen_at = now()`, [16]byte(id))
	return err
}

// Gone notes that a gateway has ended: nobody waits for it.
func (l *Ledger) Gone(ctx context.Context, id gateway.ID) error {
	_, err := l.pool.Exec(ctx, `DELETE FROM gateways WHERE id = $1`, [16]byte(id))
	return err
}

// Vouch notes that a gateway has told Redis, in this epoch, what it answered
// before. It reports whether the launch may open: when all gateways that live
// have, or it was open already, or this one waits for nobody any more. It
// returns ErrFenced if a later epoch has begun: nobody else vouches in this one.
func (l *Ledger) Vouch(ctx context.Context, launch string, epoch uint64, id gateway.ID, alone bool) (open bool, err error) {
	var later bool
	err = l.pool.QueryRow(ctx, `
		WITH mine AS (
			INSERT INTO vouchers (launch, epoch, gateway) SELECT id, $2, $3 FROM launches WHERE name = $1
			ON CONFLICT DO NOTHING)
		SELECT p.epoch > $2, $5 OR p.opened >= $2 OR NOT EXISTS (
			SELECT FROM gateways g WHERE g.seen_at > now() - $4::interval AND g.id <> $3
			AND NOT EXISTS (SELECT FROM vouchers v WHERE v.launch = p.launch AND v.epoch = $2 AND v.gateway = g.id))
		FROM positions p JOIN launches l ON l.id = p.launch WHERE l.name = $1`, launch, epoch, [16]byte(id), aliveFor, alone).Scan(&later, &open)
	if err == nil && later {
		err = ErrFenced
	}
	if err != nil || !open {
		return false, err
	}
	_, err = l.pool.Exec(ctx, `UPDATE positions SET opened = greatest(opened, $2) WHERE launch = (SELECT id FROM launches WHERE name = $1)`, launch, epoch)
	return err == nil, err
}
