package edge

import (
	"net/netip"
	"time"

	"admitone/gateway"
)

// counted is whom this request's attempts are counted against, and where that
// is: the address that a back end names, or where the request came from. A back
// end that names none is not counted, or its users would lock each other out;
// nor is an address that the policy allows. One that it denies is refused here,
// before anything is looked up.
func (q *request) counted(b *body) (by netip.Prefix, country string, err error) {
	a, err := q.address(b)
	if err != nil || !a.IsValid() {
		return netip.Prefix{}, "", err
	}
	if c := q.server.config.Countries; c != nil {
		country = c.Country(a)
	}
	abuse := &q.launch.Policy.Abuse
	switch {
	case abuse.Allow.Contains(a):
		return netip.Prefix{}, country, nil
	case abuse.Deny.Contains(a):
		return netip.Prefix{}, "", gateway.Refuse(gateway.AddressDenied)
	case abuse.Countries.Refuses(country):
		return netip.Prefix{}, "", gateway.Refuse(gateway.CountryDenied)
	}
	return counted(a, q.launch.Policy.Limits.IPv6Prefix), country, nil
}

// address is where the request comes from; the zero Addr if nobody says.
func (q *request) address(b *body) (netip.Addr, error) {
	switch {
	case b.given(fIP) && q.key == nil:
		return netip.Addr{}, gateway.Invalid("ip", "Only a back end with a server key says whose address it is.")
	case b.given(fIP):
		a, err := netip.ParseAddr(b.value[fIP])
		if err != nil || a.Zone() != "" {
			return netip.Addr{}, gateway.Invalid("ip", "Use an IPv4 or IPv6 address.")
		}
		return a.Unmap(), nil
	case q.key != nil:
		return netip.Addr{}, nil
	}
	return q.server.proxies.client(peerAddress(q.ctx.RemoteAddr()), &q.head), nil
}

// solve asks whether the token of a challenge is good. One that is not refuses
// nothing by itself: a repeated request brings a token that was used, and most
// requests need none.
func (q *request) solve(token string) {
	provider := q.launch.Policy.Abuse.Challenge.Provider
	if provider == gateway.ChallengeOff || token == "" {
		return
	}
	if q.server.config.Challenger == nil {
		q.unchecked = true
		return
	}
	solved, err := q.server.config.Challenger.Verify(q.server.running, provider, token)
	q.ask.Solved, q.unchecked = solved, err != nil
}

// unsolved is the refusal of a redemption. Where the challenge was solved and
// nobody could tell, waiting helps.
func (q *request) unsolved(err error) error {
	e := q.explain(err)
	if e.Reason == gateway.ChallengeRequired && q.unchecked {
		return &gateway.Error{
			Reason: gateway.Unavailable, Field: "challenge", RetryAfter: time.Second,
			Detail: "The challenge could not be checked at the moment. Try again shortly with a new token.",
		}
	}
	return e
}

// appendChallenge opens a problem document again to say which challenge is
// meant.
func appendChallenge(b []byte, c *gateway.ChallengePolicy) []byte {
	b = appendString(append(b[:len(b)-1], `,"challenge":{"provider":`...), c.Provider)
	b = appendString(append(b, `,"site_key":`...), c.SiteKey)
	return append(b, '}', '}')
}
