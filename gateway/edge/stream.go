package edge

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// How a stream of events behaves.
const (
	streamPause     = time.Second      // between two events, at least
	streamHeartbeat = 15 * time.Second // a comment, when nothing happens
	streamRetry     = 2000             // milliseconds before a browser connects again
	streamWrite     = 5 * time.Second  // for a slow reader
)

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n" +
	"X-Content-Type-Options: nosniff\r\nConnection: close\r\n"

// stream answers GET /v1/launches/{l}/waitlist/{ticket}/events: the place in
// line as server-sent events, one when it changes and at the most one a second.
// A browser that loses the stream comes back by itself, and tells in
// Last-Event-ID what it saw last. The connection is taken over from the server:
// a stream costs one goroutine and no buffers.
func (q *request) stream() error {
	key, err := q.ticketed(keyring.TicketOwner)
	if err != nil {
		return err
	}
	// Who comes back after a restart, when there is no copy of the line yet, had
	// an event of this entry: the streams of all do not ask Redis at once.
	if q.head.lastEventID == nil || q.server.config.Store.Line(q.launch.Name) != nil {
		if _, err := q.server.placeIn(q.launch, key); err != nil {
			return err
		}
	}
	leave, ok := q.server.audience.enter(q)
	if !ok {
		return &gateway.Error{Reason: gateway.Overloaded, RetryAfter: 30 * time.Second, Detail: "Too many streams are open. Ask for the place from time to time instead."}
	}
	s := &stream{
		leave: leave, server: q.server, launch: q.launch.Name, key: key,
		seen: append([]byte(nil), q.head.lastEventID...), head: streamHead + "X-Request-Id: " + string(q.id) + "\r\n\r\nretry: " + strconv.Itoa(streamRetry) + "\n\n",
	}
	q.ctx.HijackSetNoResponse(true)
	q.ctx.Hijack(s.run)
	return nil
}

// stream is one open stream.
type stream struct {
	server *Server
	launch string
	key    gateway.EntryKey
	seen   []byte // the id of the last event
	head   string
	leave  func()
}

// audience bounds the streams, which stay open as long as their readers like:
// those of one client as its connections are, behind a proxy too, and all of
// them to three quarters of the connections, so that requests find room.
type audience struct {
	mu   sync.Mutex
	all  int
	each map[netip.Prefix]int
}

// enter counts the request's stream in, and returns what counts it out; ok is
// false when a limit is reached.
func (a *audience) enter(q *request) (leave func(), ok bool) {
	c, from := &q.server.config, netip.Prefix{}
	if client := q.server.proxies.client(peerAddress(q.ctx.RemoteAddr()), &q.head); q.key == nil && client.IsValid() && !q.server.proxies.trusts(client) {
		from = counted(client, 64)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all >= max(1, c.Connections/4*3) || from.IsValid() && a.each[from] >= c.ConnectionsPerAddress {
		return nil, false
	}
	if a.each == nil {
		a.each = map[netip.Prefix]int{}
	}
	a.all++
	if from.IsValid() {
		a.each[from]++
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all--
		if from.IsValid() {
			if a.each[from]--; a.each[from] == 0 {
				delete(a.each, from)
			}
		}
	}, true
}

// run writes events until the reader goes away or the server stops.
func (s *stream) run(c net.Conn) {
	defer s.leave()
	s.server.metrics.streams.Inc()
	defer s.server.metrics.streams.Dec()
	write := func(b []byte) bool {
		if c.SetWriteDeadline(time.Now().Add(streamWrite)) != nil {
			return false
		}
		_, err := c.Write(b)
		return err == nil
	}
	// A deadline of the request is still on the connection.
	if c.SetReadDeadline(time.Time{}) != nil || !write([]byte(s.head)) {
		return
	}
	gone := make(chan struct{})
	go func() { // whatever a reader sends, or its end, ends the stream
		defer close(gone)
		var b [1]byte
		_, _ = c.Read(b[:])
	}()
	defer func() {
		_ = c.SetReadDeadline(time.Now()) // wakes the reader above; fasthttp closes
		<-gone
	}()
	pause, heartbeat := time.NewTimer(0), time.NewTicker(streamHeartbeat)
	defer pause.Stop()
	defer heartbeat.Stop()
	var buffer []byte
	looked := time.Now()
	for {
		select {
		case <-gone:
			return
		case <-s.server.stopping:
			return
		case <-heartbeat.C:
			if !write([]byte(": \n\n")) {
				return
			}
		case <-pause.C:
			line := s.server.config.Store.Line(s.launch)
			if line == nil && len(s.seen) > 0 && time.Since(looked) < streamHeartbeat {
				pause.Reset(streamPause) // the copy is being made
				continue
			}
			var changed <-chan struct{}
			if line != nil {
				changed = line.Changed()
			}
			var ok bool
			looked = time.Now()
			if buffer, ok = s.event(buffer[:0]); !ok || len(buffer) > 0 && !write(buffer) {
				return
			}
			if line != nil && !s.wait(changed, gone, heartbeat, write) {
				return
			}
			pause.Reset(streamPause)
		}
	}
}

// wait returns when the line has changed; false when the stream is to end.
func (s *stream) wait(changed, gone <-chan struct{}, heartbeat *time.Ticker, write func([]byte) bool) bool {
	for {
		select {
		case <-changed:
			return true
		case <-gone:
			return false
		case <-s.server.stopping:
			return false
		case <-heartbeat.C:
			// With a heartbeat the place is looked at too: times pass.
			return write([]byte(": \n\n"))
		}
	}
}

// event appends the event of the present place; nothing if it is the one that
// was seen last. ok is false when there is no such entry any more.
func (s *stream) event(b []byte) (event []byte, ok bool) {
	l, err := s.server.config.Store.Launch(s.server.running, s.launch)
	if err != nil {
		return b, true // healing: the stream waits
	}
	p, err := s.server.placeIn(l, s.key)
	if err != nil {
		return b, isPassing(err)
	}
	if l.Policy.Waitlist.Display == gateway.DisplayNeverWorsens {
		p.Position = s.server.bestPlace(s.launch, s.key, p.Position, shownBefore(s.seen))
	}
	id := appendPlaceTag(nil, &p)
	id = id[1 : len(id)-1] // no quotes
	if string(id) == string(s.seen) {
		return b, true
	}
	s.seen = append(s.seen[:0], id...)
	b = append(append(b, "id: "...), id...)
	b = append(b, "\nevent: place\ndata: "...)
	b = appendPlace(b, l, &p, true, s.server.polls.pause(p.Position))
	return append(b, "\n\n"...), true
}

// isPassing reports whether a refusal is of the moment.
func isPassing(err error) bool {
	e, ok := err.(*gateway.Error)
	return !ok || e.RetryAfter > 0
}
