package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"sync"
	"time"
)

// KeyPrefix opens every API key.
const KeyPrefix = "ao_"

// NewAPIKey makes the secret of an API key: 256 random bits. Only its hash is
// ever kept.
func NewAPIKey() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return KeyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// HashAPIKey is what is kept of an API key.
func HashAPIKey(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// KeyFinder looks an API key up by its hash. It returns unauthorized if there
// is none.
type KeyFinder interface {
	FindKey(ctx context.Context, hash [sha256.Size]byte) (*APIKey, error)
}

// How long Keys goes by what it has learned.
const (
	keyFresh   = 30 * time.Second // a key that exists
	keyMissing = 5 * time.Second  // one that does not
	keyStale   = 10 * time.Minute // while the finder is away
	keysMost   = 10_000
)

// Keys checks API keys, and remembers for a moment what the finder said. It is
// safe for concurrent use.
type Keys struct {
	finder    KeyFinder
	bootstrap [sha256.Size]byte
	hasBoot   bool

	mu    sync.Mutex
	known map[[sha256.Size]byte]knownKey
}

type knownKey struct {
	key   *APIKey // nil: there is none
	until time.Time
}

// NewKeys checks keys against the finder, and against one admin key that is
// always good; "" is none.
func NewKeys(finder KeyFinder, bootstrap string) *Keys {
	k := &Keys{finder: finder, known: map[[sha256.Size]byte]knownKey{}}
	if bootstrap != "" {
		k.bootstrap, k.hasBoot = HashAPIKey(bootstrap), true
	}
	return k
}

var bootstrapKey = &APIKey{Name: "bootstrap", Scopes: []Scope{ScopeAdmin}}

// Check returns the key of a credential that is good now, unauthorized for any
// other. While the finder is away, keys that it knew stay good for a while.
func (k *Keys) Check(ctx context.Context, secret string) (*APIKey, error) {
	if len(secret) > 256 || !strings.HasPrefix(secret, KeyPrefix) && !k.hasBoot {
		return nil, Refuse(Unauthorized)
	}
	hash, now := HashAPIKey(secret), time.Now()
	if k.hasBoot && subtle.ConstantTimeCompare(hash[:], k.bootstrap[:]) == 1 {
		return bootstrapKey, nil
	}
	k.mu.Lock()
	known, ok := k.known[hash]
	k.mu.Unlock()
	if !ok || now.After(known.until) {
		key, err := k.finder.FindKey(ctx, hash)
		switch e, isRefusal := err.(*Error); {
		case err == nil:
			known = knownKey{key, now.Add(keyFresh)}
		case isRefusal && e.Reason == Unauthorized:
			known = knownKey{nil, now.Add(keyMissing)}
		case ok && known.key != nil && now.Before(known.until.Add(keyStale)):
			// The finder is away: what it said last counts on.
		default:
			return nil, &Error{Reason: Unavailable, RetryAfter: time.Second}
		}
		k.remember(hash, known)
	}
	if known.key == nil || !known.key.Good(now) {
		return nil, Refuse(Unauthorized)
	}
	return known.key, nil
}

// Forget drops what is remembered, so that a revocation counts at once here.
func (k *Keys) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.known)
}

func (k *Keys) remember(hash [sha256.Size]byte, known knownKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= keysMost {
		clear(k.known)
	}
	k.known[hash] = known
}
