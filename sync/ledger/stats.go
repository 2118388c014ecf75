package ledger

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

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
			SELECT g.name, g.channel, g.document ->> 'kind', coalesce(c.issued, 0), coalesce(c.revoked, 0), coalesce(c.exhausted, 0), coalesce(v.opened, 0),
				coalesce(r.held, 0), coalesce(r.redeemed, 0), coalesce(r.released, 0), coalesce(r.rolled_back, 0), coalesce(r.subjects, 0)
			FROM campaigns g
			LEFT JOIN (SELECT o.campaign, count(*) AS issued, count(*) FILTER (WHERE o.revoked) AS revoked,
				count(*) FILTER (WHERE NOT o.revoked AND o.used >= coalesce(o.max_uses, h.max_uses)) AS exhausted
				FROM codes o JOIN campaigns h ON h.launch = o.launch AND h.number = o.campaign WHERE o.launch = $1 GROUP BY 1) c ON c.campaign = g.number
			LEFT JOIN (SELECT campaign, sum(opened)::bigint AS opened FROM visits WHERE launch = $1 GROUP BY 1) v ON v.campaign = g.number
			LEFT JOIN (SELECT campaign, count(*) FILTER (WHERE status = 'held') AS held, count(*) FILTER (WHERE status = 'committed') AS redeemed,
				count(*) FILTER (WHERE status = 'released') AS released, count(*) FILTER (WHERE status = 'rolled_back') AS rolled_back,
				count(DISTINCT subject_key) FILTER (WHERE status = 'committed') AS subjects
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
	s.Channels = channels(s.Campaigns)
	return s, err
}

func channels(campaigns []gateway.CampaignStats) []gateway.ChannelStats {
	byName := map[string]gateway.ChannelStats{}
	for _, c := range campaigns {
		sum := byName[c.Channel]
		byName[c.Channel] = gateway.ChannelStats{
			Channel: c.Channel, Issued: sum.Issued + c.Issued, Opened: sum.Opened + c.Opened, Redeemed: sum.Redeemed + c.Redeemed,
		}
	}
	list := make([]gateway.ChannelStats, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, byName[name])
	}
	return list
}
