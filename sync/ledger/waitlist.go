package ledger

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// waitlist is what events of the waitlist come to.
type waitlist struct {
	joined   map[string]*entryRow // by key
	entries  map[string]*entryChange
	releases map[string]*releaseRow
	cohorts  map[string]*releaseChange
	schedule *scheduleRow
}

func newWaitlist() waitlist {
	return waitlist{
		joined: map[string]*entryRow{}, entries: map[string]*entryChange{}, releases: map[string]*releaseRow{}, cohorts: map[string]*releaseChange{},
	}
}

// entryRow is an entry that joined in this set, and what became of it since.
type entryRow struct {
	gateway.EntryJoined
	person gateway.Person
	at     time.Time
	seq    uint64
	entryChange
}

// entryChange is what a set changes of an entry; nil leaves a column as it is.
type entryChange struct {
	status               *string
	priority, referrals  *int
	boosts               *string
	unconfirmed, counted *bool
	invited, settled     *time.Time
	code, release        *string
	ends                 *time.Time
}

type releaseRow struct {
	gateway.ReleasePut
	at time.Time
}

type releaseChange struct {
	done, made int
	ended      *bool
}

type scheduleRow struct {
	running *bool
	since   time.Time
	made    int
}

func (w *waitlist) entry(key string) *entryChange {
	if row := w.joined[key]; row != nil {
		return &row.entryChange
	}
	c := w.entries[key]
	if c == nil {
		c = &entryChange{}
		w.entries[key] = c
	}
	return c
}

func (w *waitlist) cohort(id string) *releaseChange {
	c := w.cohorts[id]
	if c == nil {
		c = &releaseChange{}
		w.cohorts[id] = c
	}
	return c
}

func (w *waitlist) theSchedule() *scheduleRow {
	if w.schedule == nil {
		w.schedule = &scheduleRow{}
	}
	return w.schedule
}

// gatherWaitlist takes an event of the waitlist; it reports false for others.
func (a *applier) gatherWaitlist(s *set, p placed) bool {
	at := p.record.At
	switch e := p.Event.(type) {
	case gateway.EntryJoined:
		delete(s.entries, e.Key) // whatever it was before, it begins anew
		s.joined[e.Key] = &entryRow{EntryJoined: e, person: a.person(e.Sealed), at: at, seq: p.record.Seq}
	case gateway.EntryBoosted:
		c := s.entry(e.Key)
		c.priority, c.referrals, c.boosts = &e.Priority, &e.Referrals, &e.Boosts
		if e.Cause == gateway.BoostByHand {
			detail, _ := json.Marshal(map[string]any{"points": e.Points, "priority": e.Priority})
			s.changes = append(s.changes, change{p, "boost", e.Key, detail, e.By})
		}
	case gateway.EntryConfirmed:
		c, no := s.entry(e.Key), false
		c.unconfirmed, c.counted = &no, &e.Counted
	case gateway.EntryMoved:
		c, to := s.entry(e.Key), string(e.To)
		c.status, c.settled = &to, &at
		if e.Revoked && e.Code != "" {
			s.changed[e.Code] = placed{gateway.CodesChanged{Change: gateway.Revoke, Codes: []gateway.Code{e.Code}}, p.record, p.ordinal}
		}
		if e.Refill != "" {
			r, no := s.cohort(e.Refill), false
			r.done, r.ended = r.done-1, &no
		}
	case gateway.OfferMade:
		s.minted = append(s.minted, mintedRow{
			placed{gateway.CodesMinted{Campaign: e.Campaign, ExpiresAt: e.ExpiresAt, Recipient: e.Recipient}, p.record, p.ordinal},
			gateway.MintedCode{Code: e.Code, Display: e.Display},
			"",
		})
		c, status, code := s.entry(e.Key), string(gateway.EntryInvited), string(e.Code)
		c.status, c.code, c.release, c.ends, c.invited = &status, &code, &e.Release, &e.ExpiresAt, &at
		r := s.cohort(e.Release)
		r.done, r.made = r.done+1, r.made+1
	case gateway.ReleasePut:
		s.releases[e.ID] = &releaseRow{e, at}
		if !e.Slot.IsZero() {
			row := s.theSchedule()
			row.since, row.made = e.Slot, row.made+e.Count
		}
		detail, _ := json.Marshal(map[string]any{"count": e.Count, "order": e.Order, "seed": e.Seed})
		s.changes = append(s.changes, change{p, "release", e.ID, detail, e.By})
	case gateway.ReleaseEnded:
		yes := true
		s.cohort(e.ID).ended = &yes
	case gateway.SchedulePut:
		row := s.theSchedule()
		row.running, row.since = &e.Running, e.Since
		detail, _ := json.Marshal(map[string]any{"running": e.Running})
		s.changes = append(s.changes, change{p, "schedule", "", detail, e.By})
	default:
		return false
	}
	return true
}

// joinEntries writes who joined. One that comes back keeps its referrals.
func (a *applier) joinEntries(ctx context.Context, s *set) error {
	if len(s.joined) == 0 {
		return nil
	}
	keys := slices.Sorted(maps.Keys(s.joined))
	column := func(of func(*entryRow) string) []string {
		list := make([]string, len(keys))
		for i, k := range keys {
			list[i] = of(s.joined[k])
		}
		return list
	}
	n := len(keys)
	arrivals, priorities, unconfirmed, seqs := make([]int64, n), make([]int32, n), make([]bool, n), make([]int64, n)
	counted, at := make([]bool, n), make([]time.Time, n)
	for i, k := range keys {
		r := s.joined[k]
		arrivals[i], priorities[i], unconfirmed[i], seqs[i] = int64(r.Arrival), int32(r.Priority), r.Unconfirmed, int64(r.seq)
		counted[i], at[i] = r.Counted, r.at
	}
	_, err := a.tx.Exec(ctx, `
		INSERT INTO entries (launch, key, email, name, source, status, arrival, priority, boosts, referrer, unconfirmed, counted, address_key, proof, joined_at, position)
		SELECT $1, key, email, name, source, 'waiting', arrival, priority, boosts, referrer, unconfirmed, counted, address_key, proof, joined_at, position
		FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::int[], $8::text[], $9::text[], $10::bool[], $11::bool[],
			$12::text[], $13::text[], $14::timestamptz[], $15::bigint[])
			AS d (key, email, name, source, arrival, priority, boosts, referrer, unconfirmed, counted, address_key, proof, joined_at, position)
		ON CONFLICT (launch, key) DO UPDATE SET
			email = excluded.email, name = excluded.name, source = excluded.source, status = excluded.status, arrival = excluded.arrival,
			priority = excluded.priority, boosts = excluded.boosts, referrer = excluded.referrer, unconfirmed = excluded.unconfirmed,
			counted = excluded.counted, address_key = excluded.address_key, proof = excluded.proof, joined_at = excluded.joined_at,
			position = excluded.position, invited_at = NULL, settled_at = NULL, code = '', offer_ends = NULL, release = ''`,
		a.launch, keys, column(func(r *entryRow) string { return r.person.Email }), column(func(r *entryRow) string { return r.person.Name }),
		column(func(r *entryRow) string { return printable(r.Source) }), arrivals, priorities, column(func(r *entryRow) string { return r.Boosts }),
		column(func(r *entryRow) string { return r.Referrer }), unconfirmed, counted, column(func(r *entryRow) string { return r.Address }),
		column(func(r *entryRow) string { return r.Proof }), at, seqs)
	if err != nil {
		return err
	}
	for k, r := range s.joined {
		if r.entryChange != (entryChange{}) {
			s.entries[k] = &r.entryChange
		}
	}
	return nil
}

// changeEntries changes entries, each once.
func (a *applier) changeEntries(ctx context.Context, s *set) error {
	if len(s.entries) == 0 {
		return nil
	}
	keys := slices.Sorted(maps.Keys(s.entries))
	n := len(keys)
	status, boosts, code, release := make([]*string, n), make([]*string, n), make([]*string, n), make([]*string, n)
	priority, referrals := make([]*int, n), make([]*int, n)
	unconfirmed, counted := make([]*bool, n), make([]*bool, n)
	invited, settled, ends := make([]*time.Time, n), make([]*time.Time, n), make([]*time.Time, n)
	for i, k := range keys {
		c := s.entries[k]
		status[i], boosts[i], code[i], release[i], priority[i], referrals[i] = c.status, c.boosts, c.code, c.release, c.priority, c.referrals
		unconfirmed[i], counted[i], invited[i], settled[i], ends[i] = c.unconfirmed, c.counted, c.invited, c.settled, c.ends
	}
	return a.exactly(ctx, n, "unknown_entry", `
		UPDATE entries e SET
			status = coalesce(d.status, e.status), boosts = coalesce(d.boosts, e.boosts), code = coalesce(d.code, e.code),
			release = coalesce(d.release, e.release), priority = coalesce(d.priority, e.priority), referrals = coalesce(d.referrals, e.referrals),
			unconfirmed = coalesce(d.unconfirmed, e.unconfirmed), counted = coalesce(d.counted, e.counted),
			invited_at = coalesce(d.invited, e.invited_at), settled_at = coalesce(d.settled, e.settled_at), offer_ends = coalesce(d.ends, e.offer_ends)
		FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::int[], $9::bool[], $10::bool[],
			$11::timestamptz[], $12::timestamptz[], $13::timestamptz[])
			AS d (key, status, boosts, code, release, priority, referrals, unconfirmed, counted, invited, settled, ends)
		WHERE e.launch = $1 AND e.key = d.key`,
		a.launch, keys, status, boosts, code, release, priority, referrals, unconfirmed, counted, invited, settled, ends)
}

func (a *applier) putReleases(ctx context.Context, s *set) error {
	for _, id := range slices.Sorted(maps.Keys(s.releases)) {
		r := s.releases[id]
		_, err := a.tx.Exec(ctx, `
			INSERT INTO releases (launch, id, count, "order", seed, upto, slot, at, actor, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			a.launch, id, r.Count, string(r.Order), r.Seed, r.Upto, timeOrNil(r.Slot), r.at, printable(r.By.Name), printable(r.By.Note))
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) changeReleases(ctx context.Context, s *set) error {
	for _, id := range slices.Sorted(maps.Keys(s.cohorts)) {
		c := s.cohorts[id]
		if err := a.exactly(ctx, 1, "unknown_release", `
			UPDATE releases SET done = done + $3, made = made + $4, ended = coalesce($5, ended) WHERE launch = $1 AND id = $2`,
			a.launch, id, c.done, c.made, c.ended); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) putSchedule(ctx context.Context, s *set) error {
	if s.schedule == nil {
		return nil
	}
	_, err := a.tx.Exec(ctx, `
		INSERT INTO schedules (launch, running, since, made) VALUES ($1, coalesce($2, false), $3, $4)
		ON CONFLICT (launch) DO UPDATE SET running = coalesce($2, schedules.running), since = excluded.since, made = schedules.made + excluded.made`,
		a.launch, s.schedule.running, timeOrNil(s.schedule.since), s.schedule.made)
	return err
}

const storedEntryColumns = `key, status, arrival, priority, boosts, referrer, referrals, unconfirmed, counted, address_key, proof, joined_at, code, offer_ends, release`

func scanEntry(row pgx.CollectableRow) (e gateway.StoredEntry, err error) {
	var ends *time.Time
	err = row.Scan(&e.Key, &e.Status, &e.Arrival, &e.Priority, &e.Packed, &e.Referrer, &e.Referrals, &e.Unconfirmed, &e.Counted, &e.Address,
		&e.Proof, &e.JoinedAt, &e.Code, &ends, &e.Release)
	e.JoinedAt, e.Ends = e.JoinedAt.UTC(), orZero(ends)
	return e, err
}

// dumpQueue reads the releases and the schedule.
func dumpQueue(ctx context.Context, tx pgx.Tx, launch int32, r Reader) error {
	var q gateway.StoredQueue
	var since *time.Time
	err := tx.QueryRow(ctx, `SELECT running, since, made FROM schedules WHERE launch = $1`, launch).Scan(&q.Running, &since, &q.Made)
	if q.Scheduled = err == nil; err != nil && err != pgx.ErrNoRows {
		return err
	}
	q.Since = orZero(since)
	rows, err := tx.Query(ctx, `SELECT id, count, done, "order", seed, upto, slot, at, ended FROM releases WHERE launch = $1`, launch)
	if err != nil {
		return err
	}
	q.Releases, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c gateway.Cohort, err error) {
		var slot *time.Time
		err = row.Scan(&c.ID, &c.Count, &c.Done, &c.Order, &c.Seed, &c.Upto, &slot, &c.At, &c.Ended)
		c.Slot, c.At = orZero(slot), c.At.UTC()
		return c, err
	})
	if err != nil {
		return err
	}
	return r.Queue(ctx, q)
}

// OpenReleases lists the releases of all launches that have offers to make.
func (l *Ledger) OpenReleases(ctx context.Context) ([]gateway.OpenRelease, error) {
	rows, err := l.pool.Query(ctx, `SELECT l.name, r.id, r.made FROM releases r JOIN launches l ON l.id = r.launch WHERE NOT r.ended`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.OpenRelease])
}

// EntryPeople reads entries within a transaction, by key.
func (l *Ledger) EntryPeople(ctx context.Context, tx pgx.Tx, launch string, keys []string) (map[string]gateway.EntryRow, error) {
	rows, err := tx.Query(ctx, `SELECT `+entryColumns+` FROM entries WHERE launch = (SELECT id FROM launches WHERE name = $1) AND key = ANY ($2)`, launch, keys)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanEntryRow)
	people := make(map[string]gateway.EntryRow, len(list))
	for _, e := range list {
		people[e.Key] = e
	}
	return people, err
}

// LandingURL is the launch's landing page, as the transaction sees it; "" if it
// has none.
func (l *Ledger) LandingURL(ctx context.Context, tx pgx.Tx, launch string) (landing string, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(policy ->> 'landing_url', '') FROM launches WHERE name = $1`, launch).Scan(&landing)
	return landing, err
}
