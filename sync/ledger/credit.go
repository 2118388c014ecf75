package ledger

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// money is what a list of events comes to for payments and what they give.
type money struct {
	payments map[string]placed // by key, the last record
	earnings map[string]placed // by subject, the last record
	credits  []placed
}

func newMoney() money {
	return money{payments: map[string]placed{}, earnings: map[string]placed{}}
}

// fields are the words of a packed record, as many as are asked for.
func fields(record string, n int) []string {
	w := strings.Split(printable(record), ";")
	for len(w) < n {
		w = append(w, "")
	}
	return w
}

// whole reads a word that the scripts wrote; "" is 0.
func whole(word string) int64 {
	n, _ := strconv.ParseInt(word, 10, 64)
	return n
}

func timeAt(word string) *time.Time {
	if n := whole(word); n != 0 {
		t := time.UnixMilli(n).UTC()
		return &t
	}
	return nil
}

// putPayments writes the last record of each payment.
func (a *applier) putPayments(ctx context.Context, s *set) error {
	keys := slices.Sorted(maps.Keys(s.payments))
	n := len(keys)
	if n == 0 {
		return nil
	}
	id, subject, currency, record := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	amount, refunded, position := make([]int64, n), make([]int64, n), make([]int64, n)
	paid, at := make([]*time.Time, n), make([]time.Time, n)
	for i, key := range keys {
		p := s.payments[key]
		e := p.Event.(gateway.PaymentLearned)
		w := fields(e.Record, 7) // lua/lib/rewards.lua
		id[i], record[i], position[i], at[i] = printable(e.ID), printable(e.Record), int64(p.record.Seq), p.record.At
		subject[i], amount[i], currency[i], refunded[i], paid[i] = w[0], whole(w[1]), w[2], whole(w[3]), timeAt(w[6])
	}
	_, err := a.tx.Exec(ctx, `
		INSERT INTO payments (launch, key, id, subject_key, currency, record, amount, refunded, position, paid_at, first_at)
		SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::timestamptz[], $11::timestamptz[])
		ON CONFLICT (launch, key) DO UPDATE SET subject_key = excluded.subject_key, currency = excluded.currency, record = excluded.record,
			amount = excluded.amount, refunded = excluded.refunded, position = excluded.position, paid_at = excluded.paid_at`,
		a.launch, keys, id, subject, currency, record, amount, refunded, position, paid, at)
	return err
}

// putEarnings writes the last record of what each subject's purchases give.
func (a *applier) putEarnings(ctx context.Context, s *set) error {
	keys := slices.Sorted(maps.Keys(s.earnings))
	n := len(keys)
	if n == 0 {
		return nil
	}
	status, payment, referrer, currency, record := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	toReferrer, toReferee, position := make([]int64, n), make([]int64, n), make([]int64, n)
	due, at := make([]*time.Time, n), make([]time.Time, n)
	for i, key := range keys {
		p := s.earnings[key]
		e := p.Event.(gateway.EarningChanged)
		w := fields(e.Record, 9) // lua/lib/rewards.lua
		status[i], payment[i], referrer[i], currency[i], record[i] = string(gateway.ReadRewardStatus(w[1])), w[2], w[3], w[6], printable(e.Record)
		toReferrer[i], toReferee[i], due[i], at[i], position[i] = whole(w[4]), whole(w[5]), timeAt(w[7]), p.record.At, int64(p.record.Seq)
	}
	_, err := a.tx.Exec(ctx, `
		INSERT INTO earnings (launch, subject_key, status, payment, referrer_key, currency, record, to_referrer, to_referee, position, due_at, changed_at)
		SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::timestamptz[], $12::timestamptz[])
		ON CONFLICT (launch, subject_key) DO UPDATE SET status = excluded.status, payment = excluded.payment, referrer_key = excluded.referrer_key,
			currency = excluded.currency, record = excluded.record, to_referrer = excluded.to_referrer, to_referee = excluded.to_referee,
			position = excluded.position, due_at = excluded.due_at, changed_at = excluded.changed_at`,
		a.launch, keys, status, payment, referrer, currency, record, toReferrer, toReferee, position, due, at)
	return err
}

// credit writes both entries of every movement.
func (a *applier) credit(ctx context.Context, s *set) error {
	rows := make([][]any, 0, 2*len(s.credits))
	for _, p := range s.credits {
		e := p.Event.(gateway.Credited)
		amount := int64(e.Amount)
		if e.What == gateway.CreditClawback {
			amount = -amount
		}
		for _, side := range []struct {
			account string
			amount  int64
		}{{e.Subject, amount}, {"", -amount}} {
			rows = append(rows, []any{a.launch, p.record.Seq, p.ordinal, side.account, side.amount, e.Currency, string(e.What), e.Referee, e.Payment, p.record.At})
		}
	}
	return a.copy(ctx, "credit_entries", []string{
		"launch", "position", "ordinal", "account", "amount", "currency", "kind", "referee_key", "payment", "at",
	}, rows)
}

// Account is what a member (by its key) earned and has.
func (l *Ledger) Account(ctx context.Context, launch, subject string) (gateway.Account, error) {
	a := gateway.Account{Earned: []gateway.Money{}, Balance: []gateway.Money{}}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return a, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT currency, coalesce(sum(amount) FILTER (WHERE kind = 'reward'), 0)::bigint, sum(amount)::bigint FROM credit_entries
		WHERE launch = $1 AND account = $2 AND account <> '' GROUP BY currency ORDER BY currency`, id, subject)
	if err != nil {
		return a, err
	}
	var currency string
	var earned, balance int
	_, err = pgx.ForEachRow(rows, []any{&currency, &earned, &balance}, func() error {
		a.Earned, a.Balance = append(a.Earned, gateway.Money{Amount: earned, Currency: currency}), append(a.Balance, gateway.Money{Amount: balance, Currency: currency})
		return nil
	})
	return a, err
}

// AuditCredit lists what is wrong with a launch's accounts: movements whose two
// sides do not come to nothing, and rewards whose status is not what moved.
func (l *Ledger) AuditCredit(ctx context.Context, launch string) ([]gateway.StoredText, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return nil, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT 'movement ' || position || '.' || ordinal, 'its sides come to ' || sum(amount) FROM credit_entries
		WHERE launch = $1 GROUP BY position, ordinal, currency HAVING sum(amount) <> 0 OR count(*) <> 2
		UNION ALL
		SELECT 'reward for ' || key, 'paid ' || moved || ', its status says ' || due FROM (
			SELECT coalesce(e.subject_key, c.referee_key) AS key, coalesce(c.moved, 0) AS moved,
				CASE WHEN e.status = 'paid' THEN e.to_referrer + e.to_referee ELSE 0 END AS due
			FROM (SELECT * FROM earnings WHERE launch = $1) e
			FULL JOIN (SELECT referee_key, sum(amount) AS moved FROM credit_entries WHERE launch = $1 AND account <> '' GROUP BY referee_key) c
				ON c.referee_key = e.subject_key) x
		WHERE moved <> coalesce(due, 0) LIMIT 100`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.StoredText])
}

// DueRewards lists subjects, by their keys, whose rewards can be settled now:
// those whose delay is over, and those that were referred after they paid.
func (l *Ledger) DueRewards(ctx context.Context, launch string, now time.Time, most int) ([]string, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return nil, err
	}
	rows, err := l.pool.Query(ctx, `
		(SELECT e.subject_key FROM earnings e JOIN launches l ON l.id = e.launch
		WHERE e.launch = $1 AND e.due_at <= $2 AND (e.status = 'approved' OR e.status = 'pending' AND NOT coalesce((l.policy #>> '{rewards,pays,approval}')::bool, false)) LIMIT $3)
		UNION
		(SELECT e.subject_key FROM earnings e JOIN members m ON m.launch = e.launch AND m.subject_key = e.subject_key
		WHERE e.launch = $1 AND e.status = 'none' AND e.referrer_key = '' AND m.inviter_key <> '' AND m.position > e.position
			AND EXISTS (SELECT FROM payments p WHERE p.launch = e.launch AND p.subject_key = e.subject_key AND p.amount > p.refunded) LIMIT $3)`, id, now, most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Rewards lists friends' rewards, by the friends' keys.
func (l *Ledger) Rewards(ctx context.Context, launch string, f gateway.RewardFilter, p gateway.Page) (gateway.List[gateway.RewardRow], error) {
	after, err := decodeCursor(p)
	if err != nil {
		return gateway.List[gateway.RewardRow]{}, err
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return gateway.List[gateway.RewardRow]{}, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT e.subject_key, coalesce(m.subject, ''), coalesce(i.subject, ''), coalesce(m.name, ''), e.status, e.to_referrer, e.to_referee, e.currency,
			coalesce(p.id, ''), e.due_at, e.changed_at
		FROM earnings e LEFT JOIN members m ON m.launch = e.launch AND m.subject_key = e.subject_key
		LEFT JOIN members i ON i.launch = e.launch AND i.subject_key = e.referrer_key
		LEFT JOIN payments p ON p.launch = e.launch AND p.key = e.payment
		WHERE e.launch = $1 AND e.subject_key > $2 AND ($3 = '' OR e.status = $3) AND ($4 = '' OR e.referrer_key = $4) AND e.referrer_key <> ''
		ORDER BY e.subject_key LIMIT $5`, id, after, string(f.Status), f.Referrer, p.Limit+1)
	if err != nil {
		return gateway.List[gateway.RewardRow]{}, err
	}
	type row struct {
		gateway.RewardRow
		key string
	}
	return pageOf(rows, p.Limit, func(r pgx.CollectableRow) (one row, err error) {
		var due *time.Time
		err = r.Scan(&one.key, &one.Referee, &one.Referrer, &one.Name, &one.Status, &one.ToReferrer, &one.ToReferee, &one.Currency, &one.Payment, &due, &one.Changed)
		one.Due, one.Changed = orZero(due), one.Changed.UTC()
		return one, err
	}, func(r row) string { return r.key }, func(r row) gateway.RewardRow { return r.RewardRow })
}
