package ledger

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// gotIn is when a committed redemption (r) let its subject in: when it was
// confirmed, if it was held first.
const gotIn = `coalesce(r.settled_at, r.created_at)`

// standing is whether anything is left of a payment (p), as stands in
// lua/lib/rewards.lua has it: not refunded in full, in no dispute, none lost.
const standing = `p.subject_key <> '' AND p.paid_at IS NOT NULL AND p.amount > p.refunded
	AND position(':o' IN split_part(p.record, ';', 5)) = 0 AND position(':l' IN split_part(p.record, ';', 5)) = 0`

// Analytics are a launch's figures, all as of one moment; docs/analytics.md
// defines each. now is the clock's time: a rehearsal's lead is added to it.
func (l *Ledger) Analytics(ctx context.Context, launch string, now time.Time) (gateway.Analytics, error) {
	a := gateway.Analytics{
		Launch: launch, At: now.UTC(), Channels: []gateway.ChannelFunnel{}, Campaigns: []gateway.CampaignFunnel{},
		Referrers: []gateway.ActiveReferrer{}, Top: []gateway.TopReferrer{}, Unlocks: []gateway.UnlockShare{}, Rewards: []gateway.RewardsPaid{},
	}
	err := pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var id int32
		var ahead int64
		err := tx.QueryRow(ctx, `SELECT l.id, l.ahead_ms, p.seq FROM launches l JOIN positions p ON p.launch = l.id WHERE l.name = $1`, launch).Scan(&id, &ahead, &a.Position)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		a.At = a.At.Add(time.Duration(ahead) * time.Millisecond)
		for _, read := range []func(context.Context, pgx.Tx, int32, *gateway.Analytics) error{readFunnels, readReferrers, readTop, readUnlocks, readRewards, readFirstPurchase} {
			if err := read(ctx, tx, id, &a); err != nil {
				return err
			}
		}
		return nil
	})
	return a, err
}

// readFunnels counts codes per campaign and adds them up; subjects are counted
// once in each campaign, in each channel and in all.
func readFunnels(ctx context.Context, tx pgx.Tx, launch int32, a *gateway.Analytics) error {
	rows, err := tx.Query(ctx, `
		SELECT g.number, g.name, g.channel, coalesce(c.issued, 0), coalesce(c.visits, 0), coalesce(c.opened, 0), coalesce(c.redeemed, 0),
			coalesce(c.redemptions, 0), coalesce(c.by_link, 0)
		FROM campaigns g LEFT JOIN (
			SELECT o.campaign, count(*) AS issued, sum(v.opened)::bigint AS visits, count(*) FILTER (WHERE v.opened > 0) AS opened, count(r.n) AS redeemed,
				sum(r.n)::bigint AS redemptions, (sum(r.n) FILTER (WHERE v.opened > 0))::bigint AS by_link
			FROM codes o LEFT JOIN visits v ON v.launch = o.launch AND v.code = o.code
			LEFT JOIN (SELECT code, count(*) AS n FROM redemptions WHERE launch = $1 AND status = 'committed' GROUP BY 1) r ON r.code = o.code
			WHERE o.launch = $1 GROUP BY 1) c ON c.campaign = g.number
		WHERE g.launch = $1 ORDER BY g.number`, launch)
	if err != nil {
		return err
	}
	index, channels := map[int32]int{}, map[string]*gateway.Funnel{}
	var number int32
	var c gateway.CampaignFunnel
	_, err = pgx.ForEachRow(rows, []any{&number, &c.Campaign, &c.Channel, &c.Issued, &c.Opened, &c.CodesOpened, &c.CodesRedeemed, &c.Redeemed, &c.ByLink}, func() error {
		index[number] = len(a.Campaigns)
		a.Campaigns = append(a.Campaigns, c)
		if channels[c.Channel] == nil {
			channels[c.Channel] = new(gateway.Funnel)
		}
		addCodes(channels[c.Channel], c.Funnel)
		addCodes(&a.Total, c.Funnel)
		return nil
	})
	if err != nil {
		return err
	}
	rows, err = tx.Query(ctx, `
		WITH who AS (
			SELECT r.campaign, g.channel, r.subject_key, min(`+gotIn+`) AS since
			FROM redemptions r JOIN campaigns g ON g.launch = r.launch AND g.number = r.campaign
			WHERE r.launch = $1 AND r.status = 'committed'
			GROUP BY GROUPING SETS ((r.campaign, r.subject_key), (g.channel, r.subject_key), (r.subject_key))
		), acted AS (
			SELECT subject_key, max(at) AS last, max(at) FILTER (WHERE name = 'activated') AS activated FROM activities WHERE launch = $1 GROUP BY 1
		), paid AS (
			SELECT p.subject_key, max(p.paid_at) AS last FROM payments p WHERE p.launch = $1 AND `+standing+` GROUP BY 1
		)
		SELECT w.campaign, w.channel, count(*), count(*) FILTER (WHERE a.activated >= w.since), count(*) FILTER (WHERE p.last >= w.since),
			count(*) FILTER (WHERE w.since <= $2::timestamptz - $3::interval),
			count(*) FILTER (WHERE w.since <= $2::timestamptz - $3::interval AND a.last >= w.since + $3::interval)
		FROM who w LEFT JOIN acted a USING (subject_key) LEFT JOIN paid p USING (subject_key) GROUP BY 1, 2`, launch, a.At, gateway.RetentionAfter)
	if err != nil {
		return err
	}
	var campaign *int32
	var channel *string
	var f gateway.Funnel
	_, err = pgx.ForEachRow(rows, []any{&campaign, &channel, &f.Subjects, &f.Activated, &f.Paid, &f.Matured, &f.Retained}, func() error {
		of := &a.Total
		switch {
		case campaign != nil:
			of = &a.Campaigns[index[*campaign]].Funnel
		case channel != nil:
			of = channels[*channel]
		}
		of.Subjects, of.Activated, of.Paid, of.Matured, of.Retained = f.Subjects, f.Activated, f.Paid, f.Matured, f.Retained
		return nil
	})
	a.Total.Convert()
	for i := range a.Campaigns {
		a.Campaigns[i].Convert()
	}
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		channels[name].Convert()
		a.Channels = append(a.Channels, gateway.ChannelFunnel{Channel: name, Funnel: *channels[name]})
	}
	return err
}

// addCodes adds what is counted by codes.
func addCodes(sum *gateway.Funnel, f gateway.Funnel) {
	sum.Issued += f.Issued
	sum.Opened += f.Opened
	sum.CodesOpened += f.CodesOpened
	sum.CodesRedeemed += f.CodesRedeemed
	sum.Redeemed += f.Redeemed
	sum.ByLink += f.ByLink
}

// readReferrers lists who brought the most of those that were active lately.
func readReferrers(ctx context.Context, tx pgx.Tx, launch int32, a *gateway.Analytics) error {
	rows, err := tx.Query(ctx, `
		SELECT coalesce(i.subject, ''), coalesce(i.name, ''), coalesce(i.referrals, 0), b.active, b.events FROM (
			SELECT m.inviter_key, count(*) AS active, sum(e.n)::bigint AS events
			FROM (SELECT subject_key, count(*) AS n FROM activities WHERE launch = $1 AND at >= $2::timestamptz - $3::interval GROUP BY 1) e
			JOIN members m ON m.launch = $1 AND m.subject_key = e.subject_key
			WHERE m.inviter_key <> '' AND m.method IN ('invite_code', 'license_key') GROUP BY 1) b
		LEFT JOIN members i ON i.launch = $1 AND i.subject_key = b.inviter_key
		ORDER BY b.active DESC, b.events DESC, b.inviter_key LIMIT $4`, launch, a.At, gateway.ActiveWithin, gateway.MaxReferrers)
	if err != nil {
		return err
	}
	a.Referrers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.ActiveReferrer])
	return err
}

// readTop lists who has the most referrals, whether those are active or not.
func readTop(ctx context.Context, tx pgx.Tx, launch int32, a *gateway.Analytics) error {
	rows, err := tx.Query(ctx, `
		SELECT m.subject, m.name, m.referrals, coalesce(e.rewarded, 0) FROM members m
		LEFT JOIN (SELECT referrer_key, count(*) AS rewarded FROM earnings WHERE launch = $1 AND status = 'paid' GROUP BY 1) e ON e.referrer_key = m.subject_key
		WHERE m.launch = $1 AND m.referrals > 0
		ORDER BY m.referrals DESC, coalesce(e.rewarded, 0) DESC, m.subject_key LIMIT $2`, launch, gateway.MaxReferrers)
	if err != nil {
		return err
	}
	a.Top, err = pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.TopReferrer])
	return err
}

// readUnlocks counts members and trials by method. A trial has churned when its
// rounds are used up or its time is over.
func readUnlocks(ctx context.Context, tx pgx.Tx, launch int32, a *gateway.Analytics) error {
	rows, err := tx.Query(ctx, `
		SELECT e.method, count(*), (count(*) / sum(count(*)) OVER ())::float8,
			count(*) FILTER (WHERE e.method = 'trial' AND (e.until <= $2 OR e.rounds >= 0 AND e.used >= e.rounds))
		FROM (`+everyMember+`) e WHERE e.method <> '' GROUP BY 1 ORDER BY 1`, launch, a.At)
	if err != nil {
		return err
	}
	a.Unlocks, err = pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.UnlockShare])
	return err
}

// readRewards adds up what moved on members' accounts.
func readRewards(ctx context.Context, tx pgx.Tx, launch int32, a *gateway.Analytics) error {
	rows, err := tx.Query(ctx, `
		SELECT currency, count(*) FILTER (WHERE kind = 'reward'), count(DISTINCT account) FILTER (WHERE kind = 'reward'),
			coalesce(sum(amount) FILTER (WHERE kind = 'reward'), 0)::bigint, coalesce(-sum(amount) FILTER (WHERE kind = 'clawback'), 0)::bigint, sum(amount)::bigint
		FROM credit_entries WHERE launch = $1 AND account <> '' GROUP BY 1 ORDER BY 1`, launch)
	if err != nil {
		return err
	}
	a.Rewards, err = pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.RewardsPaid])
	return err
}

func readFirstPurchase(ctx context.Context, tx pgx.Tx, launch int32, a *gateway.Analytics) error {
	f := &a.FirstPurchase
	return tx.QueryRow(ctx, `
		SELECT count(*), (percentile_cont(0.5) WITHIN GROUP (ORDER BY took))::float8, avg(took)::float8 FROM (
			SELECT extract(epoch FROM min(p.paid_at) - w.since)::float8 AS took
			FROM (SELECT r.subject_key, min(`+gotIn+`) AS since FROM redemptions r WHERE r.launch = $1 AND r.status = 'committed' GROUP BY 1) w
			JOIN payments p ON p.launch = $1 AND p.subject_key = w.subject_key AND p.paid_at >= w.since
			WHERE `+standing+` GROUP BY w.subject_key, w.since) t`, launch).Scan(&f.Subjects, &f.Median, &f.Mean)
}
