package ledger

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// change is a row of changes: what an operator did, to what.
type change struct {
	placed
	kind, subject string
	detail        []byte
	by            gateway.Actor
}

func (a *applier) putLaunches(ctx context.Context, s *set) error {
	if len(s.launches) == 0 {
		return nil
	}
	p := s.launches[len(s.launches)-1]
	e := p.Event.(gateway.LaunchPut)
	_, err := a.tx.Exec(ctx, `UPDATE launches SET version = greatest(version, $2), open = $3, policy = $4, updated_at = $5 WHERE id = $1`,
		a.launch, e.Version, e.Open, e.Policy, p.record.At)
	return err
}

func (a *applier) setClock(ctx context.Context, s *set) error {
	if s.clock == nil {
		return nil
	}
	e := s.clock.Event.(gateway.ClockSet)
	_, err := a.tx.Exec(ctx, `UPDATE launches SET version = greatest(version, $2), ahead_ms = $3 WHERE id = $1`, a.launch, e.Version, e.Ahead.Milliseconds())
	return err
}

func (a *applier) putCampaigns(ctx context.Context, s *set) error {
	for _, number := range slices.Sorted(maps.Keys(s.campaigns)) {
		p := s.campaigns[number]
		e := p.Event.(gateway.CampaignPut)
		var c gateway.Campaign
		if err := json.Unmarshal(e.Campaign, &c); err != nil {
			return err
		}
		_, err := a.tx.Exec(ctx, `
			INSERT INTO campaigns (launch, number, id, name, channel, max_uses, cap, document) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (launch, number) DO UPDATE SET
				name = excluded.name, channel = excluded.channel, max_uses = excluded.max_uses, cap = excluded.cap, document = excluded.document`,
			a.launch, number, c.ID, c.Name, c.Channel, c.MaxUses, c.Cap, e.Campaign)
		if err != nil {
			return err
		}
		if _, err := a.tx.Exec(ctx, `UPDATE launches SET version = greatest(version, $2) WHERE id = $1`, a.launch, e.Version); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) audit(ctx context.Context, s *set) error {
	if len(s.changes) == 0 {
		return nil
	}
	rows := make([][]any, len(s.changes))
	for i, c := range s.changes {
		rows[i] = []any{a.launch, c.record.Seq, c.ordinal, c.record.At, c.kind, c.subject, c.detail, printable(c.by.Name), printable(c.by.Note)}
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{"changes"}, []string{
		"launch", "position", "ordinal", "at", "kind", "subject", "detail", "actor", "note",
	}, pgx.CopyFromRows(rows))
	return err
}
