package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

const codeColumns = `c.display, c.code, g.name, g.channel, c.revoked, c.used, coalesce(c.max_uses, g.max_uses), c.expires_at, g.document, c.created_at
	FROM codes c JOIN campaigns g ON g.launch = c.launch AND g.number = c.campaign`

const codesAfter = `SELECT ` + codeColumns + `
	WHERE c.launch = $1 AND ($2::int = 0 OR c.campaign = $2) AND c.code > $3 ORDER BY c.code LIMIT $4`

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
func (l *Ledger) Codes(ctx context.Context, launch string, campaign uint32, p gateway.Page) (gateway.List[gateway.CodeRow], error) {
	var none gateway.List[gateway.CodeRow]
	after, err := decodeCursor(p)
	if err != nil {
		return none, err
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return none, err
	}
	rows, err := l.pool.Query(ctx, codesAfter, id, campaign, after, p.Limit+1)
	if err != nil {
		return none, err
	}
	return pageOf(rows, p.Limit, scanCodeRow(time.Now()), func(r codeRow) string { return r.canonical }, func(r codeRow) gateway.CodeRow { return r.CodeRow })
}

// exportPage is how many codes an export reads at once.
const exportPage = 5000

// ExportCodes hands every code of a campaign on, one after the other, or all of
// the launch for campaign 0. It reads page by page and holds no connection
// while its caller is busy with a row: a slow one costs Postgres nothing. Codes
// that are minted meanwhile may be among them or not.
func (l *Ledger) ExportCodes(ctx context.Context, launch string, campaign uint32, to func(gateway.CodeRow) error) error {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return err
	}
	for after := ""; ; {
		rows, err := l.pool.Query(ctx, codesAfter, id, campaign, after, exportPage)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, scanCodeRow(time.Now()))
		if err != nil {
			return err
		}
		for _, r := range list {
			if err := to(r.CodeRow); err != nil {
				return err
			}
		}
		if len(list) < exportPage {
			return nil
		}
		after = list[len(list)-1].canonical
	}
}

// CountCodes is how many codes a campaign has.
func (l *Ledger) CountCodes(ctx context.Context, launch string, campaign uint32) (n int, err error) {
	err = l.pool.QueryRow(ctx, `
		SELECT count(*) FROM codes WHERE launch = (SELECT id FROM launches WHERE name = $1) AND campaign = $2`, launch, campaign).Scan(&n)
	return n, err
}
