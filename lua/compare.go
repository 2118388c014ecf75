package lua

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
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
	Suspects []Suspect
}

// Suspect is a difference, and whether Redis changed it meanwhile.
type Suspect struct {
	gateway.Difference
	Code       gateway.Code // of a code
	Redemption gateway.ID   // of a redemption
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

// read gets so many hash fields; "" for one that is not there.
func (c *Compare) read(ctx context.Context, n int, where func(int) (key, field string)) ([]string, error) {
	answers := make([]*redis.StringCmd, n)
	_, err := c.store.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			key, field := where(i)
			answers[i] = p.HGet(ctx, key, field)
		}
		return nil
	})
	if err != nil && err != redis.Nil {
		return nil, fmt.Errorf("lua: compare: %w", err)
	}
	values := make([]string, n)
	for i, a := range answers {
		values[i] = a.Val()
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

// Failures are counters that pass by themselves: they are not compared.
func (c *Compare) Failures(context.Context, []gateway.StoredFailure) error { return nil }

// Count is how many codes and redemptions Redis holds, all buckets together.
func (c *Compare) Count(ctx context.Context) (codes, redemptions int, err error) {
	const step = 4096
	for first := 0; first < 1<<16; first += step {
		var lengths [step]*redis.IntCmd
		var records [step]*redis.StringSliceCmd
		_, err := c.store.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range step {
				bucket := hex16(uint16(first + i))
				lengths[i] = p.HLen(ctx, c.keys.codePrefix+bucket)
				records[i] = p.HVals(ctx, c.keys.subjectPrefix+bucket)
			}
			return nil
		})
		if err != nil {
			return 0, 0, fmt.Errorf("lua: compare: %w", err)
		}
		for i := range step {
			codes += int(lengths[i].Val())
			for _, r := range records[i].Val() {
				redemptions += strings.Count(r, ",") + 1
			}
		}
	}
	return codes, redemptions, nil
}
