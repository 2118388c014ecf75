package edge

import (
	"bytes"
	"net"
	"net/netip"
)

// proxies knows whose word about the client's address counts.
type proxies struct {
	trusted   []netip.Prefix
	forwarded bool // they speak RFC 7239's Forwarded, not X-Forwarded-For
}

func (p *proxies) trusts(a netip.Addr) bool {
	for _, t := range p.trusted {
		if t.Contains(a) {
			return true
		}
	}
	return false
}

// client is the address of whoever stands before the trusted proxies: the
// peer's own unless it is a proxy; then the right-most hop that is not one. A
// hop that cannot be read ends the walk at the proxy that reported it, so that
// whoever hides there shares that proxy's limits.
func (p *proxies) client(peer netip.Addr, h *head) netip.Addr {
	if !p.trusts(peer) {
		return peer
	}
	fields, read := h.forwardedFor, plainHop
	if p.forwarded {
		fields, read = h.forwarded, forwardedHop
	}
	last := peer
	for i := len(fields) - 1; i >= 0; i-- {
		for rest := fields[i]; rest != nil; {
			var element []byte
			rest, element = cutLast(rest)
			hop, ok := read(element)
			if !ok {
				return last
			}
			if !p.trusts(hop) {
				return hop
			}
			last = hop
		}
	}
	return last
}

// cutLast takes the last element off a comma-separated list; rest is nil when
// it was the only one. A comma in a quoted string does not separate; a quote
// that never closes makes an element that no reader takes.
func cutLast(list []byte) (rest, element []byte) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch list[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return list[:i:i], bytes.Trim(list[i+1:], " \t")
			}
		}
	}
	return nil, bytes.Trim(list, " \t")
}

// plainHop reads an element of X-Forwarded-For: an address, perhaps with a
// port.
func plainHop(b []byte) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(text(b)); err == nil {
		return a.Unmap(), a.Zone() == ""
	}
	if len(b) > 2 && b[0] == '[' && b[len(b)-1] == ']' {
		a, err := netip.ParseAddr(text(b[1 : len(b)-1]))
		return a.Unmap(), err == nil && a.Is6() && a.Zone() == ""
	}
	ap, err := netip.ParseAddrPort(text(b))
	return ap.Addr().Unmap(), err == nil && ap.Addr().Zone() == ""
}

// forwardedHop reads the for parameter of an element of Forwarded. "unknown"
// and obfuscated names are not addresses.
func forwardedHop(b []byte) (hop netip.Addr, ok bool) {
	for len(b) > 0 {
		var pair []byte
		pair, b, _ = bytes.Cut(b, []byte(";"))
		name, value, found := bytes.Cut(pair, []byte("="))
		if !found || !fold(bytes.TrimSpace(name), "for") {
			continue
		}
		if ok {
			return netip.Addr{}, false // said twice
		}
		value = bytes.TrimSpace(value)
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		if hop, ok = plainHop(value); !ok {
			return netip.Addr{}, false
		}
	}
	return hop, ok
}

// peerAddress is the other end of a connection; the zero Addr if it has none,
// as on a Unix socket.
func peerAddress(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// counted is whom an address counts as: itself, or its IPv6 network, because
// one household has 2^64 addresses.
func counted(a netip.Addr, ipv6Bits int) netip.Prefix {
	if !a.IsValid() {
		return netip.Prefix{}
	}
	bits := 32
	if a = a.Unmap(); a.Is6() {
		bits = ipv6Bits
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}
