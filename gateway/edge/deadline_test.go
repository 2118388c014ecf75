package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// slowPipe is a connection whose other end is the test's, and which counts how
// often its timers are set.
func slowPipe(t *testing.T) (c *conn, other net.Conn, sets *int) {
	own, other := net.Pipe()
	t.Cleanup(func() { own.Close(); other.Close() })
	sets = new(int)
	count := func(set func(time.Time) error) func(time.Time) error {
		return func(to time.Time) error { *sets++; return set(to) }
	}
	return &conn{Conn: own, read: deadline{set: count(own.SetReadDeadline)}, write: deadline{set: count(own.SetWriteDeadline)}}, other, sets
}

// TestDeadlineMoves: a thousand requests, each with a deadline for idleness, one
// for reading and one for writing, take timers once every few seconds, and
// nobody is given up.
func TestDeadlineMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other, sets := slowPipe(t)
		defer other.Close()
		go io.Copy(other, other)
		b := make([]byte, 1)
		for range 1000 {
			c.SetReadDeadline(time.Now().Add(idleTimeout))
			time.Sleep(50 * time.Millisecond)
			c.SetReadDeadline(time.Now().Add(readTimeout))
			c.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(b); err != nil {
				t.Fatal(err)
			}
		}
		if *sets > 30 {
			t.Errorf("timers were set %d times in 50 s", *sets)
		}
	})
}

// TestDeadlineHolds: who is waited for is given up at the last deadline that was
// set, whether it was moved away or closer, and not at all without one.
func TestDeadlineHolds(t *testing.T) {
	for _, test := range []struct {
		name  string
		moves []time.Duration // 0: none
		want  time.Duration   // 0: never
	}{
		{"set", []time.Duration{5 * time.Second}, 5 * time.Second},
		{"moved away", []time.Duration{5 * time.Second, time.Minute}, time.Minute},
		{"moved closer", []time.Duration{time.Minute, 5 * time.Second}, 5 * time.Second},
		{"away and closer", []time.Duration{5 * time.Second, time.Minute, 7 * time.Second}, 7 * time.Second},
		{"at once", []time.Duration{time.Minute, -time.Second}, time.Nanosecond},
		{"taken away", []time.Duration{5 * time.Second, 0}, 0},
		{"taken away and set", []time.Duration{5 * time.Second, 0, 9 * time.Second}, 9 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, other, _ := slowPipe(t)
				began := time.Now()
				for _, d := range test.moves {
					to := began.Add(d)
					if d == 0 {
						to = time.Time{}
					}
					if err := c.SetDeadline(to); err != nil {
						t.Fatal(err)
					}
				}
				time.AfterFunc(time.Hour, func() { other.Close() })
				for direction, wait := range map[string]func([]byte) (int, error){"read": c.Read, "write": c.Write} {
					_, err := wait(make([]byte, 1))
					waited := time.Since(began)
					if test.want == 0 && waited < time.Hour {
						t.Errorf("%s: given up after %v", direction, waited)
					}
					if test.want != 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || waited.Round(time.Second) != test.want.Round(time.Second)) {
						t.Errorf("%s: %v after %v", direction, err, waited)
					}
				}
			})
		})
	}
}

// TestDeadlineWrites: a writer that is held up behind its timer, not behind its
// deadline, loses and repeats nothing.
func TestDeadlineWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, other, _ := slowPipe(t)
		sent := make([]byte, 1000)
		for i := range sent {
			sent[i] = byte(i % 251)
		}
		var received bytes.Buffer
		done := make(chan struct{})
		go func() {
			defer close(done)
			b := make([]byte, 10)
			for received.Len() < len(sent) {
				time.Sleep(time.Second)
				n, err := other.Read(b)
				if err != nil {
					return
				}
				received.Write(b[:n])
			}
		}()
		c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		c.SetWriteDeadline(time.Now().Add(time.Hour))
		n, err := c.Write(sent)
		<-done
		if n != len(sent) || err != nil || !bytes.Equal(received.Bytes(), sent) {
			t.Errorf("%d sent, %v, %d received", n, err, received.Len())
		}
	})
}
