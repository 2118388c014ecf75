package jobs

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"admitone/gateway"
)

// outbound sends requests to URLs that operators name, and to nobody inside:
// the address is looked at after DNS, when the connection is made, so that a
// name cannot mean one thing to a check and another to the dialler.
type outbound struct {
	allow  []netip.Prefix // private networks that are reached all the same
	client *http.Client
}

// How long the parts of a request may take.
const (
	outboundDial    = 5 * time.Second
	outboundTimeout = 15 * time.Second // all of it
	outboundHeader  = 64 << 10         // bytes of an answer's header
)

var errAddress = errors.New("the address is private or reserved")

func newOutbound(allow []netip.Prefix) *outbound {
	o := &outbound{allow: allow}
	dialer := &net.Dialer{Timeout: outboundDial, Control: o.control}
	o.client = &http.Client{
		Transport: &http.Transport{
			// No proxy: it would resolve names again, and out of sight.
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    outboundDial,
			ResponseHeaderTimeout:  outboundTimeout,
			MaxResponseHeaderBytes: outboundHeader,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true, // a small answer could unpack to a large one
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       outboundTimeout,
	}
	return o
}

// control refuses a connection by the address that it is about to be made to.
func (o *outbound) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	if !o.reaches(at.Addr()) {
		return errAddress
	}
	return nil
}

func (o *outbound) reaches(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	if slices.ContainsFunc(o.allow, in) {
		return true
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(reserved, in)
}

// reserved are networks that nobody on the internet is reached in, besides what
// netip knows as private, link-local, loopback or multicast: IANA's special
// purpose registries, the networks that carry IPv4 addresses in them (what is
// inside could be private), and a cloud's metadata server that has an address
// like any other.
var reserved = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"168.63.129.16/32",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(list ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(list))
	for i, s := range list {
		all[i] = netip.MustParsePrefix(s)
	}
	return all
}

// takes refuses a URL that no request would be sent to, as far as that can be
// told without asking DNS.
func (o *outbound) takes(field, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return gateway.Invalid(field, "Use an absolute URL.")
	}
	if u.Scheme != "https" && len(o.allow) == 0 {
		return gateway.Invalid(field, "Use https.")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !o.reaches(a) {
		return gateway.Invalid(field, "Use a public address. Private ones have to be allowed with --webhook-allow.")
	}
	return nil
}

// why says in a few words why a request failed, without the URL: it may hold a
// secret.
func why(err error) string {
	var at *url.Error
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	switch {
	case errors.Is(err, errAddress):
		return errAddress.Error()
	case errors.As(err, &dns):
		return "the name does not resolve"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %v", outboundTimeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &at):
		return at.Err.Error()
	}
	return err.Error()
}
