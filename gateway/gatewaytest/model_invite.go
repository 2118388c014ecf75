package gatewaytest

import (
	"context"
	"slices"
	"time"

	"admitone/gateway"
)

// MintInvites mints codes from a member's allotment.
func (m *Model) MintInvites(_ context.Context, name string, campaign uint32, codes []gateway.NewCode, ask gateway.Invite) (gateway.Invited, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Invited{}, err
	}
	one := l.memberOf(ask.Subject)
	if one == nil || !one.in {
		return gateway.Invited{}, gateway.Refuse(gateway.MemberUnknown)
	}
	proof := "invite " + ask.Proof
	if ask.Proof != "" && slices.Contains(one.proofs, proof) {
		return gateway.Invited{Allotment: one.member.Allotment, Replayed: true}, nil
	}
	if !l.launch.Open {
		return gateway.Invited{}, gateway.Refuse(gateway.LaunchClosed)
	}
	day := int(m.now.UnixMilli() / 86_400_000)
	if one.member.Day != day {
		one.member.Day, one.member.Minted = day, 0
	}
	if most := l.launch.Policy.Codes.Personal.PerDay; most > 0 && one.member.Minted+len(codes) > most {
		wait := time.UnixMilli(int64(day+1) * 86_400_000).Sub(m.now)
		return gateway.Invited{}, &gateway.Error{Reason: gateway.InvitesPerDay, RetryAfter: wait}
	}
	before := one.member.Allotment
	m.refill(l, ask.Subject, one)
	if one.member.Allotment != gateway.Unlimited && int(one.member.Allotment) < len(codes) {
		one.member.Allotment = before
		return gateway.Invited{}, gateway.Refuse(gateway.AllotmentExhausted)
	}
	if exist := l.taken(codes); exist != nil {
		one.member.Allotment = before
		return gateway.Invited{}, &gateway.CodesExist{Indexes: exist}
	}
	for _, c := range codes {
		l.codes[c.Code] = &modelCode{NewCode: c, campaign: campaign, minted: true}
	}
	one.member.Minted += len(codes)
	if one.member.Allotment != gateway.Unlimited {
		one.member.Allotment -= gateway.Rounds(len(codes))
	}
	if ask.Proof != "" {
		one.prove(proof)
	}
	l.keep(ask.Subject, one)
	l.position++
	return gateway.Invited{Allotment: one.member.Allotment}, nil
}

// prove remembers an Idempotency-Key.
func (one *modelMember) prove(proof string) {
	one.proofs = append([]string{proof}, one.proofs...)
	one.proofs = one.proofs[:min(len(one.proofs), 8)]
}

// RevokeInvite takes an invite back.
func (m *Model) RevokeInvite(_ context.Context, name, subject string, code gateway.Code) (gateway.Rounds, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, err
	}
	one, c := l.memberOf(subject), l.codes[code]
	switch {
	case one == nil || c == nil || c.Issuer != subject:
		return 0, gateway.Refuse(gateway.CodeUnknown)
	case c.revoked:
		return one.member.Allotment, nil
	case c.used > 0:
		return 0, gateway.Refuse(gateway.CodeExhausted)
	}
	c.revoked = true
	replaced := !c.ExpiresAt.IsZero() && !m.now.Before(c.ExpiresAt) && l.launch.Policy.Codes.Personal.Refill.To > 0
	if l.launch.Campaign(c.campaign).Type == gateway.TypePersonal && !replaced {
		one.member.Allotment = plus(one.member.Allotment, 1)
	}
	l.keep(subject, one)
	l.position++
	return one.member.Allotment, nil
}

// Refill tops members up; the model names them by their subjects.
func (m *Model) Refill(_ context.Context, name string, subjects []string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, subject := range subjects {
		one := l.members[subject]
		if one == nil {
			continue
		}
		before := one.member.Allotment
		if m.refill(l, subject, one); one.member.Allotment != before {
			n++
		}
	}
	return n, nil
}

// ReferralCode is a member's code, or the one proposed.
func (m *Model) ReferralCode(_ context.Context, name string, campaign uint32, proposed gateway.NewCode, ask gateway.Invite) (gateway.Code, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return "", err
	}
	one := l.memberOf(ask.Subject)
	switch {
	case one != nil && one.member.Code != "":
		return one.member.Code, nil
	case !ask.Begin && (one == nil || !one.in):
		return "", gateway.Refuse(gateway.MemberUnknown)
	case !l.launch.Open:
		return "", gateway.Refuse(gateway.LaunchClosed)
	case l.launch.Campaign(campaign) == nil:
		return "", gateway.Refuse(gateway.CampaignUnknown)
	case l.codes[proposed.Code] != nil:
		return "", &gateway.CodesExist{Indexes: []int{0}}
	}
	if one == nil {
		one = &modelMember{bare: true}
	}
	one.member.Code = proposed.Code
	l.codes[proposed.Code] = &modelCode{NewCode: proposed, campaign: campaign}
	l.keep(ask.Subject, one)
	l.position++
	return proposed.Code, nil
}
