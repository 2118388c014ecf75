package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// ReferralStats is what a member's referrals came to (the member by its key):
// as many of them as the page asks for.
func (l *Ledger) ReferralStats(ctx context.Context, launch, subject string, p gateway.Page) (s gateway.ReferralStats, err error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return s, err
	}
	account, err := l.Account(ctx, launch, subject)
	if err != nil {
		return s, err
	}
	s.TotalEarned, s.CurrentBalance, s.Referrals = account.Earned, account.Balance, []gateway.FriendRow{}
	err = l.pool.QueryRow(ctx, `
		SELECT m.referrals, coalesce((SELECT coalesce(c.display, r.code) FROM member_events v JOIN redemptions r ON r.launch = v.launch AND r.subject_key = v.subject_key AND r.status = 'committed'
			LEFT JOIN codes c ON c.launch = r.launch AND c.code = r.code
			WHERE v.launch = m.launch AND v.subject_key = m.subject_key AND v.cause = 'joined' AND m.inviter_key <> '' AND c.issuer_key = m.inviter_key
			ORDER BY v.position LIMIT 1), '')
		FROM members m WHERE m.launch = $1 AND m.subject_key = $2`, id, subject).Scan(&s.TotalReferrals, &s.ReferredByCode)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT m.subject, m.name, m.joined_at, coalesce(e.status, 'none'),
			coalesce((SELECT sum(c.amount) FROM credit_entries c WHERE c.launch = m.launch AND c.account = $2 AND c.referee_key = m.subject_key), 0)::bigint
		FROM members m LEFT JOIN earnings e ON e.launch = m.launch AND e.subject_key = m.subject_key
		WHERE m.launch = $1 AND m.inviter_key = $2 ORDER BY m.joined_at DESC, m.subject_key LIMIT $3`, id, subject, p.Limit)
	if err != nil {
		return s, err
	}
	friends, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f gateway.FriendRow, err error) {
		var joined *time.Time
		err = row.Scan(&f.Subject, &f.Name, &joined, &f.Reward, &f.Earned)
		f.Joined = orZero(joined)
		return f, err
	})
	s.Referrals = append(s.Referrals, friends...)
	return s, err
}
