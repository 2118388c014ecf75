package ledger

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

const entryColumns = `key, email, name, source, status, arrival, priority, boosts, referrer, referrals, unconfirmed, joined_at, invited_at, settled_at, offer_ends, release`

func scanEntryRow(row pgx.CollectableRow) (e gateway.EntryRow, err error) {
	var invited, settled, ends *time.Time
	var boosts string
	err = row.Scan(&e.Key, &e.Email, &e.Name, &e.Source, &e.Status, &e.Arrival, &e.Priority, &boosts, &e.Referrer, &e.Referrals, &e.Unconfirmed,
		&e.JoinedAt, &invited, &settled, &ends, &e.Release)
	e.JoinedAt, e.InvitedAt, e.SettledAt, e.OfferEnds = e.JoinedAt.UTC(), orZero(invited), orZero(settled), orZero(ends)
	if e.Boosts = gateway.ParseBoosts(boosts); e.Boosts == nil {
		e.Boosts = []gateway.Boost{}
	}
	return e, err
}

// Entries lists a waitlist's entries: those that wait first, in the line's
// order, then the others by arrival.
func (l *Ledger) Entries(ctx context.Context, launch string, f gateway.EntryFilter, p gateway.Page) (gateway.List[gateway.EntryRow], error) {
	var none gateway.List[gateway.EntryRow]
	after, err := decodeCursor(p)
	if err != nil {
		return none, err
	}
	var from any
	if after != "" {
		if from, err = strconv.ParseInt(after, 10, 64); err != nil {
			return none, errCursor
		}
	}
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return none, err
	}
	rows, err := l.pool.Query(ctx, `SELECT `+entryColumns+` FROM entries
		WHERE launch = $1 AND ($2::bigint IS NULL OR `+lineOrder+` > $2) AND ($3 = '' OR status = $3) AND ($4 = '' OR source = $4)
		  AND ($5 = '' OR release = $5) AND ($6 = '' OR starts_with(lower(email), lower($6)) OR starts_with(lower(name), lower($6)))
		ORDER BY `+lineOrder+` LIMIT $7`, id, from, string(f.Status), f.Source, f.Release, f.Search, p.Limit+1)
	if err != nil {
		return none, err
	}
	return page(rows, p.Limit, scanEntryRow, func(e gateway.EntryRow) string {
		score := gateway.Score(e.Priority, e.Arrival)
		if e.Status != gateway.EntryWaiting {
			score = behindLine + e.Arrival
		}
		return strconv.FormatUint(score, 10)
	})
}

// behindLine is more than every score: where entries are listed that wait no
// more.
const behindLine = 1 << 53

// lineOrder is an entry's score in SQL, as the index entries_line has it.
const lineOrder = `(CASE WHEN status = 'waiting' THEN (1048576 - priority)::bigint * 4294967296 + arrival ELSE 9007199254740992 + arrival END)`

// FindEntry finds an entry by its key. It returns entry_unknown if there is none.
func (l *Ledger) FindEntry(ctx context.Context, launch, key string) (gateway.EntryRow, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return gateway.EntryRow{}, err
	}
	rows, err := l.pool.Query(ctx, `SELECT `+entryColumns+` FROM entries WHERE launch = $1 AND key = $2`, id, key)
	if err != nil {
		return gateway.EntryRow{}, err
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEntryRow)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, gateway.Refuse(gateway.EntryUnknown)
	}
	return e, err
}

// ExportEntries hands every entry on, in the order in which Entries lists them.
func (l *Ledger) ExportEntries(ctx context.Context, launch string, to func(gateway.EntryRow) error) error {
	p := gateway.Page{Limit: exportPage}
	for {
		list, err := l.Entries(ctx, launch, gateway.EntryFilter{}, p)
		if err != nil {
			return err
		}
		for _, e := range list.Data {
			if err := to(e); err != nil {
				return err
			}
		}
		if !list.HasMore {
			return nil
		}
		p.After = list.Next
	}
}

// Cohorts lists releases and what became of their offers, newest first. observe
// is how long a cohort is watched.
func (l *Ledger) Cohorts(ctx context.Context, launch string, observe time.Duration) ([]gateway.CohortRow, error) {
	id, err := l.launchID(ctx, launch)
	if err != nil {
		return nil, err
	}
	rows, err := l.pool.Query(ctx, `
		SELECT r.id, r.count, r."order", r.seed, r.slot, r.at, r.ended, r.done, r.made, count(*) FILTER (WHERE e.status = 'invited'),
			count(*) FILTER (WHERE e.status = 'registered'), count(*) FILTER (WHERE e.status = 'declined'),
			count(*) FILTER (WHERE e.status = 'expired'), count(*) FILTER (WHERE e.status = 'left'), r.actor, r.note
		FROM releases r LEFT JOIN entries e ON e.launch = r.launch AND e.release = r.id AND e.release <> ''
		WHERE r.launch = $1 GROUP BY r.launch, r.id ORDER BY r.at DESC, r.id`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c gateway.CohortRow, err error) {
		var slot *time.Time
		err = row.Scan(&c.ID, &c.Count, &c.Order, &c.Seed, &slot, &c.At, &c.Ended, &c.Done, &c.Made, &c.Pending, &c.Registered, &c.Declined, &c.Expired, &c.Left, &c.Actor, &c.Note)
		c.Slot, c.At = orZero(slot), c.At.UTC()
		if observe > 0 {
			c.Observed = c.At.Add(observe)
		}
		return c, err
	})
}

// WaitlistStats are a waitlist's figures, all as of one moment.
func (l *Ledger) WaitlistStats(ctx context.Context, launch string) (gateway.WaitlistStats, error) {
	s := gateway.WaitlistStats{Launch: launch, Statuses: map[gateway.EntryStatus]int{}, Growth: []gateway.GrowthDay{}, Sources: []gateway.SourceStats{}}
	err := pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var id int32
		err := tx.QueryRow(ctx, `SELECT l.id, p.seq FROM launches l JOIN positions p ON p.launch = l.id WHERE l.name = $1`, launch).Scan(&id, &s.Position)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			SELECT count(*), count(invited_at), count(*) FILTER (WHERE counted),
				coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM invited_at - joined_at)), 0)::float8,
				coalesce(avg(extract(epoch FROM invited_at - joined_at)), 0)::float8
			FROM entries WHERE launch = $1`, id).Scan(&s.Entries, &s.Invited, &s.Referred, &s.InviteMedian, &s.InviteMean)
		if err != nil {
			return err
		}
		if s.Entries > 0 {
			s.Viral = float64(s.Referred) / float64(s.Entries)
		}
		rows, err := tx.Query(ctx, `SELECT status, count(*) FROM entries WHERE launch = $1 GROUP BY 1`, id)
		if err != nil {
			return err
		}
		var status gateway.EntryStatus
		var n int
		if _, err = pgx.ForEachRow(rows, []any{&status, &n}, func() error {
			s.Statuses[status] = n
			return nil
		}); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `
			SELECT to_char(day, 'YYYY-MM-DD'), sum(joined), sum(referred), sum(invited), sum(registered) FROM (
				SELECT (joined_at AT TIME ZONE 'UTC')::date AS day, count(*) AS joined, count(*) FILTER (WHERE counted) AS referred, 0 AS invited, 0 AS registered
				FROM entries WHERE launch = $1 GROUP BY 1
				UNION ALL SELECT (invited_at AT TIME ZONE 'UTC')::date, 0, 0, count(*), 0 FROM entries WHERE launch = $1 AND invited_at IS NOT NULL GROUP BY 1
				UNION ALL SELECT (settled_at AT TIME ZONE 'UTC')::date, 0, 0, 0, count(*) FROM entries WHERE launch = $1 AND status = 'registered' GROUP BY 1
			) d GROUP BY day ORDER BY day`, id)
		if err != nil {
			return err
		}
		if s.Growth, err = pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.GrowthDay]); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `
			SELECT source, count(*), count(*) FILTER (WHERE counted), count(invited_at), count(*) FILTER (WHERE status = 'registered'),
				coalesce(count(*) FILTER (WHERE status = 'registered' AND invited_at IS NOT NULL)::float8 / nullif(count(invited_at), 0), 0)
			FROM entries WHERE launch = $1 GROUP BY 1 ORDER BY 2 DESC, 1`, id)
		if err != nil {
			return err
		}
		s.Sources, err = pgx.CollectRows(rows, pgx.RowToStructByPos[gateway.SourceStats])
		return err
	})
	return s, err
}
