package ledger

import (
	"context"
	"time"

	"admitone/gateway"
)

// AliveFor is how long a gateway counts as living after its last beat. One that
// hangs holds the others up for so long after a heal.
const AliveFor = 3 * time.Second

// Beat is what a gateway tells of itself.
type Beat struct {
	ID     gateway.ID
	CutOff bool // it does not reach Redis now
	// Steady is set while Postgres has taken this gateway's beats without a gap
	// for longer than AliveFor: who has not beaten meanwhile is gone.
	Steady bool
}

// Beat notes that a gateway lives, and forgets those that are gone: after an
// hour where nobody knows whether Postgres took their beats.
func (l *Ledger) Beat(ctx context.Context, b Beat) error {
	forgotten := time.Hour
	if b.Steady {
		forgotten = AliveFor
	}
	_, err := l.pool.Exec(ctx, `
		WITH gone AS (DELETE FROM gateways WHERE seen_at < now() - $3::interval AND id <> $1)
		INSERT INTO gateways (id, seen_at, cut_off) VALUES ($1, now(), $2)
		ON CONFLICT (id) DO UPDATE SET seen_at = now(), cut_off = $2`, [16]byte(b.ID), b.CutOff, forgotten)
	return err
}

// Gone notes that a gateway has ended: nobody waits for it.
func (l *Ledger) Gone(ctx context.Context, id gateway.ID) error {
	_, err := l.pool.Exec(ctx, `DELETE FROM gateways WHERE id = $1`, [16]byte(id))
	return err
}

// Voucher says that a gateway has told Redis, in this epoch, what it answered
// before.
type Voucher struct {
	Launch  string
	Epoch   uint64
	Gateway gateway.ID
	Waited  time.Duration // for the others, so far
	Alone   bool          // it waits no more for those that are cut off from Redis
}

// Vouch notes a voucher. It reports whether the launch may open: when all other
// gateways have vouched too, or it was open already. Until AliveFor has passed
// it waits for each that it knows of: while Postgres was away, nobody could
// beat. It returns ErrFenced if a later epoch has begun: nobody else vouches in
// this one.
func (l *Ledger) Vouch(ctx context.Context, v Voucher) (open bool, err error) {
	var later bool
	err = l.pool.QueryRow(ctx, `
		WITH mine AS (
			INSERT INTO vouchers (launch, epoch, gateway) SELECT id, $2, $3 FROM launches WHERE name = $1
			ON CONFLICT DO NOTHING)
		SELECT p.epoch > $2, p.opened >= $2 OR NOT EXISTS (
			SELECT FROM gateways g WHERE g.id <> $3 AND ($5 OR g.seen_at > now() - $4::interval) AND NOT ($6 AND g.cut_off)
			AND NOT EXISTS (SELECT FROM vouchers v WHERE v.launch = p.launch AND v.epoch = $2 AND v.gateway = g.id))
		FROM positions p JOIN launches l ON l.id = p.launch WHERE l.name = $1`,
		v.Launch, v.Epoch, [16]byte(v.Gateway), AliveFor, v.Waited < AliveFor, v.Alone).Scan(&later, &open)
	if err == nil && later {
		err = ErrFenced
	}
	if err != nil || !open {
		return false, err
	}
	_, err = l.pool.Exec(ctx, `UPDATE positions SET opened = greatest(opened, $2) WHERE launch = (SELECT id FROM launches WHERE name = $1)`, v.Launch, v.Epoch)
	return err == nil, err
}
