package ledger

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// codeEvent is an event and what it is sorted by: at equal times the order in
// which a redemption lives, then any that is the same at every reading.
type codeEvent struct {
	gateway.AuditEvent
	rank int
	tie  string
}

func (e codeEvent) key() string {
	return strconv.FormatInt(e.At.UnixMicro(), 10) + " " + strconv.Itoa(e.rank) + " " + e.tie
}

// codeEventsAfter lists events of a code behind a sort key.
const codeEventsAfter = `
	SELECT position, at, kind, subject, detail, actor, note, rank, tie FROM (
		SELECT position, created_at AS at, 'issued' AS kind, recipient AS subject, NULL::jsonb AS detail, '' AS actor, '' AS note, 0 AS rank, '' AS tie
		FROM codes WHERE launch = $1 AND code = $2
		UNION ALL
		SELECT position, created_at, CASE WHEN cause IN ('confirm', 'release', 'expire') OR status = 'held' THEN 'held' ELSE 'redeemed' END,
			subject, jsonb_build_object('redemption', id), '', '', 1, id::text FROM redemptions WHERE launch = $1 AND code = $2
		UNION ALL
		SELECT 0, settled_at, CASE cause WHEN 'confirm' THEN 'confirmed' WHEN 'rollback' THEN 'rolled_back' WHEN 'expire' THEN 'hold_expired' ELSE 'released' END,
			subject, jsonb_build_object('redemption', id), settled_by, note, 2, id::text FROM redemptions WHERE launch = $1 AND code = $2 AND settled_at IS NOT NULL
		UNION ALL
		SELECT position, at, kind, '', detail, actor, note, 3, position || ' ' || ordinal FROM changes
		WHERE launch = $1 AND subject = $2 AND kind IN ('revoked', 'reinstated', 'renewed')
		UNION ALL
		SELECT position, at, 'refused', '', jsonb_build_object('reason', reason, 'verb', verb), '', '', 4, position || ' ' || row_number() OVER (PARTITION BY position ORDER BY reason, verb)
		FROM attempts WHERE launch = $1 AND code = $2
	) e WHERE (at, rank, tie COLLATE "C") > ($3, $4, $5 COLLATE "C") ORDER BY at, rank, tie COLLATE "C" LIMIT $6`

// CodeEvents is the life of one code, oldest first.
func (l *Ledger) CodeEvents(ctx context.Context, launch string, code gateway.Code, p gateway.Page) (gateway.List[gateway.AuditEvent], error) {
	var none gateway.List[gateway.AuditEvent]
	cursor, err := decodeCursor(p)
	if err != nil {
		return none, err
	}
	after, rank, tie := time.UnixMicro(0), -1, ""
	if cursor != "" {
		words := strings.SplitN(cursor, " ", 3)
		if len(words) != 3 {
			return none, errCursor
		}
		micros, err1 := strconv.ParseInt(words[0], 10, 64)
		n, err2 := strconv.ParseInt(words[1], 10, 16)
		if err1 != nil || err2 != nil || micros < 0 || micros > 1<<52 {
			return none, errCursor
		}
		after, rank, tie = time.UnixMicro(micros), int(n), words[2]
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return none, err
	}
	rows, err := l.pool.Query(ctx, codeEventsAfter, id, string(code), after, rank, tie, p.Limit+1)
	if err != nil {
		return none, err
	}
	return pageOf(rows, p.Limit, func(row pgx.CollectableRow) (e codeEvent, err error) {
		var detail *json.RawMessage
		err = row.Scan(&e.Position, &e.At, &e.Kind, &e.Subject, &detail, &e.Actor, &e.Note, &e.rank, &e.tie)
		e.At = e.At.UTC()
		if detail != nil {
			e.Detail = *detail
		}
		return e, err
	}, codeEvent.key, func(e codeEvent) gateway.AuditEvent { return e.AuditEvent })
}

func scanEvent(row pgx.CollectableRow) (e gateway.AuditEvent, err error) {
	var detail *json.RawMessage
	err = row.Scan(&e.Position, &e.At, &e.Kind, &e.Subject, &detail, &e.Actor, &e.Note)
	e.At = e.At.UTC()
	if detail != nil {
		e.Detail = *detail
	}
	return e, err
}

// Changes lists what operators did to a launch, newest first.
func (l *Ledger) Changes(ctx context.Context, launch string, p gateway.Page) (gateway.List[gateway.AuditEvent], error) {
	var none gateway.List[gateway.AuditEvent]
	after, err := decodeCursor(p)
	if err != nil {
		return none, err
	}
	before, err := strconv.ParseInt(after, 10, 64)
	if after == "" {
		before, err = 1<<62, nil
	}
	if err != nil {
		return none, errCursor
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return none, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT position, min(at), kind, CASE WHEN count(*) = 1 THEN min(subject) ELSE count(*) || ' codes' END,
			(array_agg(detail))[1], min(actor), min(note)
		FROM changes WHERE launch = $1 AND position < $2 GROUP BY position, kind ORDER BY position DESC LIMIT $3`, id, before, p.Limit+1)
	if err != nil {
		return none, err
	}
	return page(rows, p.Limit, scanEvent, func(e gateway.AuditEvent) string { return strconv.FormatUint(e.Position, 10) })
}

// conflictRow is a conflict and its place among those of one record.
type conflictRow struct {
	gateway.ConflictRow
	ordinal int
}

// Conflicts lists what the constraints refused, newest first.
func (l *Ledger) Conflicts(ctx context.Context, launch string, p gateway.Page) (gateway.List[gateway.ConflictRow], error) {
	position, ordinal, err := placeCursor(p)
	if err != nil {
		return gateway.List[gateway.ConflictRow]{}, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT l.name, c.position, c.at, c.kind, c.detail, c.event, c.ordinal FROM conflicts c JOIN launches l ON l.id = c.launch
		WHERE l.name = $1 AND (c.position, c.ordinal) < ($2, $3) ORDER BY c.position DESC, c.ordinal DESC LIMIT $4`, launch, position, ordinal, p.Limit+1)
	if err != nil {
		return gateway.List[gateway.ConflictRow]{}, err
	}
	return pageOf(rows, p.Limit, func(row pgx.CollectableRow) (c conflictRow, err error) {
		err = row.Scan(&c.Launch, &c.Position, &c.At, &c.Kind, &c.Detail, &c.Event, &c.ordinal)
		c.At = c.At.UTC()
		return c, err
	}, func(c conflictRow) string {
		return strconv.FormatUint(c.Position, 10) + " " + strconv.Itoa(c.ordinal)
	}, func(c conflictRow) gateway.ConflictRow { return c.ConflictRow })
}

// Parked lists records that were put aside, newest first.
func (l *Ledger) Parked(ctx context.Context, launch string, p gateway.Page) (gateway.List[gateway.ParkedRow], error) {
	position, _, err := placeCursor(p)
	if err != nil {
		return gateway.List[gateway.ParkedRow]{}, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT l.name, p.position, p.at, p.error, p.record FROM parked p JOIN launches l ON l.id = p.launch
		WHERE l.name = $1 AND p.position < $2 ORDER BY p.position DESC LIMIT $3`, launch, position, p.Limit+1)
	if err != nil {
		return gateway.List[gateway.ParkedRow]{}, err
	}
	return page(rows, p.Limit, func(row pgx.CollectableRow) (r gateway.ParkedRow, err error) {
		err = row.Scan(&r.Launch, &r.Position, &r.At, &r.Error, &r.Record)
		r.At = r.At.UTC()
		return r, err
	}, func(r gateway.ParkedRow) string { return strconv.FormatUint(r.Position, 10) + " 0" })
}
