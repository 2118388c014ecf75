package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// Referrals lists who came by a member's invites (the member by its key), and
// by theirs, down to a depth: the nearest first. Who comes by two ways, because
// somebody was taken back and invited anew, is listed on the shortest.
func (l *Ledger) Referrals(ctx context.Context, launch, subject string, depth int, p gateway.Page) (gateway.List[gateway.ReferralRow], error) {
	var none gateway.List[gateway.ReferralRow]
	cursor, err := decodeCursor(p)
	if err != nil {
		return none, err
	}
	after, key := 0, ""
	if cursor != "" {
		first, rest, _ := strings.Cut(cursor, " ")
		if after, err = strconv.Atoi(first); err != nil {
			return none, errCursor
		}
		key = rest
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return none, err
	}
	rows, err := l.pool.Query(ctx, `
		WITH RECURSIVE tree (key, depth) AS (
			SELECT subject_key, 1 FROM members WHERE launch = $1 AND inviter_key = $2
			UNION
			SELECT m.subject_key, t.depth + 1 FROM members m JOIN tree t ON m.inviter_key = t.key WHERE m.launch = $1 AND t.depth < $3
		), nearest AS (SELECT key, min(depth) AS depth FROM tree WHERE key <> $2 GROUP BY key)
		SELECT m.subject_key, m.subject, coalesce(i.subject, ''), m.name, n.depth, m.method IN ('invite_code', 'license_key'), m.referrals, m.joined_at
		FROM nearest n JOIN members m ON m.launch = $1 AND m.subject_key = n.key
		LEFT JOIN members i ON i.launch = $1 AND i.subject_key = m.inviter_key
		WHERE (n.depth, m.subject_key) > ($4, $5) ORDER BY n.depth, m.subject_key LIMIT $6`,
		id, subject, min(depth, gateway.MaxReferralDepth), after, key, p.Limit+1)
	if err != nil {
		return none, err
	}
	type row struct {
		gateway.ReferralRow
		key string
	}
	return pageOf(rows, p.Limit, func(r pgx.CollectableRow) (m row, err error) {
		var joined *time.Time
		err = r.Scan(&m.key, &m.Subject, &m.InvitedBy, &m.Name, &m.Depth, &m.Member, &m.Referrals, &joined)
		m.Joined = orZero(joined)
		return m, err
	}, func(m row) string { return fmt.Sprintf("%d %s", m.Depth, m.key) }, func(m row) gateway.ReferralRow { return m.ReferralRow })
}

// Leaderboard lists the members with the most referrals by display name; those
// who are private, or have no name, are not on it.
func (l *Ledger) Leaderboard(ctx context.Context, launch string, most int) ([]gateway.LeaderRow, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return nil, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT rank() OVER (ORDER BY referrals DESC), name, referrals FROM members
		WHERE launch = $1 AND referrals > 0 AND NOT private AND name <> '' ORDER BY referrals DESC, joined_at, subject_key LIMIT $2`, id, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.LeaderRow])
}
