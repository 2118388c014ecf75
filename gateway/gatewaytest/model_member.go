package gatewaytest

import (
	"context"
	"slices"
	"time"

	"admitone/gateway"
)

// modelMember is a member as the model knows it.
type modelMember struct {
	in        bool
	member    gateway.Member
	inviter   string // subject
	joined    bool   // ever let in by a code
	crossed   []int
	made, via gateway.ID
	proofs    []string
	brought   map[int64]int // redemptions of their codes, by the window
	bare      bool          // made for the sake of a code's issuer, who never joined
}

// grants reports whether a redemption gives more than admission.
func grants(p *gateway.Policy) bool {
	u := p.Unlock
	return p.Codes.Personal.Allotment != 0 || p.Codes.Personal.Refill.To != 0 || u.InviteRounds != gateway.Unlimited ||
		u.LicenseRounds != gateway.Unlimited || u.TrialRounds != 0 || u.Expires != 0
}

// memberOf is a subject's member: its record, or what its first redemption that
// stands makes it; nil if it is none.
func (l *modelLaunch) memberOf(subject string) *modelMember {
	m := l.members[subject]
	if m != nil && !m.bare {
		return m
	}
	for _, r := range l.redemptions {
		if r.Subject != subject || r.Status != gateway.Committed {
			continue
		}
		if m == nil {
			m = &modelMember{}
		}
		m.in, m.made, m.bare = true, r.ID, false
		m.member.Method, m.member.Campaign, m.member.Rounds = method(l.launch.Campaign(r.Campaign)), r.Campaign, gateway.Unlimited
		return m
	}
	return m
}

func method(c *gateway.Campaign) gateway.UnlockMethod {
	if c.Kind.OncePerLaunch() {
		return gateway.UnlockInvite
	}
	return gateway.UnlockLicense
}

func (l *modelLaunch) keep(subject string, m *modelMember) { l.members[subject] = m }

// issuer is the member that issued a code, made if there is none.
func (l *modelLaunch) issuer(c *modelCode) *modelMember {
	if c.Issuer == "" {
		return nil
	}
	if l.members[c.Issuer] == nil {
		l.members[c.Issuer] = &modelMember{bare: true}
	}
	return l.members[c.Issuer]
}

// brought is how many redemptions of a code's issuer there were in the window
// of the policy, and the window; nil where the policy has no limit.
func (m *Model) brought(l *modelLaunch, c *modelCode) (of map[int64]int, window int64) {
	limit := l.launch.Policy.Limits.PerInviter
	if limit.Count == 0 || c.Issuer == "" {
		return nil, 0
	}
	one := l.members[c.Issuer]
	if one == nil {
		return map[int64]int{}, 0
	}
	if one.brought == nil {
		one.brought = map[int64]int{}
	}
	return one.brought, m.now.UnixMilli() / time.Duration(limit.Window).Milliseconds()
}

// letIn makes the subject of a committed redemption a member.
func (m *Model) letIn(l *modelLaunch, r *modelRedemption) {
	policy, c := &l.launch.Policy, l.codes[r.Code]
	one := l.members[r.Subject]
	if one == nil && !grants(policy) && c.Issuer == "" {
		return
	}
	if one == nil {
		r.Status = gateway.Held // what it was before this one
		one = l.memberOf(r.Subject)
		r.Status = gateway.Committed
		if one == nil {
			one = &modelMember{made: r.ID}
		}
	}
	l.keep(r.Subject, one)
	one.bare = false
	campaign := l.launch.Campaign(r.Campaign)
	granted := policy.Unlock.InviteRounds
	if method(campaign) == gateway.UnlockLicense {
		granted = policy.Unlock.LicenseRounds
	}
	forGood := one.in && one.member.Until.IsZero()
	switch {
	case granted == gateway.Unlimited, one.in && one.member.Rounds == gateway.Unlimited:
		one.member.Rounds = gateway.Unlimited
	case one.in:
		one.member.Rounds += granted
	default:
		one.member.Rounds = gateway.Rounds(one.member.Used) + granted
	}
	if expires := time.Duration(policy.Unlock.Expires); expires == 0 || forGood {
		one.member.Until = time.Time{}
	} else if until := m.now.Add(expires); until.After(one.member.Until) {
		one.member.Until = until
	}
	if !one.in {
		one.member.Campaign = r.Campaign
	}
	newly := !one.in
	one.in, one.member.Method = true, method(campaign)
	if !one.joined {
		one.joined, one.member.Joined = true, m.now
		one.member.Allotment = plus(one.member.Allotment, policy.Codes.Personal.Allotment)
	}
	if c.Issuer == "" || !newly || one.inviter != "" || one.member.Referrals > 0 || !campaign.Kind.OncePerLaunch() {
		return
	}
	inviter := l.issuer(c)
	one.inviter, one.via = c.Issuer, r.ID
	m.refill(l, r.Subject, one)
	inviter.member.Referrals++
	inviter.member.Allotment = plus(inviter.member.Allotment, gateway.Rounds(policy.Codes.Personal.Refill.OnReferral))
	for _, stone := range policy.Referrals.Milestones {
		if inviter.member.Referrals >= stone.Referrals && !slices.Contains(inviter.crossed, stone.Referrals) {
			inviter.crossed = append(inviter.crossed, stone.Referrals)
			inviter.member.Allotment = plus(inviter.member.Allotment, gateway.Rounds(stone.Invites))
		}
	}
	m.refill(l, c.Issuer, inviter)
}

func plus(a, b gateway.Rounds) gateway.Rounds {
	if a == gateway.Unlimited || b == gateway.Unlimited {
		return gateway.Unlimited
	}
	return a + b
}

// refill tops a member up to what the policy says, open codes included.
func (m *Model) refill(l *modelLaunch, subject string, one *modelMember) {
	to := l.launch.Policy.Codes.Personal.Refill.To
	if to == 0 || !one.in || one.member.Allotment == gateway.Unlimited {
		return
	}
	if lacking := gateway.Rounds(to-l.open(m.now, subject)) - one.member.Allotment; lacking > 0 {
		one.member.Allotment += lacking
	}
}

// open is how many personal codes of a member can still be used. A code counts
// until the end of the day on which it expires.
func (l *modelLaunch) open(now time.Time, subject string) (n int) {
	for _, c := range l.codes {
		day := c.ExpiresAt.UnixMilli() / 86_400_000
		if c.Issuer == subject && c.minted && !c.revoked && c.used-c.held < l.maxUses(c) && (c.ExpiresAt.IsZero() || day >= now.UnixMilli()/86_400_000) {
			n++
		}
	}
	return n
}

// letOut takes back what a redemption gave; it is not committed any more.
func (m *Model) letOut(l *modelLaunch, r *modelRedemption) {
	one := l.members[r.Subject]
	if one == nil {
		return
	}
	if one.via == r.ID && one.inviter != "" {
		l.members[one.inviter].member.Referrals--
		one.inviter, one.via = "", gateway.ID{}
	}
	for _, other := range l.redemptions {
		if other.Subject == r.Subject && other.Status == gateway.Committed {
			return
		}
	}
	one.in, one.member.Method, one.member.Campaign, one.member.Until = false, "", 0, time.Time{}
	one.member.Rounds = gateway.Rounds(l.launch.Policy.Unlock.TrialRounds)
	if one.member.Rounds > 0 {
		one.member.Method = gateway.UnlockTrial
	}
}

// standing completes an answer by what its subject is as a member.
func (l *modelLaunch) standing(answer gateway.Redemption) gateway.Redemption {
	one := l.members[answer.Subject]
	if one != nil {
		answer.Founding, answer.Allotment, answer.Referred = one.made == answer.ID, one.member.Allotment, one.inviter != ""
		return answer
	}
	for _, other := range l.lasting(answer.Subject) {
		if other.Status != gateway.Released {
			answer.Founding = other.ID == answer.ID
			return answer
		}
	}
	answer.Founding = true
	return answer
}

// lasting are a subject's redemptions as Redis keeps them: a released one that
// a later one of the same code replaced stands there as that one.
func (l *modelLaunch) lasting(subject string) (list []*modelRedemption) {
	for _, r := range l.redemptions {
		if r.Subject != subject {
			continue
		}
		i := slices.IndexFunc(list, func(o *modelRedemption) bool { return o.Code == r.Code })
		if i >= 0 {
			list[i] = r
		} else {
			list = append(list, r)
		}
	}
	return list
}

func (m *Model) view(l *modelLaunch, one *modelMember) gateway.Member {
	v := one.member
	v.Left = m.left(l, one)
	return v
}

func (m *Model) left(l *modelLaunch, one *modelMember) gateway.Rounds {
	granted := one.member.Rounds
	if until := one.member.Until; !until.IsZero() && !m.now.Before(until) {
		granted = gateway.Rounds(l.launch.Policy.Unlock.TrialRounds)
	}
	if granted == gateway.Unlimited {
		return granted
	}
	return max(0, granted-gateway.Rounds(one.member.Used))
}

// Member shows a member.
func (m *Model) Member(_ context.Context, name, subject string) (gateway.Member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Member{}, err
	}
	one := l.memberOf(subject)
	if one == nil {
		return gateway.Member{}, gateway.Refuse(gateway.MemberUnknown)
	}
	return m.view(l, one), nil
}

// UseRounds takes rounds.
func (m *Model) UseRounds(_ context.Context, name string, u gateway.Use) (gateway.Rounds, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, err
	}
	one, trial := l.memberOf(u.Subject), l.launch.Policy.Unlock.TrialRounds
	begins := one == nil || one.member.Method == ""
	if begins && (!u.Begin || trial == 0) {
		if one == nil {
			return 0, gateway.Refuse(gateway.MemberUnknown)
		}
		return 0, gateway.Refuse(gateway.RoundsExhausted)
	}
	left := gateway.Rounds(trial)
	if !begins {
		left = m.left(l, one)
	} else if one != nil {
		left = max(0, left-gateway.Rounds(one.member.Used))
	}
	switch {
	case left == gateway.Unlimited, one != nil && u.Proof != "" && slices.Contains(one.proofs, u.Proof):
		return left, nil
	case gateway.Rounds(u.Rounds) > left:
		return 0, gateway.Refuse(gateway.RoundsExhausted)
	case !l.launch.Open:
		return 0, gateway.Refuse(gateway.LaunchClosed)
	}
	if one == nil {
		one = &modelMember{}
	}
	if begins {
		one.member.Method, one.member.Rounds, one.bare = gateway.UnlockTrial, gateway.Rounds(trial), false
	}
	one.member.Used += u.Rounds
	if u.Proof != "" {
		one.prove(u.Proof)
	}
	l.keep(u.Subject, one)
	l.position++
	return m.left(l, one), nil
}

// ChangeMember grants, sets a tier, hides or erases.
func (m *Model) ChangeMember(_ context.Context, name string, c gateway.ChangeMember) (gateway.Member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := c.Validate(); err != nil {
		return gateway.Member{}, err
	}
	l, err := m.find(name)
	if err != nil {
		return gateway.Member{}, err
	}
	one := l.memberOf(c.Subject)
	if one == nil && c.Change == gateway.MemberErased && len(l.lasting(c.Subject)) > 0 {
		one = &modelMember{bare: true}
	}
	if one == nil {
		return gateway.Member{}, gateway.Refuse(gateway.MemberUnknown)
	}
	if c.Change == gateway.MemberPrivate && c.Private == one.member.Private {
		return m.view(l, one), nil
	}
	if c.Own {
		if err := m.tell(l, c.Subject, "="); err != nil {
			return gateway.Member{}, err
		}
	}
	switch c.Change {
	case gateway.MemberGranted:
		one.member.Allotment = plus(one.member.Allotment, gateway.Rounds(c.Invites))
	case gateway.MemberTier:
		one.member.Tier = c.Tier
	case gateway.MemberPrivate:
		one.member.Private = c.Private
	case gateway.MemberErased:
		one.member.Private, one.proofs = true, nil
	}
	l.keep(c.Subject, one)
	l.position++
	return m.view(l, one), nil
}

// Active notes what a member did.
func (m *Model) Active(_ context.Context, name string, a gateway.Act) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return err
	}
	if l.members[a.Subject] == nil && len(l.lasting(a.Subject)) == 0 {
		return gateway.Refuse(gateway.MemberUnknown)
	}
	if a.Own {
		if own := l.own[a.Subject]; own.day.Equal(m.today()) && slices.Contains(own.names, a.Name) {
			return nil
		}
		if err := m.tell(l, a.Subject, a.Name); err != nil {
			return err
		}
	}
	l.position++
	return nil
}

// ownActs is what a member told of itself on a day.
type ownActs struct {
	day   time.Time
	names []string
}

func (m *Model) today() time.Time { return m.now.Truncate(24 * time.Hour) }

// tell counts what a member tells of itself.
func (m *Model) tell(l *modelLaunch, subject, name string) error {
	own, today := l.own[subject], m.today()
	if !own.day.Equal(today) {
		own = ownActs{day: today}
	}
	if len(own.names) >= gateway.MaxOwnActs {
		return &gateway.Error{Reason: gateway.ActivitiesExceeded, RetryAfter: today.Add(24 * time.Hour).Sub(m.now)}
	}
	own.names = append(own.names, name)
	l.own[subject] = own
	return nil
}
