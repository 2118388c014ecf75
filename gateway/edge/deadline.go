package edge

import (
	"errors"
	"os"
	"sync"
	"time"
)

// deadline is when one direction of a connection gives up. The server moves it
// three times a request, mostly by a little into the future: the connection's
// own timer is left where it is then, and set anew once it has gone off.
type deadline struct {
	set func(time.Time) error // the connection's own

	mu          sync.Mutex
	want, timer time.Time // zero: none
}

// move sets the deadline to a time; the zero time is none.
func (d *deadline) move(to time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = to
	if to.IsZero() || !d.timer.IsZero() && !to.Before(d.timer) {
		return nil
	}
	d.timer = to
	return d.set(to)
}

// early reports whether an error says only that the timer went off before the
// deadline; the timer is at the deadline then.
func (d *deadline) early(err error) bool {
	if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.want.IsZero() && !time.Now().Before(d.want) {
		return false
	}
	d.timer = d.want
	return d.set(d.want) == nil
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if n > 0 || !c.read.early(err) {
			return n, err
		}
	}
}

func (c *conn) Write(b []byte) (n int, err error) {
	for {
		m, err := c.Conn.Write(b[n:])
		n += m
		if n == len(b) || !c.write.early(err) {
			return n, err
		}
	}
}

func (c *conn) SetReadDeadline(to time.Time) error  { return c.read.move(to) }
func (c *conn) SetWriteDeadline(to time.Time) error { return c.write.move(to) }

func (c *conn) SetDeadline(to time.Time) error {
	return errors.Join(c.read.move(to), c.write.move(to))
}
