package edge

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"admitone/gateway"
)

// atlas knows where two networks are.
type atlas struct{}

func (atlas) Country(a netip.Addr) string {
	switch {
	case netip.MustParsePrefix("192.0.2.0/24").Contains(a):
		return "DE"
	case netip.MustParsePrefix("2001:db8::/32").Contains(a):
		return "FR"
	}
	return ""
}

// provider takes one token, and counts the questions.
type provider struct {
	mu    sync.Mutex
	asked int
}

func (p *provider) Verify(_ context.Context, name, token string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if token == "lost" {
		return false, errors.New("no answer")
	}
	return name == gateway.ChallengeTurnstile && token == "good", nil
}

// ruled is a world with rules.
func ruled(t *testing.T, p *provider, change func(*gateway.Policy)) *world {
	w := newWorld(t, func(c *Config) {
		trustLoopback(c)
		c.Countries = atlas{}
		if p != nil {
			c.Challenger = p
		}
	})
	change(&w.store.launch.Policy)
	return w
}

func networks(list ...string) (n gateway.Networks) {
	for _, s := range list {
		n = append(n, gateway.Network{Prefix: netip.MustParsePrefix(s)})
	}
	return n
}

func TestAddressRules(t *testing.T) {
	for name, c := range map[string]struct {
		rules   func(*gateway.AbusePolicy)
		from    string
		want    gateway.Reason
		counted string // whom it counts against where it is let in
	}{
		"no rules":                  {func(*gateway.AbusePolicy) {}, "192.0.2.7", "", "192.0.2.7/32"},
		"denied":                    {func(a *gateway.AbusePolicy) { a.Deny = networks("192.0.2.0/24") }, "192.0.2.7", gateway.AddressDenied, ""},
		"another network":           {func(a *gateway.AbusePolicy) { a.Deny = networks("192.0.3.0/24") }, "192.0.2.7", "", "192.0.2.7/32"},
		"allowed":                   {func(a *gateway.AbusePolicy) { a.Allow = networks("192.0.2.0/24") }, "192.0.2.7", "", "invalid Prefix"},
		"allowed in what is denied": {func(a *gateway.AbusePolicy) { a.Allow, a.Deny = networks("192.0.2.7/32"), networks("192.0.2.0/24") }, "192.0.2.7", "", "invalid Prefix"},
		"a denied country":          {func(a *gateway.AbusePolicy) { a.Countries.Deny = gateway.Countries{"FR"} }, "2001:db8::7", gateway.CountryDenied, ""},
		"not an allowed country":    {func(a *gateway.AbusePolicy) { a.Countries.Allow = gateway.Countries{"DE"} }, "2001:db8::7", gateway.CountryDenied, ""},
		"an allowed country":        {func(a *gateway.AbusePolicy) { a.Countries.Allow = gateway.Countries{"FR"} }, "2001:db8::7", "", "2001:db8::/64"},
		"an unknown country":        {func(a *gateway.AbusePolicy) { a.Countries.Allow = gateway.Countries{"DE"} }, "198.51.100.7", "", "198.51.100.7/32"},
		"exempt from countries": {func(a *gateway.AbusePolicy) {
			a.Allow, a.Countries.Deny = networks("2001:db8::/32"), gateway.Countries{"FR"}
		}, "2001:db8::7", "", "invalid Prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			w := ruled(t, nil, func(p *gateway.Policy) { c.rules(&p.Abuse) })
			for _, ask := range []answer{
				w.post(redemptions, `{"code":"ABCD2345","subject":"ann"}`, "X-Forwarded-For: "+c.from),
				w.post(redemptions, `{"code":"ABCD2345","subject":"ann","ip":"`+c.from+`"}`, "Authorization: Bearer ao_server"),
				w.post("/v1/launches/writer/validations", `{"code":"ABCD2345"}`, "X-Forwarded-For: "+c.from),
			} {
				if ask.word("code") != string(c.want) && c.want != "" || (c.want == "") != (ask.status < 300) {
					t.Errorf("%v", ask)
				}
			}
			for _, r := range w.store.redeemed {
				if r.Address.String() != c.counted {
					t.Errorf("it counts against %s, want %s", r.Address, c.counted)
				}
			}
			if asked := len(w.store.redeemed) + len(w.store.tried); (asked == 0) != (c.want != "") {
				t.Errorf("the store was asked %d times", asked)
			}
		})
	}
	// A back end that names nobody's address is not ruled by its own.
	w := ruled(t, nil, func(p *gateway.Policy) { p.Abuse.Deny = networks("0.0.0.0/0", "::/0") })
	if a := w.post(redemptions, `{"code":"ABCD2345","subject":"ann"}`, "Authorization: Bearer ao_server"); a.status != 201 {
		t.Errorf("%v", a)
	}
}

// TestCountryIsTold: where a redemption came from goes to the store with it.
func TestCountryIsTold(t *testing.T) {
	w := ruled(t, nil, func(*gateway.Policy) {})
	w.post(redemptions, `{"code":"ABCD2345","subject":"ann"}`, "X-Forwarded-For: 192.0.2.7")
	if got := w.store.redeemed[0].Country; got != "DE" {
		t.Errorf("the country is %q", got)
	}
}

func TestChallenge(t *testing.T) {
	p := &provider{}
	w := ruled(t, p, func(p *gateway.Policy) {
		p.Abuse.Challenge = gateway.ChallengePolicy{Provider: gateway.ChallengeTurnstile, SiteKey: "site-1"}
	})
	ask := func(token string) answer {
		body := `{"code":"ABCD2345","subject":"ann"}`
		if token != "" {
			body = `{"code":"ABCD2345","subject":"ann","challenge":"` + token + `"}`
		}
		return w.post(redemptions, body)
	}
	for _, token := range []string{"", "good", "bad", "lost"} {
		if a := ask(token); a.status != 201 {
			t.Errorf("%q: %v", token, a)
		}
	}
	for i, want := range []bool{false, true, false, false} {
		if w.store.redeemed[i].Solved != want {
			t.Errorf("request %d is said to have solved it: %v", i, !want)
		}
	}
	if p.asked != 3 {
		t.Errorf("the provider was asked %d times, want 3", p.asked)
	}
	w.store.set(func(f *fakeStore) { f.err = gateway.Refuse(gateway.ChallengeRequired) })
	for _, token := range []string{"", "bad"} {
		a := ask(token)
		how, _ := a.field["challenge"].(map[string]any)
		if a.status != 403 || a.word("code") != "challenge_required" || how["provider"] != "turnstile" || how["site_key"] != "site-1" {
			t.Errorf("%q: %v", token, a)
		}
	}
	if a := ask("lost"); a.status != 503 || a.word("code") != "unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("a provider that is away: %v", a)
	}
	if a := ask(strings.Repeat("x", 4097)); a.status != 400 || a.word("field") != "challenge" {
		t.Errorf("%v", a)
	}
	// Without a provider in the policy nobody is asked.
	w.store.launch.Policy.Abuse.Challenge.Provider = gateway.ChallengeOff
	asked := p.asked
	if ask("good"); p.asked != asked {
		t.Error("a provider was asked that the policy does not name")
	}
}
