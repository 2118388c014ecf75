package lua

import (
	"context"
	"errors"
	"net/url"
	"time"

	"admitone/gateway"
)

var redemptionFind = declare("redemption_find", contract{
	keys:    "meta subject_bucket",
	args:    "epoch seen id",
	replies: []string{"found seq version subject status code campaign expires", "refused reason", "breach what"},
})

var redemptionSettle = declare("redemption_settle", contract{
	keys:    "meta journal campaigns holds members queue offers code_bucket subject_bucket entry_bucket",
	args:    "epoch seen settlement id subject code actor note",
	replies: []string{"settled seq version status campaign", "refused reason", "breach what"},
})

// Redemption finds a redemption by its id. The subject is known by its key
// only. It returns redemption_unknown if there is none.
func (s *Store) Redemption(ctx context.Context, name string, id gateway.ID) (gateway.Redemption, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Redemption{}, err
	}
	return s.find(ctx, l, id)
}

func (s *Store) find(ctx context.Context, l *launch, id gateway.ID) (gateway.Redemption, error) {
	r, err := s.call(ctx, l, redemptionFind, []string{l.meta, l.located(id)}, id.Short())
	if err != nil {
		return gateway.Redemption{}, err
	}
	code, campaign := gateway.Code(r.word(5)), campaignNumber(r.word(6))
	return gateway.Redemption{
		ID: id, At: id.Time(), Epoch: l.epoch.Load(), Position: s.note(l, r, 1), SubjectKey: r.word(3), Status: gateway.Status(r.word(4)),
		Code: code, Display: l.snapshot.Load().Display(campaign, code, ""), Campaign: campaign, ExpiresAt: millis(r.word(7)),
	}, nil
}

// Settle confirms or releases a hold, or takes a committed redemption back. A
// settlement that happened already is answered again. It returns
// redemption_unknown, hold_expired, not_held or not_committed.
func (s *Store) Settle(ctx context.Context, name string, id gateway.ID, settlement gateway.Settlement, by gateway.Actor) (gateway.Redemption, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Redemption{}, err
	}
	found, err := s.find(ctx, l, id)
	if err != nil {
		return gateway.Redemption{}, err
	}
	l.flights.RLock()
	defer l.flights.RUnlock()
	code, subject := l.code(found.Code), l.located(id)
	args := []any{string(settlement), id.Short(), found.SubjectKey, string(found.Code), url.QueryEscape(by.Name), url.QueryEscape(by.Note)}
	entry := l.entry(found.SubjectKey)
	r, err := s.call(ctx, l, redemptionSettle, settleKeys(l, code, subject, entry), args...)
	if err != nil {
		return gateway.Redemption{}, err
	}
	if settlement != gateway.Expire {
		l.witness.keep(s.persistedIn(l), testimony{position: r.number(1), id: id, codeKey: code, subjectKey: subject, entryKey: entry, settle: args})
	}
	found.Replayed = gateway.Status(r.word(3)) == found.Status
	found.Position, found.Status, found.ExpiresAt = s.note(l, r, 1), gateway.Status(r.word(3)), time.Time{}
	return found, nil
}

func settleKeys(l *launch, code, subject, entry string) []string {
	return []string{l.meta, l.journal, l.campaigns, l.holds, l.members, l.queue, l.offers, code, subject, entry}
}

// SweepHolds ends the holds of a launch whose time is over, and reports how
// many there were. Every gateway may do it at any time: a hold ends once.
func (s *Store) SweepHolds(ctx context.Context, name string) (int, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, err
	}
	due, err := s.due(ctx, l, l.holds)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, short := range due {
		id, err := gateway.ParseShort(short)
		if err != nil {
			return ended, s.malformed(l, "hold")
		}
		_, err = s.Settle(ctx, name, id, gateway.Expire, gateway.Actor{Name: "system"})
		switch {
		case err == nil:
			ended++
		case errors.Is(err, gateway.Refuse(gateway.NotHeld)), errors.Is(err, gateway.Refuse(gateway.RedemptionUnknown)):
			// Settled a moment ago by somebody else.
		default:
			return ended, err
		}
	}
	return ended, nil
}
