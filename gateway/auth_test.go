package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"
)

// finder answers from a map, unless it is away or silent.
type finder struct {
	mu     sync.Mutex
	keys   map[[sha256.Size]byte]*APIKey
	away   error
	silent bool
	asked  int
}

func (f *finder) FindKey(ctx context.Context, hash [sha256.Size]byte) (*APIKey, error) {
	f.mu.Lock()
	f.asked++
	key, away, silent := f.keys[hash], f.away, f.silent
	f.mu.Unlock()
	switch {
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	case away != nil:
		return nil, away
	case key == nil:
		return nil, Refuse(Unauthorized)
	}
	return key, nil
}

func (f *finder) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *finder) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// keyTest is Keys over a finder with one key, and a clock that the test moves.
func keyTest(t *testing.T) (*Keys, *finder, string, *time.Time) {
	t.Helper()
	now := time.Unix(1_800_000_000, 0)
	secret := NewAPIKey()
	f := &finder{keys: map[[sha256.Size]byte]*APIKey{HashAPIKey(secret): {Name: "k", Scopes: []Scope{ScopeRead}}}}
	k := NewKeys(f, "a bootstrap key of an operator")
	k.now, k.wait = func() time.Time { return now }, 10*time.Millisecond
	return k, f, secret, &now
}

func wantKey(t *testing.T, k *Keys, secret string, want Reason) {
	t.Helper()
	key, err := k.Check(t.Context(), secret)
	if want == "" && (err != nil || key == nil) || want != "" && !errors.Is(err, Refuse(want)) {
		t.Errorf("key %v, error %v, want %q", key, err, want)
	}
}

func TestKeys(t *testing.T) {
	k, f, secret, now := keyTest(t)
	for name, bad := range map[string]string{
		"empty": "", "short": "ao_x", "another prefix": "ax_" + secret[3:], "longer": secret + "x", "endless": string(make([]byte, 2000)),
	} {
		t.Run(name, func(t *testing.T) { wantKey(t, k, bad, Unauthorized) })
	}
	wantKey(t, k, "a bootstrap key of an operator", "")
	if f.times() != 0 {
		t.Fatalf("the finder was asked %d times about what cannot be a key", f.times())
	}
	unknown := NewAPIKey()
	for range 3 {
		wantKey(t, k, secret, "")
		wantKey(t, k, unknown, Unauthorized)
	}
	if f.times() != 2 {
		t.Errorf("asked %d times, want once for each key", f.times())
	}
	*now = now.Add(keyMissing)
	wantKey(t, k, unknown, Unauthorized)
	wantKey(t, k, secret, "")
	if f.times() != 3 {
		t.Errorf("asked %d times, want once more for the unknown key", f.times())
	}
	*now = now.Add(keyFresh)
	f.set(func() { clear(f.keys) }) // as if it were gone
	wantKey(t, k, secret, Unauthorized)
}

func TestKeyEnds(t *testing.T) {
	k, f, secret, now := keyTest(t)
	f.keys[HashAPIKey(secret)].ExpiresAt = now.Add(10 * time.Second)
	wantKey(t, k, secret, "")
	*now = now.Add(10 * time.Second) // still remembered
	wantKey(t, k, secret, Unauthorized)
	f.set(func() { f.keys[HashAPIKey(secret)] = &APIKey{Name: "k", RevokedAt: *now} })
	k.Forget()
	wantKey(t, k, secret, Unauthorized)
}

// TestKeysAlone: while the finder is away or does not answer, known keys stay
// good, at once for all but one caller a second.
func TestKeysAlone(t *testing.T) {
	for name, fail := range map[string]func(*finder){
		"away":   func(f *finder) { f.away = errors.New("no connection") },
		"silent": func(f *finder) { f.silent = true },
	} {
		t.Run(name, func(t *testing.T) {
			k, f, secret, now := keyTest(t)
			wantKey(t, k, secret, "")
			f.set(func() { fail(f) })
			*now = now.Add(keyFresh)
			for range 5 {
				wantKey(t, k, secret, "")
			}
			if f.times() != 2 {
				t.Errorf("asked %d times, want once more", f.times())
			}
			wantKey(t, k, NewAPIKey(), Unavailable)
			*now = now.Add(keyStale)
			wantKey(t, k, secret, Unavailable)
			f.set(func() { f.away, f.silent = nil, false })
			wantKey(t, k, secret, "")
		})
	}
}

// TestKeyFlood: invented keys neither grow the memory without end nor push a
// real key out of it.
func TestKeyFlood(t *testing.T) {
	k, f, secret, now := keyTest(t)
	wantKey(t, k, secret, "")
	for range keysMost + 10 {
		wantKey(t, k, NewAPIKey(), Unauthorized)
	}
	if len(k.known) > keysMost {
		t.Errorf("%d keys are remembered", len(k.known))
	}
	f.set(func() { f.away = errors.New("no connection") })
	*now = now.Add(keyFresh)
	wantKey(t, k, secret, "")
}
