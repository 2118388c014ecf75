package gatewaytest

import (
	"context"
	"slices"
	"strings"
	"time"

	"admitone/gateway"
)

// codeRefusal is why a code cannot be used by anybody now.
func (m *Model) codeRefusal(l *modelLaunch, c *modelCode) (gateway.Reason, time.Duration) {
	campaign := l.launch.Campaign(c.campaign)
	switch {
	case c.revoked || campaign.State == gateway.CampaignWithdrawn:
		return gateway.CodeRevoked, 0
	case !campaign.Starts.IsZero() && m.now.Before(campaign.Starts):
		return gateway.CodeNotStarted, campaign.Starts.Sub(m.now)
	case !c.ExpiresAt.IsZero() && !m.now.Before(c.ExpiresAt), !campaign.Ends.IsZero() && !m.now.Before(campaign.Ends):
		return gateway.CodeExpired, 0
	case campaign.State == gateway.CampaignOnHold:
		return gateway.CampaignPaused, 0
	}
	return "", 0
}

// usesRefusal is campaign_full or code_exhausted.
func (l *modelLaunch) usesRefusal(c *modelCode) gateway.Reason {
	campaign := l.launch.Campaign(c.campaign)
	switch {
	case campaign.Cap > 0 && l.used[c.campaign] >= campaign.Cap:
		return gateway.CampaignFull
	case c.used >= l.maxUses(c):
		return gateway.CodeExhausted
	}
	return ""
}

// blocked is how long an address or subject has to wait after its failures.
func (m *Model) blocked(l *modelLaunch, address, subject string) time.Duration {
	limits := l.launch.Policy.Limits.FailedAttempts
	longest := time.Duration(0)
	for _, by := range []struct {
		who   string
		limit gateway.Rate
		of    func(failure) string
	}{
		{address, limits.PerAddress, func(f failure) string { return f.address }},
		{subject, limits.PerSubject, func(f failure) string { return f.subject }},
	} {
		if by.who == "" || by.limit.Count == 0 {
			continue
		}
		var recent []time.Time
		for _, f := range l.failures {
			if by.of(f) == by.who && f.at.After(m.now.Add(-time.Duration(by.limit.Window))) {
				recent = append(recent, f.at)
			}
		}
		if len(recent) >= by.limit.Count {
			wait := recent[len(recent)-by.limit.Count].Add(time.Duration(by.limit.Window)).Sub(m.now)
			longest = max(longest, wait)
		}
	}
	return longest
}

func (m *Model) failed(l *modelLaunch, address, subject string) {
	l.failures = append(l.failures, failure{m.now, address, subject})
	l.position++
}

func address(r interface{ IsValid() bool }, text string) string {
	if !r.IsValid() {
		return ""
	}
	return text
}

// Redeem uses a code once.
func (m *Model) Redeem(_ context.Context, name string, r *gateway.Redeem) (gateway.Redemption, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r = kept(r)
	l, err := m.find(name)
	if err != nil {
		return gateway.Redemption{}, err
	}
	c := l.codes[r.Code]
	if again := m.earlier(l, r); again != nil {
		answer := l.standing(again.Redemption)
		answer.Position, answer.Replayed, answer.Proven = l.position, true, r.Proof != "" && r.Proof == again.proof
		return answer, nil
	}
	from := address(r.Address, r.Address.String())
	if why, wait := m.refusal(l, r, c, from); why != "" {
		if why == gateway.CodeUnknown || why == gateway.RecipientMismatch || l.launch.Policy.Refusals == gateway.RefusalsOpaque && why.SpeaksOfCode() {
			m.failed(l, from, guesser(r))
		}
		return gateway.Redemption{}, &gateway.Error{Reason: why, RetryAfter: wait}
	}
	l.position++
	made := &modelRedemption{proof: r.Proof, Redemption: gateway.Redemption{
		ID: gateway.NewID(m.now), Code: r.Code, Display: l.snapshot().Display(c.campaign, r.Code, c.Display), Campaign: c.campaign,
		Subject: r.Subject, Status: gateway.Committed, At: m.now, Position: l.position, Proven: true,
	}}
	if r.Mode == gateway.Hold {
		made.Status, made.ExpiresAt = gateway.Held, m.now.Add(time.Duration(l.launch.Policy.Holds.Expires))
		c.held++
		l.holds = append(l.holds, failure{m.now, from, ""})
	}
	c.used++
	l.used[c.campaign]++
	if l.launch.Policy.Limits.PerInviter.Count > 0 && l.issuer(c) != nil {
		of, window := m.brought(l, c)
		of[window]++
	}
	l.paced[c.campaign] = append(l.paced[c.campaign], m.now)
	if r.Mode == gateway.Commit {
		m.register(l, r.Waits())
	}
	if from != "" {
		l.addresses[from] = seenFrom{r.Subject, m.now}
	}
	l.redemptions = append(l.redemptions, made)
	if made.Status == gateway.Committed {
		m.letIn(l, made)
	}
	return l.standing(made.Redemption), nil
}

// guesser is the subject that guesses count against: whom a back end names.
func guesser(r *gateway.Redeem) string {
	if r.Vouched {
		return r.Subject
	}
	return ""
}

// kept is what a store may keep of a request, whose texts are the caller's:
// copies.
func kept(r *gateway.Redeem) *gateway.Redeem {
	own := *r
	own.Code, own.Subject, own.Email = gateway.Code(strings.Clone(string(r.Code))), strings.Clone(r.Subject), strings.Clone(r.Email)
	own.Proof = strings.Clone(r.Proof)
	return &own
}

// earlier is the redemption that the same request made before, if it is to be
// answered again. A hold whose time is over ends on the way.
func (m *Model) earlier(l *modelLaunch, r *gateway.Redeem) *modelRedemption {
	var last *modelRedemption
	for _, each := range l.redemptions {
		if each.Subject == r.Subject && each.Code == r.Code {
			last = each
		}
	}
	if last == nil {
		return nil
	}
	if last.Status == gateway.Held && !m.now.Before(last.ExpiresAt) {
		m.end(l, last, gateway.Released)
	}
	if last.Status == gateway.Released && (r.Proof == "" || r.Proof != last.proof) {
		return nil
	}
	return last
}

// holdsExceeded is how long an address waits that has held too often in the
// present window.
func (m *Model) holdsExceeded(l *modelLaunch, r *gateway.Redeem, from string) time.Duration {
	limit := l.launch.Policy.Holds.PerAddress
	if limit.Count == 0 || from == "" || r.Mode != gateway.Hold {
		return 0
	}
	length := time.Duration(limit.Window).Milliseconds()
	begin, n := time.UnixMilli(m.now.UnixMilli()/length*length), 0
	for _, h := range l.holds {
		if h.address == from && !h.at.Before(begin) {
			n++
		}
	}
	if n < limit.Count {
		return 0
	}
	return begin.Add(time.Duration(limit.Window)).Sub(m.now)
}

// refusal is why the redemption cannot be, and how long waiting helps.
func (m *Model) refusal(l *modelLaunch, r *gateway.Redeem, c *modelCode, from string) (gateway.Reason, time.Duration) {
	policy := l.launch.Policy
	if !l.launch.Open {
		return gateway.LaunchClosed, 0
	}
	if wait := m.blocked(l, from, guesser(r)); wait > 0 {
		return gateway.AttemptsExceeded, wait
	}
	if wait := m.holdsExceeded(l, r, from); wait > 0 {
		return gateway.HoldsExceeded, wait
	}
	if c == nil {
		return gateway.CodeUnknown, 0
	}
	if why, wait := m.codeRefusal(l, c); why != "" {
		return why, wait
	}
	if why := l.usesRefusal(c); why != "" && (policy.Refusals == gateway.RefusalsOpaque || c.used >= l.maxUses(c)) {
		return why, 0
	}
	if c.Issuer != "" && c.Issuer == r.Subject {
		return gateway.OwnCode, 0
	}
	if c.Recipient != "" && c.Recipient != r.Subject && c.Recipient != r.Email {
		return gateway.RecipientMismatch, 0
	}
	campaign, inCampaign := l.launch.Campaign(c.campaign), 0
	for _, each := range l.redemptions {
		if each.Subject != r.Subject || each.Status != gateway.Held && each.Status != gateway.Committed {
			continue
		}
		if policy.Subjects.OncePerLaunch && campaign.Kind.OncePerLaunch() && l.launch.Campaign(each.Campaign).Kind.OncePerLaunch() {
			return gateway.AlreadyRedeemed, 0
		}
		if each.Campaign == c.campaign {
			inCampaign++
		}
	}
	if campaign.PerSubject > 0 && inCampaign >= campaign.PerSubject {
		return gateway.AlreadyRedeemed, 0
	}
	if of, window := m.brought(l, c); of != nil && of[window] >= policy.Limits.PerInviter.Count {
		length := time.Duration(policy.Limits.PerInviter.Window)
		return gateway.InviterLimited, time.UnixMilli((window + 1) * length.Milliseconds()).Sub(m.now)
	}
	if dedup := policy.Limits.AddressDedup; dedup.Action != gateway.DedupOff && from != "" {
		seen, ok := l.addresses[from]
		until := seen.at.Add(time.Duration(dedup.Window))
		shared := ok && seen.subject != r.Subject && m.now.Before(until)
		switch {
		case shared && dedup.Action == gateway.DedupRefuse:
			return gateway.AddressAlreadyRedeemed, until.Sub(m.now)
		case shared && dedup.Action == gateway.DedupChallenge && !r.Solved:
			return gateway.ChallengeRequired, 0
		}
	}
	if why := l.usesRefusal(c); why != "" {
		return why, 0
	}
	if pace := time.Duration(campaign.Pace.Window).Milliseconds(); pace > 0 {
		begin, n := time.UnixMilli(m.now.UnixMilli()/pace*pace), 0
		for _, at := range l.paced[c.campaign] {
			if !at.Before(begin) {
				n++
			}
		}
		if n >= campaign.Pace.Count {
			return gateway.Paced, begin.Add(time.Duration(campaign.Pace.Window)).Sub(m.now)
		}
	}
	return "", 0
}

// Validate says whether a code could be redeemed.
func (m *Model) Validate(_ context.Context, name string, v gateway.Validate) (gateway.Validation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Validation{}, err
	}
	from := address(v.Address, v.Address.String())
	refuse := func(why gateway.Reason, wait time.Duration) (gateway.Validation, error) {
		if why == gateway.CodeUnknown || l.launch.Policy.Refusals == gateway.RefusalsOpaque && why.SpeaksOfCode() {
			m.failed(l, from, "")
		}
		return gateway.Validation{}, &gateway.Error{Reason: why, RetryAfter: wait}
	}
	if !l.launch.Open {
		return refuse(gateway.LaunchClosed, 0)
	}
	if wait := m.blocked(l, from, ""); wait > 0 {
		return refuse(gateway.AttemptsExceeded, wait)
	}
	c := l.codes[v.Code]
	if c == nil {
		return refuse(gateway.CodeUnknown, 0)
	}
	if why, wait := m.codeRefusal(l, c); why != "" {
		return refuse(why, wait)
	}
	if why := l.usesRefusal(c); why != "" {
		return refuse(why, 0)
	}
	campaign := l.launch.Campaign(c.campaign)
	answer := gateway.Validation{
		Campaign: c.campaign, Display: l.snapshot().Display(c.campaign, v.Code, c.Display), Remaining: l.maxUses(c) - c.used, ExpiresAt: c.ExpiresAt,
	}
	if campaign.Cap > 0 {
		answer.Remaining = min(answer.Remaining, campaign.Cap-l.used[c.campaign])
	}
	if !campaign.Ends.IsZero() && (answer.ExpiresAt.IsZero() || campaign.Ends.Before(answer.ExpiresAt)) {
		answer.ExpiresAt = campaign.Ends
	}
	return answer, nil
}

// Redemption finds a redemption by its id.
func (m *Model) Redemption(_ context.Context, name string, id gateway.ID) (gateway.Redemption, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Redemption{}, err
	}
	r := l.byID(id)
	if r == nil {
		return gateway.Redemption{}, gateway.Refuse(gateway.RedemptionUnknown)
	}
	return r.Redemption, nil
}

// byID forgets, as Redis does, a released redemption that a later one of the
// same subject and code replaced.
func (l *modelLaunch) byID(id gateway.ID) *modelRedemption {
	var found *modelRedemption
	for _, r := range l.redemptions {
		switch {
		case r.ID == id:
			found = r
		case found != nil && r.Subject == found.Subject && r.Code == found.Code:
			return nil
		}
	}
	return found
}

// end frees the use of a redemption.
func (m *Model) end(l *modelLaunch, r *modelRedemption, to gateway.Status) {
	c := l.codes[r.Code]
	if r.Status == gateway.Held {
		c.held--
	}
	if to != gateway.Committed {
		c.used--
		l.used[r.Campaign]--
	}
	if to == gateway.Released { // what the hold took of the pace comes back
		if i := slices.IndexFunc(l.paced[r.Campaign], r.At.Equal); i >= 0 {
			l.paced[r.Campaign] = slices.Delete(l.paced[r.Campaign], i, i+1)
		}
	}
	was := r.Status
	r.Status, r.ExpiresAt = to, time.Time{}
	l.position++
	switch {
	case to == gateway.Committed:
		m.letIn(l, r)
	case was == gateway.Committed:
		m.letOut(l, r)
	}
}

// Settle ends a hold or takes a redemption back.
func (m *Model) Settle(_ context.Context, name string, id gateway.ID, s gateway.Settlement, _ gateway.Actor) (gateway.Redemption, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Redemption{}, err
	}
	r := l.byID(id)
	if r == nil {
		return gateway.Redemption{}, gateway.Refuse(gateway.RedemptionUnknown)
	}
	to := map[gateway.Settlement]gateway.Status{
		gateway.Confirm: gateway.Committed, gateway.Release: gateway.Released, gateway.Expire: gateway.Released, gateway.Rollback: gateway.RolledBack,
	}[s]
	over := r.Status == gateway.Held && !m.now.Before(r.ExpiresAt)
	switch {
	case r.Status == to:
		answer := r.Redemption
		answer.Replayed = true
		return answer, nil
	case s == gateway.Rollback && r.Status != gateway.Committed:
		return gateway.Redemption{}, gateway.Refuse(gateway.NotCommitted)
	case s != gateway.Rollback && r.Status != gateway.Held:
		return gateway.Redemption{}, gateway.Refuse(gateway.NotHeld)
	case s == gateway.Confirm && over:
		return gateway.Redemption{}, gateway.Refuse(gateway.HoldExpired)
	case s == gateway.Expire && !over:
		return gateway.Redemption{}, gateway.Refuse(gateway.Conflict)
	}
	m.end(l, r, to)
	if s == gateway.Confirm {
		m.register(l, r.Subject)
	}
	return r.Redemption, nil
}

// SweepHolds ends the holds whose time is over.
func (m *Model) SweepHolds(_ context.Context, name string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, r := range l.redemptions {
		if r.Status == gateway.Held && !m.now.Before(r.ExpiresAt) {
			m.end(l, r, gateway.Released)
			ended++
		}
	}
	return ended, nil
}
