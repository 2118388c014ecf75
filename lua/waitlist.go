package lua

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
)

var waitlistFind = declare("waitlist_find", contract{
	keys:    "meta queue entry_bucket",
	args:    "epoch seen key",
	replies: []string{"found seq version now entry position total", "refused reason", "breach what"},
})

var waitlistChange = declare("waitlist_change", contract{
	keys:    "meta journal queue offers releases entry_bucket code_bucket referrer_bucket",
	args:    "epoch seen verb key code referrer points reason actor note",
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
	if w := strings.Split(r.word(4), ";"); len(w) > 9 {
		code = w[9]
	}
	return e, code, nil
}

// ChangeEntry changes one entry. A change that happened already is answered
// again. It returns entry_unknown, not_waiting, no_offer, already_registered or
// boost_out_of_bounds.
func (s *Store) ChangeEntry(ctx context.Context, name string, c gateway.ChangeEntry) (gateway.Entry, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Entry{}, err
	}
	for {
		e, code, err := s.findEntry(ctx, l, c.Key)
		if err != nil {
			return e, err
		}
		keys := []string{
			l.meta, l.journal, l.queue, l.offers, l.releases, l.entry(c.Key), l.code(gateway.Code(code)), l.entry(e.Referrer),
		}
		r, err := s.call(ctx, l, waitlistChange, keys, string(c.Verb), c.Key, code, e.Referrer,
			strconv.Itoa(c.Points), url.QueryEscape(c.Reason), url.QueryEscape(c.By.Name), url.QueryEscape(c.By.Note))
		if err != nil {
			return e, err
		}
		if r.word(0) == "moved" {
			continue // somebody changed it between the two calls
		}
		position := s.note(l, r, 1)
		if e, _, err = s.findEntry(ctx, l, c.Key); err != nil {
			return e, err
		}
		e.Position = position
		return e, nil
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
	now, err := s.Now(ctx, name)
	if err != nil {
		return 0, err
	}
	due, err := s.redis.ZRangeByScore(ctx, l.offers, &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: sweepAtOnce,
	}).Result()
	if err != nil {
		return 0, s.outage(err)
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
