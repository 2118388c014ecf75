package edge

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// guard bounds the connections, all of them and those of one address.
// fasthttp's own limit counts IPv4 addresses only, and proxies as well.
type guard struct {
	most, mostEach int
	proxies        *proxies
	metrics        *metrics

	mu    sync.Mutex
	open  map[*conn]struct{}
	peers map[netip.Prefix]int
}

func newGuard(most, mostEach int, p *proxies, m *metrics) *guard {
	return &guard{most: most, mostEach: mostEach, proxies: p, metrics: m, open: map[*conn]struct{}{}, peers: map[netip.Prefix]int{}}
}

// watch is the listener behind the guard.
func (g *guard) watch(l net.Listener) net.Listener { return &watched{l, g} }

type watched struct {
	net.Listener
	guard *guard
}

// Accept waits for a connection within the limits; the others are told to come
// back later, and closed.
func (w *watched) Accept() (net.Conn, error) {
	for {
		c, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		admitted, limit := w.guard.admit(c)
		if admitted != nil {
			return admitted, nil
		}
		w.guard.metrics.turnedAway.WithLabelValues(limit).Inc()
		c.SetWriteDeadline(time.Now().Add(time.Second)) // an empty send buffer takes it at once
		c.Write(fullAnswer)
		c.Close()
	}
}

// full is the problem document for a connection too many, and fullAnswer the
// response that holds it.
const full = `{"type":"/problems/overloaded","title":"Overloaded","status":503,` +
	`"detail":"Too many connections are open. Try again shortly.","code":"overloaded","retry_after":1}`

var fullAnswer = []byte("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nCache-Control: no-store\r\n" +
	"Content-Type: application/problem+json\r\nRetry-After: 1\r\nContent-Length: " + strconv.Itoa(len(full)) + "\r\n\r\n" + full)

// admit counts a connection in; it returns nil and the limit's name when a
// limit is reached.
func (g *guard) admit(c net.Conn) (*conn, string) {
	peer := peerAddress(c.RemoteAddr())
	counts := peer.IsValid() && !g.proxies.trusts(peer)
	admitted := &conn{Conn: c, guard: g, read: deadline{set: c.SetReadDeadline}, write: deadline{set: c.SetWriteDeadline}}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.open) >= g.most {
		return nil, "total"
	}
	if counts {
		admitted.peer = counted(peer, 64)
		if g.peers[admitted.peer] >= g.mostEach {
			return nil, "address"
		}
		g.peers[admitted.peer]++
	}
	g.open[admitted] = struct{}{}
	g.metrics.connections.Set(float64(len(g.open)))
	return admitted, ""
}

// closeAll cuts every connection off.
func (g *guard) closeAll() {
	g.mu.Lock()
	all := make([]*conn, 0, len(g.open))
	for c := range g.open {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// conn is a connection that counts itself out when it closes.
type conn struct {
	net.Conn
	guard       *guard
	peer        netip.Prefix // the zero Prefix: not counted by address
	once        sync.Once
	read, write deadline
}

func (c *conn) Close() error {
	c.once.Do(func() {
		g := c.guard
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.open, c)
		g.metrics.connections.Set(float64(len(g.open)))
		if c.peer.IsValid() {
			if g.peers[c.peer]--; g.peers[c.peer] == 0 {
				delete(g.peers, c.peer)
			}
		}
	})
	return c.Conn.Close()
}
