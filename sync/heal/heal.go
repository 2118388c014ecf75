// Package heal decides which history a Redis may serve, and makes a Redis right
// that holds none, an old one or too little.
//
// Redis and Postgres are two prefixes of one history. Redis ahead is the normal
// case: the syncer catches up. Three things tell that the history may be
// broken: another run of the server (it restarted, was promoted or replaced),
// another epoch, or a position behind Postgres'. Then a new epoch begins before
// anybody is served: what Redis holds goes on where it is long enough, and is
// written anew from Postgres where it is not.
package heal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"admitone/gateway"
	"admitone/lua"
	"admitone/sync/ledger"
)

// Healer admits launches. It is safe for concurrent use, also by many
// processes: one heals a launch, the others wait for it.
type Healer struct {
	Ledger *ledger.Ledger
	Pool   *pgxpool.Pool // of the ledger
	Log    *slog.Logger
	ID     gateway.ID // of this process
	// Patience is how long a launch stays closed for a gateway that lives, but
	// does not reach Redis. What that one has answered, and nobody else holds,
	// may then be somebody else's before it comes back. 0: 15 s.
	Patience time.Duration
	store    *lua.Store

	begin  sync.Once
	turns  chan struct{} // one for each heal under way
	others sync.Mutex    // held while other launches are healed
}

// healsAtOnce is how many launches one process heals at a time. Each heal keeps
// a connection of the pool for its lock and needs others: more of them than the
// pool has would wait for each other.
const healsAtOnce = 2

// turn waits until this process may heal one more launch.
func (h *Healer) turn(ctx context.Context) (done func(), err error) {
	h.begin.Do(func() { h.turns = make(chan struct{}, healsAtOnce) })
	select {
	case h.turns <- struct{}{}:
		return func() { <-h.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Serve gives the healer the store that it heals; the store in turn asks the
// healer before it serves a launch.
func (h *Healer) Serve(s *lua.Store) { h.store = s }

// Admit returns what Redis must be to serve a launch, healing it first where it
// must. It returns launch_unknown if neither store has the launch, not_admitted
// while another process heals it or Postgres is away.
func (h *Healer) Admit(ctx context.Context, launch string, last lua.Served) (lua.Admission, error) {
	for range 2 {
		state, err := h.compare(ctx, launch)
		switch {
		case err != nil:
			return lua.Admission{}, h.unavailable(launch, err)
		case !state.inRedis && !state.inPostgres:
			return lua.Admission{}, gateway.Refuse(gateway.LaunchUnknown)
		case state.whole(last):
			if state.inPostgres && state.stored.Identity == "" {
				if err := h.Ledger.Admit(ctx, launch, state.stored.Epoch, state.identity); err != nil {
					return lua.Admission{}, h.unavailable(launch, err)
				}
			}
			var vouch func(context.Context) error
			if state.inPostgres {
				vouch = func(ctx context.Context) error { return h.vouch(ctx, launch, state.redis.Epoch) }
			}
			base, err := h.Ledger.Base(ctx, launch, last.Epoch)
			if err != nil {
				return lua.Admission{}, h.unavailable(launch, err)
			}
			return lua.Admission{Vouch: vouch, Base: base, Epoch: state.redis.Epoch, Position: state.stored.Seq, Identity: state.identity}, nil
		}
		if err := h.healServer(ctx, launch, state, last); err != nil {
			return lua.Admission{}, h.unavailable(launch, err)
		}
	}
	return lua.Admission{}, h.unavailable(launch, nil)
}

// healServer heals a launch; where the server itself is another, afterwards all
// other launches that lived on it too: one that nobody asks for would stay
// behind, and be taken for drift. Nobody waits for those.
func (h *Healer) healServer(ctx context.Context, launch string, state comparison, last lua.Served) error {
	if _, err := h.healOnce(ctx, launch, last); err != nil {
		return err
	}
	if run := state.stored.Identity; run != "" && run != state.identity {
		go h.healOthers(context.WithoutCancel(ctx), run)
	}
	return nil
}

// healOthers heals the launches that lived on a run of a server that is over.
// What it cannot heal is healed when somebody asks for it.
func (h *Healer) healOthers(ctx context.Context, run string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	h.others.Lock() // one at a time: the next finds little left to do
	defer h.others.Unlock()
	list, err := h.Ledger.Epochs(ctx)
	for _, l := range list {
		if err != nil {
			break
		}
		if l.Identity == run {
			_, err = h.Heal(ctx, l.Name)
		}
	}
	if err != nil {
		h.Log.Warn("other launches of a Redis that restarted are not healed yet", "error", err)
	}
}

// comparison is a launch as both stores know it.
type comparison struct {
	redis      gateway.Position
	inRedis    bool
	identity   string // of the server that holds it now
	stored     gateway.StoredLaunch
	inPostgres bool
}

func (h *Healer) compare(ctx context.Context, launch string) (c comparison, err error) {
	if c.identity, err = h.store.Identity(ctx, launch); err != nil {
		return c, err
	}
	// Redis first: what Postgres holds afterwards can only be more.
	if c.redis, c.inRedis, err = h.store.Peek(ctx, launch); err != nil {
		return c, err
	}
	c.stored, c.inPostgres, err = h.Ledger.Position(ctx, launch)
	return c, err
}

// whole reports whether this run of the server is the admitted one and its
// history is Postgres' and at least as long. A launch that Postgres does not
// know yet was made a moment ago, and one that has no run admitted yet was too:
// then the gateway that served it knows on which.
func (c comparison) whole(last lua.Served) bool {
	if c.inRedis && last.Epoch == c.redis.Epoch && last.Identity != c.identity {
		return false
	}
	if !c.inPostgres {
		return c.inRedis && c.redis.Persisted == 0
	}
	return c.inRedis && c.redis.Epoch == c.stored.Epoch && c.redis.Seq >= c.stored.Seq &&
		(c.stored.Identity == c.identity || c.stored.Identity == "" && c.stored.Adopting == 0)
}

func (h *Healer) unavailable(launch string, err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		h.Log.Warn("a launch cannot be admitted yet", "launch", launch, "error", err)
	}
	return &gateway.Error{Reason: gateway.NotAdmitted, RetryAfter: time.Second}
}

// Report says what a heal did.
type Report struct {
	Launch  string `json:"launch"`
	Healed  bool   `json:"healed"`  // false: there was nothing to do
	Adopted bool   `json:"adopted"` // Redis' own history was carried on, not written anew
	Epoch   uint64 `json:"epoch"`
	Seq     uint64 `json:"position"`
	lua.RestoreCount
	Took time.Duration `json:"took_ns"`
}

// Heal writes a launch anew in Redis from Postgres, unless Redis is whole. One
// process does it at a time.
func (h *Healer) Heal(ctx context.Context, launch string) (Report, error) {
	return h.healOnce(ctx, launch, lua.Served{})
}

// healOnce is Heal for a gateway that has served the launch before.
func (h *Healer) healOnce(ctx context.Context, launch string, last lua.Served) (Report, error) {
	report := Report{Launch: launch}
	done, err := h.turn(ctx)
	if err != nil {
		return report, err
	}
	defer done()
	conn, err := h.Pool.Acquire(ctx)
	if err != nil {
		return report, err
	}
	defer conn.Release()
	// Another process may be healing it: afterwards there is nothing to do. One
	// that hangs does not keep this one from what else there is to heal.
	if _, err := conn.Exec(ctx, `SELECT set_config('lock_timeout', '5s', false)`); err != nil {
		return report, err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtext('admitone heal'), hashtext($1))`, launch); err != nil {
		return report, err
	}
	defer func() {
		// Should it fail, the lock ends with its connection.
		if _, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext('admitone heal'), hashtext($1)), set_config('lock_timeout', '0', false)`, launch); err != nil {
			conn.Conn().Close(context.WithoutCancel(ctx))
		}
	}()
	state, err := h.compare(ctx, launch)
	if err != nil {
		return report, err
	}
	if !state.inPostgres {
		return report, gateway.Refuse(gateway.LaunchUnknown)
	}
	if state.whole(last) {
		report.Epoch, report.Seq = state.redis.Epoch, state.redis.Seq
		return report, nil
	}
	return h.heal(ctx, launch, state)
}

// heal makes Redis right: it carries on what Redis holds where that is the last
// history and long enough, and writes everything anew where it is not.
func (h *Healer) heal(ctx context.Context, launch string, state comparison) (Report, error) {
	report := Report{Launch: launch, Healed: true}
	began := time.Now()
	log, what := h.Log.Warn, "healing: this Redis does not hold what Postgres does"
	if state.inRedis && state.redis.Epoch == state.stored.Epoch && state.redis.Seq >= state.stored.Seq {
		log, what = h.Log.Info, "admitting another run of Redis, which holds what Postgres does"
	}
	log(what, "launch", launch,
		"redis_has_it", state.inRedis, "redis_epoch", state.redis.Epoch, "redis_position", state.redis.Seq,
		"epoch", state.stored.Epoch, "position", state.stored.Seq, "same_server", state.identity == state.stored.Identity)
	// A heal that broke off between the two stores left the epoch before
	// behind in Redis: it is still the one to carry on.
	carry := state.stored.Epoch
	if state.stored.Adopting != 0 && state.redis.Epoch == state.stored.Adopting {
		carry = state.stored.Adopting
	}
	// From here on a syncer that still reads the old history cannot commit, and
	// the position is the last that it reached.
	stored, err := h.Ledger.Bump(ctx, launch, state.stored.Epoch, carry)
	if err != nil {
		return report, err
	}
	report.Epoch, report.Seq = stored.Epoch, stored.Seq
	if state.inRedis {
		if report.Adopted, err = h.store.Adopt(ctx, launch, carry, stored.Seq, stored.Epoch); err != nil {
			return report, err
		}
	}
	if !report.Adopted {
		if err := h.reload(ctx, launch, stored.Epoch, &report); err != nil {
			return report, err
		}
	}
	if now, err := h.store.Identity(ctx, launch); err != nil || now != state.identity {
		return report, errors.Join(errors.New("the server changed while it was healed"), err)
	}
	if err := h.Ledger.Admit(ctx, launch, stored.Epoch, state.identity); err != nil {
		return report, err
	}
	report.Took = time.Since(began)
	h.Log.Info("healed", "launch", launch, "adopted", report.Adopted, "epoch", report.Epoch, "position", report.Seq,
		"codes", report.Codes, "redemptions", report.Redemptions, "took", report.Took)
	return report, nil
}

// failuresKept is how far back failed attempts are restored: the longest window
// that a policy may have.
const failuresKept = 7 * 24 * time.Hour

// reload writes a launch anew from Postgres.
func (h *Healer) reload(ctx context.Context, launch string, epoch uint64, report *Report) error {
	restore, err := h.store.Restore(ctx, launch, epoch)
	if err != nil {
		return err
	}
	if err := h.Ledger.Dump(ctx, launch, ledger.Selection{FailuresSince: time.Now().Add(-failuresKept)}, restore); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	report.RestoreCount = restore.Counted
	return restore.Finish(ctx)
}

// vouch tells the other gateways that this one has told Redis what it answered
// before, and waits for those that live to do the same: what somebody was
// answered must be in Redis before others can take its place. It ends when a
// later epoch begins: then the others wait there.
func (h *Healer) vouch(ctx context.Context, launch string, epoch uint64) error {
	if err := h.beat(ctx, ledger.Beat{ID: h.ID}); err != nil {
		return h.unavailable(launch, err)
	}
	began, patience := time.Now(), cmp.Or(h.Patience, 15*time.Second)
	for {
		v := ledger.Voucher{Launch: launch, Epoch: epoch, Gateway: h.ID, Waited: time.Since(began)}
		v.Alone = v.Waited >= patience
		open, err := h.tryVouch(ctx, v)
		if err != nil {
			return h.unavailable(launch, err)
		}
		if open && v.Alone {
			h.Log.Warn("a launch opens before every gateway has told Redis what it answered: one reaches Postgres, but not Redis",
				"launch", launch, "epoch", epoch, "waited", patience)
		}
		if open {
			return nil
		}
		select {
		case <-ctx.Done():
			return h.unavailable(launch, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sqlPatience bounds what is asked of Postgres many times a second: a Postgres
// that vanished without a word is given up, and asked anew.
const sqlPatience = 2 * time.Second

func (h *Healer) tryVouch(ctx context.Context, v ledger.Voucher) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, sqlPatience)
	defer cancel()
	return h.Ledger.Vouch(ctx, v)
}

func (h *Healer) beat(ctx context.Context, b ledger.Beat) error {
	ctx, cancel := context.WithTimeout(ctx, sqlPatience)
	defer cancel()
	return h.Ledger.Beat(ctx, b)
}

// Watch keeps this gateway among those that live, closes launches whose history
// was given up for a later epoch, and notes the run of the server on which new
// ones live, until the context is over: a gateway that is cut off from the new
// server, but not from the old one, learns it from Postgres, and an idle one is
// there to vouch.
func (h *Healer) Watch(ctx context.Context, pause time.Duration) {
	var cutOff atomic.Bool
	var reaching sync.WaitGroup
	reaching.Go(func() { h.reach(ctx, pause, &cutOff) })
	defer reaching.Wait()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	last, since := time.Now(), time.Now() // of the beats that follow each other
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(last) > ledger.AliveFor/2 {
			since = time.Now()
		}
		list, err := h.epochs(ctx)
		if err == nil {
			err = h.beat(ctx, ledger.Beat{ID: h.ID, CutOff: cutOff.Load(), Steady: time.Since(since) > 2*ledger.AliveFor})
		}
		if err != nil {
			continue // Postgres is away: who was admitted goes on
		}
		last = time.Now()
		for _, l := range list {
			if h.store.Supersede(l.Name, l.Epoch) {
				go h.store.Launch(ctx, l.Name) // admits it; whoever asks next is told why not
			}
			if served := h.store.Serving(l.Name); l.Identity == "" && l.Adopting == 0 && served.Epoch == l.Epoch {
				// Made before Postgres knew it. What fails here is tried again.
				_ = h.Ledger.Claim(ctx, l.Name, l.Epoch, served.Identity)
			}
		}
	}
}

// reach notes whether Redis can be reached, until the context is over.
func (h *Healer) reach(ctx context.Context, pause time.Duration, cutOff *atomic.Bool) {
	for ctx.Err() == nil {
		cutOff.Store(h.store.Ping(ctx) != nil)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (h *Healer) epochs(ctx context.Context) ([]gateway.StoredLaunch, error) {
	ctx, cancel := context.WithTimeout(ctx, sqlPatience)
	defer cancel()
	return h.Ledger.Epochs(ctx)
}
