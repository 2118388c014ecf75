package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// loop is a run: one thread that owns every connection.
type loop struct {
	o        Options
	began    time.Time // of the warm-up
	from, to int64     // the measured time, ns since began
	epoll    int
	timer    int
	conns    []*conn
	byFD     map[int32]*conn
	idle     []*conn
	buffer   []byte
	events   []unix.EpollEvent
	rng      *rand.Rand

	sent    uint64 // numbers the requests
	busy    int    // requests on their way
	broken  int    // connections that are being made again
	due     int64  // open loop: when the next request is to leave
	armed   int64  // what the timer is set to
	waited  bool   // the next request is late because no connection was free
	checked int64  // when requests were last looked at for their timeout
	over    bool   // the measured time is over, the schedule is not
	ending  bool   // no more is sent

	result   *Result
	interval *hdrhistogram.Histogram // since the last progress
	last     Progress
	progress atomic.Pointer[Progress]
}

// Run sends what the options say, and tells what came of it. An answer that was
// not expected is no error, nor is a lost one: they are counted. It returns the
// context's error when that ends before the run does, with what there was until
// then.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	l := &loop{
		o: o, byFD: map[int32]*conn{}, buffer: make([]byte, readSize), events: make([]unix.EpollEvent, 512),
		rng: rand.New(rand.NewPCG(o.Seed, 1)), result: newResult(o), interval: newHistogram(),
	}
	defer l.close()
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	l.began = time.Now()
	l.from, l.to = o.Warmup.Nanoseconds(), (o.Warmup + o.For).Nanoseconds()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- l.run(ctx)
	}()
	err := l.watch(done)
	if err == nil {
		err = ctx.Err()
	}
	l.result.settle()
	return l.result, err
}

// watch marks the measured time and shows progress while the loop runs.
func (l *loop) watch(done chan error) error {
	begins := time.NewTimer(time.Until(l.began.Add(l.o.Warmup)))
	ends := time.NewTimer(time.Until(l.began.Add(l.o.Warmup + l.o.For)))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer begins.Stop()
	defer ends.Stop()
	var cpu time.Duration
	measured := 0
	for {
		select {
		case <-begins.C:
			cpu, measured = ownCPU(), 1
			if l.o.Window != nil {
				l.o.Window(true)
			}
		case <-ends.C:
			l.result.CPU, measured = ownCPU()-cpu, 2
			if l.o.Window != nil {
				l.o.Window(false)
			}
		case <-tick.C:
			if p := l.progress.Load(); p != nil && l.o.Progress != nil {
				l.o.Progress(*p)
			}
		case err := <-done:
			if measured == 1 {
				l.result.CPU = ownCPU() - cpu
				if l.o.Window != nil {
					l.o.Window(false)
				}
			}
			return err
		}
	}
}

func ownCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// open makes the connections.
func (l *loop) open(ctx context.Context) (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("storm: epoll: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("storm: timer: %w", err)
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.timer, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(l.timer)}); err != nil {
		return fmt.Errorf("storm: epoll: %w", err)
	}
	l.began = time.Now()
	deadline := l.began.Add(l.o.Timeout)
	for range l.o.Connections {
		c := &conn{out: make([]byte, 0, 1024)}
		if err := l.connect(c); err != nil {
			return l.unreachable(err)
		}
		l.conns = append(l.conns, c)
		// A few at a time: a listener's queue of new connections is short.
		for l.broken >= 64 {
			if err := l.settleConnections(ctx, deadline); err != nil {
				return err
			}
		}
	}
	for l.broken > 0 {
		if err := l.settleConnections(ctx, deadline); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) unreachable(err error) error {
	return fmt.Errorf("storm: %s takes no connections: %w", l.o.Target.Addr, err)
}

// settleConnections waits for connections that are being made.
func (l *loop) settleConnections(ctx context.Context, deadline time.Time) error {
	if time.Now().After(deadline) {
		return l.unreachable(fmt.Errorf("%d of %d are not there after %v", l.broken, l.o.Connections, l.o.Timeout))
	}
	n, err := l.wait(50)
	if err != nil {
		return err
	}
	for _, e := range l.events[:n] {
		if c := l.byFD[e.Fd]; c != nil && c.connecting {
			if err := l.connected(c); err != nil {
				return l.unreachable(err)
			}
		}
	}
	return ctx.Err()
}

// connect begins to make a connection.
func (l *loop) connect(c *conn) error {
	fd, err := dial(l.o.Target.Addr)
	if err != nil {
		return err
	}
	c.fd, c.connecting, c.busy, c.ready = fd, true, false, l.now()
	l.byFD[int32(fd)] = c
	l.broken++
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)})
}

// connected takes a connection that has been made, or the error why not.
func (l *loop) connected(c *conn) error {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return unix.Errno(code)
	}
	c.connecting, c.ready, c.fresh = false, l.now(), true
	l.broken--
	if err := l.want(c, unix.EPOLLIN); err != nil {
		return err
	}
	if c.crossed {
		c.crossed = false
		l.write(c)
		return nil
	}
	l.idle = append(l.idle, c)
	return nil
}

func (l *loop) want(c *conn, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.fd)})
}

func (l *loop) wait(ms int) (int, error) {
	n, err := unix.EpollWait(l.epoll, l.events, ms)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("storm: epoll: %w", err)
	}
	return n, nil
}

func (l *loop) now() int64 { return int64(time.Since(l.began)) }

// run is the loop: it ends when nothing is sent any more and all answers have
// come, or their time is over.
func (l *loop) run(ctx context.Context) error {
	l.due = l.gap()
	l.last.at = 0
	for {
		now := l.now()
		if !l.ending && (now >= l.to || ctx.Err() != nil) {
			l.overtime(now, ctx.Err() != nil)
		}
		if l.ending && l.busy == 0 {
			return nil
		}
		if err := l.send(now); err != nil {
			return err
		}
		n, err := l.wait(20)
		if err != nil {
			return err
		}
		for _, e := range l.events[:n] {
			if e.Fd == int32(l.timer) {
				continue // it only ends the wait
			}
			if c := l.byFD[e.Fd]; c != nil {
				l.handle(c, e.Events)
			}
		}
		if now := l.now(); now-l.checked > 50e6 {
			l.checked = now
			l.expire(now)
			l.tell(now)
		}
	}
}

// overtime is when the measured time is over: a closed loop ends, an open one
// still sends what was due before, for as long as a request may take, and notes
// how far it is behind.
func (l *loop) overtime(now int64, cut bool) {
	if l.o.Rate > 0 && l.due < l.to && !l.over {
		l.over, l.result.behind = true, l.to-l.due
	}
	l.ending = cut || l.o.Rate == 0 || l.due >= l.to || now >= l.to+l.o.Timeout.Nanoseconds()
}

// gap is the time to the next request: exponential, as between strangers who
// come by themselves.
func (l *loop) gap() int64 {
	if l.o.Rate == 0 {
		return 0
	}
	return max(1, int64(l.rng.ExpFloat64()/l.o.Rate*1e9))
}

// send sends what is due on connections that are free.
func (l *loop) send(now int64) error {
	for len(l.idle) > 0 && !l.ending {
		intended := now
		if l.o.Rate > 0 {
			if l.due >= l.to {
				l.ending = true
				return nil
			}
			if l.due > now {
				return l.arm(l.due)
			}
			intended = l.due
			if now >= l.from {
				l.result.note(now-l.due, l.waited)
			}
			l.due += l.gap()
			l.waited = false
		}
		c := l.idle[len(l.idle)-1]
		l.idle = l.idle[:len(l.idle)-1]
		l.start(c, intended)
		if l.o.Rate > 0 {
			now = l.now()
		}
	}
	if l.o.Rate > 0 && l.due <= now {
		l.waited = true
	}
	return nil
}

// arm sets the timer to a time of the run.
func (l *loop) arm(at int64) error {
	if l.armed == at {
		return nil
	}
	l.armed = at
	in := max(1, at-l.now())
	return unix.TimerfdSettime(l.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(in)}, nil)
}

// start sends the next request on a connection.
func (l *loop) start(c *conn, intended int64) {
	m := l.o.Mix
	c.kind = m.order[l.sent%uint64(len(m.order))]
	c.out = m.kinds[c.kind].Write(c.out[:0], l.sent)
	l.sent++
	c.intended, c.counts = intended, intended >= l.from
	l.busy++
	l.write(c)
}

// write begins to send a connection's request.
func (l *loop) write(c *conn) {
	c.unsent, c.sent = c.out, l.now()
	c.begin()
	whole, err := c.flush()
	if err == nil && !whole {
		err = l.want(c, unix.EPOLLIN|unix.EPOLLOUT)
	}
	if err != nil {
		l.lose(c, err)
	}
}

// handle does what a connection is ready for.
func (l *loop) handle(c *conn, events uint32) {
	if c.connecting {
		if err := l.connected(c); err != nil {
			l.drop(c) // made again in a while
		}
		return
	}
	if events&unix.EPOLLOUT != 0 {
		whole, err := c.flush()
		if err == nil && whole {
			err = l.want(c, unix.EPOLLIN)
		}
		if err != nil {
			l.lose(c, err)
			return
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	if !c.busy { // no answer: the server takes leave of a connection that nobody used
		l.lose(c, nil)
		return
	}
	whole, err := c.receive(l.buffer)
	if err != nil {
		l.lose(c, err)
		return
	}
	if whole {
		l.answered(c)
	}
}

// answered counts an answer and lets the connection go on.
func (l *loop) answered(c *conn) {
	now := l.now()
	if c.leaves(now) {
		c.busy, c.crossed = false, true
		l.again(c)
		return
	}
	c.fresh = false
	counts := c.counts
	if l.o.Rate == 0 {
		counts = now >= l.from && now < l.to
	}
	l.result.answered(c.kind, c.status, c.said, now-c.intended, counts, l.o.Mix)
	record(l.interval, now-c.intended)
	c.busy = false
	l.busy--
	if c.closing {
		l.again(c)
		return
	}
	if l.o.Rate == 0 && !l.ending && now < l.to {
		l.start(c, now)
		return
	}
	l.idle = append(l.idle, c)
}

// lose counts a request whose answer will not come, and makes the connection
// anew.
func (l *loop) lose(c *conn, err error) {
	if c.busy || c.crossed {
		l.result.lost(err)
		c.busy, c.crossed = false, false
		l.busy--
	} else {
		// An idle connection that the server closed harms nobody.
		for i, other := range l.idle {
			if other == c {
				l.idle = append(l.idle[:i], l.idle[i+1:]...)
				break
			}
		}
	}
	l.again(c)
}

// drop closes a connection.
func (l *loop) drop(c *conn) {
	if c.connecting {
		c.connecting = false
		l.broken--
	}
	if c.fd >= 0 {
		delete(l.byFD, int32(c.fd))
		unix.Close(c.fd)
	}
	c.fd = -1
}

// again closes a connection and begins a new one, unless the run is ending.
func (l *loop) again(c *conn) {
	l.drop(c)
	if l.ending && !c.crossed {
		return
	}
	if err := l.connect(c); err != nil {
		l.drop(c)
	}
}

// expire gives up requests and connections that have taken too long.
func (l *loop) expire(now int64) {
	for _, c := range l.conns {
		timeout := l.o.Timeout.Nanoseconds()
		switch {
		case (c.busy || c.crossed) && now-c.intended > timeout:
			l.lose(c, errTimeout)
		case c.fd < 0:
			l.again(c)
		case c.connecting && now-c.ready > timeout:
			l.again(c)
		}
	}
}

var errTimeout = errors.New("no answer in time")

// tell publishes the progress about once a second.
func (l *loop) tell(now int64) {
	if now-l.last.at < 1e9 {
		return
	}
	r := l.result
	p := Progress{
		at: now, Elapsed: time.Duration(now), Whole: l.o.Warmup + l.o.For, Answered: r.answers, Right: r.right, Lost: r.losses,
		Rate: float64(r.answers-l.last.Answered) / (float64(now-l.last.at) / 1e9),
		P50:  micros(l.interval.ValueAtPercentile(50)), P99: micros(l.interval.ValueAtPercentile(99)),
	}
	l.interval.Reset()
	l.last = p
	l.progress.Store(&p)
}

func (l *loop) close() {
	for _, c := range l.conns {
		if c.fd >= 0 {
			unix.Close(c.fd)
		}
	}
	unix.Close(l.timer)
	unix.Close(l.epoll)
}
