package rig

import (
	"net"
	"sync"
	"time"
)

// Proxy is a TCP proxy whose connections can be cut, delayed or made mute. Its
// address stays the same when it is pointed at another server.
type Proxy struct {
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	target string
	cut    bool
	mute   bool
	delay  time.Duration
	pairs  map[*pair]struct{}
}

// pair is one connection through the proxy.
type pair struct{ client, server net.Conn }

func (p *pair) close() {
	p.client.Close()
	p.server.Close()
}

// StartProxy listens on a free port of 127.0.0.1 and passes on to target,
// host:port.
func StartProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, pairs: map[*pair]struct{}{}}
	p.work.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Point passes new connections on to another server, and ends those that are
// open.
func (p *Proxy) Point(target string) { p.change(true, func() { p.target = target }) }

// Cut ends every connection and lets none through until Restore.
func (p *Proxy) Cut() { p.change(true, func() { p.cut = true }) }

// Restore ends whatever was switched on: a cut, a delay, silence. Connections
// that were mute are ended, for what they lost is lost.
func (p *Proxy) Restore() {
	p.mu.Lock()
	mute := p.mute
	p.mu.Unlock()
	p.change(mute, func() { p.cut, p.mute, p.delay = false, false, 0 })
}

// Delay holds everything back for so long, in each direction.
func (p *Proxy) Delay(d time.Duration) { p.change(false, func() { p.delay = d }) }

// DropReplies delivers what clients send and loses what the server answers.
func (p *Proxy) DropReplies() { p.change(false, func() { p.mute = true }) }

// Close ends the proxy and its connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.Cut()
	p.work.Wait()
}

func (p *Proxy) change(end bool, set func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set()
	if end {
		for c := range p.pairs {
			c.close()
		}
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	p.mu.Lock()
	target, cut := p.target, p.cut
	p.mu.Unlock()
	if cut {
		return
	}
	server, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return
	}
	c := &pair{client, server}
	defer c.close()
	p.mu.Lock()
	if p.cut || p.target != target {
		p.mu.Unlock()
		return
	}
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.pairs, c)
		p.mu.Unlock()
	}()
	var replies sync.WaitGroup
	replies.Go(func() {
		p.pass(client, server, true)
		c.close()
	})
	p.pass(server, client, false)
	c.close()
	replies.Wait()
}

// pass copies one direction until either side ends.
func (p *Proxy) pass(to, from net.Conn, replies bool) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		delay, mute := p.delay, p.mute
		p.mu.Unlock()
		if replies && mute {
			continue
		}
		time.Sleep(delay)
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
