package keyring

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"
)

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
	if before.Subject("l", "ann") != after.Subject("l", "ann") || before.Check("l", "AB") != after.Check("l", "AB") {
		t.Error("rotating renamed people or codes")
	}
	now := time.Unix(1_800_000_000, 0)
	sealed, token, cookie := before.Seal(nil, "l", []byte("plain")), before.MemberToken("l", "ann", now), before.Sign("p", "v")
	if plain, err := after.Open("l", sealed); err != nil || string(plain) != "plain" {
		t.Errorf("an old seal: %q, %v", plain, err)
	}
	if s, err := after.OpenMemberToken("l", token, now); err != nil || s != "ann" {
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
	token := k.MemberToken("a", "ann", now)
	if strings.Contains(token, "ann") {
		t.Error("a token shows its subject")
	}
	if _, err := k.OpenMemberToken("b", token, now); err == nil {
		t.Error("a token is good for another launch")
	}
	if _, err := k.OpenMemberToken("a", token, now.Add(TokenLife+time.Second)); err == nil {
		t.Error("a token lives for ever")
	}
	if _, err := k.OpenMemberToken("a", TokenPrefix+string(sealed), now); err == nil {
		t.Error("a seal passes as a token")
	}
	cookie := k.Sign("invite/a", "CODE")
	if _, ok := k.Verify("invite/b", cookie); ok {
		t.Error("a cookie verifies for another launch")
	}
	for i := range cookie {
		b := []byte(cookie)
		b[i] ^= 1
		if _, ok := k.Verify("invite/a", string(b)); ok {
			t.Errorf("byte %d of a cookie can be changed", i)
		}
	}
	for i := range sealed {
		b := bytes.Clone(sealed)
		b[i] ^= 2
		if _, err := k.Open("a", b); err == nil {
			t.Errorf("byte %d of a seal can be changed", i)
		}
	}
}

func TestSecrets(t *testing.T) {
	made := GenerateSecret()
	got, err := ParseSecrets(made + ",\n" + strings.Repeat("QUFB", 11) + "\n")
	if err != nil || len(got) != 2 || len(got[0]) != 32 || len(got[1]) != 33 {
		t.Fatalf("%d secrets, %v", len(got), err)
	}
	for _, bad := range []string{"", " , ", "beef", made + ",short", "not base64 at all!"} {
		_, err := ParseSecrets(bad)
		if err == nil {
			t.Errorf("%q is taken for secrets", bad)
		} else if strings.Contains(err.Error(), made[:8]) {
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

func TestAllocations(t *testing.T) {
	k, p := ring(t, secret(1)), netip.MustParsePrefix("192.0.2.1/32")
	for name, f := range map[string]func(){
		"Subject": func() { k.Subject("launch", "subject") },
		"Check":   func() { k.Check("launch", "ABCDEF") },
	} {
		if n := testing.AllocsPerRun(200, f); n > 1 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	if a, b := k.Address("l", p), k.Address("l", p); a != b || len(a) != 16 {
		t.Errorf("address keys %q and %q", a, b)
	}
}

func BenchmarkSeal(b *testing.B) {
	k, _ := New(secret(1))
	dst := make([]byte, 0, 512)
	for b.Loop() {
		k.Seal(dst, "launch", []byte(`{"s":"ann@example.com","n":"Ann"}`))
	}
}

func BenchmarkSubject(b *testing.B) {
	k, _ := New(secret(1))
	for b.Loop() {
		k.Subject("launch", "ann@example.com")
	}
}
