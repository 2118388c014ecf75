package lua

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

var launchRead = declare("launch_read", contract{
	keys:    "meta config",
	replies: []string{"launch epoch seq version persisted bytes persisted_bytes fields", "none"},
})

var launchPut = declare("launch_put", contract{
	keys:    "meta journal config",
	args:    "epoch seen expected rules waitlist open actor note policy",
	replies: []string{"put seq version", "refused reason", "breach what"},
})

var launchClock = declare("launch_clock", contract{
	keys:    "meta journal config",
	args:    "epoch seen ahead actor note",
	replies: []string{"put seq version", "refused reason", "breach what"},
})

const (
	freshFor   = time.Second // a snapshot is looked at again after this
	unknownFor = time.Second // so is a name that no launch had
	unknownMax = 10_000      // names remembered as unknown
	retryAdmit = time.Second // after an admission that failed
	waitAdmit  = time.Second // for an admission
	// admitTimeout bounds an admission, the heal of the largest launch included.
	admitTimeout = 10 * time.Minute
)

// Launch returns the launch as this gateway knows it, at most a second or one
// script call behind Redis. It returns launch_unknown, or not_admitted while
// its history is made right.
func (s *Store) Launch(ctx context.Context, name string) (*gateway.Launch, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return nil, err
	}
	if time.Now().UnixNano()-l.checked.Load() > int64(freshFor) {
		s.refreshSoon(l)
	}
	return l.snapshot.Load(), nil
}

// launch finds the launch's state in this gateway, admitting it on first use
// and after a breach.
func (s *Store) launch(ctx context.Context, name string) (*launch, error) {
	s.mu.RLock()
	l, until := s.launches[name], s.unknown[name]
	s.mu.RUnlock()
	if l != nil && l.epoch.Load() != 0 {
		return l, nil
	}
	if l == nil {
		if time.Now().Before(until) || !gateway.ValidLaunchName(name) {
			return nil, gateway.Refuse(gateway.LaunchUnknown)
		}
		l = s.begin(name)
	}
	err := s.admit(ctx, l)
	if errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) {
		s.forget(name)
	}
	return l, err
}

// begin returns the one state of the launch of this name, not admitted yet
// when it is new.
func (s *Store) begin(name string) *launch {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.launches[name]
	if l != nil {
		return l
	}
	name = strings.Clone(name) // the caller's may be a view of a request
	l = &launch{keys: newKeys(name), name: name}
	o := s.options
	l.redeem = group[redeemCall]{run: func(b []*redeemCall) { s.runRedeem(l, b) }, most: o.Batch, flights: o.Flights, bound: o.Queue}
	l.validate = group[validateCall]{run: func(b []*validateCall) { s.runValidate(l, b) }, most: o.Batch, flights: 1, bound: o.Queue}
	l.attempts = group[guessCall]{run: func(b []*guessCall) { s.runAttempts(l, b) }, most: o.Batch, flights: 1, bound: o.Queue}
	l.open = group[openCall]{run: func(b []*openCall) { s.runOpen(l, b) }, most: openMost, flights: 1, bound: o.Queue}
	l.join = group[joinCall]{run: func(b []*joinCall) { s.runJoin(l, b) }, most: o.Batch, flights: 2, bound: o.Queue / 2}
	s.launches[name] = l
	return l
}

// forget drops the state of a launch that does not exist, and remembers for a
// moment that it does not.
func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.launches, name)
	if len(s.unknown) >= unknownMax {
		clear(s.unknown)
	}
	s.unknown[strings.Clone(name)] = time.Now().Add(unknownFor)
}

// read is the launch as Redis holds it now. One that was served and is not
// there any more is closed.
func (s *Store) read(ctx context.Context, l *launch) (*gateway.Launch, gateway.Position, error) {
	served := l.epoch.Load()
	r, err := s.send(ctx, launchRead, introduction{}, []string{l.meta, l.config}, nil)
	if err != nil {
		return nil, gateway.Position{}, err
	}
	switch {
	case r.word(0) == "none" && served != 0:
		return nil, gateway.Position{}, s.breached(l, served, "epoch")
	case r.word(0) == "none":
		return nil, gateway.Position{}, gateway.Refuse(gateway.LaunchUnknown)
	}
	at := gateway.Position{
		Epoch: r.number(1), Seq: r.number(2), Persisted: r.number(4),
		Bytes: r.number(5) - r.number(6),
	}
	at.Entries = at.Seq - at.Persisted
	s.persisted.Advance(l.name, at.Epoch, at.Persisted)
	s.metrics.backlog(l, at, time.Now())
	snapshot := &gateway.Launch{Name: l.name, Epoch: at.Epoch, Version: r.number(3)}
	var campaigns []*gateway.Campaign
	for i := 7; i+1 < len(r); i += 2 {
		field, value := r.word(i), r.word(i+1)
		switch {
		case field == "open":
			snapshot.Open = value == "1"
		case field == "ahead":
			ahead, _ := strconv.ParseInt(value, 10, 64)
			snapshot.Ahead = time.Duration(ahead) * time.Millisecond
		case field == "policy":
			snapshot.Policy, err = gateway.ParsePolicy([]byte(value))
		case strings.HasPrefix(field, "campaign:"):
			c := new(gateway.Campaign)
			err = json.Unmarshal([]byte(value), c)
			campaigns = append(campaigns, c)
		}
		if err != nil {
			s.log.Error("a launch's configuration in Redis does not parse", "launch", l.name, "field", field, "error", err)
			return nil, at, gateway.Refuse(gateway.Internal)
		}
	}
	snapshot.SetCampaigns(campaigns)
	return snapshot, at, nil
}

// checkVersion refreshes the snapshot when a script answers another version.
func (s *Store) checkVersion(l *launch, version uint64) {
	if l.snapshot.Load().Version != version {
		s.refreshSoon(l)
	}
}

// refreshSoon reads the launch again in the background, once at a time.
func (s *Store) refreshSoon(l *launch) {
	if !l.busy.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer l.busy.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.refresh(ctx, l)
	}()
}

// refresh makes the snapshot current.
func (s *Store) refresh(ctx context.Context, l *launch) {
	began := s.mono()
	snapshot, at, err := s.read(ctx, l)
	if err != nil {
		return // logged; a script finds out whether the history is gone
	}
	if epoch := l.epoch.Load(); epoch != 0 && snapshot.Epoch != epoch {
		s.breached(l, epoch, "epoch")
		return
	}
	l.saw(at.Seq)
	for {
		old := l.snapshot.Load()
		if snapshot.Version < old.Version {
			break
		}
		if snapshot.Wider(old) {
			l.widened.Store(s.mono())
		}
		if l.snapshot.CompareAndSwap(old, snapshot) {
			l.vouch(began)
			break
		}
	}
	l.checked.Store(time.Now().UnixNano())
}

var launchAdopt = declare("launch_adopt", contract{
	keys:    "meta",
	args:    "epoch position next_epoch",
	replies: []string{"adopted seq", "breach what"},
})

// Adopt lets the launch's history in Redis go on under a new epoch, if it is
// of the epoch before and has reached the position. It reports whether it did.
func (s *Store) Adopt(ctx context.Context, name string, epoch, position, next uint64) (bool, error) {
	r, err := s.send(ctx, launchAdopt, introduction{}, []string{newKeys(name).meta}, []any{epoch, position, next})
	return err == nil && r.word(0) == "adopted", err
}

// Position is how far the launch's journal has come. The entries and bytes are
// what Postgres does not hold yet.
func (s *Store) Position(ctx context.Context, name string) (gateway.Position, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Position{}, err
	}
	_, at, err := s.read(ctx, l)
	return at, err
}

// CreateLaunch makes a launch, open. It returns launch_exists if there is one.
func (s *Store) CreateLaunch(ctx context.Context, p gateway.Policy, by gateway.Actor) (*gateway.Launch, error) {
	if _, err := s.launch(ctx, p.Launch); err == nil {
		return nil, gateway.Refuse(gateway.LaunchExists)
	} else if !errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) {
		return nil, err
	}
	if err := s.redis.SAdd(ctx, launchesKey, p.Launch).Err(); err != nil {
		return nil, s.outage(err)
	}
	now, err := s.redisTime(ctx)
	if err != nil {
		return nil, err
	}
	k := newKeys(p.Launch)
	policy, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	// A history's first epoch is the time it began, so that a launch made
	// anew after both stores lost it is not taken for the one before.
	r, err := s.send(ctx, launchPut, introduction{}, []string{k.meta, k.journal, k.config},
		[]any{now.UnixMilli(), 0, "new", rules(p, true), waitlistRules(&p.Waitlist), "1", url.QueryEscape(by.Name), url.QueryEscape(by.Note), policy})
	if err != nil {
		return nil, err
	}
	if r.word(0) == "refused" {
		return nil, refusal(r.word(1), 0)
	}
	s.mu.Lock()
	delete(s.unknown, p.Launch)
	s.mu.Unlock()
	return s.Launch(ctx, p.Launch)
}

// PutPolicy replaces the launch's policy. With a version other than 0 it
// returns conflict when the launch has changed since that version was read.
func (s *Store) PutPolicy(ctx context.Context, p gateway.Policy, version uint64, by gateway.Actor) (*gateway.Launch, error) {
	return s.putLaunch(ctx, p.Launch, version, by, func(was *gateway.Launch) (gateway.Policy, bool) { return p, was.Open })
}

// SetOpen opens or closes the launch.
func (s *Store) SetOpen(ctx context.Context, name string, open bool, by gateway.Actor) (*gateway.Launch, error) {
	return s.putLaunch(ctx, name, 0, by, func(was *gateway.Launch) (gateway.Policy, bool) { return was.Policy, open })
}

// putLaunch writes policy and state together. Whoever does not insist on a
// version tries again when somebody else was faster.
func (s *Store) putLaunch(ctx context.Context, name string, version uint64, by gateway.Actor, change func(*gateway.Launch) (gateway.Policy, bool)) (*gateway.Launch, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return nil, err
	}
	for {
		was, _, err := s.read(ctx, l)
		if err != nil {
			return nil, err
		}
		p, open := change(was)
		policy, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		expected := version
		if expected == 0 {
			expected = was.Version
		}
		_, err = s.call(ctx, l, launchPut, []string{l.meta, l.journal, l.config},
			expected, rules(p, open), waitlistRules(&p.Waitlist), flag(open), url.QueryEscape(by.Name), url.QueryEscape(by.Note), policy)
		if version == 0 && errors.Is(err, gateway.Refuse(gateway.Conflict)) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.refresh(ctx, l)
		return l.snapshot.Load(), nil
	}
}

// SetClock sets the launch's clock ahead of Redis' own, for a rehearsal. It
// returns conflict if it is further ahead already: time does not go back.
func (s *Store) SetClock(ctx context.Context, name string, ahead time.Duration, by gateway.Actor) (*gateway.Launch, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return nil, err
	}
	_, err = s.call(ctx, l, launchClock, []string{l.meta, l.journal, l.config},
		strconv.FormatInt(ahead.Milliseconds(), 10), url.QueryEscape(by.Name), url.QueryEscape(by.Note))
	if err != nil {
		return nil, err
	}
	s.refresh(ctx, l)
	return l.snapshot.Load(), nil
}

// rules packs what the scripts need of a policy; lib/attempts.lua reads it, up
// to what lib/members.lua reads.
func rules(p gateway.Policy, open bool) string {
	address, subject := p.Limits.FailedAttempts.PerAddress, p.Limits.FailedAttempts.PerSubject
	var dedup int64
	if p.Limits.AddressDedup.Action != gateway.DedupOff {
		dedup = ms(p.Limits.AddressDedup.Window)
	}
	words := []string{flag(open), flag(p.Subjects.OncePerLaunch)}
	for _, n := range []int64{
		int64(address.Count), ms(address.Window), int64(subject.Count), ms(subject.Window), dedup, ms(p.Holds.Expires),
	} {
		words = append(words, strconv.FormatInt(n, 10))
	}
	return strings.Join(append(words, flag(p.Refusals == gateway.RefusalsOpaque), p.Limits.AddressDedup.Action,
		strconv.Itoa(p.Limits.PerInviter.Count), strconv.FormatInt(ms(p.Limits.PerInviter.Window), 10),
		strconv.Itoa(p.Holds.PerAddress.Count), strconv.FormatInt(ms(p.Holds.PerAddress.Window), 10)), ";") + "|" + memberRules(p) + "|" + rewardRules(&p.Rewards)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func ms(d gateway.Duration) int64 { return time.Duration(d).Milliseconds() }
