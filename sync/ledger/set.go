package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// set is what a list of events comes to: for each table the rows that are new
// and the rows that change, each once.
type set struct {
	launches    []placed
	clock       *placed           // the last one
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
	signals     []placed
	visits      map[gateway.Code]gateway.Opened
	changes     []change
	waitlist
	membership
	money
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
		a.putLaunches, a.setClock, a.putCampaigns, a.mint, a.changeCodes, a.settle, a.redeem, a.countUses, a.countCampaigns,
		a.joinEntries, a.changeEntries, a.putReleases, a.changeReleases, a.putSchedule, a.refuse, a.signal, a.visit, a.audit, a.putMembers, a.tellMembers, a.putPayments, a.putEarnings, a.credit, a.erase,
	} {
		if err := write(ctx, s); err != nil {
			return err
		}
	}
	return a.follow(ctx, list)
}

func (a *applier) follow(ctx context.Context, list []placed) error {
	if a.follower == nil {
		return nil
	}
	events := make([]gateway.Placed, len(list))
	for i, p := range list {
		events[i] = gateway.Placed{Event: p.Event, At: p.record.At, Position: p.record.Seq}
	}
	if err := a.follower.Follow(ctx, a.tx, a.launchName, events); err != nil {
		return &followerError{err}
	}
	return nil
}

// followerError is what a follower failed with. A constraint that it broke is
// not the event's fault.
type followerError struct{ err error }

func (e *followerError) Error() string { return "ledger: a follower: " + e.err.Error() }
func (e *followerError) Unwrap() error { return e.err }

func (a *applier) gather(list []placed) (*set, error) {
	s := &set{
		campaigns: map[uint32]placed{}, changed: map[gateway.Code]placed{}, renewed: map[gateway.Code]placed{},
		redeemed: map[gateway.ID]*redeemedRow{}, settled: map[gateway.ID]placed{}, uses: map[gateway.Code]*uses{},
		campaignUse: map[uint32]int{}, visits: map[gateway.Code]gateway.Opened{}, waitlist: newWaitlist(), membership: newMembership(), money: newMoney(),
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
	case gateway.ClockSet:
		s.clock = &p
		detail, _ := json.Marshal(map[string]any{"ahead_ms": e.Ahead.Milliseconds(), "version": e.Version})
		s.changes = append(s.changes, change{p, "clock", "", detail, e.By})
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
	case gateway.Signalled:
		s.signals = append(s.signals, p)
	case gateway.Opened:
		e.Count += s.visits[e.Code].Count
		s.visits[e.Code] = e
	case gateway.MemberChanged:
		s.gatherMember(p)
		if e.By.Name != "" {
			detail, _ := json.Marshal(map[string]string{"to": e.Ref})
			s.changes = append(s.changes, change{p, "member_" + string(e.Cause), e.Subject, detail, e.By})
		}
	case gateway.PaymentLearned:
		s.payments[e.Key] = p
	case gateway.EarningChanged:
		s.earnings[e.Subject] = p
		if e.By.Name != "" {
			s.changes = append(s.changes, change{p, "reward", e.Subject, []byte("{}"), e.By})
		}
	case gateway.Credited:
		s.credits = append(s.credits, p)
	case gateway.MilestoneCrossed, gateway.MemberActed:
		s.gatherMember(p)
	default:
		if a.gatherWaitlist(s, p) {
			return nil
		}
		return fmt.Errorf("ledger: an event of kind %s has no rows", p.Kind())
	}
	return nil
}

// printable is text that Postgres takes: UTF-8 without NUL.
func printable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
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

func (a *applier) signal(ctx context.Context, s *set) error {
	if len(s.signals) == 0 {
		return nil
	}
	rows := make([][]any, len(s.signals))
	for i, p := range s.signals {
		e := p.Event.(gateway.Signalled)
		rows[i] = []any{a.launch, p.record.At, p.record.Seq, e.What, [16]byte(e.Redemption), string(e.Code), e.Campaign, e.Subject, e.Address}
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{"signals"}, []string{
		"launch", "at", "position", "signal", "redemption", "code", "campaign", "subject_key", "address_key",
	}, pgx.CopyFromRows(rows))
	return err
}

// journal keeps the records as they were written.
func (a *applier) journal(ctx context.Context, records []gateway.Record) error {
	rows := make([][]any, len(records))
	for i, r := range records {
		rows[i] = []any{a.launch, r.Epoch, r.Seq, r.At, printable(a.withoutErased(r))}
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
