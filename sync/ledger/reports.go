package ledger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// List is a page of rows. Next is the cursor of the page behind it, "" for the
// last.
type List[T any] struct {
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
	Next    string `json:"next,omitempty"`
}

// cursor turns the sort key of a page's last row into an opaque word and back.
func encodeCursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

func decodeCursor(p gateway.Page) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil {
		return "", gateway.Invalid("after", "Use the next of the page before, unchanged.")
	}
	return string(b), nil
}

// page collects limit rows of a query for one more than that.
func page[T any](rows pgx.Rows, limit int, scan pgx.RowToFunc[T], key func(T) string) (List[T], error) {
	data, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return List[T]{}, err
	}
	l := List[T]{Data: data, HasMore: len(data) > limit}
	if l.HasMore {
		l.Data = data[:limit]
		l.Next = encodeCursor(key(data[limit-1]))
	}
	return l, nil
}

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
func (l *Ledger) Redemptions(ctx context.Context, launch string, f gateway.RedemptionFilter, p gateway.Page) (List[gateway.RedemptionRow], error) {
	after, err := decodeCursor(p)
	if err != nil {
		return List[gateway.RedemptionRow]{}, err
	}
	before := any(nil)
	if after != "" {
		if _, err := gateway.ParseID(after); err != nil {
			return List[gateway.RedemptionRow]{}, gateway.Invalid("after", "Use the next of the page before, unchanged.")
		}
		before = after
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return List[gateway.RedemptionRow]{}, err
	}
	rows, err := l.pool.Query(ctx, `SELECT `+redemptionColumns+`
		WHERE r.launch = $1 AND ($2::uuid IS NULL OR r.id < $2) AND ($3 = '' OR g.name = $3) AND ($4 = '' OR r.subject = $4)
		  AND ($5 = '' OR r.code = $5) AND ($6 = '' OR r.status = $6) ORDER BY r.id DESC LIMIT $7`,
		id, before, f.Campaign, f.Subject, string(f.Code), string(f.Status), p.Limit+1)
	if err != nil {
		return List[gateway.RedemptionRow]{}, err
	}
	return page(rows, p.Limit, scanRedemptionRow, func(r gateway.RedemptionRow) string { return r.ID.String() })
}

const codeColumns = `c.display, c.code, g.name, g.channel, c.revoked, c.used, coalesce(c.max_uses, g.max_uses), c.expires_at, g.document, c.created_at
	FROM codes c JOIN campaigns g ON g.launch = c.launch AND g.number = c.campaign`

// codeRow is a row of codes and the canonical text that it is sorted by.
type codeRow struct {
	gateway.CodeRow
	canonical string
}

func scanCodeRow(now time.Time) pgx.RowToFunc[codeRow] {
	return func(row pgx.CollectableRow) (r codeRow, err error) {
		var revoked bool
		var expires *time.Time
		var c gateway.Campaign
		err = row.Scan(&r.Code, &r.canonical, &r.Campaign, &r.Channel, &revoked, &r.Used, &r.MaxUses, &expires, &c, &r.Created)
		r.Created, r.ExpiresAt = r.Created.UTC(), orZero(expires)
		switch {
		case revoked || c.State == gateway.CampaignWithdrawn:
			r.State = gateway.CodeIsRevoked
		case !c.Starts.IsZero() && now.Before(c.Starts):
			r.State = gateway.CodeIsNotStarted
		case expires != nil && !now.Before(*expires), !c.Ends.IsZero() && !now.Before(c.Ends):
			r.State = gateway.CodeIsExpired
		case r.Used >= r.MaxUses:
			r.State = gateway.CodeIsExhausted
		default:
			r.State = gateway.CodeActive
		}
		return r, err
	}
}

// Codes lists a campaign's codes, or all of the launch for campaign 0.
func (l *Ledger) Codes(ctx context.Context, launch string, campaign uint32, p gateway.Page) (List[gateway.CodeRow], error) {
	var none List[gateway.CodeRow]
	after, err := decodeCursor(p)
	if err != nil {
		return none, err
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return none, err
	}
	rows, err := l.pool.Query(ctx, `SELECT `+codeColumns+`
		WHERE c.launch = $1 AND ($2::int = 0 OR c.campaign = $2) AND c.code > $3 ORDER BY c.code LIMIT $4`, id, campaign, after, p.Limit+1)
	if err != nil {
		return none, err
	}
	list, err := page(rows, p.Limit, scanCodeRow(time.Now()), func(r codeRow) string { return r.canonical })
	plain := List[gateway.CodeRow]{HasMore: list.HasMore, Next: list.Next, Data: make([]gateway.CodeRow, len(list.Data))}
	for i, r := range list.Data {
		plain.Data[i] = r.CodeRow
	}
	return plain, err
}

// ExportCodes hands every code of a campaign on, one after the other, as of one
// moment.
func (l *Ledger) ExportCodes(ctx context.Context, launch string, campaign uint32, to func(gateway.CodeRow) error) error {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return err
	}
	return pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+codeColumns+` WHERE c.launch = $1 AND ($2::int = 0 OR c.campaign = $2) ORDER BY c.code`, id, campaign)
		if err != nil {
			return err
		}
		defer rows.Close()
		scan := scanCodeRow(time.Now())
		for rows.Next() {
			r, err := scan(rows)
			if err != nil {
				return err
			}
			if err := to(r.CodeRow); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// CodeEvents is the life of one code, oldest first: at most 1,000 events.
func (l *Ledger) CodeEvents(ctx context.Context, launch string, code gateway.Code) ([]gateway.AuditEvent, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return nil, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT * FROM (
			SELECT position, created_at AS at, 'issued' AS kind, recipient AS subject, NULL::jsonb AS detail, '' AS actor, '' AS note
			FROM codes WHERE launch = $1 AND code = $2
			UNION ALL
			SELECT position, created_at, CASE WHEN cause IN ('confirm', 'release', 'expire') OR status = 'held' THEN 'held' ELSE 'redeemed' END,
				subject, jsonb_build_object('redemption', id), '', '' FROM redemptions WHERE launch = $1 AND code = $2
			UNION ALL
			SELECT position, settled_at, CASE cause WHEN 'confirm' THEN 'confirmed' WHEN 'rollback' THEN 'rolled_back' WHEN 'expire' THEN 'hold_expired' ELSE 'released' END,
				subject, jsonb_build_object('redemption', id), settled_by, note FROM redemptions WHERE launch = $1 AND code = $2 AND settled_at IS NOT NULL
			UNION ALL
			SELECT position, at, kind, '', detail, actor, note FROM changes WHERE launch = $1 AND subject = $2 AND kind IN ('revoked', 'reinstated', 'renewed')
			UNION ALL
			SELECT position, at, 'refused', '', jsonb_build_object('reason', reason, 'verb', verb), '', '' FROM attempts WHERE launch = $1 AND code = $2
		) e ORDER BY at, position LIMIT 1000`, id, string(code))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEvent)
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
func (l *Ledger) Changes(ctx context.Context, launch string, p gateway.Page) (List[gateway.AuditEvent], error) {
	var none List[gateway.AuditEvent]
	after, err := decodeCursor(p)
	if err != nil {
		return none, err
	}
	before, err := strconv.ParseInt(after, 10, 64)
	if after == "" {
		before, err = 1<<62, nil
	}
	if err != nil {
		return none, gateway.Invalid("after", "Use the next of the page before, unchanged.")
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

// Conflicts lists what the constraints refused, newest first: at most limit.
func (l *Ledger) Conflicts(ctx context.Context, launch string, limit int) ([]gateway.ConflictRow, error) {
	rows, err := l.pool.Query(ctx, `
		SELECT l.name, c.position, c.at, c.kind, c.detail, c.event FROM conflicts c JOIN launches l ON l.id = c.launch
		WHERE l.name = $1 ORDER BY c.position DESC, c.ordinal DESC LIMIT $2`, launch, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.ConflictRow])
}

// Parked lists records that were put aside, newest first: at most limit.
func (l *Ledger) Parked(ctx context.Context, launch string, limit int) ([]gateway.ParkedRow, error) {
	rows, err := l.pool.Query(ctx, `
		SELECT l.name, p.position, p.at, p.error, p.record FROM parked p JOIN launches l ON l.id = p.launch
		WHERE l.name = $1 ORDER BY p.position DESC LIMIT $2`, launch, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.ParkedRow])
}

// Stats are a launch's figures, all as of one moment.
func (l *Ledger) Stats(ctx context.Context, launch string) (gateway.Stats, error) {
	s := gateway.Stats{Launch: launch, Campaigns: []gateway.CampaignStats{}, Refused: map[gateway.Reason]int{}}
	err := pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var id int32
		err := tx.QueryRow(ctx, `SELECT l.id, p.seq FROM launches l JOIN positions p ON p.launch = l.id WHERE l.name = $1`, launch).Scan(&id, &s.Position)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT g.name, g.channel, g.document ->> 'kind', coalesce(c.issued, 0), coalesce(c.revoked, 0), coalesce(v.opened, 0),
				coalesce(r.held, 0), coalesce(r.redeemed, 0), coalesce(r.released, 0), coalesce(r.rolled_back, 0)
			FROM campaigns g
			LEFT JOIN (SELECT campaign, count(*) AS issued, count(*) FILTER (WHERE revoked) AS revoked FROM codes WHERE launch = $1 GROUP BY 1) c ON c.campaign = g.number
			LEFT JOIN (SELECT campaign, sum(opened)::bigint AS opened FROM visits WHERE launch = $1 GROUP BY 1) v ON v.campaign = g.number
			LEFT JOIN (SELECT campaign, count(*) FILTER (WHERE status = 'held') AS held, count(*) FILTER (WHERE status = 'committed') AS redeemed,
				count(*) FILTER (WHERE status = 'released') AS released, count(*) FILTER (WHERE status = 'rolled_back') AS rolled_back
				FROM redemptions WHERE launch = $1 GROUP BY 1) r ON r.campaign = g.number
			WHERE g.launch = $1 ORDER BY g.number`, id)
		if err != nil {
			return err
		}
		if s.Campaigns, err = pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.CampaignStats]); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `SELECT reason, count(*) FROM attempts WHERE launch = $1 GROUP BY 1`, id)
		if err != nil {
			return err
		}
		var reason string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error {
			s.Refused[gateway.Reason(reason)] = n
			return nil
		})
		return err
	})
	return s, err
}
