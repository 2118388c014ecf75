package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"time"
)

// KeyPrefix opens every API key.
const KeyPrefix = "ao_"

// keyLength is that of an API key: the prefix and 32 bytes in base64url.
const keyLength = len(KeyPrefix) + 43

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

// How long Keys goes by what it has learned, and how it treats the finder.
const (
	keyFresh   = 30 * time.Second       // a key that exists
	keyMissing = 5 * time.Second        // one that does not
	keyStale   = 10 * time.Minute       // one that exists, while the finder is away
	keyAgain   = time.Second            // before the finder is asked again about the same key
	keyWait    = 500 * time.Millisecond // for an answer of the finder
	keyAsking  = 16                     // questions to the finder at a time
	keysMost   = 10_000                 // keys remembered
)

// Keys checks API keys, and remembers for a moment what the finder said. A
// finder that is away or slow delays nobody whose key is known. It is safe for
// concurrent use.
type Keys struct {
	finder    KeyFinder
	bootstrap [sha256.Size]byte
	hasBoot   bool
	now       func() time.Time
	wait      time.Duration
	asking    chan struct{}

	mu    sync.RWMutex
	known map[[sha256.Size]byte]knownKey
}

// knownKey is what the finder said of a key, and when.
type knownKey struct {
	key   *APIKey   // nil: there is none
	asked time.Time // when the finder answered
	next  time.Time // not to be asked before
}

// NewKeys checks keys against the finder, and against one admin key that is
// always good; "" is none.
func NewKeys(finder KeyFinder, bootstrap string) *Keys {
	k := &Keys{
		finder: finder, now: time.Now, wait: keyWait,
		asking: make(chan struct{}, keyAsking), known: map[[sha256.Size]byte]knownKey{},
	}
	if bootstrap != "" {
		k.bootstrap, k.hasBoot = HashAPIKey(bootstrap), true
	}
	return k
}

var bootstrapKey = &APIKey{Name: "bootstrap", Scopes: []Scope{ScopeAdmin}}

// Check returns the key of a credential that is good now, unauthorized for any
// other, unavailable for one that is not known while the finder is away. A key
// that was good stays so for 10 minutes without the finder.
func (k *Keys) Check(ctx context.Context, secret string) (*APIKey, error) {
	if len(secret) > 1024 {
		return nil, Refuse(Unauthorized)
	}
	hash := HashAPIKey(secret)
	if k.hasBoot && subtle.ConstantTimeCompare(hash[:], k.bootstrap[:]) == 1 {
		return bootstrapKey, nil
	}
	if len(secret) != keyLength || !strings.HasPrefix(secret, KeyPrefix) {
		return nil, Refuse(Unauthorized)
	}
	now := k.now()
	known, ask := k.recall(hash, now)
	if ask {
		var err error
		if known, err = k.ask(ctx, hash, known); err != nil {
			return nil, err
		}
	}
	if known.key == nil || !known.key.Good(now) {
		return nil, Refuse(Unauthorized)
	}
	return known.key, nil
}

// recall says what is known of a key, and whether the finder is to be asked.
// Of those who use a known key at once, one asks; the others go by what is
// known.
func (k *Keys) recall(hash [sha256.Size]byte, now time.Time) (known knownKey, ask bool) {
	k.mu.RLock()
	known, ok := k.known[hash]
	k.mu.RUnlock()
	if ok && now.Before(known.next) && now.Sub(known.asked) <= keyStale {
		return known, false // nearly always
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok = k.known[hash]
	if ok && now.Sub(known.asked) > keyStale {
		ok = false
	}
	if !ok {
		return knownKey{}, true
	}
	if now.Before(known.next) {
		return known, false
	}
	again := known
	again.next = now.Add(keyAgain)
	k.known[hash] = again
	return known, true
}

// ask asks the finder about a key, and remembers the answer. Without one, what
// is known counts on.
func (k *Keys) ask(ctx context.Context, hash [sha256.Size]byte, known knownKey) (knownKey, error) {
	ctx, cancel := context.WithTimeout(ctx, k.wait)
	defer cancel()
	away := &Error{Reason: Unavailable, RetryAfter: time.Second, Detail: "API keys cannot be checked at the moment. Try again shortly."}
	select {
	case k.asking <- struct{}{}:
		defer func() { <-k.asking }()
	case <-ctx.Done():
		if known.key != nil {
			return known, nil
		}
		return knownKey{}, away
	}
	key, err := k.finder.FindKey(ctx, hash)
	now := k.now()
	switch {
	case err == nil:
		known = knownKey{key, now, now.Add(keyFresh)}
	case errors.Is(err, Refuse(Unauthorized)):
		known = knownKey{nil, now, now.Add(keyMissing)}
	case known.key != nil:
		return known, nil
	default:
		return knownKey{}, away
	}
	k.remember(hash, known, now)
	return known, nil
}

// remember keeps an answer. Where there is no room, keys that do not exist go
// first: a flood of invented ones must not push real ones out.
func (k *Keys) remember(hash [sha256.Size]byte, known knownKey, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.known[hash]; !there && len(k.known) >= keysMost {
		for old, o := range k.known {
			if o.key == nil || now.Sub(o.asked) > keyStale {
				delete(k.known, old)
			}
		}
		if len(k.known) >= keysMost {
			return
		}
	}
	k.known[hash] = known
}

// Forget drops what is remembered, so that a revocation counts at once here.
func (k *Keys) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.known)
}
