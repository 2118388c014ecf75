package lua

import (
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"admitone/bench/rig"
	"admitone/gateway"
)

// TestClockDecides: failures count for as long as the policy says by the
// launch's clock, whether or not the keys that hold them have expired. In a
// rehearsal the clock runs ahead and no key expires.
func TestClockDecides(t *testing.T) {
	for name, addr := range map[string]func(*testing.T) string{
		"miniredis": func(t *testing.T) string { return miniredis.RunT(t).Addr() },
		"redis":     func(t *testing.T) string { return rig.TestRedis(t).Addr() },
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, addr(t))
			p := gateway.DefaultPolicy("l")
			const window = time.Hour
			p.Limits.FailedAttempts.PerSubject = gateway.Rate{Count: 2, Window: gateway.Duration(window)}
			by := gateway.Actor{Name: "test"}
			if _, err := s.CreateLaunch(t.Context(), p, by); err != nil {
				t.Fatal(err)
			}
			guess := func(ahead time.Duration, want gateway.Reason) {
				t.Helper()
				if ahead > 0 {
					if _, err := s.SetClock(t.Context(), "l", ahead, by); err != nil {
						t.Fatal(err)
					}
				}
				_, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "GUESS", Subject: "eve", Vouched: true})
				if !errors.Is(err, gateway.Refuse(want)) {
					t.Fatalf("%v ahead: %v, want %s", ahead, err, want)
				}
			}
			guess(0, gateway.CodeUnknown)
			guess(0, gateway.CodeUnknown)
			guess(0, gateway.AttemptsExceeded)
			guess(window/2, gateway.AttemptsExceeded)
			guess(window+window/10, gateway.CodeUnknown)
			guess(3*window, gateway.CodeUnknown)
			guess(3*window+window/10, gateway.CodeUnknown)
			guess(3*window+window/5, gateway.AttemptsExceeded)
		})
	}
}
