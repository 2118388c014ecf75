package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"admitone/bench/storm"
)

// pollers are 50,000 who ask for their places, over connections that they share.
type pollers struct {
	Pollers     int     `json:"pollers"`
	Connections int     `json:"connections"`
	Rate        float64 `json:"per_s"` // as fast as they are answered
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	Asked       float64 `json:"open_asked_per_s"` // each of them every five seconds
	OpenP50     float64 `json:"open_p50_ms"`
	OpenP99     float64 `json:"open_p99_ms"`
	Idle        float64 `json:"redis_commands_per_s_idle"`
	Polled      float64 `json:"redis_commands_per_s_polled"`
}

// streams are open streams of places.
type streams struct {
	Streams    int     `json:"streams"`
	Memory     float64 `json:"kb_a_stream"` // of the gateway
	Heartbeats int     `json:"heartbeats"`  // each had one at least
	Back       float64 `json:"back_s"`      // after a restart, until all are open again
	Told       float64 `json:"told_s"`      // a change, until the last has it
	Twice      int     `json:"told_twice"`  // events that said nothing new after the restart
	Commands   float64 `json:"redis_commands_a_stream_on_restart"`
}

const (
	pollConnections = 1_000
	streamsHeld     = 10_000
)

// takeWatchers has a long line watched: by polls, none of which may reach Redis,
// and by streams, which a restart of the gateway must not end.
func takeWatchers(ctx context.Context, w *world, f *figures) error {
	p, err := w.poll(ctx, w.line)
	if err != nil {
		return fmt.Errorf("%d pollers: %w", watchers, err)
	}
	s, err := w.stream(ctx, w.line)
	if err != nil {
		return fmt.Errorf("%d streams: %w", streamsHeld, err)
	}
	f.Waitlist.Pollers, f.Waitlist.Streams = p, s
	return nil
}

func (w *world) poll(ctx context.Context, q *queue) (*pollers, error) {
	p := &pollers{Pollers: len(q.tickets), Connections: pollConnections, Asked: float64(len(q.tickets)) / 5}
	counted := func(during func() error) (perSecond float64, err error) {
		began, before := time.Now(), int64(0)
		if before, err = q.g.commandsOf(ctx, ""); err != nil {
			return 0, err
		}
		if err := during(); err != nil {
			return 0, err
		}
		after, err := q.g.commandsOf(ctx, "")
		return float64(after-before) / time.Since(began).Seconds(), err
	}
	var err error
	if p.Idle, err = counted(func() error { return sleep(ctx, w.open/2) }); err != nil {
		return nil, err
	}
	run := func(rate float64) (r *storm.Result, err error) {
		r, err = storm.Run(ctx, storm.Options{
			Target: q.target, Mix: storm.One("poll", storm.Get(q.target, q.paths()), 200), Connections: pollConnections, Rate: rate, For: w.open / 2,
			Warmup: w.warm, Timeout: 20 * time.Second, Seed: 1,
		})
		if err == nil {
			err = clean(r)
		}
		return r, err
	}
	var peak, open *storm.Result
	p.Polled, err = counted(func() (err error) {
		peak, err = run(0)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.Rate, p.P50, p.P99 = peak.Rate, peak.Latency.P50, peak.Latency.P99
	if more := p.Polled - p.Idle; more > p.Rate/100 {
		return nil, fmt.Errorf("%.0f polls a second cost Redis %.0f commands a second more than none: no figure", p.Rate, more)
	}
	if open, err = run(p.Asked); err != nil {
		return nil, err
	}
	if p.OpenP50, p.OpenP99 = open.Latency.P50, open.Latency.P99; open.Behind != "" {
		note("no latency of %.0f polls a second: %s", p.Asked, open.Behind)
		p.OpenP50, p.OpenP99 = 0, 0
	}
	return p, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// held are streams as a browser holds them: one that breaks off is opened again
// with the id of its last event.
type held struct {
	q                        *queue
	open, events, heartbeats atomic.Int64
	dialling                 chan struct{} // not all at once
	each                     []heldStream
}

type heldStream struct {
	mu         sync.Mutex
	id, data   string
	heartbeats int
}

func (w *world) stream(ctx context.Context, q *queue) (*streams, error) {
	n := min(streamsHeld, len(q.tickets))
	s := &streams{Streams: n}
	before, err := q.g.resident()
	if err != nil {
		return nil, err
	}
	h := &held{q: q, dialling: make(chan struct{}, 256), each: make([]heldStream, n)}
	holding, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for i := range n {
		all.Go(func() { h.hold(holding, i) })
	}
	if err := h.until(ctx, "every stream is open and told its place", func() bool { return h.open.Load() == int64(n) && h.events.Load() >= int64(n) }); err != nil {
		return nil, err
	}
	after, err := q.g.resident()
	if err != nil {
		return nil, err
	}
	s.Memory = float64(after-before) / 1024 / float64(n)
	if err := h.until(ctx, "every stream has a heartbeat", func() bool { return h.count(func(s *heldStream) bool { return s.heartbeats > 0 }) == n }); err != nil {
		return nil, err
	}
	// The restart.
	commands, err := q.g.commandsOf(ctx, "")
	if err != nil {
		return nil, err
	}
	told, began := h.events.Load(), time.Now()
	stopping, done := context.WithTimeout(ctx, time.Minute)
	err = q.g.program.Stop(stopping)
	done()
	if err != nil {
		return nil, err
	}
	if err := q.g.start(ctx); err != nil {
		return nil, err
	}
	if err := h.until(ctx, "every stream is open again", func() bool { return h.open.Load() == int64(n) }); err != nil {
		return nil, err
	}
	s.Back = time.Since(began).Seconds()
	if err := q.copied(ctx, time.Now()); err != nil {
		return nil, err
	}
	if err := sleep(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	more, err := q.g.commandsOf(ctx, "")
	if err != nil {
		return nil, err
	}
	s.Commands, s.Twice = float64(more-commands)/float64(n), int(h.events.Load()-told)
	// A change: one leaves, and all the others are told of one less.
	last := q.tickets[len(q.tickets)-1]
	p, err := q.g.api.Leave(ctx, lineLaunch, last)
	if err != nil {
		return nil, err
	}
	began = time.Now()
	total := fmt.Sprintf(`"total":%d,`, p.Total)
	if err := h.until(ctx, "every stream is told of a change", func() bool {
		return h.count(func(s *heldStream) bool { return strings.Contains(s.data, total) }) >= n-1
	}); err != nil {
		return nil, err
	}
	s.Told, s.Heartbeats = time.Since(began).Seconds(), int(h.heartbeats.Load())
	return s, nil
}

func (h *held) count(of func(*heldStream) bool) (n int) {
	for i := range h.each {
		s := &h.each[i]
		s.mu.Lock()
		if of(s) {
			n++
		}
		s.mu.Unlock()
	}
	return n
}

func (h *held) until(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for !holds() {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("not so within two minutes: %s; %d are open, %d events", what, h.open.Load(), h.events.Load())
		}
	}
	return nil
}

// hold keeps one stream open.
func (h *held) hold(ctx context.Context, i int) {
	for ctx.Err() == nil {
		h.dialling <- struct{}{}
		c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", h.q.target.Addr.String())
		if err == nil {
			stop := context.AfterFunc(ctx, func() { c.Close() })
			h.read(c, i)
			stop()
			c.Close()
		} else {
			<-h.dialling
		}
		_ = sleep(ctx, time.Duration(1000+i%1000)*time.Millisecond) // about what the server says in retry
	}
}

// read reads a stream until it breaks off.
func (h *held) read(c net.Conn, i int) {
	s := &h.each[i]
	request := "GET /v1/launches/" + lineLaunch + "/waitlist/" + h.q.tickets[i] + "/events HTTP/1.1\r\nHost: " + h.q.target.Host + "\r\n"
	if s.id != "" {
		request += "Last-Event-ID: " + s.id + "\r\n"
	}
	r := bufio.NewReaderSize(c, 1024)
	_, err := io.WriteString(c, request+"\r\n")
	status := ""
	for line := ""; err == nil && line != "\r\n"; {
		if line, err = r.ReadString('\n'); status == "" {
			status = line
		}
	}
	<-h.dialling
	if err != nil || !strings.Contains(status, " 200 ") {
		return
	}
	h.open.Add(1)
	defer h.open.Add(-1)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		s.mu.Lock()
		switch field {
		case "id":
			s.id = value
		case "data":
			s.data = value
			h.events.Add(1)
		case "", ":":
			if line != "\n" {
				s.heartbeats++
				h.heartbeats.Add(1)
			}
		}
		s.mu.Unlock()
	}
}
