package ledger

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// everyMember are a launch's members ($1): who has a record, and who merely
// redeemed a code: the first of those is the one that counts. Each has one row
// under its key.
const everyMember = `
	SELECT m.subject_key, m.subject, m.email, m.name, m.tier, m.method, m.campaign, m.inviter_key, m.rounds, m.used, m.until, m.allotment,
		m.referrals, m.private, m.joined_at, m.erased_at FROM members m WHERE m.launch = $1
	UNION ALL
	(SELECT DISTINCT ON (r.subject_key) r.subject_key, r.subject, r.email, r.name, '',
		CASE g.document ->> 'kind' WHEN 'license' THEN 'license_key' ELSE 'invite_code' END, r.campaign, '', -1, 0, NULL, 0, 0, false, r.created_at, NULL
	FROM redemptions r JOIN campaigns g ON g.launch = r.launch AND g.number = r.campaign
	WHERE r.launch = $1 AND r.status = 'committed' AND NOT EXISTS (SELECT FROM members m WHERE m.launch = r.launch AND m.subject_key = r.subject_key)
	ORDER BY r.subject_key, r.created_at, r.id)`

// memberRow is a row of a list and what it is sorted by.
type memberRow struct {
	gateway.MemberRow
	key string
}

const memberColumns = `e.subject_key, e.subject, e.email, e.name,
	coalesce(nullif(e.tier, ''), nullif(g.document ->> 'tier', ''), l.policy #>> '{unlock,tier}', ''), e.method, coalesce(g.name, ''), e.inviter_key <> '',
	e.rounds, e.used, e.until, e.allotment, e.referrals, e.private, e.joined_at, e.erased_at IS NOT NULL`

func scanMember(row pgx.CollectableRow) (m memberRow, err error) {
	var until, joined *time.Time
	err = row.Scan(&m.key, &m.Subject, &m.Email, &m.Name, &m.Tier, &m.Method, &m.Campaign, &m.Invited, &m.Rounds, &m.Used, &until,
		&m.Allotment, &m.Referrals, &m.Private, &joined, &m.Erased)
	m.Until, m.Joined = orZero(until), orZero(joined)
	return m, err
}

// Members lists members by their keys: in no order that says anything, but the
// same at every reading.
func (l *Ledger) Members(ctx context.Context, launch string, f gateway.MemberFilter, p gateway.Page) (gateway.List[gateway.MemberRow], error) {
	after, err := decodeCursor(p)
	if err != nil {
		return gateway.List[gateway.MemberRow]{}, err
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return gateway.List[gateway.MemberRow]{}, err
	}
	rows, err := l.pool.Query(ctx, `SELECT `+memberColumns+`
		FROM (`+everyMember+`) e JOIN launches l ON l.id = $1 LEFT JOIN campaigns g ON g.launch = $1 AND g.number = e.campaign
		WHERE e.subject_key > $2 AND ($3 = '' OR e.email = $3) AND ($4 = '' OR e.method = $4)
		  AND ($5 = '' OR coalesce(nullif(e.tier, ''), nullif(g.document ->> 'tier', ''), l.policy #>> '{unlock,tier}', '') = $5)
		ORDER BY e.subject_key LIMIT $6`, id, after, f.Email, string(f.Method), f.Tier, p.Limit+1)
	if err != nil {
		return gateway.List[gateway.MemberRow]{}, err
	}
	return pageOf(rows, p.Limit, scanMember, func(m memberRow) string { return m.key }, func(m memberRow) gateway.MemberRow { return m.MemberRow })
}
