package lua

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/sync/journal"
)

// Restore rebuilds one launch in Redis from what the ledger holds. It is no
// decision: nobody is served meanwhile, because the launch's meta goes first
// and comes back last.
type Restore struct {
	store    *Store
	keys     *keys
	epoch    uint64
	head     gateway.StoredLaunch
	policy   gateway.Policy
	template map[uint32]gateway.Template
	subject  string // whose redemptions came last
	record   string // and what they pack to
	Counted  RestoreCount
	paces    map[uint32]gateway.Rate // of campaigns
	paced    map[uint32]int          // uses in the present window
	joins    [2]map[string][]string  // times of joins by address, of the two turns
	holders  map[string]int          // holds in the present window, by address
}

// RestoreCount is how many rows a restore wrote or a comparison read.
type RestoreCount struct{ Campaigns, Codes, Redemptions, Members, Entries, Payments, Earnings int }

// Restore empties the launch in Redis and returns what writes it anew, in an
// epoch of its own. Two counts begin anew, which no row tells: questions who is
// on the waitlist, and what members told of themselves that day.
func (s *Store) Restore(ctx context.Context, name string, epoch uint64) (*Restore, error) {
	r := &Restore{store: s, keys: newKeys(name), epoch: epoch, template: map[uint32]gateway.Template{}, paces: map[uint32]gateway.Rate{}, paced: map[uint32]int{}, holders: map[string]int{}}
	r.joins = [2]map[string][]string{{}, {}}
	k := r.keys
	all := []string{k.meta, k.config, k.campaigns, k.holds, k.members, k.own, k.payments, k.earnings, k.journal, k.attempts0, k.attempts1, k.dedup0, k.dedup1, k.holders, k.queue, k.offers, k.releases, k.joins0, k.joins1}
	for bucket := range 1 << 16 {
		all = append(all, k.codePrefix+hex16(uint16(bucket)), k.subjectPrefix+hex16(uint16(bucket)), k.entryPrefix+hex16(uint16(bucket)))
	}
	// From here on an earlier restore that hangs somewhere writes nothing more.
	if err := s.redis.Set(ctx, k.restore, epoch, 0).Err(); err != nil {
		return nil, fmt.Errorf("lua: restore: %w", err)
	}
	// meta is the first key: with it the launch stops being served.
	return r, r.pipeline(ctx, func(p redis.Pipeliner) {
		for len(all) > 0 {
			n := min(len(all), 1024)
			p.Unlink(ctx, all[:n]...)
			all = all[n:]
		}
	})
}

// errOtherRestore says that a later restore of the launch began, or ended.
var errOtherRestore = errors.New("the launch is being restored by another process, or was")

// pipeline writes, unless another restore has begun since this one did: a
// process that hung through it would write old records over what was decided
// since.
func (r *Restore) pipeline(ctx context.Context, fill func(redis.Pipeliner)) error {
	err := r.store.redis.Watch(ctx, func(tx *redis.Tx) error {
		mine, err := tx.Get(ctx, r.keys.restore).Uint64()
		if err == nil && mine != r.epoch || errors.Is(err, redis.Nil) {
			return errOtherRestore
		}
		if err != nil {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			fill(p)
			return nil
		})
		return err
	}, r.keys.restore)
	if err != nil {
		return fmt.Errorf("lua: restore: %w", err)
	}
	return nil
}

// Launch takes the launch's head; Finish writes it.
func (r *Restore) Launch(_ context.Context, l gateway.StoredLaunch) error {
	p, err := gateway.ParsePolicy(l.Policy)
	if err != nil {
		return fmt.Errorf("lua: restore: the policy in Postgres: %w", err)
	}
	r.head, r.policy = l, p
	return nil
}

// Campaigns writes campaigns, their documents and their uses.
func (r *Restore) Campaigns(ctx context.Context, list []gateway.StoredCampaign) error {
	r.Counted.Campaigns += len(list)
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		for _, c := range list {
			document, err := json.Marshal(c.Campaign)
			if err != nil {
				panic(err) // a struct of plain fields always marshals
			}
			if t, err := gateway.ParseTemplate(c.Format); err == nil {
				r.template[c.Number] = t
			}
			r.paces[c.Number] = c.Pace
			n := strconv.FormatUint(uint64(c.Number), 10)
			p.HSet(ctx, r.keys.campaigns, n, campaignRules(&c.Campaign), n+"u", c.Used, "#", r.Counted.Campaigns)
			p.HSet(ctx, r.keys.config, "campaign:"+n, document, "name:"+c.Name, n, "named:"+n, c.Name)
		}
	})
}

// Codes writes codes.
func (r *Restore) Codes(ctx context.Context, list []gateway.StoredCode) error {
	r.Counted.Codes += len(list)
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		for _, c := range list {
			p.HSet(ctx, r.keys.code(c.Code), string(c.Code), storedCode(c, r.template[c.Campaign]))
		}
	})
}

// storedCode packs a code; lib/records.lua reads it.
func storedCode(c gateway.StoredCode, t gateway.Template) string {
	state, text := "", c.Display
	if c.Revoked {
		state = "r"
	}
	if text == t.Display(c.Code) {
		text = ""
	}
	record := strings.Join([]string{
		strconv.FormatUint(uint64(c.Campaign), 10), positive(int64(c.Used)), positive(int64(c.Held)), state,
		positive(int64(c.MaxUses)), unixMillis(c.ExpiresAt), c.Recipient, c.Issuer, text,
	}, ";")
	return strings.TrimRight(record, ";")
}

var statusLetters = map[gateway.Status]string{gateway.Held: "h", gateway.Committed: "c", gateway.Released: "r", gateway.RolledBack: "b"}

// Redemptions writes redemptions under their subjects, their holds, and whom
// an address let in. Those of one subject come one after the other.
func (r *Restore) Redemptions(ctx context.Context, list []gateway.StoredRedemption) error {
	r.Counted.Redemptions += len(list)
	window := time.Duration(r.policy.Limits.AddressDedup.Window)
	dedups := r.policy.Limits.AddressDedup.Action != gateway.DedupOff
	holding := ms(r.policy.Holds.PerAddress.Window)
	now, err := r.store.redisTime(ctx)
	if err != nil {
		return err
	}
	now = now.Add(r.head.Ahead)
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		for i, m := range list {
			if m.Subject == r.subject {
				r.record += "," + storedRedemption(m)
			} else {
				r.subject, r.record = m.Subject, storedRedemption(m)
			}
			if i+1 == len(list) || list[i+1].Subject != m.Subject {
				p.HSet(ctx, r.keys.subject(r.subject), r.subject, r.record)
			}
			if m.Status == gateway.Held {
				p.ZAdd(ctx, r.keys.holds, redis.Z{Score: float64(m.ExpiresAt.UnixMilli()), Member: m.ID.Short()})
			}
			if pace := ms(r.paces[m.Campaign].Window); pace > 0 && m.Status != gateway.Released && m.At.UnixMilli()/pace == now.UnixMilli()/pace {
				r.paced[m.Campaign]++
			}
			// Of those that are confirmed by now nothing says that they were held.
			if holding > 0 && m.Address != "" && (m.Status == gateway.Held || m.Status == gateway.Released) && m.At.UnixMilli()/holding == now.UnixMilli()/holding {
				r.holders[m.Address]++
			}
			if dedups && m.Address != "" && now.Sub(m.At) < window {
				turn := m.At.UnixMilli() / window.Milliseconds()
				key := [2]string{r.keys.dedup0, r.keys.dedup1}[turn%2]
				p.HSet(ctx, key, "#", turn, m.Address, m.Subject+";"+strconv.FormatInt(m.At.UnixMilli(), 10))
				p.PExpire(ctx, key, 2*window)
			}
		}
	})
}

func storedRedemption(m gateway.StoredRedemption) string {
	entry := strings.Join([]string{
		m.ID.Short(), statusLetters[m.Status], string(m.Code), strconv.FormatUint(uint64(m.Campaign), 10), unixMillis(m.ExpiresAt), m.Proof,
	}, ";")
	return strings.TrimRight(entry, ";")
}

// Members writes members' records.
func (r *Restore) Members(ctx context.Context, list []gateway.StoredRecord) error {
	r.Counted.Members += len(list)
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		for _, m := range list {
			p.HSet(ctx, r.keys.members, m.Subject, journal.PackMember(m.StoredMember))
		}
	})
}

// Queue writes the schedule and the releases.
func (r *Restore) Queue(ctx context.Context, q gateway.StoredQueue) error {
	fields := storedQueue(q)
	if len(fields) == 0 {
		return nil
	}
	return r.pipeline(ctx, func(p redis.Pipeliner) { p.HSet(ctx, r.keys.releases, fields) })
}

// storedQueue are the fields of the releases' hash.
func storedQueue(q gateway.StoredQueue) map[string]string {
	fields := map[string]string{}
	for _, c := range q.Releases {
		fields[c.ID] = storedRelease(c)
	}
	if q.Made > 0 {
		fields["#scheduled"] = strconv.Itoa(q.Made)
	}
	if q.Scheduled {
		state := "off;"
		if q.Running {
			state = "on;"
		}
		fields["#schedule"] = state + unixMillis(q.Since)
	}
	return fields
}

// Entries writes entries, their places in the line, and their offers.
func (r *Restore) Entries(ctx context.Context, list []gateway.StoredEntry) error {
	r.Counted.Entries += len(list)
	now, err := r.store.redisTime(ctx)
	if err != nil {
		return err
	}
	now = now.Add(r.head.Ahead)
	window := ms(r.policy.Waitlist.Limits.PerAddress.Window)
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		for _, e := range list {
			if at := e.JoinedAt.UnixMilli(); window > 0 && e.Address != "" && at/window >= now.UnixMilli()/window-1 {
				turn := r.joins[at/window%2]
				turn[e.Address] = append(turn[e.Address], strconv.FormatInt(at, 10))
			}
			p.HSet(ctx, r.keys.entry(e.Key), e.Key, storedEntry(e))
			switch {
			case e.Status == gateway.EntryWaiting:
				p.ZAdd(ctx, r.keys.queue, redis.Z{Score: float64(gateway.Score(e.Priority, e.Arrival)), Member: e.Key})
			case e.Code != "" && (e.Status == gateway.EntryInvited || e.Status == gateway.EntryRegistered):
				// Looked at soon: its code may have been used meanwhile.
				p.ZAdd(ctx, r.keys.offers, redis.Z{Member: e.Key})
			}
		}
	})
}

// storedEntry packs an entry; lib/waitlist.lua reads it.
func storedEntry(e gateway.StoredEntry) string {
	status := map[gateway.EntryStatus]string{
		gateway.EntryInvited: "i", gateway.EntryRegistered: "g", gateway.EntryDeclined: "d", gateway.EntryExpired: "x", gateway.EntryLeft: "l",
	}[e.Status]
	flags, priority := "", ""
	if e.Counted {
		flags = "c"
	}
	if e.Unconfirmed {
		flags += "u"
	}
	if e.Priority != 0 {
		priority = strconv.Itoa(e.Priority)
	}
	record := strings.Join([]string{
		strconv.FormatUint(e.Arrival, 10), priority, status, strconv.FormatInt(e.JoinedAt.Unix(), 10), e.Proof, e.Referrer, flags,
		positive(int64(e.Referrals)), e.Packed, string(e.Code), unixMillis(e.Ends), e.Release,
	}, ";")
	return strings.TrimRight(record, ";")
}

// Payments writes what is known of payments.
func (r *Restore) Payments(ctx context.Context, list []gateway.StoredText) error {
	r.Counted.Payments += len(list)
	return r.texts(ctx, r.keys.payments, list)
}

// Earnings writes what subjects' purchases give.
func (r *Restore) Earnings(ctx context.Context, list []gateway.StoredText) error {
	r.Counted.Earnings += len(list)
	return r.texts(ctx, r.keys.earnings, list)
}

func (r *Restore) texts(ctx context.Context, key string, list []gateway.StoredText) error {
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		for _, one := range list {
			p.HSet(ctx, key, one.Key, one.Record)
		}
	})
}

// Failures writes the failed attempts that still count. They come in order.
func (r *Restore) Failures(ctx context.Context, list []gateway.StoredFailure) error {
	limits := r.policy.Limits.FailedAttempts
	window := int64(0)
	for _, limit := range []gateway.Rate{limits.PerAddress, limits.PerSubject} {
		if limit.Count > 0 {
			window = max(window, ms(limit.Window))
		}
	}
	if window == 0 {
		return nil
	}
	times := [2]map[string][]string{{}, {}}
	turns := [2]int64{}
	for _, f := range list {
		at := f.At.UnixMilli()
		turn := at / window
		half := turn % 2
		if turn > turns[half] {
			turns[half], times[half] = turn, map[string][]string{}
		}
		for _, who := range []string{"a" + f.Address, "s" + f.Subject} {
			if len(who) > 1 {
				times[half][who] = append(times[half][who], strconv.FormatInt(at, 10))
			}
		}
	}
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		for half, key := range []string{r.keys.attempts0, r.keys.attempts1} {
			if len(times[half]) == 0 {
				continue
			}
			p.HSet(ctx, key, "#", turns[half])
			for who, list := range times[half] {
				p.HSet(ctx, key, who, strings.Join(list, ","))
			}
			p.PExpire(ctx, key, time.Duration(2*window)*time.Millisecond)
		}
	})
}

// Finish writes the launch's head: from here on it can be served.
func (r *Restore) Finish(ctx context.Context) error {
	policy, err := json.Marshal(r.policy)
	if err != nil {
		return err
	}
	now, err := r.store.redisTime(ctx)
	if err != nil {
		return err
	}
	now = now.Add(r.head.Ahead)
	err = r.pipeline(ctx, func(p redis.Pipeliner) {
		for number, n := range r.paced {
			window := now.UnixMilli() / ms(r.paces[number].Window)
			p.HSet(ctx, r.keys.campaigns, strconv.FormatUint(uint64(number), 10)+"p", fmt.Sprintf("%d;%d", window, n))
		}
		if len(r.holders) > 0 {
			length := ms(r.policy.Holds.PerAddress.Window)
			p.HSet(ctx, r.keys.holders, "#", now.UnixMilli()/length)
			for address, n := range r.holders {
				p.HSet(ctx, r.keys.holders, address, n)
			}
			p.PExpire(ctx, r.keys.holders, time.Duration(2*length)*time.Millisecond)
		}
		window := ms(r.policy.Waitlist.Limits.PerAddress.Window)
		for half, key := range []string{r.keys.joins0, r.keys.joins1} {
			if len(r.joins[half]) == 0 {
				continue
			}
			turn := now.UnixMilli() / window
			if turn%2 != int64(half) {
				turn--
			}
			p.HSet(ctx, key, "#", turn)
			for address, times := range r.joins[half] {
				p.HSet(ctx, key, address, strings.Join(times, ","))
			}
			p.PExpire(ctx, key, time.Duration(2*window)*time.Millisecond)
		}
		p.SAdd(ctx, launchesKey, r.head.Name)
		p.HSet(ctx, r.keys.config, "policy", policy, "open", flag(r.head.Open), "ahead", r.head.Ahead.Milliseconds())
	})
	if err != nil {
		return err
	}
	return r.pipeline(ctx, func(p redis.Pipeliner) {
		p.HSet(ctx, r.keys.meta, "epoch", r.epoch, "seq", r.head.Seq, "version", r.head.Version+1,
			"persisted", r.head.Seq, "bytes", r.head.Bytes, "persisted_bytes", r.head.Bytes, "rules", rules(r.policy, r.head.Open), "waitlist", waitlistRules(&r.policy.Waitlist), "arrivals", r.head.Arrivals, "ahead", r.head.Ahead.Milliseconds())
		p.Del(ctx, r.keys.restore)
	})
}

// Peek is what Redis holds of a launch's history now, admitted or not. ok is
// false if it holds none.
func (s *Store) Peek(ctx context.Context, name string) (at gateway.Position, ok bool, err error) {
	k := newKeys(name)
	r, err := s.send(ctx, launchRead, introduction{}, []string{k.meta, k.config}, nil)
	if err != nil || r.word(0) == "none" {
		return gateway.Position{}, false, err
	}
	return gateway.Position{Epoch: r.number(1), Seq: r.number(2), Persisted: r.number(4)}, true, nil
}
