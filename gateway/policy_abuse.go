package gateway

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// AbusePolicy is who is turned away before anything is looked up.
type AbusePolicy struct {
	DisposableEmail   string          `json:"disposable_email"`
	AllowEmailDomains Domains         `json:"allow_email_domains"`
	DenyEmailDomains  Domains         `json:"deny_email_domains"`
	Allow             Networks        `json:"allow"` // no limit by address, no rule of countries
	Deny              Networks        `json:"deny"`
	Countries         CountriesPolicy `json:"countries"`
	Challenge         ChallengePolicy `json:"challenge"`
}

// CountriesPolicy is where subjects may be. An address of no known country
// passes.
type CountriesPolicy struct {
	Allow Countries `json:"allow"` // none: all
	Deny  Countries `json:"deny"`
}

// Refuses reports whether the rules turn a country away; "" is an unknown one.
func (c *CountriesPolicy) Refuses(country string) bool {
	return country != "" && (slices.Contains(c.Deny, country) || len(c.Allow) > 0 && !slices.Contains(c.Allow, country))
}

// ChallengePolicy is whose word counts that a person is asking. The secret is
// the deployment's.
type ChallengePolicy struct {
	Provider string `json:"provider"`
	SiteKey  string `json:"site_key"`
}

// BrowsersPolicy is which pages may call the public API from a browser.
type BrowsersPolicy struct {
	Origins Origins `json:"origins"`
}

// AnomaliesPolicy is what is told as unusual. 0 and "off" tell nothing.
type AnomaliesPolicy struct {
	Spike      int  `json:"spike"`       // deviations of a campaign's own 5 minutes
	Failures   int  `json:"failures"`    // percent of attempts
	PerAddress Rate `json:"per_address"` // redemptions
	Shift      int  `json:"shift"`       // percent of redemptions that come from elsewhere than usual
}

func defaultAbuse() AbusePolicy {
	return AbusePolicy{
		DisposableEmail: DisposableRefuse, AllowEmailDomains: Domains{}, DenyEmailDomains: Domains{}, Allow: Networks{}, Deny: Networks{},
		Countries: CountriesPolicy{Countries{}, Countries{}}, Challenge: ChallengePolicy{Provider: ChallengeOff},
	}
}

// listing is a list of texts that says what one of them looks like.
type listing interface{ example() (one, many string) }

func (*Domains) example() (one, many string)   { return "example.com", "domains" }
func (*Networks) example() (one, many string)  { return "192.0.2.0/24", "networks" }
func (*Countries) example() (one, many string) { return "DE", "countries" }
func (*Origins) example() (one, many string)   { return "https://app.example", "origins" }

// Networks are addresses and CIDRs. A nil list is written as an empty one, as
// those below are.
type Networks []Network

// Network is an address or a CIDR.
type Network struct{ netip.Prefix }

func (*Network) expected() string {
	return `an address or a network such as "192.0.2.0/24" or "2001:db8::/32"`
}

// MarshalText writes a CIDR.
func (n Network) MarshalText() ([]byte, error) { return n.Prefix.MarshalText() }

// UnmarshalText reads an address or a CIDR, whose bits behind the length are
// zero.
func (n *Network) UnmarshalText(text []byte) error {
	if a, err := netip.ParseAddr(string(text)); err == nil && a.Zone() == "" {
		a = a.Unmap()
		n.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(string(text))
	if err != nil {
		return err
	}
	if p.Masked() != p || p.Addr().Is4In6() {
		return errNetwork
	}
	n.Prefix = p
	return nil
}

var errNetwork = Invalid("", "Use a network whose host bits are zero.")

// Contains reports whether an address is in one of the networks.
func (n Networks) Contains(a netip.Addr) bool {
	return slices.ContainsFunc(n, func(one Network) bool { return one.Prefix.Contains(a) })
}

// MarshalJSON writes a list.
func (n Networks) MarshalJSON() ([]byte, error) { return json.Marshal(append([]Network{}, n...)) }

// Countries are ISO 3166-1 codes of two letters.
type Countries []string

// MarshalJSON writes a list.
func (c Countries) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, c...)) }

// Origins are origins of pages, or "*" alone.
type Origins []string

// MarshalJSON writes a list.
func (o Origins) MarshalJSON() ([]byte, error) { return json.Marshal(append([]string{}, o...)) }

// Any reports whether pages of every origin may call.
func (o Origins) Any() bool { return len(o) == 1 && o[0] == "*" }

var (
	countryCode = regexp.MustCompile(`^[A-Z]{2}$`)
	siteKey     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)
	// anyDomain takes a public suffix too, such as "zip" or "co.uk".
	anyDomain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{2,63}$`)
)

func (v *policyCheck) abuse(p *Policy) {
	a := &p.Abuse
	v.oneOf(a.DisposableEmail, "abuse.disposable_email", DisposableRefuse, DisposableAllow)
	suffix := func(s string) bool { return len(s) <= 253 && anyDomain.MatchString(s) }
	const domain = `use a lower-case domain in ASCII such as "example.com", or a suffix such as "co.uk"`
	v.texts(a.AllowEmailDomains, "abuse.allow_email_domains", domain, suffix)
	v.texts(a.DenyEmailDomains, "abuse.deny_email_domains", domain, suffix)
	const country = `use a country's two capital letters such as "DE"`
	v.texts(a.Countries.Allow, "abuse.countries.allow", country, countryCode.MatchString)
	v.texts(a.Countries.Deny, "abuse.countries.deny", country, countryCode.MatchString)
	v.that(len(a.Allow) <= maxDomains, "abuse.allow", "use at most %d networks", maxDomains)
	v.that(len(a.Deny) <= maxDomains, "abuse.deny", "use at most %d networks", maxDomains)
	v.oneOf(a.Challenge.Provider, "abuse.challenge.provider", ChallengeOff, ChallengeTurnstile, ChallengeHCaptcha)
	v.that(a.Challenge.Provider == ChallengeOff && a.Challenge.SiteKey == "" || a.Challenge.Provider != ChallengeOff && siteKey.MatchString(a.Challenge.SiteKey),
		"abuse.challenge.site_key", "use the site key that the provider gave you, and none without a provider")
	dedup := p.Limits.AddressDedup.Action
	v.oneOf(dedup, "limits.address_dedup.action", DedupRefuse, DedupSignal, DedupChallenge, DedupOff)
	v.that(dedup != DedupChallenge || a.Challenge.Provider != ChallengeOff, "limits.address_dedup.action", "to use challenge, set abuse.challenge.provider")
}

// windows checks a rate that is counted in windows which follow each other.
func (v *policyCheck) windows(r Rate, path, example string) {
	v.that(r == Rate{} || r.Count >= 1 && r.Count <= MaxUses && r.Window.exact() && r.Window >= Duration(time.Minute) && r.Window <= 30*day,
		path, `use a rate such as "%s" (in 1m to 30d) or "off"`, example)
}

func (v *policyCheck) browsers(b *BrowsersPolicy) {
	v.texts(b.Origins, "browsers.origins", `use an origin such as "https://app.example", in lower case and with no path, or "*" alone`, func(s string) bool {
		return s == "*" && len(b.Origins) == 1 || validOrigin(s)
	})
}

// validOrigin takes an origin as browsers write it.
func validOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && absoluteHTTP(s) && s == u.Scheme+"://"+u.Host && s == strings.ToLower(s) &&
		!(u.Scheme == "https" && u.Port() == "443") && !(u.Scheme == "http" && u.Port() == "80")
}

func (v *policyCheck) anomalies(a *AnomaliesPolicy) {
	v.that(a.Spike == 0 || a.Spike >= 3 && a.Spike <= 1000, "anomalies.spike", "use a whole number from 3 to 1000, or 0 for off")
	v.that(a.Failures >= 0 && a.Failures <= 100, "anomalies.failures", "use percent from 1 to 100, or 0 for off")
	r := a.PerAddress
	v.that(r == Rate{} || r.Count >= 2 && r.Count <= MaxUses && r.Window.exact() && r.Window >= Duration(time.Minute) && r.Window <= 7*day,
		"anomalies.per_address", `use a rate such as "20/1h" (2 or more in 1m to 7d) or "off"`)
	v.that(a.Shift == 0 || a.Shift >= 10 && a.Shift <= 100, "anomalies.shift", "use percent from 10 to 100, or 0 for off")
}
