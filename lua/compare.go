package lua

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/sync/journal"
)

// Compare holds what the ledger reads of a launch against what Redis holds.
// What differs is a suspect: it may have changed between the two readings.
type Compare struct {
	store     *Store
	keys      *keys
	policy    gateway.Policy
	templates map[uint32]gateway.Template
	before    map[string]string // what Redis held of suspects before the ledger was read

	Position uint64 // of the ledger's reading
	Counted  RestoreCount
	Waiting  int // of the entries counted
	Suspects []Suspect
}

// Suspect is a difference, and whether Redis changed it meanwhile.
type Suspect struct {
	gateway.Difference
	Code       gateway.Code // of a code
	Redemption gateway.ID   // of a redemption
	Entry      string       // key of an entry
	Member     string       // key, of a member
	Payment    string       // key, of a payment
	Earning    string       // key, of a subject
	Moving     bool
	key, field string // where Redis holds it
}

// Compare begins a comparison of a launch. Suspects of an earlier one are read
// now, so that the next reading can tell which of them stood still.
func (s *Store) Compare(ctx context.Context, name string, earlier []Suspect) (*Compare, error) {
	c := &Compare{store: s, keys: newKeys(name), templates: map[uint32]gateway.Template{}, before: map[string]string{}}
	if len(earlier) == 0 {
		return c, nil
	}
	values, err := c.read(ctx, len(earlier), func(i int) (string, string) { return earlier[i].key, earlier[i].field })
	for i, v := range values {
		c.before[earlier[i].key+" "+earlier[i].field] = v
	}
	return c, err
}

// read gets so many hash fields, or scores of the line; "" for one that is not
// there.
func (c *Compare) read(ctx context.Context, n int, where func(int) (key, field string)) ([]string, error) {
	answers := make([]redis.Cmder, n)
	_, err := c.store.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			key, field := where(i)
			if key == c.keys.queue {
				answers[i] = p.ZScore(ctx, key, field)
			} else {
				answers[i] = p.HGet(ctx, key, field)
			}
		}
		return nil
	})
	if err != nil && err != redis.Nil {
		return nil, fmt.Errorf("lua: compare: %w", err)
	}
	values := make([]string, n)
	for i, a := range answers {
		switch a := a.(type) {
		case *redis.StringCmd:
			values[i] = a.Val()
		case *redis.FloatCmd:
			if a.Err() == nil {
				values[i] = strconv.FormatFloat(a.Val(), 'f', -1, 64)
			}
		}
	}
	return values, nil
}

// suspect notes a difference.
func (c *Compare) suspect(kind, name, key, field, inRedis, inPostgres string) *Suspect {
	before, known := c.before[key+" "+field]
	c.Suspects = append(c.Suspects, Suspect{
		Difference: gateway.Difference{Kind: kind, Key: name, Redis: inRedis, Postgres: inPostgres},
		Moving:     !known || before != inRedis, key: key, field: field,
	})
	return &c.Suspects[len(c.Suspects)-1]
}

// Launch takes the launch's head.
func (c *Compare) Launch(_ context.Context, l gateway.StoredLaunch) (err error) {
	c.Position = l.Seq
	c.policy, err = gateway.ParsePolicy(l.Policy)
	return err
}

// Campaigns compares rules and uses.
func (c *Compare) Campaigns(ctx context.Context, list []gateway.StoredCampaign) error {
	c.Counted.Campaigns += len(list)
	for _, one := range list {
		if t, err := gateway.ParseTemplate(one.Format); err == nil {
			c.templates[one.Number] = t
		}
	}
	number := func(i int) string { return strconv.FormatUint(uint64(list[i/2].Number), 10) + []string{"", "u"}[i%2] }
	values, err := c.read(ctx, 2*len(list), func(i int) (string, string) { return c.keys.campaigns, number(i) })
	if err != nil {
		return err
	}
	for i, inRedis := range values {
		inPostgres := campaignRules(&list[i/2].Campaign)
		if i%2 == 1 {
			inPostgres = strconv.Itoa(list[i/2].Used)
		}
		if inRedis != inPostgres {
			c.suspect("campaign", list[i/2].Name, c.keys.campaigns, number(i), inRedis, inPostgres)
		}
	}
	return nil
}

// Codes compares codes' records.
func (c *Compare) Codes(ctx context.Context, list []gateway.StoredCode) error {
	c.Counted.Codes += len(list)
	values, err := c.read(ctx, len(list), func(i int) (string, string) { return c.keys.code(list[i].Code), string(list[i].Code) })
	if err != nil {
		return err
	}
	for i, inRedis := range values {
		code := list[i]
		if inPostgres := storedCode(code, c.templates[code.Campaign]); inRedis != inPostgres {
			c.suspect("code", string(code.Code), c.keys.code(code.Code), string(code.Code), inRedis, inPostgres).Code = code.Code
		}
	}
	return nil
}

// Redemptions compares redemptions with the entries in their subjects' records.
func (c *Compare) Redemptions(ctx context.Context, list []gateway.StoredRedemption) error {
	c.Counted.Redemptions += len(list)
	values, err := c.read(ctx, len(list), func(i int) (string, string) { return c.keys.subject(list[i].Subject), list[i].Subject })
	if err != nil {
		return err
	}
	for i, record := range values {
		m := list[i]
		inPostgres := storedRedemption(m)
		found := false
		for entry := range strings.SplitSeq(record, ",") {
			found = found || entry == inPostgres
		}
		if !found {
			c.suspect("redemption", m.ID.String(), c.keys.subject(m.Subject), m.Subject, record, inPostgres).Redemption = m.ID
		}
	}
	return nil
}

// Members compares members' records.
func (c *Compare) Members(ctx context.Context, list []gateway.StoredRecord) error {
	c.Counted.Members += len(list)
	values, err := c.read(ctx, len(list), func(i int) (string, string) { return c.keys.members, list[i].Subject })
	if err != nil {
		return err
	}
	for i, inRedis := range values {
		m := list[i]
		if inPostgres := journal.PackMember(m.StoredMember); inRedis != inPostgres {
			c.suspect("member", m.Subject, c.keys.members, m.Subject, inRedis, inPostgres).Member = m.Subject
		}
	}
	return nil
}

// Queue compares the releases and the schedule.
func (c *Compare) Queue(ctx context.Context, q gateway.StoredQueue) error {
	want := storedQueue(q)
	ids := slices.Sorted(maps.Keys(want))
	values, err := c.read(ctx, len(ids), func(i int) (string, string) { return c.keys.releases, ids[i] })
	if err != nil {
		return err
	}
	for i, inRedis := range values {
		if inPostgres := want[ids[i]]; strings.TrimRight(inRedis, ";") != strings.TrimRight(inPostgres, ";") {
			c.suspect("release", ids[i], c.keys.releases, ids[i], inRedis, inPostgres)
		}
	}
	return nil
}

// Entries compares entries and their places in the line.
func (c *Compare) Entries(ctx context.Context, list []gateway.StoredEntry) error {
	c.Counted.Entries += len(list)
	values, err := c.read(ctx, 2*len(list), func(i int) (string, string) {
		if key := list[i/2].Key; i%2 == 0 {
			return c.keys.entry(key), key
		}
		return c.keys.queue, list[i/2].Key
	})
	if err != nil {
		return err
	}
	for i, e := range list {
		if inRedis, inPostgres := values[2*i], storedEntry(e); inRedis != inPostgres {
			c.suspect("entry", e.Key, c.keys.entry(e.Key), e.Key, inRedis, inPostgres).Entry = e.Key
		}
		place := ""
		if e.Status == gateway.EntryWaiting {
			c.Waiting++
			place = strconv.FormatUint(gateway.Score(e.Priority, e.Arrival), 10)
		}
		if inRedis := values[2*i+1]; inRedis != place {
			c.suspect("place", e.Key, c.keys.queue, e.Key, inRedis, place).Entry = e.Key
		}
	}
	return nil
}

// Payments compares what is known of payments.
func (c *Compare) Payments(ctx context.Context, list []gateway.StoredText) error {
	c.Counted.Payments += len(list)
	return c.texts(ctx, "payment", c.keys.payments, list, func(s *Suspect, key string) { s.Payment = key })
}

// Earnings compares what subjects' purchases give.
func (c *Compare) Earnings(ctx context.Context, list []gateway.StoredText) error {
	c.Counted.Earnings += len(list)
	return c.texts(ctx, "earning", c.keys.earnings, list, func(s *Suspect, key string) { s.Earning = key })
}

func (c *Compare) texts(ctx context.Context, kind, key string, list []gateway.StoredText, mark func(*Suspect, string)) error {
	values, err := c.read(ctx, len(list), func(i int) (string, string) { return key, list[i].Key })
	if err != nil {
		return err
	}
	for i, inRedis := range values {
		if one := list[i]; inRedis != one.Record {
			mark(c.suspect(kind, one.Key, key, one.Key, inRedis, one.Record), one.Key)
		}
	}
	return nil
}

// Failures are counters that pass by themselves: they are not compared.
func (c *Compare) Failures(context.Context, []gateway.StoredFailure) error { return nil }

// Count is how much Redis holds, all buckets together.
func (c *Compare) Count(ctx context.Context) (n RestoreCount, waiting int, err error) {
	members, err := c.store.redis.HLen(ctx, c.keys.members).Result()
	if err != nil {
		return n, 0, fmt.Errorf("lua: compare: %w", err)
	}
	n.Members = int(members)
	for key, count := range map[string]*int{c.keys.payments: &n.Payments, c.keys.earnings: &n.Earnings} {
		held, err := c.store.redis.HLen(ctx, key).Result()
		if err != nil {
			return n, 0, fmt.Errorf("lua: compare: %w", err)
		}
		*count = int(held)
	}
	const step = 4096
	for first := 0; first < 1<<16; first += step {
		var lengths, entries [step]*redis.IntCmd
		var records [step]*redis.StringSliceCmd
		_, err := c.store.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range step {
				bucket := hex16(uint16(first + i))
				lengths[i] = p.HLen(ctx, c.keys.codePrefix+bucket)
				entries[i] = p.HLen(ctx, c.keys.entryPrefix+bucket)
				records[i] = p.HVals(ctx, c.keys.subjectPrefix+bucket)
			}
			return nil
		})
		if err != nil {
			return n, 0, fmt.Errorf("lua: compare: %w", err)
		}
		for i := range step {
			n.Codes += int(lengths[i].Val())
			n.Entries += int(entries[i].Val())
			for _, r := range records[i].Val() {
				n.Redemptions += strings.Count(r, ",") + 1
			}
		}
	}
	total, err := c.store.redis.ZCard(ctx, c.keys.queue).Result()
	if err != nil {
		return n, 0, fmt.Errorf("lua: compare: %w", err)
	}
	return n, int(total), nil
}
