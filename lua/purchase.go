package lua

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"admitone/gateway"
)

var purchase = declare("purchase", contract{
	keys:    "meta journal members payments earnings",
	args:    "epoch seen bound payment id event subject amount currency refunded dispute dispute_state decision actor note",
	replies: []string{"settled seq version subject status news", "refused reason", "breach what"},
})

// Purchase learns what is said of a payment and settles what follows: rewards
// paid, put off or taken back. What was said before changes nothing. It returns
// an invalid_request naming the field, or overloaded.
func (s *Store) Purchase(ctx context.Context, name string, p gateway.Payment) (gateway.Earning, error) {
	if err := p.Validate(); err != nil {
		return gateway.Earning{}, err
	}
	subject := ""
	if p.Subject != "" {
		subject = s.keyring.Subject(name, p.Subject)
	}
	short := func(what, id string) string {
		if id == "" {
			return ""
		}
		return s.keyring.Subject(name, what+"\x00"+id)[:8]
	}
	state := map[gateway.DisputeState]string{gateway.DisputeOpen: "o", gateway.DisputeWon: "w", gateway.DisputeLost: "l"}[p.State]
	if p.Dispute != "" && state == "" {
		state = "o"
	}
	return s.settlePurchase(ctx, name, s.paymentKey(name, p.ID), p.ID, short("event", p.Event), subject, p.Amount, p.Currency, p.Refunded,
		short("dispute", p.Dispute), state, "", "", "")
}

// paymentKey is the key of a payment in a launch.
func (s *Store) paymentKey(launch, id string) string {
	return s.keyring.Subject(launch, "payment\x00"+id)
}

// SettleReward settles what has become due for a subject, by its key, meanwhile.
func (s *Store) SettleReward(ctx context.Context, name, subject string) (gateway.Earning, error) {
	return s.settlePurchase(ctx, name, "", "", "", subject, 0, "", 0, "", "", "", "", "")
}

// DecideReward approves or rejects the reward for a friend's purchase.
func (s *Store) DecideReward(ctx context.Context, name, subject string, d gateway.RewardDecision, by gateway.Actor) (gateway.Earning, error) {
	return s.settlePurchase(ctx, name, "", "", "", s.keyring.Subject(name, subject), 0, "", 0, "", "",
		string(d), url.QueryEscape(by.Name), url.QueryEscape(by.Note))
}

func (s *Store) settlePurchase(ctx context.Context, name string, args ...any) (gateway.Earning, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Earning{}, err
	}
	epoch := l.epoch.Load()
	r, err := s.call(ctx, l, purchase, []string{l.meta, l.journal, l.members, l.payments, l.earnings}, append([]any{s.options.JournalBytes}, args...)...)
	if err != nil {
		return gateway.Earning{}, err
	}
	return gateway.Earning{SubjectKey: r.word(3), Status: gateway.ReadRewardStatus(r.word(4)), News: r.word(5) == "1", Epoch: epoch, Position: s.note(l, r, 1)}, nil
}

// rewardRules packs what the scripts need of a policy about rewards;
// lib/rewards.lua reads it.
func rewardRules(p *gateway.RewardsPolicy) string {
	return strings.Join([]string{
		strconv.Itoa(p.Pays.Referrer), strconv.Itoa(p.Pays.Referee), strconv.Itoa(p.Qualifies.Minimum.Amount), p.Qualifies.Minimum.Currency,
		strconv.FormatInt(ms(p.Pays.After), 10), flag(p.Pays.Approval), flag(p.Clawback), strconv.Itoa(p.PerMember),
	}, ";")
}
