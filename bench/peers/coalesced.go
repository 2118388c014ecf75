package peers

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"admitone/gateway"
)

// coalesced is the strongest design on Postgres that we know: requests that
// arrive while a transaction runs leave together in the next one. It locks the
// codes of all of them in one order, decides each in turn in this process, and
// writes the outcome as sets: two round trips and one fsync for the whole batch.
type coalesced struct {
	pool *pgxpool.Pool

	mu      sync.Mutex
	waiting []*call
	flying  int
}

type call struct {
	Ask
	answer Answer
	err    error
	done   chan struct{}
}

// Batches are as long as a gateway's, several are on their way at once: while
// one waits for the disk the next one is being decided.
const (
	batchMost   = 256
	flightsMost = 4
)

func newCoalesced(ctx context.Context, o Options) (Decider, error) {
	o.Pool = flightsMost + 1
	p, err := pool(ctx, o)
	if err != nil {
		return nil, err
	}
	return &coalesced{pool: p}, nil
}

func (p *coalesced) Decide(_ context.Context, a Ask) (Answer, error) {
	c := &call{Ask: a, done: make(chan struct{})}
	p.mu.Lock()
	p.waiting = append(p.waiting, c)
	start := p.flying < flightsMost
	if start {
		p.flying++
	}
	p.mu.Unlock()
	if start {
		go p.fly()
	}
	<-c.done
	return c.answer, c.err
}

// fly decides batches until nobody waits.
func (p *coalesced) fly() {
	for {
		p.mu.Lock()
		n := min(len(p.waiting), batchMost)
		if n == 0 {
			p.flying--
			p.mu.Unlock()
			return
		}
		batch := slices.Clone(p.waiting[:n])
		p.waiting = slices.Delete(p.waiting, 0, n)
		p.mu.Unlock()
		err := p.decide(context.Background(), batch)
		for clash(err) {
			// A subject was let in by another batch meanwhile: look again.
			err = p.decide(context.Background(), batch)
		}
		for _, c := range batch {
			c.err = err
			close(c.done)
		}
	}
}

// clash reports a unique violation or a deadlock: nothing was written.
func clash(err error) bool {
	var state *pgconn.PgError
	return errors.As(err, &state) && (state.Code == "23505" || state.Code == "40P01")
}

// seen is what a batch's first round trip finds.
type seen struct {
	codes    map[string]*row
	subjects map[string]earlier
	failed   map[string]int
}

type earlier struct {
	id   gateway.ID
	code string
}

func (p *coalesced) decide(ctx context.Context, batch []*call) error {
	conn, err := p.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	s, err := look(ctx, conn, batch)
	if err != nil {
		_, back := conn.Exec(ctx, "ROLLBACK")
		return errors.Join(err, back)
	}
	var (
		ids                       [][16]byte
		subjects, used, addresses []string
		guesses                   = map[string]int{}
		uses                      = map[string]int{}
	)
	for _, c := range batch {
		c.answer = s.decide(c.Ask)
		switch {
		case c.answer.Reason == unknown:
			for _, who := range []string{"a" + c.Address, "s" + c.Subject} {
				s.failed[who]++
				guesses[who]++
			}
		case c.answer.Reason == "" && !c.answer.Replay:
			s.codes[c.Code].used++
			s.subjects[c.Subject] = earlier{c.ID, c.Code}
			uses[c.Code]++
			ids, subjects, used, addresses = append(ids, c.ID), append(subjects, c.Subject), append(used, c.Code), append(addresses, c.Address)
		}
	}
	write := &pgx.Batch{}
	if len(ids) > 0 {
		write.Queue(`INSERT INTO redemptions (subject, id, code, address)
			SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) AS t (subject, id, code, address) ORDER BY subject`, subjects, ids, used, addresses)
		codes, counts := sorted(uses)
		write.Queue(`UPDATE codes SET used = used + n FROM unnest($1::text[], $2::int[]) AS t (c, n) WHERE code = c`, codes, counts)
	}
	if len(guesses) > 0 {
		who, counts := sorted(guesses)
		write.Queue(`INSERT INTO attempts SELECT w, $3, n FROM unnest($1::text[], $2::int[]) AS t (w, n)
			ON CONFLICT (who, hour) DO UPDATE SET failed = attempts.failed + excluded.failed`, who, counts, hour())
	}
	write.Queue("COMMIT")
	if err := conn.SendBatch(ctx, write).Close(); err != nil {
		_, back := conn.Exec(ctx, "ROLLBACK")
		return errors.Join(err, back)
	}
	return nil
}

// look locks the batch's codes, in order, and reads what else it needs.
func look(ctx context.Context, conn *pgxpool.Conn, batch []*call) (*seen, error) {
	codes, subjects, who := map[string]int{}, map[string]int{}, map[string]int{}
	for _, c := range batch {
		codes[c.Code], subjects[c.Subject], who["a"+c.Address], who["s"+c.Subject] = 1, 1, 1, 1
	}
	codeList, _ := sorted(codes)
	subjectList, _ := sorted(subjects)
	whoList, _ := sorted(who)
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(`SELECT `+rowColumns+` FROM codes WHERE code = ANY($1) ORDER BY code FOR UPDATE`, codeList)
	b.Queue(`SELECT subject, id, code FROM redemptions WHERE subject = ANY($1)`, subjectList)
	b.Queue(failedSQL, whoList, hour())
	results := conn.SendBatch(ctx, b)
	s := &seen{make(map[string]*row, len(codeList)), map[string]earlier{}, map[string]int{}}
	_, err := results.Exec()
	rows, e := results.Query()
	if e == nil {
		for rows.Next() && e == nil {
			r := &row{}
			e = rows.Scan(r.targets()...)
			s.codes[r.code] = r
		}
		rows.Close()
		e = errors.Join(e, rows.Err())
	}
	err = errors.Join(err, e)
	var subject, code string
	var id [16]byte
	rows, e = results.Query()
	if e == nil {
		_, e = pgx.ForEachRow(rows, []any{&subject, &id, &code}, func() error {
			s.subjects[subject] = earlier{gateway.ID(id), code}
			return nil
		})
	}
	err = errors.Join(err, e)
	var name string
	var n int
	rows, e = results.Query()
	if e == nil {
		_, e = pgx.ForEachRow(rows, []any{&name, &n}, func() error {
			s.failed[name] = n
			return nil
		})
	}
	return s, errors.Join(err, e, results.Close())
}

// decide is one request's answer, the ones before it in the batch included.
func (s *seen) decide(a Ask) Answer {
	if before, ok := s.subjects[a.Subject]; ok {
		if before.code == a.Code {
			return Answer{ID: before.id, Replay: true}
		}
		return Answer{Reason: redeemed}
	}
	if s.failed["a"+a.Address] >= perAddress || s.failed["s"+a.Subject] >= perSubject {
		return Answer{Reason: attempts}
	}
	code := s.codes[a.Code]
	if code == nil {
		return Answer{Reason: unknown}
	}
	return Answer{ID: a.ID, Reason: code.refusal()}
}

// sorted are the keys in order and their values: batches that lock and write in
// one order do not deadlock.
func sorted(m map[string]int) (keys []string, values []int) {
	keys = make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	values = make([]int, len(keys))
	for i, k := range keys {
		values[i] = m[k]
	}
	return keys, values
}

func (p *coalesced) Count(ctx context.Context) (Counts, error) { return countPostgres(ctx, p.pool) }

func (p *coalesced) Close() { p.pool.Close() }
