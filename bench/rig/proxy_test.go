package rig

import (
	"bufio"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers every line with its name and the line, and counts the lines.
func echo(t *testing.T, name string) (string, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	heard := new(atomic.Int32)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					heard.Add(1)
					fmt.Fprintf(conn, "%s %s\n", name, lines.Text())
				}
			}()
		}
	}()
	return l.Addr().String(), heard
}

// say sends a line on a connection and returns the answer; "" for none within
// the time.
func say(conn net.Conn, line string, within time.Duration) string {
	fmt.Fprintln(conn, line)
	conn.SetReadDeadline(time.Now().Add(within))
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return ""
	}
	return answer[:len(answer)-1]
}

func TestProxy(t *testing.T) {
	first, heard := echo(t, "first")
	second, _ := echo(t, "second")
	p, err := StartProxy(first)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", p.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	const long, short = 20 * time.Second, 100 * time.Millisecond
	conn := dial()
	if got := say(conn, "a", long); got != "first a" {
		t.Fatalf("through: %q", got)
	}

	p.Delay(50 * time.Millisecond)
	began := time.Now()
	if got := say(conn, "b", long); got != "first b" || time.Since(began) < 100*time.Millisecond {
		t.Fatalf("delayed by 50 ms each way: %q after %v", got, time.Since(began))
	}
	p.Restore()

	p.DropReplies()
	if got := say(conn, "c", short); got != "" {
		t.Fatalf("a dropped reply came: %q", got)
	}
	for deadline := time.Now().Add(long); heard.Load() < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request whose reply is dropped was not delivered")
		}
	}
	p.Restore()
	if got := say(conn, "d", long); got != "" {
		t.Fatalf("a connection that lost a reply goes on: %q", got)
	}

	conn = dial()
	if got := say(conn, "e", long); got != "first e" {
		t.Fatalf("restored: %q", got)
	}
	p.Cut()
	if got := say(conn, "f", long); got != "" {
		t.Fatalf("an open connection survived the cut: %q", got)
	}
	if got := say(dial(), "g", long); got != "" {
		t.Fatalf("a new connection came through the cut: %q", got)
	}
	p.Restore()

	conn = dial()
	if got := say(conn, "h", long); got != "first h" {
		t.Fatalf("restored: %q", got)
	}
	p.Point(second)
	if got := say(conn, "i", long); got != "" {
		t.Fatalf("the connection to the old server goes on: %q", got)
	}
	if got := say(dial(), "j", long); got != "second j" {
		t.Fatalf("pointed elsewhere: %q", got)
	}
}
