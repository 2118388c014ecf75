package storm

import (
	"bytes"
	"errors"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// conn is one connection with at most one request on its way.
type conn struct {
	fd         int
	connecting bool
	busy       bool
	out        []byte // the request; what of it is still to be sent is unsent
	unsent     []byte
	in         []byte // of the answer: the header, or a body in chunks
	rest       int    // bytes of a body still to come and to be thrown away; -1: the header is not whole yet
	chunked    bool
	closing    bool // the server will close behind this answer
	status     int
	said       []byte // the beginning of a refusal's body, for people to read

	ready   int64 // when it was made, or begun to be
	sent    int64 // when its request was sent
	fresh   bool  // nothing has been answered on it yet
	crossed bool  // its request met the server's leave, and goes out on a new connection

	kind     uint8
	intended int64 // when the request was to leave, ns since the run began
	counts   bool  // in the measured time
}

const (
	readSize  = 16 << 10
	maxHeader = 16 << 10
	maxChunks = 4 << 20
	maxSaid   = 1 << 10
)

var (
	errClosed   = errors.New("the server closed the connection")
	errProtocol = errors.New("the server does not answer in HTTP/1.1")
)

// leaves reports whether what was answered is the server's leave of a connection
// that it thought unused, which the first request has just crossed: sooner
// answered than it had been waited for.
func (c *conn) leaves(now int64) bool {
	return c.fresh && c.closing && c.status == 408 && c.sent-c.ready > now-c.sent
}

// dial begins to connect; the socket is writable when that has ended.
func dial(a *net.TCPAddr) (int, error) {
	family, sa := unix.AF_INET6, unix.Sockaddr(nil)
	if ip := a.IP.To4(); ip != nil {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip)}
	} else {
		v6 := &unix.SockaddrInet6{Port: a.Port}
		if ip := a.IP.To16(); ip != nil {
			v6.Addr = [16]byte(ip)
		}
		sa = v6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if err := unix.Connect(fd, sa); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// flush sends what is unsent. It reports whether all of it is gone.
func (c *conn) flush() (bool, error) {
	for len(c.unsent) > 0 {
		n, err := unix.Write(c.fd, c.unsent)
		if errors.Is(err, unix.EAGAIN) {
			return false, nil
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return false, err
		}
		c.unsent = c.unsent[n:]
	}
	return true, nil
}

// begin makes ready for the answer of a request.
func (c *conn) begin() {
	c.busy, c.rest, c.chunked, c.closing, c.in = true, -1, false, false, c.in[:0]
}

// receive reads what has come, into a buffer that all connections share. It
// reports whether the answer is whole.
func (c *conn) receive(buffer []byte) (bool, error) {
	n, err := unix.Read(c.fd, buffer)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, err
	case n == 0:
		return false, errClosed
	case !c.busy:
		return false, errProtocol // an answer that nobody asked for
	}
	return c.take(buffer[:n])
}

// take reads a piece of an answer.
func (c *conn) take(b []byte) (bool, error) {
	if c.rest < 0 {
		whole := b
		if len(c.in) > 0 {
			c.in = append(c.in, b...)
			whole = c.in
		}
		end := bytes.Index(whole, []byte("\r\n\r\n"))
		if end < 0 {
			if len(whole) > maxHeader {
				return false, errProtocol
			}
			if len(c.in) == 0 {
				c.in = append(c.in, b...)
			}
			return false, nil
		}
		if err := c.header(whole[:end+2]); err != nil {
			return false, err
		}
		b = whole[end+4:]
		if c.said = c.said[:0]; c.status >= 400 {
			c.said = append(c.said, b[:min(len(b), maxSaid)]...)
		}
		if c.chunked {
			c.in = append(c.in[:0], b...)
			b = nil
		}
	}
	if c.chunked {
		c.in = append(c.in, b...)
		if len(c.in) > maxChunks {
			return false, errProtocol
		}
		return chunksEnd(c.in)
	}
	if c.rest -= len(b); c.rest < 0 {
		return false, errProtocol
	}
	return c.rest == 0, nil
}

// header reads a whole header, each line with its CR LF.
func (c *conn) header(h []byte) error {
	if len(h) < 14 || string(h[:7]) != "HTTP/1." {
		return errProtocol
	}
	status, err := strconv.Atoi(string(h[9:12]))
	if err != nil || status < 200 {
		return errProtocol
	}
	c.status, c.rest = status, -1
	_, lines, _ := bytes.Cut(h, []byte("\r\n"))
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\r\n"))
		// Content-Length, Connection, Transfer-Encoding: by their lengths first.
		colon := bytes.IndexByte(line, ':')
		switch colon {
		case 14:
			if bytes.EqualFold(line[:colon], []byte("content-length")) {
				if c.rest, err = strconv.Atoi(string(bytes.TrimSpace(line[colon+1:]))); err != nil || c.rest < 0 {
					return errProtocol
				}
			}
		case 10:
			if bytes.EqualFold(line[:colon], []byte("connection")) {
				c.closing = bytes.EqualFold(bytes.TrimSpace(line[colon+1:]), []byte("close"))
			}
		case 17:
			if bytes.EqualFold(line[:colon], []byte("transfer-encoding")) {
				c.chunked = bytes.EqualFold(bytes.TrimSpace(line[colon+1:]), []byte("chunked"))
			}
		}
	}
	if status == 204 || status == 304 {
		c.rest, c.chunked = 0, false
	}
	if c.chunked {
		c.rest = 0
	}
	if c.rest < 0 {
		return errProtocol
	}
	return nil
}

// chunksEnd reports whether a chunked body is whole.
func chunksEnd(b []byte) (bool, error) {
	for {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return false, nil
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil {
			return false, errProtocol
		}
		if n == 0 {
			return len(rest) >= 2, nil
		}
		if uint64(len(rest)) < n+2 {
			return false, nil
		}
		b = rest[n+2:]
	}
}
