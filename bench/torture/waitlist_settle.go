package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// placesAsked is how many places a round compares at each gateway.
const placesAsked = 60

// settle compares what the clients of the waitlist were told with both stores.
func (l *line) settle(ctx context.Context, rng *rand.Rand, loses bool, one *Round) error {
	if err := l.rest(ctx); err != nil {
		return err
	}
	rows, err := l.stored(ctx)
	if err != nil {
		return err
	}
	one.Joined, one.Denied = len(l.people), l.denied
	for _, what := range l.surprises {
		one.Misled++
		one.brief("waitlist: %s", what)
	}
	for email, p := range l.people {
		row, ok := rows[email]
		if !ok {
			one.JoinsLost++
			if p.safe {
				one.JoinsLostSafe++
			}
			continue
		}
		if why := p.contradicts(&row, loses); why != "" {
			one.Misled++
			one.brief("%s: %s", email, why)
		}
	}
	if err := l.counted(ctx, one); err != nil {
		return err
	}
	queue, err := l.ranks(ctx, rows, one)
	if err != nil {
		return err
	}
	return l.places(ctx, rng, rows, queue)
}

// contradicts says what of the stored row is not as the person was told; loses
// says that answers which were not persisted may be lost.
func (p *person) contradicts(row *gateway.EntryRow, loses bool) string {
	if p.end != "" && row.Status != p.end {
		return fmt.Sprintf("%s was answered, it is %s", p.end, row.Status)
	}
	if !p.leaving && row.Status != gateway.EntryWaiting && row.Status != gateway.EntryInvited {
		return fmt.Sprintf("it is %s and asked for nothing", row.Status)
	}
	times := map[string]int{}
	for _, b := range row.Boosts {
		if b.Kind == gateway.BoostByHand {
			times[b.Reason]++
		}
	}
	for reason, n := range times {
		if n > 1 {
			return fmt.Sprintf("one boost, %s, counts %d times", reason, n)
		}
	}
	for _, reason := range p.boosts {
		if times[reason] == 0 && !loses {
			return "a boost that was answered is not there"
		}
	}
	return ""
}

// rest waits until every release has ended and every offer that was redeemed is
// settled, and Postgres holds it.
func (l *line) rest(ctx context.Context) error {
	err := eventually(ctx, "every release ends", func() error {
		list, err := l.world.gateways[0].api.Cohorts(ctx, l.launch)
		if err != nil {
			return err
		}
		for _, r := range list {
			if !r.Ended {
				return fmt.Errorf("%s has let in %d of %d", r.ID, r.Done, r.Count)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, l.world.postgres.Database("admitone"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	err = eventually(ctx, "whose offer was redeemed is registered", func() error {
		var n int
		err := conn.QueryRow(ctx, `
			SELECT count(*) FROM launches l JOIN entries e ON e.launch = l.id JOIN codes c ON c.launch = l.id AND c.code = e.code
			WHERE l.name = $1 AND e.status = 'invited' AND c.used > 0`, l.launch).Scan(&n)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d are still invited", n)
		}
		return err
	})
	if err != nil {
		return err
	}
	return l.world.calm(ctx, l.launch)
}

// stored are the entries that Postgres holds, by address.
func (l *line) stored(ctx context.Context) (map[string]gateway.EntryRow, error) {
	all := map[string]gateway.EntryRow{}
	for p := (gateway.Page{Limit: 100}); ; {
		page, err := l.world.gateways[0].api.Entries(ctx, l.launch, gateway.EntryFilter{}, p)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Data {
			if before, twice := all[e.Email]; twice {
				return nil, fmt.Errorf("%s is on the list twice: %s and %s", e.Email, before.Key, e.Key)
			}
			all[e.Email] = e
		}
		if !page.HasMore {
			return all, nil
		}
		p.After = page.Next
	}
}

// counted reads the journal that Postgres keeps, by its words alone: nobody
// joined or was offered a place twice, and no release gave more places than it
// had, those that it was given back included.
func (l *line) counted(ctx context.Context, one *Round) error {
	conn, err := pgx.Connect(ctx, l.world.postgres.Database("admitone"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT line FROM journal j JOIN launches l ON l.id = j.launch, regexp_split_to_table(j.record, E'\n') AS line
		WHERE l.name = $1 AND j.seq > $2 AND line ~ '^(joined|offered|entry|release)\t'`, l.launch, l.since)
	if err != nil {
		return err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	joined, offered, given, back, places := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, line := range lines {
		switch w := strings.Split(line, "\t"); w[0] {
		case "joined":
			joined[w[1]]++
		case "offered":
			offered[w[2]]++
			given[w[1]]++
			one.Offered++
		case "entry":
			back[w[7]]++
		case "release":
			if places[w[1]], err = strconv.Atoi(w[2]); err != nil {
				return fmt.Errorf("a release of so many places: %w", err)
			}
		}
	}
	for what, times := range map[string]map[string]int{"joined": joined, "was offered a place": offered} {
		for key, n := range times {
			if n > 1 {
				one.Misled++
				one.brief("%s %s %d times", key, what, n)
			}
		}
	}
	for id, n := range given {
		if n-back[id] > places[id] {
			one.OverOffered += n - back[id] - places[id]
		}
	}
	for id, count := range l.released {
		if places[id] != count && !one.Excused {
			one.Misled++
			one.brief("the release %s of %d has %d places", id, count, places[id])
		}
	}
	return nil
}

// ranks compares the line in Redis with the rows that wait, one by one, and
// returns where each key stands.
func (l *line) ranks(ctx context.Context, rows map[string]gateway.EntryRow, one *Round) (map[string]int, error) {
	queue, err := l.world.client.ZRange(ctx, "ao:{"+l.launch+"}:queue", 0, -1).Result()
	if err != nil {
		return nil, err
	}
	var waiting []gateway.EntryRow
	for _, e := range rows {
		if e.Status == gateway.EntryWaiting {
			waiting = append(waiting, e)
		}
	}
	slices.SortFunc(waiting, func(a, b gateway.EntryRow) int {
		if a.Priority != b.Priority {
			return b.Priority - a.Priority
		}
		return int(a.Arrival) - int(b.Arrival)
	})
	if len(queue) != len(waiting) {
		one.Misplaced++
		one.brief("%d stand in Redis' line, %d wait in Postgres", len(queue), len(waiting))
	}
	at := map[string]int{}
	for i, key := range queue {
		at[key] = i + 1
		if i < len(waiting) && waiting[i].Key != key {
			one.Misplaced++
		}
	}
	return at, nil
}

// places compares what polls answer, at each gateway, with Redis' ranks.
func (l *line) places(ctx context.Context, rng *rand.Rand, rows map[string]gateway.EntryRow, at map[string]int) error {
	emails := make([]string, 0, len(l.people))
	for email := range l.people {
		if _, ok := rows[email]; ok {
			emails = append(emails, email)
		}
	}
	slices.Sort(emails)
	for range min(placesAsked, len(emails)) {
		p := l.people[emails[rng.IntN(len(emails))]]
		want := at[rows[p.email].Key]
		for _, g := range l.world.gateways {
			err := eventually(ctx, "polls answer Redis' ranks", func() error {
				asking, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				got, err := g.api.Place(asking, l.launch, p.ticket)
				if err == nil && (got.Position != want || want > 0 && got.Total != len(at) || got.Status != rows[p.email].Status) {
					err = fmt.Errorf("gateway %d: %s is %s at %d of %d as of %v, want %s at %d of %d",
						g.n, p.email, got.Status, got.Position, got.Total, got.AsOf, rows[p.email].Status, want, len(at))
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
