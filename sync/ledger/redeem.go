package ledger

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

type redeemedRow struct {
	gateway.Redeemed
	person  gateway.Person
	at      time.Time
	seq     uint64
	settled *placed // in this set
}

type uses struct{ used, held int }

func held(s gateway.Status) int {
	if s == gateway.Held {
		return 1
	}
	return 0
}

func (s *set) use(code gateway.Code, campaign uint32, used, held int) {
	u := s.uses[code]
	if u == nil {
		u = &uses{}
		s.uses[code] = u
	}
	u.used += used
	u.held += held
	s.campaignUse[campaign] += used
}

// person opens a seal. One that does not open leaves the person unnamed; the
// row is written under its keys all the same.
func (a *applier) person(sealed []byte) gateway.Person {
	var p gateway.Person
	plain, err := a.opener.Open(a.launchName, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &p)
	}
	if err != nil {
		return gateway.Person{}
	}
	return gateway.Person{Subject: printable(p.Subject), Email: printable(p.Email), Name: printable(p.Name), Source: printable(p.Source), Country: printable(p.Country)}
}

// settle ends redemptions of earlier batches.
func (a *applier) settle(ctx context.Context, s *set) error {
	if len(s.settled) == 0 {
		return nil
	}
	ids := slices.SortedFunc(maps.Keys(s.settled), func(x, y gateway.ID) int { return slices.Compare(x[:], y[:]) })
	n := len(ids)
	texts, to, cause, actor, note, at := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]time.Time, n)
	for i, id := range ids {
		p := s.settled[id]
		e := p.Event.(gateway.Settled)
		texts[i], to[i], cause[i], actor[i], note[i], at[i] = id.String(), string(e.To), string(e.Cause), printable(e.By.Name), printable(e.By.Note), p.record.At
	}
	return a.exactly(ctx, n, "unknown_redemption", `
		UPDATE redemptions r SET status = d.status, expires_at = NULL, settled_at = d.at, cause = d.cause, settled_by = d.actor, note = d.note
		FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[]) AS d (id, status, cause, actor, note, at)
		WHERE r.launch = $1 AND r.id = d.id`, a.launch, texts, to, cause, actor, note, at)
}

// redeem inserts redemptions, those that ended within the batch in their last
// status.
func (a *applier) redeem(ctx context.Context, s *set) error {
	if len(s.order) == 0 {
		return nil
	}
	rows := make([][]any, 0, len(s.order))
	for _, id := range s.order {
		r := s.redeemed[id]
		status, expires, settledAt, cause, actor, note := r.Status, timeOrNil(r.ExpiresAt), any(nil), "", "", ""
		if r.settled != nil {
			e := r.settled.Event.(gateway.Settled)
			status, expires, settledAt, cause, actor, note = e.To, nil, r.settled.record.At, string(e.Cause), printable(e.By.Name), printable(e.By.Note)
		}
		rows = append(rows, []any{
			[16]byte(id), a.launch, string(r.Code), r.Campaign, r.person.Subject, r.person.Email, r.person.Name, r.person.Source,
			r.Subject, r.Address, r.Proof, string(status), r.at, expires, settledAt, actor, cause, note, r.seq, r.person.Country,
		})
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{"redemptions"}, []string{
		"id", "launch", "code", "campaign", "subject", "email", "name", "source", "subject_key", "address_key", "proof", "status",
		"created_at", "expires_at", "settled_at", "settled_by", "cause", "note", "position", "country",
	}, pgx.CopyFromRows(rows))
	return err
}

// countUses adds the uses of the batch to its codes. A code that would go above
// its uses is a conflict: the last arbiter of the promise.
func (a *applier) countUses(ctx context.Context, s *set) error {
	if len(s.uses) == 0 {
		return nil
	}
	codes := slices.Sorted(maps.Keys(s.uses))
	used, held := make([]int32, len(codes)), make([]int32, len(codes))
	for i, c := range codes {
		used[i], held[i] = int32(s.uses[c].used), int32(s.uses[c].held)
	}
	return a.exactly(ctx, len(codes), "cap", `
		UPDATE codes c SET used = c.used + d.used, held = c.held + d.held
		FROM unnest($2::text[], $3::int[], $4::int[]) AS d (code, used, held)
		WHERE c.launch = $1 AND c.code = d.code AND (d.used <= 0 OR c.used + d.used <=
			coalesce(c.max_uses, (SELECT max_uses FROM campaigns g WHERE g.launch = c.launch AND g.number = c.campaign)))`,
		a.launch, codes, used, held)
}

func (a *applier) countCampaigns(ctx context.Context, s *set) error {
	if len(s.campaignUse) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(s.campaignUse))
	used := make([]int32, len(numbers))
	for i, n := range numbers {
		used[i] = int32(s.campaignUse[n])
	}
	return a.exactly(ctx, len(numbers), "campaign_cap", `
		UPDATE campaigns g SET used = g.used + d.used FROM unnest($2::int[], $3::int[]) AS d (number, used)
		WHERE g.launch = $1 AND g.number = d.number AND (d.used <= 0 OR g.cap = 0 OR g.used + d.used <= g.cap)`, a.launch, numbers, used)
}
