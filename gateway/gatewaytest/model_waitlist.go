package gatewaytest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"admitone/gateway"
)

// modelEntry is a place on the waitlist.
type modelEntry struct {
	gateway.Entry
	email   string
	proof   string
	counted bool // its referral
	offered *modelCode
	byHand  []string // ids of boosts
}

func (e *modelEntry) boost(kind gateway.BoostKind, points int, reason string, at time.Time) {
	e.Priority = max(-gateway.MaxPoints, min(gateway.MaxPoints, e.Priority+points))
	for i := range e.Boosts {
		if kind == gateway.BoostReferrer && e.Boosts[i].Kind == kind {
			e.Boosts[i].Points += points
			e.Boosts[i].At = at
			return
		}
	}
	e.Boosts = append(e.Boosts, gateway.Boost{Points: points, Kind: kind, Reason: reason, At: at})
}

// queue is who waits, in the line's order.
func (l *modelLaunch) queue() []*modelEntry {
	var list []*modelEntry
	for _, e := range l.entries {
		if e.Status == gateway.EntryWaiting {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *modelEntry) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Arrival, b.Arrival))
	})
	return list
}

func (l *modelLaunch) place(key string) (place, total int) {
	queue := l.queue()
	return slices.IndexFunc(queue, func(e *modelEntry) bool { return e.Key == key }) + 1, len(queue)
}

func (m *Model) seconds() time.Time { return m.now.Truncate(time.Second) }

// Join takes a place on the waitlist.
func (m *Model) Join(_ context.Context, name string, j *gateway.Join) (gateway.Joined, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Joined{}, err
	}
	policy := l.launch.Policy.Waitlist
	key := m.EntryKey(name, j.Email)
	e := l.entries[key]
	if e != nil && (e.Status == gateway.EntryWaiting || e.Status == gateway.EntryInvited || e.Status == gateway.EntryRegistered) {
		proven := j.Proof != "" && j.Proof == e.proof
		if !proven && !j.Vouched {
			if wait := m.joinsExceeded(l, j); wait > 0 {
				return gateway.Joined{}, &gateway.Error{Reason: gateway.JoinsExceeded, RetryAfter: wait}
			}
			l.asked = append(l.asked, failure{m.now, address(j.Address, j.Address.String()), ""})
		}
		place, total := l.place(e.Key)
		return gateway.Joined{
			Key: e.Key, Status: e.Status, Known: true, Proven: proven, Priority: e.Priority, Place: place, Total: total, Position: l.position,
		}, nil
	}
	if why, wait := m.joinRefusal(l, j); why != "" {
		return gateway.Joined{}, &gateway.Error{Reason: why, RetryAfter: wait}
	}
	l.joins = append(l.joins, failure{m.now, address(j.Address, j.Address.String()), ""})
	back := e != nil
	if !back {
		e = &modelEntry{}
		l.entries[key] = e
	}
	l.arrivals++
	e.Entry = gateway.Entry{
		Key: key, Status: gateway.EntryWaiting, Arrival: l.arrivals, JoinedAt: m.seconds(), Referrer: e.Referrer, Referrals: e.Referrals,
	}
	e.email, e.proof, e.offered, e.byHand = j.Email, j.Proof, nil, nil
	if j.Points != 0 {
		e.boost(gateway.BoostSource, j.Points, j.Source, m.seconds())
	}
	referrer := l.entries[j.Referrer]
	if !back && referrer != nil && referrer != e {
		e.Referrer = j.Referrer
	}
	referred := false
	if policy.ConfirmEmail {
		e.Unconfirmed = true
	} else if !back && e.Referrer != "" {
		referred = true
		m.refer(l, e)
	}
	l.position++
	place, total := l.place(e.Key)
	return gateway.Joined{
		Key: e.Key, Status: e.Status, Proven: true, Referred: referred, Priority: e.Priority, Place: place, Total: total, Position: l.position,
	}, nil
}

// refer counts a referral: once for each entry.
func (m *Model) refer(l *modelLaunch, e *modelEntry) {
	boosts := l.launch.Policy.Waitlist.Boosts
	e.counted = true
	if e.Status == gateway.EntryWaiting && boosts.Referred != 0 {
		e.boost(gateway.BoostReferred, boosts.Referred, "", m.seconds())
	}
	r := l.entries[e.Referrer]
	r.Referrals++
	if r.Status == gateway.EntryWaiting && boosts.Referrer != 0 {
		r.boost(gateway.BoostReferrer, boosts.Referrer, "", m.seconds())
	}
}

// joinsExceeded is how long an address waits that has joined, or asked who is on
// the list, too often.
func (m *Model) joinsExceeded(l *modelLaunch, j *gateway.Join) time.Duration {
	from, limit := address(j.Address, j.Address.String()), l.launch.Policy.Waitlist.Limits.PerAddress
	if limit.Count == 0 || from == "" {
		return 0
	}
	var recent []time.Time
	for _, f := range slices.Concat(l.joins, l.asked) {
		if f.address == from && f.at.After(m.now.Add(-time.Duration(limit.Window))) {
			recent = append(recent, f.at)
		}
	}
	if len(recent) < limit.Count {
		return 0
	}
	slices.SortFunc(recent, time.Time.Compare)
	return recent[len(recent)-limit.Count].Add(time.Duration(limit.Window)).Sub(m.now)
}

func (m *Model) joinRefusal(l *modelLaunch, j *gateway.Join) (gateway.Reason, time.Duration) {
	policy := l.launch.Policy.Waitlist
	switch {
	case !l.launch.Open:
		return gateway.LaunchClosed, 0
	case !policy.Open:
		return gateway.WaitlistClosed, 0
	}
	if wait := m.joinsExceeded(l, j); wait > 0 {
		return gateway.JoinsExceeded, wait
	}
	if limit := policy.Limits.PerLaunch; limit.Count > 0 {
		begin := time.UnixMilli(m.now.UnixMilli() / time.Duration(limit.Window).Milliseconds() * time.Duration(limit.Window).Milliseconds())
		n := 0
		for _, f := range l.joins {
			if !f.at.Before(begin) {
				n++
			}
		}
		if n >= limit.Count {
			return gateway.JoinsExceeded, begin.Add(time.Duration(limit.Window)).Sub(m.now)
		}
	}
	return "", 0
}

// Entry finds an entry.
func (m *Model) Entry(_ context.Context, name, key string) (gateway.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Entry{}, err
	}
	return m.entry(l, key)
}

func (m *Model) entry(l *modelLaunch, key string) (gateway.Entry, error) {
	e := l.entries[key]
	if e == nil {
		return gateway.Entry{}, gateway.Refuse(gateway.EntryUnknown)
	}
	answer := e.Entry
	answer.Boosts = slices.Clone(e.Boosts)
	if answer.Status != gateway.EntryInvited && answer.Status != gateway.EntryRegistered {
		answer.Offer, answer.OfferEnds = "", time.Time{}
	}
	answer.Place, answer.Total = l.place(key)
	answer.AsOf, answer.Position = m.now, l.position
	return answer, nil
}

// ChangeEntry changes one entry.
func (m *Model) ChangeEntry(_ context.Context, name string, c gateway.ChangeEntry) (gateway.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Entry{}, err
	}
	e := l.entries[c.Key]
	if e == nil {
		return gateway.Entry{}, gateway.Refuse(gateway.EntryUnknown)
	}
	invited := e.Status == gateway.EntryInvited
	redeemed := invited && e.offered.used > 0
	end := func(to gateway.EntryStatus, revoke bool) {
		e.Status = to
		if revoke {
			e.offered.revoked = true
		}
		if r := l.releases[e.Release]; r != nil && l.launch.Policy.Waitlist.Release.NextGets && to != gateway.EntryRegistered {
			r.Done--
			r.Ended = false
		}
		l.position++
	}
	switch c.Verb {
	case gateway.ConfirmEntry:
		if e.Unconfirmed {
			e.Unconfirmed = false
			l.position++
			if e.Referrer != "" && !e.counted {
				m.refer(l, e)
			}
		}
	case gateway.BoostEntry:
		if c.ID != "" && slices.Contains(e.byHand, c.ID) {
			break
		}
		if e.Status != gateway.EntryWaiting {
			return gateway.Entry{}, gateway.Refuse(gateway.NotWaiting)
		}
		if n := e.Priority + c.Points; n > gateway.MaxPoints || n < -gateway.MaxPoints {
			return gateway.Entry{}, gateway.Refuse(gateway.BoostOutOfBounds)
		}
		e.boost(gateway.BoostByHand, c.Points, c.Reason, m.seconds())
		e.byHand = append(e.byHand, c.ID)
		l.position++
	case gateway.LeaveEntry:
		switch {
		case e.Status == gateway.EntryRegistered || redeemed:
			return gateway.Entry{}, gateway.Refuse(gateway.AlreadyRegistered)
		case invited:
			end(gateway.EntryLeft, true)
		case e.Status != gateway.EntryLeft:
			e.Status = gateway.EntryLeft
			l.position++
		}
	case gateway.DeclineEntry:
		switch {
		case e.Status == gateway.EntryRegistered || redeemed:
			return gateway.Entry{}, gateway.Refuse(gateway.AlreadyRegistered)
		case invited:
			end(gateway.EntryDeclined, true)
		case e.Status != gateway.EntryDeclined:
			return gateway.Entry{}, gateway.Refuse(gateway.NoOffer)
		}
	}
	return m.entry(l, c.Key)
}

// SweepOffers settles offers.
func (m *Model) SweepOffers(_ context.Context, name string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range l.entries {
		switch {
		case e.Status == gateway.EntryInvited && e.offered.used > e.offered.held:
			e.Status = gateway.EntryRegistered
		case e.Status == gateway.EntryInvited && e.offered.used == 0 && !m.now.Before(e.OfferEnds):
			e.Status = gateway.EntryExpired
			if r := l.releases[e.Release]; r != nil && l.launch.Policy.Waitlist.Release.NextGets {
				r.Done--
				r.Ended = false
			}
		case e.Status == gateway.EntryRegistered && e.offered != nil && e.offered.used == 0 && !e.offered.revoked:
			e.offered.revoked = true
		default:
			continue
		}
		l.position++
		n++
	}
	return n, nil
}

// register takes an entry off the list when its person is let in.
func (m *Model) register(l *modelLaunch, email string) {
	if e := l.entries[m.EntryKey(l.launch.Name, email)]; e != nil && (e.Status == gateway.EntryWaiting || e.Status == gateway.EntryInvited) {
		e.Status = gateway.EntryRegistered
	}
}

// PutRelease makes a release.
func (m *Model) PutRelease(_ context.Context, name string, c gateway.Cohort, limit int, _ gateway.Actor) (gateway.Cohort, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return c, err
	}
	if l.releases[c.ID] != nil {
		return c, gateway.Refuse(gateway.ReleaseExists)
	}
	if !c.Slot.IsZero() {
		if !l.schedule.Running || !c.Slot.After(l.schedule.Since) {
			return c, gateway.Refuse(gateway.SchedulePaused)
		}
		if limit > 0 {
			c.Count = min(c.Count, limit-l.schedule.Made)
		}
		if c.Count < 1 {
			return c, gateway.Refuse(gateway.ScheduleOver)
		}
		l.schedule.Made += c.Count
		l.schedule.Since = c.Slot
	}
	kept := c
	kept.At, kept.Upto = m.now, l.arrivals
	l.releases[c.ID] = &kept
	l.position++
	return c, nil
}

// SetSchedule starts or pauses releases.
func (m *Model) SetSchedule(_ context.Context, name string, running bool, _ gateway.Actor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return err
	}
	if l.schedule.Running != running || l.schedule.Since.IsZero() {
		l.schedule.Running, l.schedule.Since = running, m.now
		l.position++
	}
	return nil
}

// Release finds a release.
func (m *Model) Release(_ context.Context, name, id string) (gateway.Cohort, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return gateway.Cohort{}, err
	}
	if l.releases[id] == nil {
		return gateway.Cohort{}, gateway.Refuse(gateway.ReleaseUnknown)
	}
	return *l.releases[id], nil
}

// Releases lists releases and the schedule's state.
func (m *Model) Releases(_ context.Context, name string) ([]gateway.Cohort, gateway.Schedule, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return nil, gateway.Schedule{}, err
	}
	var list []gateway.Cohort
	for _, r := range l.releases {
		list = append(list, *r)
	}
	return list, l.schedule, nil
}

// Front lists the keys at the front of the line.
func (m *Model) Front(_ context.Context, name string, n int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return nil, err
	}
	var keys []string
	for i, e := range l.queue() {
		if i < n {
			keys = append(keys, e.Key)
		}
	}
	return keys, nil
}

// WalkQueue tells everybody who waits.
func (m *Model) WalkQueue(_ context.Context, name string, tell func(string, uint64)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return err
	}
	for _, e := range l.queue() {
		tell(e.Key, e.Arrival)
	}
	return nil
}

// Offer makes the next offers of a release.
func (m *Model) Offer(_ context.Context, name, release string, campaign *gateway.Campaign, list []gateway.Offered) (made, left int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, err := m.find(name)
	if err != nil {
		return 0, 0, err
	}
	r := l.releases[release]
	if r == nil {
		return 0, 0, gateway.Refuse(gateway.ReleaseUnknown)
	}
	if !l.schedule.Running && !l.schedule.Since.IsZero() {
		return 0, 0, gateway.Refuse(gateway.SchedulePaused)
	}
	if !r.Ended {
		left = r.Count - r.Done
	}
	given := map[string]gateway.Offered{}
	var order []gateway.Offered
	for _, o := range list {
		given[o.Key] = o
		if e := l.entries[o.Key]; r.Order == gateway.ByLottery && e != nil && e.Status == gateway.EntryWaiting && e.Arrival <= r.Upto {
			order = append(order, o)
		}
	}
	if r.Order == gateway.ByPriority {
		for _, e := range l.queue() {
			o, ok := given[e.Key]
			if !ok {
				break
			}
			order = append(order, o)
		}
	}
	for _, o := range order {
		if left == 0 || l.codes[o.Code] != nil {
			break
		}
		expires := m.now.Add(time.Duration(campaign.Expires))
		if campaign.Expires == 0 {
			expires = m.now.AddDate(0, 0, 3650)
		}
		c := &modelCode{NewCode: gateway.NewCode{Code: o.Code, Display: o.Display, ExpiresAt: expires}, campaign: campaign.Number}
		if o.Recipient {
			c.Recipient = l.entries[o.Key].email
		}
		l.codes[o.Code] = c
		e := l.entries[o.Key]
		e.Status, e.Offer, e.OfferEnds, e.Release, e.offered = gateway.EntryInvited, o.Code, expires, release, c
		r.Done++
		made, left = made+1, left-1
	}
	if !r.Ended && (left < 1 || len(list) == 0) {
		r.Ended, left = true, 0
		l.position++
	} else if made > 0 {
		l.position++
	}
	return made, left, nil
}

// ImportEntries puts people on the waitlist, whatever the limits.
func (m *Model) ImportEntries(ctx context.Context, name string, list []gateway.Join) (added int, position uint64, err error) {
	m.mu.Lock()
	l, err := m.find(name)
	if err != nil {
		m.mu.Unlock()
		return 0, 0, err
	}
	was := l.launch.Policy.Waitlist
	l.launch.Policy.Waitlist.Open, l.launch.Policy.Waitlist.Limits = true, gateway.JoinsPolicy{}
	m.mu.Unlock()
	for i := range list {
		a, err := m.Join(ctx, name, &list[i])
		if err != nil {
			return added, position, err
		}
		if position = a.Position; !a.Known {
			added++
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l.launch.Policy.Waitlist = was
	return added, position, nil
}
