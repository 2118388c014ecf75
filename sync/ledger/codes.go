package ledger

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

type mintedRow struct {
	placed
	gateway.MintedCode
	recipient string
}

func (a *applier) mint(ctx context.Context, s *set) error {
	n := len(s.minted)
	if n == 0 {
		return nil
	}
	slices.SortFunc(s.minted, func(x, y mintedRow) int { return strings.Compare(string(x.Code), string(y.Code)) })
	rows := make([][]any, n)
	for i, r := range s.minted {
		e := r.Event.(gateway.CodesMinted)
		rows[i] = []any{
			a.launch, string(r.Code), r.Display, e.Campaign, orNil(e.MaxUses), timeOrNil(e.ExpiresAt), e.Recipient, e.Issuer, r.recipient, r.record.At, r.record.Seq,
		}
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{"codes"}, []string{
		"launch", "code", "display", "campaign", "max_uses", "expires_at", "recipient_key", "issuer_key", "recipient", "created_at", "position",
	}, pgx.CopyFromRows(rows))
	return err
}

func orNil(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func (a *applier) changeCodes(ctx context.Context, s *set) error {
	if len(s.changed) > 0 {
		codes := slices.Sorted(maps.Keys(s.changed))
		revoked := make([]bool, len(codes))
		for i, c := range codes {
			revoked[i] = s.changed[c].Event.(gateway.CodesChanged).Change == gateway.Revoke
		}
		if err := a.exactly(ctx, len(codes), "unknown_code", `
			UPDATE codes c SET revoked = d.revoked FROM unnest($2::text[], $3::bool[]) AS d (code, revoked)
			WHERE c.launch = $1 AND c.code = d.code`, a.launch, codes, revoked); err != nil {
			return err
		}
	}
	if len(s.renewed) == 0 {
		return nil
	}
	codes := slices.Sorted(maps.Keys(s.renewed))
	expires := make([]any, len(codes))
	for i, c := range codes {
		expires[i] = timeOrNil(s.renewed[c].Event.(gateway.CodesChanged).ExpiresAt)
	}
	return a.exactly(ctx, len(codes), "unknown_code", `
		UPDATE codes c SET expires_at = d.expires_at FROM unnest($2::text[], $3::timestamptz[]) AS d (code, expires_at)
		WHERE c.launch = $1 AND c.code = d.code`, a.launch, codes, expires)
}

func (a *applier) visit(ctx context.Context, s *set) error {
	if len(s.visits) == 0 {
		return nil
	}
	codes := slices.Sorted(maps.Keys(s.visits))
	campaigns, opened := make([]int32, len(codes)), make([]int64, len(codes))
	for i, c := range codes {
		campaigns[i], opened[i] = int32(s.visits[c].Campaign), int64(s.visits[c].Count)
	}
	_, err := a.tx.Exec(ctx, `
		INSERT INTO visits (launch, code, campaign, opened) SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[])
		ON CONFLICT (launch, code) DO UPDATE SET opened = visits.opened + excluded.opened`, a.launch, codes, campaigns, opened)
	return err
}
