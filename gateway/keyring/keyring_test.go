package keyring

import (
	"bytes"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"admitone/gateway"
)

var _ gateway.Checker = (*Keyring)(nil)

var home = netip.MustParsePrefix("192.0.2.1/32")

func secret(b byte) []byte { return bytes.Repeat([]byte{b}, MinSecret) }

func ring(t *testing.T, secrets ...[]byte) *Keyring {
	t.Helper()
	k, err := New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestRotation: a new secret in front changes what is sealed from now on, and
// nothing that exists: names, check characters, seals, tokens and cookies.
func TestRotation(t *testing.T) {
	before, after := ring(t, secret(1)), ring(t, secret(2), secret(1))
	if before.Subject("l", "ann") != after.Subject("l", "ann") || before.Check("l", "AB") != after.Check("l", "AB") ||
		before.Address("l", home) != after.Address("l", home) || !bytes.Equal(before.MintKey("l", "j"), after.MintKey("l", "j")) {
		t.Error("rotating renamed people or codes")
	}
	now := time.Unix(1_800_000_000, 0)
	sealed, token, cookie := before.Seal(nil, "l", []byte("plain")), before.MemberToken("l", "ann", gateway.ID{}, now), before.Sign("p", "v")
	if plain, err := after.Open("l", sealed); err != nil || string(plain) != "plain" {
		t.Errorf("an old seal: %q, %v", plain, err)
	}
	if s, _, err := after.OpenMemberToken("l", token, now); err != nil || s != "ann" {
		t.Errorf("an old token: %q, %v", s, err)
	}
	if v, ok := after.Verify("p", cookie); !ok || v != "v" {
		t.Error("an old cookie does not verify")
	}
	if _, err := before.Open("l", after.Seal(nil, "l", []byte("plain"))); err == nil {
		t.Error("the old secret opens what the new one sealed")
	}
}

// TestForeign: nothing made for one launch or purpose is good for another, and
// no byte of it can be changed.
func TestForeign(t *testing.T) {
	k, now := ring(t, secret(1)), time.Unix(1_800_000_000, 0)
	if k.Subject("a", "ann") == k.Subject("b", "ann") || k.Subject("a", "x") == k.Subject("a", "y") {
		t.Error("subject keys are shared")
	}
	sealed := k.Seal(nil, "a", []byte("plain"))
	if _, err := k.Open("b", sealed); err == nil {
		t.Error("a seal opens for another launch")
	}
	token := k.MemberToken("a", "ann", gateway.ID{}, now)
	if strings.Contains(token, "ann") {
		t.Error("a token shows its subject")
	}
	if _, _, err := k.OpenMemberToken("b", token, now); err == nil {
		t.Error("a token is good for another launch")
	}
	if _, _, err := k.OpenMemberToken("a", token, now.Add(TokenLife+time.Second)); err == nil {
		t.Error("a token lives for ever")
	}
	if _, _, err := k.OpenMemberToken("a", TokenPrefix+string(sealed), now); err == nil {
		t.Error("a seal passes as a token")
	}
	cookie := k.Sign("invite/a", "CODE")
	if _, ok := k.Verify("invite/b", cookie); ok {
		t.Error("a cookie verifies for another launch")
	}
	// Every other byte in every place, and line breaks, which base64 skips.
	for what, c := range map[string]struct {
		made  string
		opens func(string) bool
	}{
		"seal":   {string(sealed), func(s string) bool { _, err := k.Open("a", []byte(s)); return err == nil }},
		"token":  {token, func(s string) bool { _, _, err := k.OpenMemberToken("a", s, now); return err == nil }},
		"cookie": {cookie, func(s string) bool { _, ok := k.Verify("invite/a", s); return ok }},
	} {
		if !c.opens(c.made) {
			t.Errorf("a %s does not open", what)
		}
		for i := range c.made {
			for _, x := range []byte{1, 2, 4, 32, 128} {
				b := []byte(c.made)
				if b[i] ^= x; c.opens(string(b)) {
					t.Errorf("byte %d of a %s can be changed", i, what)
				}
			}
			if c.opens(c.made[:i]) || c.opens(c.made[:i]+"\n"+c.made[i:]) || c.opens(c.made[:i]+"A"+c.made[i:]) {
				t.Errorf("a %s can be cut or stretched at %d", what, i)
			}
		}
		if c.opens(c.made+"\n") || c.opens(c.made+"=") || c.opens(c.made+"A") {
			t.Errorf("a %s can be stretched", what)
		}
	}
}

// TestNames: what is different has different keys, and what is the same has
// the same one.
func TestNames(t *testing.T) {
	k := ring(t, secret(1))
	seen := map[string]string{}
	for what, key := range map[string]string{
		"subject":       k.Subject("a", "192.0.2.1/32"),
		"other launch":  k.Subject("b", "192.0.2.1/32"),
		"shifted":       k.Subject("a1", "92.0.2.1/32"),
		"address":       k.Address("a", home),
		"its other key": k.Address("b", home),
		"its network":   k.Address("a", netip.MustParsePrefix("192.0.2.0/24")),
		"other address": k.Address("a", netip.MustParsePrefix("192.0.2.2/32")),
		"IPv6":          k.Address("a", netip.MustParsePrefix("2001:db8::/64")),
		"longer IPv6":   k.Address("a", netip.MustParsePrefix("2001:db8::/65")),
		"other secret":  ring(t, secret(2)).Subject("a", "192.0.2.1/32"),
	} {
		if other := seen[key]; other != "" || len(key) != 16 {
			t.Errorf("%s has the key %q, as %s", what, key, other)
		}
		seen[key] = what
	}
	if k.Address("a", netip.MustParsePrefix("2001:db8::1/64")) != k.Address("a", netip.MustParsePrefix("2001:db8::2/64")) {
		t.Error("two writings of one network have two keys")
	}
	if a, b := k.MintKey("a", "j"), k.MintKey("a", "k"); len(a) != 32 || bytes.Equal(a, b) || bytes.Equal(a, k.MintKey("b", "j")) {
		t.Error("mintings share a key")
	}
	checks := map[[2]byte]bool{}
	for i := range 200 {
		c := k.Check("a", strings.Repeat("A", i))
		if strings.IndexByte(gateway.Alphabet, c[0]) < 0 || strings.IndexByte(gateway.Alphabet, c[1]) < 0 {
			t.Fatalf("check characters %q", c)
		}
		checks[c] = true
	}
	if len(checks) < 150 { // 182 of 1,024 are to be expected
		t.Errorf("200 codes have only %d different checks", len(checks))
	}
}

// TestConcurrent lets goroutines share the pools; the race detector watches.
func TestConcurrent(t *testing.T) {
	k := ring(t, secret(2), secret(1))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			me := strings.Repeat(string(rune('a'+i)), 30*i+1)
			name, check, now := k.Subject("l", me), k.Check("l", me), time.Unix(1_800_000_000, 0)
			for range 200 {
				if k.Subject("l", me) != name || k.Check("l", me) != check {
					t.Error("a name changed")
				}
				if plain, err := k.Open("l", k.Seal(nil, "l", []byte(me))); err != nil || string(plain) != me {
					t.Errorf("sealed %q, opened %q, %v", me, plain, err)
				}
				if got, _, err := k.OpenMemberToken("l", k.MemberToken("l", me, gateway.ID{}, now), now); err != nil || got != me {
					t.Errorf("a token of %q is %q's, %v", me, got, err)
				}
			}
		})
	}
	group.Wait()
}

func TestSecrets(t *testing.T) {
	made := GenerateSecret()
	got, err := ParseSecrets(made + ",\n" + strings.Repeat("QUFB", 11) + "\n")
	if err != nil || len(got) != 2 || len(got[0]) != 32 || len(got[1]) != 33 {
		t.Fatalf("%d secrets, %v", len(got), err)
	}
	for _, bad := range []string{"", " , ", "beef", made + ",short", "not base64 at all!", made[1:], made + "a", strings.Repeat("A", 42)} {
		_, err := ParseSecrets(bad)
		if err == nil {
			t.Errorf("%q is taken for secrets", bad)
		} else if strings.Contains(err.Error(), made[:8]) || len(bad) > 3 && strings.Contains(err.Error(), bad) {
			t.Error("an error shows a secret")
		}
	}
	if _, err := New(secret(1)[:31]); err == nil {
		t.Error("a short secret is taken")
	}
	if _, err := New(); err == nil {
		t.Error("no secret is taken")
	}
	if _, err := New(secret(1), secret(1)); err == nil {
		t.Error("the same secret twice is taken")
	}
}

// FuzzOpen: nothing that a stranger sends opens, or does harm.
func FuzzOpen(f *testing.F) {
	k, err := New(secret(2), secret(1))
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	other, _ := New(secret(3))
	f.Add(string(other.Seal(nil, "l", []byte("plain"))))
	f.Add(other.MemberToken("l", "ann", gateway.ID{}, now))
	f.Add(other.Sign("p", "value"))
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := k.Open("l", []byte(s)); err == nil {
			t.Errorf("%q opens", s)
		}
		if _, _, err := k.OpenMemberToken("l", s, now); err == nil {
			t.Errorf("%q is a token", s)
		}
		if _, ok := k.Verify("p", s); ok {
			t.Errorf("%q verifies", s)
		}
		_, _ = ParseSecrets(s)
	})
}
