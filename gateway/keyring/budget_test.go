//go:build !race

package keyring

import (
	"testing"
	"time"

	"admitone/gateway"
)

// The race detector empties pools at random, hence the build tag.

func TestAllocations(t *testing.T) {
	k, now := ring(t, secret(2), secret(1)), time.Unix(1_800_000_000, 0)
	dst, plain := make([]byte, 0, 512), []byte(`{"s":"ann@example.com","n":"Ann"}`)
	for name, c := range map[string]struct {
		most float64
		f    func()
	}{
		"Subject":     {1, func() { k.Subject("launch", "ann@example.com") }},
		"Address":     {1, func() { k.Address("launch", home) }},
		"Check":       {0, func() { k.Check("launch", "ABCDEF") }},
		"Seal":        {0, func() { k.Seal(dst, "launch", plain) }},
		"MemberToken": {1, func() { k.MemberToken("launch", "ann@example.com", gateway.ID{}, now) }},
	} {
		if n := testing.AllocsPerRun(200, c.f); n > c.most {
			t.Errorf("%s allocates %v times, %v are allowed", name, n, c.most)
		}
	}
}

func BenchmarkSubject(b *testing.B) {
	k, _ := New(secret(1))
	for b.Loop() {
		k.Subject("launch", "ann@example.com")
	}
}

func BenchmarkAddress(b *testing.B) {
	k, _ := New(secret(1))
	for b.Loop() {
		k.Address("launch", home)
	}
}

func BenchmarkCheck(b *testing.B) {
	k, _ := New(secret(1))
	for b.Loop() {
		k.Check("launch", "LPS2024Q3ABCDEF")
	}
}

func BenchmarkSeal(b *testing.B) {
	k, _ := New(secret(1))
	dst, plain := make([]byte, 0, 512), []byte(`{"s":"ann@example.com","n":"Ann"}`)
	for b.Loop() {
		k.Seal(dst, "launch", plain)
	}
}

func BenchmarkOpen(b *testing.B) {
	k, _ := New(secret(1))
	sealed := k.Seal(nil, "launch", []byte(`{"s":"ann@example.com","n":"Ann"}`))
	for b.Loop() {
		_, _ = k.Open("launch", sealed)
	}
}

func BenchmarkMemberToken(b *testing.B) {
	k, _ := New(secret(1))
	now := time.Unix(1_800_000_000, 0)
	for b.Loop() {
		k.MemberToken("launch", "ann@example.com", gateway.ID{}, now)
	}
}
