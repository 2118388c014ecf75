package gatewaytest

import (
	"context"
	"slices"
	"time"

	"admitone/gateway"
)

// modelPayment is what is known of a payment.
type modelPayment struct {
	subject          string
	amount, refunded int
	currency         string
	disputes         map[string]gateway.DisputeState
	events           []string
	at               time.Time
}

func (p *modelPayment) stands() int {
	for _, state := range p.disputes {
		if state != gateway.DisputeWon {
			return 0
		}
	}
	return max(0, p.amount-p.refunded)
}

// modelEarning is what a subject's purchases gave, and its account.
type modelEarning struct {
	payments              []string
	status                gateway.RewardStatus
	referrer              string
	toReferrer, toReferee int
	due                   time.Time
	approved              *modelPayment
	earned                int // rewards as a referrer
	balance               int
}

func (l *modelLaunch) earning(subject string) *modelEarning {
	if l.earnings[subject] == nil {
		l.earnings[subject] = &modelEarning{status: gateway.RewardNone}
	}
	return l.earnings[subject]
}

// Purchase learns what is said of a payment.
func (m *Model) Purchase(_ context.Context, name string, p gateway.Payment) (gateway.Earning, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := p.Validate(); err != nil {
		return gateway.Earning{}, err
	}
	l, err := m.find(name)
	if err != nil {
		return gateway.Earning{}, err
	}
	known := l.payments[p.ID]
	news := known == nil
	if known == nil {
		known = &modelPayment{disputes: map[string]gateway.DisputeState{}}
		l.payments[p.ID] = known
	}
	if p.Event == "" || !slices.Contains(known.events, p.Event) {
		changed := false
		if known.subject == "" && p.Subject != "" {
			known.subject, known.amount, known.currency, known.at, changed = p.Subject, p.Amount, p.Currency, m.now, true
		}
		if p.Refunded > known.refunded {
			known.refunded, changed = p.Refunded, true
		}
		state := p.State
		if p.Dispute != "" && state == "" {
			state = gateway.DisputeOpen
		}
		if now, met := known.disputes[p.Dispute]; p.Dispute != "" && (!met || now == gateway.DisputeOpen && state != now) {
			known.disputes[p.Dispute], changed = state, true
		}
		if changed && p.Event != "" {
			known.events = append(known.events, p.Event)
		}
		news = news || changed
	}
	if news {
		l.position++
	}
	if known.subject == "" {
		return gateway.Earning{Status: gateway.RewardNone, News: news}, nil
	}
	return gateway.Earning{SubjectKey: known.subject, Status: m.settle(l, known.subject, p.ID, ""), News: news}, nil
}

// DecideReward approves or rejects.
func (m *Model) DecideReward(_ context.Context, name, subject string, d gateway.RewardDecision, _ gateway.Actor) (gateway.Earning, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Earning{}, err
	}
	return gateway.Earning{SubjectKey: subject, Status: m.settle(l, subject, "", d)}, nil
}

// SettleReward settles what has become due for a subject.
func (m *Model) SettleReward(ctx context.Context, name, subject string) (gateway.Earning, error) {
	return m.DecideReward(ctx, name, subject, "", gateway.Actor{})
}

// settle makes what a subject's purchases gave what they should give now.
func (m *Model) settle(l *modelLaunch, subject, payment string, d gateway.RewardDecision) gateway.RewardStatus {
	rules, e := &l.launch.Policy.Rewards, l.earning(subject)
	minimum := rules.Qualifies.Minimum
	if p := l.payments[payment]; p != nil && p.amount >= minimum.Amount && p.currency == minimum.Currency && !slices.Contains(e.payments, payment) {
		e.payments = append(e.payments, payment)
	}
	var best *modelPayment
	for _, id := range e.payments {
		if p := l.payments[id]; p.stands() >= minimum.Amount && p.stands() > 0 && (best == nil || p.at.Before(best.at)) {
			best = p
		}
	}
	referrer := e.referrer
	if one := l.members[subject]; referrer == "" && one != nil {
		referrer = one.inviter
	}
	move := func(sign int) {
		l.earning(referrer).balance += sign * e.toReferrer
		l.earning(referrer).earned += sign
		e.balance += sign * e.toReferee
	}
	switch {
	case d == gateway.RejectReward && e.status != gateway.RewardRejected:
		if e.status == gateway.RewardPaid {
			move(-1)
		}
		e.status = gateway.RewardRejected
	case d == gateway.ApproveReward && e.status == gateway.RewardPending:
		e.status, e.approved = gateway.RewardApproved, best
	}
	switch {
	case e.status == gateway.RewardNone && best != nil && referrer != "" && (rules.Pays.Referrer > 0 || rules.Pays.Referee > 0):
		e.status, e.referrer, e.due = gateway.RewardPending, referrer, best.at.Add(time.Duration(rules.Pays.After))
		e.toReferrer, e.toReferee = rules.Pays.Referrer, rules.Pays.Referee
	case (e.status == gateway.RewardPending || e.status == gateway.RewardApproved) && best == nil:
		e.status = gateway.RewardNone
	case e.status == gateway.RewardPaid && best == nil && rules.Clawback:
		move(-1)
		e.status = gateway.RewardReversed
	}
	if best != nil && slices.Contains([]gateway.RewardStatus{gateway.RewardPending, gateway.RewardApproved, gateway.RewardReversed}, e.status) {
		if due := best.at.Add(time.Duration(rules.Pays.After)); due.After(e.due) {
			e.due = due
		}
		if e.status == gateway.RewardApproved && e.approved != best {
			e.status = gateway.RewardPending
		}
	}
	ready := e.status == gateway.RewardReversed || e.status == gateway.RewardApproved || e.status == gateway.RewardPending && !rules.Pays.Approval
	if best != nil && referrer != "" && ready && !m.now.Before(e.due) {
		if rules.PerMember > 0 && l.earning(referrer).earned >= rules.PerMember {
			e.status = gateway.RewardCapped
		} else {
			move(1)
			e.status = gateway.RewardPaid
		}
	}
	return e.status
}

// Balance is what a subject has; the real stores keep it in Postgres.
func (m *Model) Balance(name, subject string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.launches[name].earning(subject).balance
}
