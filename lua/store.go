package lua

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// Admitter says which history of a launch this Redis may serve, after making
// Redis right where it has to.
type Admitter interface {
	// Admit returns what Redis must be to be served. It returns launch_unknown
	// if neither store has the launch, not_admitted if the history cannot be
	// made right yet.
	// last is what this gateway served before.
	Admit(ctx context.Context, launch string, last Served) (Admission, error)
}

// Served is a history that a gateway has served: its epoch, 0 for none, and the
// run of the server that held it.
type Served struct {
	Epoch    uint64
	Identity string
}

// Admission is what a Redis must be to serve a launch.
type Admission struct {
	Epoch    uint64 // of the history
	Position uint64 // that it must have reached
	Base     uint64 // where the history went on that came after the last one served
	Identity string // the run of the server
	// Vouch is called once this gateway has told Redis what it answered
	// before; it waits until the other gateways have. It may be nil.
	Vouch func(context.Context) error
}

// Options are what a Store needs. Zero numbers take the defaults named.
type Options struct {
	Redis     redis.UniversalClient
	Keyring   *keyring.Keyring
	Admitter  Admitter              // nil: whatever Redis holds is served
	Persisted *gateway.Persisted    // moved by word from the syncer
	Logger    *slog.Logger          // nil: none
	Registry  prometheus.Registerer // nil: none

	JournalBytes uint64 // not persisted yet, before new work is refused; 1 GiB
	Batch        int    // items a script call; 128
	Flights      int    // script calls at once, per launch and verb; 2
	Queue        int    // items waiting, per launch and verb; 8192
}

// Store keeps launches in Redis. It is safe for concurrent use.
type Store struct {
	redis     redis.UniversalClient
	keyring   *keyring.Keyring
	admitter  Admitter
	persisted *gateway.Persisted
	log       *slog.Logger
	metrics   *metrics
	options   Options
	began     time.Time

	mu       sync.RWMutex
	launches map[string]*launch
	unknown  map[string]time.Time // until when a name is taken to be unknown
	lines    lines
	trims    trims
	outages  seldom
	waiters  chan struct{} // who waits at Redis for records of a journal
}

// launch is what this gateway keeps of one launch.
type launch struct {
	*keys
	name     string
	redeem   group[redeemCall]
	validate group[validateCall]
	attempts group[guessCall]
	open     group[openCall]
	join     group[joinCall]
	line     atomic.Pointer[gateway.Line] // nil until there is a copy

	epoch    atomic.Uint64          // 0: not admitted
	seen     atomic.Uint64          // highest position that a script has answered
	identity atomic.Pointer[string] // the admitted run of the server
	snapshot atomic.Pointer[gateway.Launch]
	checked  atomic.Int64 // when the snapshot was last known to be current, Unix ns
	busy     atomic.Bool  // refreshing
	vouched  atomic.Int64 // when the snapshot was last asked about and was current, as mono counts; see lease
	widened  atomic.Int64 // when codes of new shapes became possible in it, as mono counts; 0: never
	renewing atomic.Bool  // asking about the snapshot
	guessers guessers
	mark     mark

	// flights are script calls whose answers the witness has not kept yet;
	// an admission waits for them to land.
	flights   sync.RWMutex
	witness   witness
	last      Served // before; admissions use it, one at a time
	mu        sync.Mutex
	admission *admission // under way; under mu
	tried     time.Time  // when the last one failed; under mu
}

// New makes a store. It does not speak to Redis yet.
func New(o Options) *Store {
	o.JournalBytes = orDefault(o.JournalBytes, 1<<30)
	o.Batch = orDefault(o.Batch, 128)
	o.Flights = orDefault(o.Flights, 2)
	o.Queue = orDefault(o.Queue, 8192)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Persisted == nil {
		o.Persisted = new(gateway.Persisted)
	}
	return &Store{
		redis: o.Redis, keyring: o.Keyring, admitter: o.Admitter, persisted: o.Persisted, log: o.Logger,
		metrics: newMetrics(o.Registry, o.JournalBytes), options: o, began: time.Now(),
		launches: make(map[string]*launch), unknown: make(map[string]time.Time), waiters: make(chan struct{}, waitersMost),
	}
}

func orDefault[N int | uint64](n, fallback N) N {
	if n == 0 {
		return fallback
	}
	return n
}

// Now is the launch's clock: Redis' own, or as far ahead of it as a rehearsal
// has set it.
func (s *Store) Now(ctx context.Context, name string) (time.Time, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	now, err := s.redisTime(ctx)
	return now.Add(l.snapshot.Load().Ahead), err
}

func (s *Store) redisTime(ctx context.Context) (time.Time, error) {
	now, err := s.redis.Time(ctx).Result()
	if err != nil {
		return time.Time{}, s.outage(err)
	}
	return now.UTC(), nil
}

// Launches lists the launches that Redis knows by name. A name may be there
// whose launch was never made.
func (s *Store) Launches(ctx context.Context) ([]string, error) {
	names, err := s.redis.SMembers(ctx, launchesKey).Result()
	if err != nil {
		return nil, s.outage(err)
	}
	return names, nil
}

// call sends a cold verb's script for a launch: the epoch and the position
// seen come first among its arguments, a breach closes the launch, and the
// refusals that the script answers become errors.
func (s *Store) call(ctx context.Context, l *launch, sc *script, keys []string, args ...any) (reply, error) {
	epoch := l.epoch.Load()
	if epoch == 0 {
		return nil, notAdmitted()
	}
	args = append([]any{epoch, l.seen.Load()}, args...)
	r, err := s.send(ctx, sc, s.introduce(l), keys, args)
	if errors.Is(err, errStranger) {
		return nil, s.breached(l, epoch, "identity")
	}
	if err != nil {
		return nil, err
	}
	switch r.word(0) {
	case "breach":
		return nil, s.breached(l, epoch, r.word(1))
	case "refused":
		return nil, refusal(r.word(1), retry(r.word(2)))
	}
	return r, nil
}

// settle notes what a cold verb's reply says of the launch: its position is
// word at, its version the next one.
func (s *Store) note(l *launch, r reply, at int) uint64 {
	position := r.number(at)
	l.saw(position)
	s.checkVersion(l, r.number(at+1))
	return position
}

// send runs a script and makes what went wrong an error that a caller may see.
func (s *Store) send(ctx context.Context, sc *script, introduce introduction, keys []string, args []any) (reply, error) {
	began := time.Now()
	r, err := sc.run(ctx, s.redis, introduce, keys, args)
	s.metrics.script(sc.name, time.Since(began), err)
	if err == nil || errors.Is(err, errStranger) {
		return r, err
	}
	return nil, s.outage(err)
}

// outage logs what Redis said and answers what a caller may know: overloaded
// when Redis is out of memory, unavailable otherwise.
func (s *Store) outage(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if tell, left := s.outages.tell(time.Now()); tell {
		s.log.Error("redis", "error", err, "more_since", left)
	}
	if redis.IsOOMError(err) {
		return &gateway.Error{Reason: gateway.Overloaded, RetryAfter: time.Second}
	}
	return &gateway.Error{Reason: gateway.Unavailable, RetryAfter: time.Second}
}

// saw remembers the highest position that Redis has answered.
func (l *launch) saw(position uint64) {
	for {
		seen := l.seen.Load()
		if position <= seen || l.seen.CompareAndSwap(seen, position) {
			return
		}
	}
}

// refusal is the error of a refusal that a script answered.
func refusal(reason string, wait time.Duration) error {
	return &gateway.Error{Reason: gateway.Reason(reason), RetryAfter: wait}
}

// Ping asks Redis, every master of a Cluster, for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if cluster, ok := s.redis.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return c.Ping(ctx).Err() })
	}
	return s.redis.Ping(ctx).Err()
}

const pingTimeout = 2 * time.Second

// turnedAway refuses an item for which there is no room in its queue.
func (s *Store) turnedAway(verb string) error {
	s.metrics.turnedAway.WithLabelValues(verb).Inc()
	return &gateway.Error{Reason: gateway.Overloaded, RetryAfter: time.Second}
}

func notAdmitted() error {
	return &gateway.Error{Reason: gateway.NotAdmitted, RetryAfter: time.Second}
}
