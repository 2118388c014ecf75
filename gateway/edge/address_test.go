package edge

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	for _, c := range []struct {
		peer   string
		fields string // separated by | where there is more than one
		want   string
	}{
		{"192.0.2.1", "198.51.100.1", "192.0.2.1"}, // a stranger's word
		{"10.0.0.1", "", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"}, // the client may write what it likes on the left
		{"10.0.0.1", "203.0.113.9|198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1|10.0.0.2,10.0.0.3", "198.51.100.1"},
		{"10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"10.0.0.1", "198.51.100.1:4711", "198.51.100.1"},
		{"10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1, ::ffff:10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "2001:db8::1", "2001:db8::1"},
		{"10.0.0.1", "[2001:db8::1]", "2001:db8::1"},
		{"10.0.0.1", "[2001:db8::1]:80", "2001:db8::1"},
		{"2001:db8:ffff::1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "unknown", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1, garbage, 10.0.0.2", "10.0.0.2"},
		{"10.0.0.1", "198.51.100.1,", "10.0.0.1"},
		{"10.0.0.1", `"198.51.100.1, 198.51.100.2"`, "10.0.0.1"},
		{"10.0.0.1", "fe80::1%eth0", "10.0.0.1"},
		{"10.0.0.1", "[198.51.100.1]", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.01", "10.0.0.1"},
	} {
		var h head
		for f := range strings.SplitSeq(c.fields, "|") {
			if c.fields != "" {
				h.forwardedFor = append(h.forwardedFor, []byte(f))
			}
		}
		h.forwarded = [][]byte{[]byte("for=203.0.113.77")} // not the field that these proxies write
		p := proxies{trusted: trusted}
		if got := p.client(netip.MustParseAddr(c.peer), &h); got.String() != c.want {
			t.Errorf("%s %s: got %s, want %s", c.peer, c.fields, got, c.want)
		}
	}
}

func TestClientForwarded(t *testing.T) {
	p := proxies{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, forwarded: true}
	for field, want := range map[string]string{
		"for=198.51.100.1":                                    "198.51.100.1",
		"For=198.51.100.1;proto=https;by=10.0.0.1":            "198.51.100.1",
		"by=10.0.0.1 ; for=198.51.100.1":                      "198.51.100.1",
		`for="198.51.100.1:80"`:                               "198.51.100.1",
		`for="[2001:db8::1]:4711"`:                            "2001:db8::1",
		"for=203.0.113.9, for=198.51.100.1, for=10.0.0.2":     "198.51.100.1",
		`for="a,b", for=198.51.100.1`:                         "198.51.100.1",
		`for=198.51.100.1, for="_hidden, for=203.0.113.9"`:    "10.0.0.1",
		"for=unknown":                                         "10.0.0.1",
		"for=_hidden":                                         "10.0.0.1",
		"proto=https":                                         "10.0.0.1",
		"for=198.51.100.1;for=203.0.113.9":                    "10.0.0.1",
		"198.51.100.1":                                        "10.0.0.1",
		"for=198.51.100.1, for=":                              "10.0.0.1",
		"for=198.51.100.1, for=unknown, for=10.0.0.2":         "10.0.0.2",
		"for=198.51.100.1, for=10.0.0.3, for=\"10.0.0.2:99\"": "198.51.100.1",
	} {
		h := head{forwarded: [][]byte{[]byte(field)}, forwardedFor: [][]byte{[]byte("203.0.113.77")}}
		if got := p.client(netip.MustParseAddr("10.0.0.1"), &h); got.String() != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
}

func TestCounted(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		if got := counted(netip.MustParseAddr(address), 64); got.String() != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	if got := counted(netip.MustParseAddr("2001:db8:1:2:3:4:5:6"), 48); got.String() != "2001:db8:1::/48" {
		t.Error(got)
	}
	if got := counted(peerAddress(&net.UnixAddr{Name: "/run/x"}), 64); got.IsValid() {
		t.Errorf("a Unix socket has no address: %s", got)
	}
	if got := peerAddress(net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[::ffff:192.0.2.1]:80"))); got.String() != "192.0.2.1" {
		t.Error(got)
	}
}

func TestForwardedOverHTTP(t *testing.T) {
	w := newWorld(t, trustLoopback)
	w.post(redemptions, `{"code":"ABCD2345","subject":"b"}`, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 2001:db8:1:2:3::4, 10.1.1.1")
	if got := w.store.redeemed[0].Address.String(); got != "2001:db8:1:2::/64" {
		t.Error(got)
	}
}

// Whatever the header says, the walk ends at an address that the header names
// or at the peer, and never takes a stranger's word.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"198.51.100.1, 10.0.0.2", `for="[2001:db8::1]:80";by=_x, for=10.0.0.2`, `for="a\",b"`, ",,", `"`} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, field string, rfc bool) {
		p := proxies{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, forwarded: rfc}
		h := head{forwarded: [][]byte{[]byte(field)}, forwardedFor: [][]byte{[]byte(field)}}
		peer, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")
		if got := p.client(stranger, &h); got != stranger {
			t.Errorf("a stranger's word was taken: %s", got)
		}
		got := p.client(peer, &h)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q: %s", field, got)
		}
		// What a proxy appends decides, whatever stands before it.
		tail := ", 198.51.100.1"
		if rfc {
			tail = ", for=198.51.100.1"
		}
		h = head{forwarded: [][]byte{[]byte(field + tail)}, forwardedFor: [][]byte{[]byte(field + tail)}}
		if got := p.client(peer, &h); got.String() != "198.51.100.1" {
			t.Errorf("%q hides what the proxy said: %s", field, got)
		}
	})
}
