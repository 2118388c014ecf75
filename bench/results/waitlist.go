package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"admitone/bench/peers"
	"admitone/bench/storm"
	"admitone/gateway/keyring"
)

// waitlist are the figures of watching a place in line.
type waitlist struct {
	Entries int      `json:"entries"`
	Bytes   int      `json:"answer_bytes"` // header and body, the gateway's and the peer's
	Joins   int      `json:"joins_meanwhile"`
	Boosts  int      `json:"boosts_meanwhile"`
	Offers  int      `json:"offers_meanwhile"`
	Exact   int      `json:"places_checked"`        // against ZRANK, while writes stood still: all equal
	Moving  int      `json:"places_checked_moving"` // while writes ran: within what changed meanwhile
	AgeMax  float64  `json:"as_of_age_max_ms"`      // of an answer, by as_of
	Pollers *pollers `json:"pollers"`
	Streams *streams `json:"streams"`
}

const (
	lineLaunch = "line"
	linePolicy = "waitlist: {limits: {per_address: 'off'}, boosts: {referred: 10, referrer: 5, sources: {producthunt: 20, twitter: 5}}}\n"
	// watchers are the entries that are polled, spread over all of them.
	watchers = 50_000
	// importChunk is how many lines of CSV one call takes.
	importChunk = 20_000
)

// queue is a launch with a long line.
type queue struct {
	*contender
	g       *gatewaySide
	entries int
	tickets []string // of the watchers
	keys    []string // of the watchers
}

func lineEmail(n int) string { return fmt.Sprintf("line-%07d@example.com", n) }

// fillLine imports the entries, a fifth of them with points, and waits until
// Postgres holds them and the gateway has its copy.
func (w *world) fillLine(ctx context.Context) (*queue, error) {
	c, err := w.another(ctx, lineLaunch, linePolicy, 0)
	if err != nil {
		return nil, err
	}
	q := &queue{contender: c, g: w.gateway, entries: w.entries}
	note("importing %d entries", q.entries)
	err = together((q.entries+importChunk-1)/importChunk, func(chunk int) error {
		from := chunk * importChunk
		to := min(from+importChunk, q.entries)
		var csv strings.Builder
		csv.WriteString("email,source,priority\n")
		for n := from; n < to; n++ {
			points := 0
			if n%5 == 0 {
				points = n % 97
			}
			fmt.Fprintf(&csv, "%s,web,%d\n", lineEmail(n), points)
		}
		in, err := q.g.api.ImportEntries(ctx, lineLaunch, []byte(csv.String()))
		if err == nil && in.Added != to-from {
			err = fmt.Errorf("%d entries were added of %d", in.Added, to-from)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	n := min(watchers, q.entries)
	for i := range n {
		key := q.g.keyring.Subject(lineLaunch, lineEmail(i*(q.entries/n)))
		q.keys = append(q.keys, key)
		q.tickets = append(q.tickets, q.g.keyring.Ticket(keyring.TicketOwner, lineLaunch, key))
	}
	if err := q.g.drained(ctx, lineLaunch); err != nil {
		return nil, err
	}
	return q, q.copied(ctx, time.Now())
}

// copied waits until the gateway answers out of a copy that is newer than this.
func (q *queue) copied(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for fresh := 0; fresh < 2; { // the first may be out of Redis
		p, err := q.g.api.Place(ctx, lineLaunch, q.tickets[0])
		if err != nil {
			return err
		}
		if before, err := q.g.commandsOf(ctx, "evalsha"); err != nil {
			return err
		} else if p.AsOf.After(since) {
			if _, err := q.g.api.Place(ctx, lineLaunch, q.tickets[0]); err != nil {
				return err
			}
			after, err := q.g.commandsOf(ctx, "evalsha")
			if err != nil {
				return err
			}
			if after == before {
				fresh++
			} else {
				fresh = 0
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway has no copy of the line: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func (q *queue) paths() []string {
	list := make([]string, len(q.tickets))
	for i, t := range q.tickets {
		list[i] = "/v1/launches/" + lineLaunch + "/waitlist/" + t
	}
	return list
}

// takeWaitlist compares polls with a bare fasthttp that answers the same bytes,
// while people join, are boosted and let in: as many beside the one as beside
// the other.
func takeWaitlist(ctx context.Context, w *world, f *figures) error {
	q, err := w.fillLine(ctx)
	if err != nil {
		return err
	}
	w.line = q
	f.Waitlist = &waitlist{Entries: q.entries}
	echo, bytes, err := w.echoOf(ctx, q)
	if err != nil {
		return err
	}
	f.Waitlist.Bytes = bytes
	traffic := startTraffic(ctx, q)
	defer traffic.stop()
	// Each offer and join must be in Postgres before the next window begins: the
	// copying is not what is measured.
	own := w.gateway.along(nameAside, q.contender)
	own.after = func(ctx context.Context, _ sample) error { return traffic.exact(ctx, f.Waitlist) }
	paths := q.paths()
	ratios, err := w.abba(ctx, f, "polls", func(of *contender, _ string) *storm.Mix {
		return storm.One("poll", storm.Get(of.target, paths), 200)
	}, own, []turn{echo.asTurn()})
	if err != nil {
		return err
	}
	f.Ceilings = append(f.Ceilings, ratios...)
	if err := traffic.stop(); err != nil {
		return err
	}
	f.Waitlist.Joins, f.Waitlist.Boosts, f.Waitlist.Offers = int(traffic.joins.Load()), int(traffic.boosts.Load()), int(traffic.offers.Load())
	f.Waitlist.Moving, f.Waitlist.AgeMax = int(traffic.moving.Load()), float64(traffic.age.Load())/1e6
	if f.Waitlist.Joins == 0 || f.Waitlist.Boosts == 0 || f.Waitlist.Offers == 0 || f.Waitlist.Moving == 0 {
		return fmt.Errorf("nothing went on meanwhile: %+v", f.Waitlist)
	}
	report, err := w.gateway.api.Verify(ctx, lineLaunch)
	if err == nil && report.Drift != 0 {
		err = fmt.Errorf("the stores differ: %+v", report.Differences)
	}
	return err
}

// echoOf starts a bare fasthttp that answers what the gateway does: the median
// of a hundred polls by length. Both answers must be as long, byte for byte.
func (w *world) echoOf(ctx context.Context, q *queue) (*contender, int, error) {
	paths := q.paths()
	var answers []string
	for range 101 {
		a, err := rawAnswer(q.target, paths[rand.IntN(len(paths))])
		if err != nil {
			return nil, 0, err
		}
		answers = append(answers, a)
	}
	slices.SortFunc(answers, func(a, b string) int { return len(a) - len(b) })
	whole := answers[len(answers)/2]
	head, body, _ := strings.Cut(whole, "\r\n\r\n")
	says := peers.Says{Body: body}
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, ok := strings.Cut(line, ": ")
		if ok && name != "Content-Length" && name != "Date" {
			says.Header = append(says.Header, [2]string{name, value})
		}
	}
	b, err := json.Marshal(says)
	if err != nil {
		return nil, 0, err
	}
	file := filepath.Join(w.dir, "says.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, 0, err
	}
	c, err := w.startPeer(ctx, "echo", "-says", file)
	if err != nil {
		return nil, 0, err
	}
	same, err := rawAnswer(c.target, paths[0])
	if err == nil && len(same) != len(whole) {
		err = fmt.Errorf("the bare server answers %d bytes, the gateway %d:\n%s\n%s", len(same), len(whole), same, whole)
	}
	return c, len(whole), err
}

// rawAnswer is what a server sends to a GET, header and all.
func rawAnswer(t storm.Target, path string) (string, error) {
	c, err := net.DialTimeout("tcp", t.Addr.String(), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+t.Host+"\r\n\r\n"); err != nil {
		return "", err
	}
	r, size := bufio.NewReader(c), 0
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		b.WriteString(line)
		if _, err := fmt.Sscanf(line, "Content-Length: %d", &size); err != nil && line == "\r\n" {
			break
		}
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	if !strings.HasPrefix(b.String(), "HTTP/1.1 200") {
		return "", errors.New("a poll is answered " + b.String())
	}
	return b.String() + string(body), nil
}

// commandsOf is how often Redis has run a command, "" for all of them.
func (g *gatewaySide) commandsOf(ctx context.Context, name string) (n int64, err error) {
	section, field := "commandstats", "cmdstat_"+name+":calls="
	if name == "" {
		section, field = "stats", "total_commands_processed:"
	}
	info, err := g.commands.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	if _, rest, ok := strings.Cut(info, field); ok {
		_, err = fmt.Sscanf(rest, "%d", &n)
	}
	return n, err
}
