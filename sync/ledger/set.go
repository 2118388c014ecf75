package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// set is what a list of events comes to: for each table the rows that are new
// and the rows that change, each once.
type set struct {
	launches    []placed
	campaigns   map[uint32]placed // the last one
	minted      []mintedRow
	changed     map[gateway.Code]placed // by code, the last state change
	renewed     map[gateway.Code]placed
	redeemed    map[gateway.ID]*redeemedRow
	order       []gateway.ID // of redeemed
	settled     map[gateway.ID]placed
	uses        map[gateway.Code]*uses
	campaignUse map[uint32]int
	refused     []placed
	visits      map[gateway.Code]gateway.Opened
	changes     []change
}

type mintedRow struct {
	placed
	gateway.MintedCode
	recipient string
}

type redeemedRow struct {
	gateway.Redeemed
	person  gateway.Person
	at      time.Time
	seq     uint64
	settled *placed // in this set
}

type uses struct{ used, held int }

// change is a row of changes: what an operator did, to what.
type change struct {
	placed
	kind, subject string
	detail        []byte
	by            gateway.Actor
}

// set writes a list of events. The statements run in an order in which the
// constraints hold between them, whatever the order of events: what makes a
// thing before what uses it, what frees before what takes.
func (a *applier) set(ctx context.Context, list []placed) error {
	s, err := a.gather(list)
	if err != nil {
		return err
	}
	for _, write := range []func(context.Context, *set) error{
		a.putLaunches, a.putCampaigns, a.mint, a.changeCodes, a.settle, a.redeem, a.countUses, a.countCampaigns, a.refuse, a.visit, a.audit,
	} {
		if err := write(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) gather(list []placed) (*set, error) {
	s := &set{
		campaigns: map[uint32]placed{}, changed: map[gateway.Code]placed{}, renewed: map[gateway.Code]placed{},
		redeemed: map[gateway.ID]*redeemedRow{}, settled: map[gateway.ID]placed{}, uses: map[gateway.Code]*uses{},
		campaignUse: map[uint32]int{}, visits: map[gateway.Code]gateway.Opened{},
	}
	for _, p := range list {
		if err := a.gatherOne(s, p); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (a *applier) gatherOne(s *set, p placed) error {
	switch e := p.Event.(type) {
	case gateway.LaunchPut:
		s.launches = append(s.launches, p)
		detail, _ := json.Marshal(map[string]any{"open": e.Open, "version": e.Version, "policy": json.RawMessage(e.Policy)})
		s.changes = append(s.changes, change{p, "launch", "", detail, e.By})
	case gateway.CampaignPut:
		var c gateway.Campaign
		if err := json.Unmarshal(e.Campaign, &c); err != nil {
			return &conflict{"unreadable_campaign", "its document does not parse"}
		}
		s.campaigns[c.Number] = p
		s.changes = append(s.changes, change{p, "campaign", c.Name, e.Campaign, e.By})
	case gateway.CodesMinted:
		recipient := ""
		if len(e.Sealed) > 0 {
			recipient = a.person(e.Sealed).Subject
		}
		for _, c := range e.Codes {
			s.minted = append(s.minted, mintedRow{p, c, recipient})
		}
		if e.By.Note != "" || len(e.Codes) > 1 {
			detail, _ := json.Marshal(map[string]any{"campaign": e.Campaign, "codes": len(e.Codes)})
			s.changes = append(s.changes, change{p, "minted", "", detail, e.By})
		}
	case gateway.CodesChanged:
		for _, c := range e.Codes {
			if e.Change == gateway.Renew {
				s.renewed[c] = p
			} else {
				s.changed[c] = p
			}
			detail, _ := json.Marshal(map[string]any{"expires_at": e.ExpiresAt})
			s.changes = append(s.changes, change{p, string(e.Change), string(c), detail, e.By})
		}
	case gateway.Redeemed:
		s.redeemed[e.ID] = &redeemedRow{Redeemed: e, person: a.person(e.Sealed), at: p.record.At, seq: p.record.Seq}
		s.order = append(s.order, e.ID)
		s.use(e.Code, e.Campaign, 1, held(e.Status))
	case gateway.Settled:
		if row := s.redeemed[e.ID]; row != nil {
			row.settled = &p
		} else {
			s.settled[e.ID] = p
		}
		n := 0
		if e.To != gateway.Committed {
			n = -1
		}
		s.use(e.Code, e.Campaign, n, -held(e.From))
	case gateway.Refused:
		s.refused = append(s.refused, p)
	case gateway.Opened:
		e.Count += s.visits[e.Code].Count
		s.visits[e.Code] = e
	default:
		return fmt.Errorf("ledger: an event of kind %s has no rows", p.Kind())
	}
	return nil
}

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
	return gateway.Person{Subject: printable(p.Subject), Email: printable(p.Email), Name: printable(p.Name), Source: printable(p.Source)}
}

// printable is text that Postgres takes: UTF-8 without NUL.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
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

// exactly runs a statement that must change so many rows; fewer are a conflict.
func (a *applier) exactly(ctx context.Context, rows int, kind, sql string, args ...any) error {
	tag, err := a.tx.Exec(ctx, sql, args...)
	if err != nil {
		return err
	}
	if int(tag.RowsAffected()) != rows {
		return &conflict{kind, fmt.Sprintf("%d of %d rows", tag.RowsAffected(), rows)}
	}
	return nil
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
			r.Subject, r.Address, r.Proof, string(status), r.at, expires, settledAt, actor, cause, note, r.seq,
		})
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{"redemptions"}, []string{
		"id", "launch", "code", "campaign", "subject", "email", "name", "source", "subject_key", "address_key", "proof", "status",
		"created_at", "expires_at", "settled_at", "settled_by", "cause", "note", "position",
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
		FROM unnest($2::text[], $3::int[], $4::int[]) AS d (code, used, held), campaigns g
		WHERE c.launch = $1 AND c.code = d.code AND g.launch = c.launch AND g.number = c.campaign
		  AND (d.used <= 0 OR c.used + d.used <= coalesce(c.max_uses, g.max_uses))`, a.launch, codes, used, held)
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

func (a *applier) refuse(ctx context.Context, s *set) error {
	if len(s.refused) == 0 {
		return nil
	}
	rows := make([][]any, len(s.refused))
	for i, p := range s.refused {
		e := p.Event.(gateway.Refused)
		rows[i] = []any{a.launch, p.record.At, p.record.Seq, string(e.Reason), e.Counted, e.Verb, string(e.Code), e.Subject, e.Address}
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{"attempts"}, []string{
		"launch", "at", "position", "reason", "counted", "verb", "code", "subject_key", "address_key",
	}, pgx.CopyFromRows(rows))
	return err
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

// journal keeps the records as they were written.
func (a *applier) journal(ctx context.Context, records []gateway.Record) error {
	rows := make([][]any, len(records))
	for i, r := range records {
		rows[i] = []any{a.launch, r.Epoch, r.Seq, r.At, printable(r.Raw)}
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{"journal"}, []string{"launch", "epoch", "seq", "at", "record"}, pgx.CopyFromRows(rows))
	return err
}

// line is the event as the journal wrote it.
func (p placed) line() string {
	lines := strings.Split(p.record.Raw, "\n")
	if p.ordinal+1 < len(lines) {
		return printable(lines[p.ordinal+1])
	}
	return p.Kind()
}
