package lua

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
)

var releasePut = declare("release_put", contract{
	keys:    "meta journal releases",
	args:    "epoch seen id count order seed slot cap actor note",
	replies: []string{"put seq version count", "refused reason", "breach what"},
})

var releaseSchedule = declare("release_schedule", contract{
	keys:    "meta journal releases",
	args:    "epoch seen state actor note",
	replies: []string{"put seq version now", "refused reason", "breach what"},
})

var releaseStep = declare("release_step", contract{
	keys:     "meta journal queue offers releases",
	eachKeys: "entry_bucket code_bucket",
	args:     "epoch seen release campaign expires_ms",
	eachArgs: "key code display written recipient",
	replies:  []string{"stepped seq version made left", "refused reason", "breach what"},
})

// PutRelease makes a release; whoever works on it makes the offers. It returns
// release_exists, schedule_paused, or schedule_over when the cap of the
// schedule is reached; what is left of a cap bounds the count.
func (s *Store) PutRelease(ctx context.Context, name string, c gateway.Cohort, limit int, by gateway.Actor) (gateway.Cohort, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return c, err
	}
	r, err := s.order(ctx, l, releasePut, []string{l.meta, l.journal, l.releases}, c.ID, c.Count, string(c.Order), c.Seed,
		unixMillis(c.Slot), limit, url.QueryEscape(by.Name), url.QueryEscape(by.Note))
	if err != nil {
		return c, err
	}
	c.Count = int(r.number(3))
	return c, nil
}

// SetSchedule lets releases run, the schedule's from now on, or pauses them.
func (s *Store) SetSchedule(ctx context.Context, name string, running bool, by gateway.Actor) error {
	l, err := s.launch(ctx, name)
	if err != nil {
		return err
	}
	state := "off"
	if running {
		state = "on"
	}
	_, err = s.order(ctx, l, releaseSchedule, []string{l.meta, l.journal, l.releases}, state, url.QueryEscape(by.Name), url.QueryEscape(by.Note))
	return err
}

// Releases lists a launch's releases, in no order, and the schedule's state.
// Before it was ever started or paused, the schedule does not run.
func (s *Store) Releases(ctx context.Context, name string) ([]gateway.Cohort, gateway.Schedule, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return nil, gateway.Schedule{}, err
	}
	all, err := s.redis.HGetAll(ctx, l.releases).Result()
	if err != nil {
		return nil, gateway.Schedule{}, s.outage(err)
	}
	var list []gateway.Cohort
	var schedule gateway.Schedule
	for id, packed := range all {
		switch id {
		case "#scheduled":
			schedule.Made, _ = strconv.Atoi(packed)
		case "#schedule":
			state, since, _ := strings.Cut(packed, ";")
			schedule.Running, schedule.Since = state == "on", millis(since)
		default:
			list = append(list, readRelease(id, packed))
		}
	}
	return list, schedule, nil
}

// Release finds a release. It returns release_unknown if there is none.
func (s *Store) Release(ctx context.Context, name, id string) (gateway.Cohort, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Cohort{}, err
	}
	packed, err := s.redis.HGet(ctx, l.releases, id).Result()
	if errors.Is(err, redis.Nil) || strings.HasPrefix(id, "#") {
		return gateway.Cohort{}, gateway.Refuse(gateway.ReleaseUnknown)
	}
	if err != nil {
		return gateway.Cohort{}, s.outage(err)
	}
	return readRelease(id, packed), nil
}

// readRelease reads a packed release; lib/waitlist.lua writes it.
func readRelease(id, packed string) gateway.Cohort {
	var w [8]string
	for i := range w {
		w[i], packed, _ = strings.Cut(packed, ";")
	}
	number := func(i int) int { n, _ := strconv.Atoi(w[i]); return n }
	return gateway.Cohort{
		ID: id, Count: number(0), Done: number(1), Order: gateway.ReleaseOrder(w[2]), Seed: w[3], Upto: uint64(number(4)),
		Ended: w[5] == "d", Slot: millis(w[6]), At: millis(w[7]),
	}
}

// storedRelease packs a release.
func storedRelease(c gateway.Cohort) string {
	state := "o"
	if c.Ended {
		state = "d"
	}
	return strings.Join([]string{
		strconv.Itoa(c.Count), strconv.Itoa(c.Done), string(c.Order), c.Seed, strconv.FormatUint(c.Upto, 10), state, unixMillis(c.Slot), unixMillis(c.At),
	}, ";")
}

// Front lists the keys of the n entries at the front of the line.
func (s *Store) Front(ctx context.Context, name string, n int) ([]string, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return nil, err
	}
	keys, err := s.redis.ZRange(ctx, l.queue, 0, int64(n)-1).Result()
	if err != nil {
		return nil, s.outage(err)
	}
	return keys, nil
}

// queueChunk is how many entries a walk through the line reads at once.
const queueChunk = 10_000

// WalkQueue tells every entry that waits and when it arrived, in the line's
// order. Who moves meanwhile may be told twice or not at all.
func (s *Store) WalkQueue(ctx context.Context, name string, tell func(key string, arrival uint64)) error {
	l, err := s.launch(ctx, name)
	if err != nil {
		return err
	}
	for from := int64(0); ; from += queueChunk {
		list, err := s.redis.ZRangeWithScores(ctx, l.queue, from, from+queueChunk-1).Result()
		if err != nil {
			return s.outage(err)
		}
		for _, z := range list {
			tell(z.Member.(string), uint64(z.Score)&(1<<32-1))
		}
		if len(list) < queueChunk {
			return nil
		}
	}
}

// Offer makes the next offers of a release, to as many of the candidates as the
// release has places for, and reports how many it made and how many are left
// to make. No candidates at all end the release. It returns release_unknown or
// schedule_paused.
func (s *Store) Offer(ctx context.Context, name, release string, campaign *gateway.Campaign, list []gateway.Offered) (made, left int, err error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	template, err := gateway.ParseTemplate(campaign.Format)
	if err != nil {
		return 0, 0, err
	}
	keys := append(make([]string, 0, 5+2*len(list)), l.meta, l.journal, l.queue, l.offers, l.releases)
	args := append(make([]any, 0, 3+len(list)), release, strconv.FormatUint(uint64(campaign.Number), 10), ms(campaign.Expires))
	if err := s.widely(ctx, l); err != nil {
		return 0, 0, err
	}
	for _, o := range list {
		if !s.mintable(l, campaign, template, o.Code) {
			return 0, 0, gateway.Invalid("codes", "This campaign takes generated codes only.")
		}
		written, recipient := o.Display, "~"+o.Key
		if written == "" {
			written = template.Display(o.Code)
		}
		display := written
		if display == template.Display(o.Code) {
			display = ""
		}
		if o.Recipient {
			recipient = o.Key
		}
		keys = append(keys, l.entry(o.Key), l.code(o.Code))
		args = append(args, strings.Join([]string{o.Key, string(o.Code), display, written, recipient}, "\t"))
	}
	r, err := s.call(ctx, l, releaseStep, keys, args...)
	if err != nil {
		return 0, 0, err
	}
	return int(r.number(3)), int(r.number(4)), nil
}
