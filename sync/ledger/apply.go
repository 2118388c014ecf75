package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"admitone/gateway"
)

// Batch is records of one launch that follow each other.
type Batch struct {
	Launch  string
	Epoch   uint64
	After   uint64 // position before the first record
	Records []gateway.Record
}

// Result says what Apply found.
type Result struct{ Conflicts int }

// Apply commits a batch: its rows and the position, in one transaction. It
// returns ErrFenced if the launch is not at batch.After in batch.Epoch. After
// any other error the transaction may have been committed all the same: ask
// Position.
func (l *Ledger) Apply(ctx context.Context, b Batch) (Result, error) {
	var result Result
	if len(b.Records) == 0 {
		return result, nil
	}
	warned := l.warnings.Load()
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		a := &applier{Ledger: l, tx: tx, launchName: b.Launch, erased: map[string]uint64{}}
		if err := a.move(ctx, b); err != nil {
			return err
		}
		if err := a.events(ctx, placeAll(b.Records)); err != nil {
			return err
		}
		result.Conflicts = a.conflicts
		return a.journal(ctx, b.Records)
	})
	if err == nil && l.warnings.Load() != warned {
		err = errMaybe
	}
	return result, err
}

// Park keeps a record that could not be read or applied, and moves the
// position past it.
func (l *Ledger) Park(ctx context.Context, b Batch, cause error) error {
	if len(b.Records) != 1 {
		return fmt.Errorf("ledger: %d records cannot be parked at once", len(b.Records))
	}
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		a := &applier{Ledger: l, tx: tx, launchName: b.Launch}
		if err := a.move(ctx, b); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO parked (launch, position, error, record) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			a.launch, b.Records[0].Seq, cause.Error(), printable(b.Records[0].Raw))
		return err
	})
}

// placed is an event and where it stands in the journal.
type placed struct {
	gateway.Event
	record  *gateway.Record
	ordinal int
}

func placeAll(records []gateway.Record) []placed {
	var list []placed
	for i := range records {
		for n, e := range records[i].Events {
			list = append(list, placed{e, &records[i], n})
		}
	}
	return list
}

// applier writes one batch inside its transaction.
type applier struct {
	*Ledger
	tx         pgx.Tx
	launchName string
	launch     int32 // the launch's id
	conflicts  int
	erased     map[string]uint64 // subjects that this batch erases, and where
}

// move takes the position from before the batch to behind it: the fence. The
// first record of a launch makes the launch.
//
// Every statement of a batch finds a few thousand rows by their keys. Where a
// table has grown since Postgres last looked (a million codes minted a moment
// ago), it takes the table for small and reads all of it, for each batch; so
// the transaction is told to look rows up.
func (a *applier) move(ctx context.Context, b Batch) error {
	last := b.Records[len(b.Records)-1]
	if b.After == 0 {
		if err := a.create(ctx, b); err != nil {
			return err
		}
	}
	err := a.tx.QueryRow(ctx, `
		UPDATE positions SET seq = $4, bytes = $5
		WHERE launch = (SELECT id FROM launches WHERE name = $1) AND epoch = $2 AND seq = $3
		RETURNING launch, set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`,
		b.Launch, b.Epoch, b.After, last.Seq, last.Bytes).Scan(&a.launch, nil, nil)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFenced
	}
	return err
}

func (a *applier) create(ctx context.Context, b Batch) error {
	_, err := a.tx.Exec(ctx, `
		WITH made AS (
			INSERT INTO launches (name, version, open, policy, updated_at) VALUES ($1, 0, false, '{}', $3)
			ON CONFLICT DO NOTHING RETURNING id)
		INSERT INTO positions (launch, seq, epoch, bytes, opened) SELECT id, 0, $2, 0, $2 FROM made`,
		b.Launch, b.Epoch, b.Records[0].At)
	return err
}

// conflict is an event that the constraints refuse.
type conflict struct{ kind, detail string }

func (c *conflict) Error() string { return "ledger: conflict: " + c.kind + ": " + c.detail }

// asConflict reads a broken constraint as a conflict; any other error is not
// one.
func asConflict(err error) (*conflict, bool) {
	var c *conflict
	if errors.As(err, &c) {
		return c, true
	}
	var pg *pgconn.PgError
	var follower *followerError
	if !errors.As(err, &pg) || errors.As(err, &follower) {
		return nil, false
	}
	switch pg.Code {
	case "23505", "23514", "23503", "23502": // unique, check, foreign key, not null
		kind := "constraint"
		switch pg.ConstraintName {
		case "codes_uses":
			kind = "cap"
		case "redemptions_once":
			kind = "once_per_subject"
		case "codes_pkey":
			kind = "code_exists"
		}
		return &conflict{kind, pg.ConstraintName}, true
	}
	return nil, false
}

// events applies events as one set. Where a constraint refuses, it halves the
// set until the event at fault stands alone, in the order of history; that one
// becomes a row of conflicts.
func (a *applier) events(ctx context.Context, list []placed) error {
	if len(list) == 0 {
		return nil
	}
	nested, err := a.tx.Begin(ctx) // a savepoint
	if err != nil {
		return err
	}
	outer := a.tx
	a.tx = nested
	err = a.set(ctx, list)
	a.tx = outer
	if err == nil {
		return nested.Commit(ctx)
	}
	if back := nested.Rollback(ctx); back != nil {
		return errors.Join(err, back)
	}
	c, ok := asConflict(err)
	if !ok {
		return err
	}
	if len(list) > 1 {
		half := len(list) / 2
		if err := a.events(ctx, list[:half]); err != nil {
			return err
		}
		return a.events(ctx, list[half:])
	}
	a.conflicts++
	e := list[0]
	_, err = a.tx.Exec(ctx, `
		INSERT INTO conflicts (launch, position, ordinal, at, kind, detail, event) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`, a.launch, e.record.Seq, e.ordinal, e.record.At, c.kind, c.detail, e.line())
	return err
}
