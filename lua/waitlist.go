package lua

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

var waitlistFind = declare("waitlist_find", contract{
	keys:    "meta queue entry_bucket",
	args:    "epoch seen key",
	replies: []string{"found seq version now entry position total", "refused reason", "breach what"},
})

var waitlistChange = declare("waitlist_change", contract{
	keys:    "meta journal queue offers releases entry_bucket code_bucket referrer_bucket",
	args:    "epoch seen verb key code referrer points reason id actor note",
	replies: []string{"changed seq version status release", "moved", "refused reason", "breach what"},
})

var entryLetters = map[string]gateway.EntryStatus{
	"": gateway.EntryWaiting, "i": gateway.EntryInvited, "g": gateway.EntryRegistered,
	"d": gateway.EntryDeclined, "x": gateway.EntryExpired, "l": gateway.EntryLeft,
}

// readEntry reads a packed entry; lib/waitlist.lua writes it.
func readEntry(key, packed string) gateway.Entry {
	var w [12]string
	for i := range w {
		w[i], packed, _ = strings.Cut(packed, ";")
	}
	number := func(i int) int { n, _ := strconv.Atoi(w[i]); return n }
	e := gateway.Entry{
		Key: key, Status: entryLetters[w[2]], Arrival: uint64(number(0)), Priority: number(1), JoinedAt: time.Unix(int64(number(3)), 0).UTC(),
		Referrer: w[5], Unconfirmed: strings.Contains(w[6], "u"), Referrals: number(7), Boosts: gateway.ParseBoosts(w[8]),
		Release: w[11],
	}
	if e.Status == gateway.EntryInvited || e.Status == gateway.EntryRegistered {
		e.Offer, e.OfferEnds = gateway.Code(w[9]), millis(w[10])
	}
	return e
}

// Entry finds an entry by its key. It returns entry_unknown if there is none.
func (s *Store) Entry(ctx context.Context, name, key string) (gateway.Entry, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Entry{}, err
	}
	e, _, err := s.findEntry(ctx, l, key)
	return e, err
}

// findEntry also returns the code that the record names, whatever the status.
func (s *Store) findEntry(ctx context.Context, l *launch, key string) (e gateway.Entry, code string, err error) {
	r, err := s.call(ctx, l, waitlistFind, []string{l.meta, l.queue, l.entry(key)}, key)
	if err != nil {
		return e, "", err
	}
	e = readEntry(key, r.word(4))
	e.Position, e.AsOf, e.Place, e.Total = s.note(l, r, 1), millis(r.word(3)), int(r.number(5)), int(r.number(6))
	return e, codeOfEntry(r.word(4)), nil
}

// codeOfEntry is the code that a packed entry names, whatever its status.
func codeOfEntry(packed string) string {
	if w := strings.Split(packed, ";"); len(w) > 9 {
		return w[9]
	}
	return ""
}

// ChangeEntry changes one entry. A change that happened already is answered
// again. It returns entry_unknown, not_waiting, no_offer, already_registered,
// boost_out_of_bounds, or overloaded when Postgres is too far behind.
func (s *Store) ChangeEntry(ctx context.Context, name string, c gateway.ChangeEntry) (gateway.Entry, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Entry{}, err
	}
	if c.Verb != gateway.SettleEntry && l.witness.full(witnessReserve, s.persistedIn(l)) {
		return gateway.Entry{}, &gateway.Error{Reason: gateway.Overloaded, RetryAfter: time.Second}
	}
	if c.Verb == gateway.BoostEntry && c.ID == "" {
		c.ID = gateway.NewID(time.Now()).Short() // told again after a loss, it counts once
	}
	for {
		e, code, err := s.findEntry(ctx, l, c.Key)
		if err != nil {
			return e, err
		}
		position, moved, err := s.tryChange(ctx, l, &c, code, e.Referrer)
		if err != nil {
			return e, err
		}
		if moved {
			continue // somebody changed it between the two calls
		}
		epoch := l.epoch.Load()
		if e, _, err = s.findEntry(ctx, l, c.Key); err != nil {
			return e, err
		}
		e.Epoch, e.Position = epoch, position
		return e, nil
	}
}

// tryChange changes an entry whose offer and referrer are known, and keeps what
// is answered; moved says that they are others by now.
func (s *Store) tryChange(ctx context.Context, l *launch, c *gateway.ChangeEntry, code, referrer string) (position uint64, moved bool, err error) {
	l.flights.RLock()
	defer l.flights.RUnlock()
	r, err := s.call(ctx, l, waitlistChange, changeKeys(l, c.Key, code, referrer), changeArgs(c, code, referrer)...)
	if err != nil {
		return 0, false, err
	}
	if r.word(0) == "moved" {
		return 0, true, nil
	}
	if c.Verb != gateway.SettleEntry {
		l.witness.keep(s.persistedIn(l), testimony{position: r.number(1), change: c})
	}
	return s.note(l, r, 1), false, nil
}

func changeKeys(l *launch, key, code, referrer string) []string {
	return []string{l.meta, l.journal, l.queue, l.offers, l.releases, l.entry(key), l.code(gateway.Code(code)), l.entry(referrer)}
}

func changeArgs(c *gateway.ChangeEntry, code, referrer string) []any {
	return []any{
		string(c.Verb), c.Key, code, referrer, strconv.Itoa(c.Points), url.QueryEscape(c.Reason), url.QueryEscape(c.ID),
		url.QueryEscape(c.By.Name), url.QueryEscape(c.By.Note),
	}
}

// declinedEntry is a decline that is told again after the offer was lost: who
// declined is not offered the place again.
const declinedEntry gateway.EntryVerb = "declined"

// rechange tells a Redis again of a change that was answered. The entry's offer
// may be lost, and made anew to somebody else.
func (s *Store) rechange(ctx context.Context, l *launch, epoch uint64, t testimony) error {
	c, change := t.change, *t.change
	for {
		found, err := s.send(ctx, waitlistFind, s.introduce(l), []string{l.meta, l.queue, l.entry(c.Key)}, []any{epoch, 0, c.Key})
		if err != nil {
			return err
		}
		if found.word(0) == "breach" {
			return notAdmitted()
		}
		r := found
		if found.word(0) == "found" {
			e := readEntry(c.Key, found.word(4))
			code := codeOfEntry(found.word(4))
			r, err = s.send(ctx, waitlistChange, s.introduce(l), changeKeys(l, c.Key, code, e.Referrer), append([]any{epoch, 0}, changeArgs(&change, code, e.Referrer)...))
			if err != nil {
				return err
			}
		}
		switch r.word(0) {
		case "breach":
			return notAdmitted()
		case "moved":
			change.Verb = c.Verb
			continue
		case "refused":
			if change.Verb == gateway.DeclineEntry && gateway.Reason(r.word(1)) == gateway.NoOffer {
				change.Verb = declinedEntry
				continue
			}
			if gateway.Reason(r.word(1)) == gateway.EntryUnknown {
				return errUnknownYet
			}
			s.metrics.unkept.Inc()
			s.log.Error("an answered change of an entry could not be kept", "launch", l.name, "verb", c.Verb, "reason", r.word(1))
			return nil
		}
		t.position = r.number(1)
		l.witness.keep(none, t)
		l.saw(t.position)
		return nil
	}
}

// SweepOffers settles the offers of a launch whose time is over or whose codes
// were used, and reports how many it looked at. Every gateway may do it at any
// time: an offer ends once.
func (s *Store) SweepOffers(ctx context.Context, name string) (int, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, err
	}
	due, err := s.due(ctx, l, l.offers)
	if err != nil {
		return 0, err
	}
	for i, key := range due {
		_, err := s.ChangeEntry(ctx, name, gateway.ChangeEntry{Verb: gateway.SettleEntry, Key: key, By: gateway.Actor{Name: "system"}})
		if err != nil && !errors.Is(err, gateway.Refuse(gateway.EntryUnknown)) {
			return i, err
		}
	}
	return len(due), nil
}

// waitlistRules packs what the scripts need of a waitlist's policy;
// lib/waitlist.lua reads it.
func waitlistRules(w *gateway.WaitlistPolicy) string {
	words := []string{flag(w.Open), strconv.Itoa(w.Boosts.Referred), strconv.Itoa(w.Boosts.Referrer), flag(w.ConfirmEmail)}
	for _, r := range []gateway.Rate{w.Limits.PerAddress, w.Limits.PerLaunch} {
		words = append(words, strconv.Itoa(r.Count), strconv.FormatInt(ms(r.Window), 10))
	}
	return strings.Join(append(words, flag(w.Release.NextGets)), ";")
}
