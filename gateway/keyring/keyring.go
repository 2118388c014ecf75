// Package keyring holds everything that the deployment's secrets key: the names
// that people have in Redis, the seals on what the journal carries of them, the
// check characters of codes, member tokens and signed cookies.
//
// Secrets are listed newest first. The newest seals and signs, all of them open
// and verify, and the last one, the deployment's first, names people and checks
// codes: it must stay in the list for good. Seals carry random nonces, of which
// AES-GCM takes some 2^32 under one key: put a new secret in front before a
// deployment has answered four billion redemptions.
package keyring

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"strings"
	"sync"
)

// Keyring is safe for concurrent use.
type Keyring struct {
	persons *macs // keys of subjects and addresses
	checks  *macs // check characters
	mints   *macs // keys of mintings
	seals   []seal
	tokens  []seal
	cookies []*macs
}

// New makes a keyring of secrets, newest first.
func New(secrets ...[]byte) (*Keyring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("keyring: no secret")
	}
	k := &Keyring{}
	for i, s := range secrets {
		if len(s) < MinSecret {
			return nil, fmt.Errorf("keyring: secret %d is shorter than %d bytes", i+1, MinSecret)
		}
		for purpose, list := range map[string]*[]seal{"seal": &k.seals, "token": &k.tokens} {
			made, err := newSeal(derive(s, purpose))
			if err != nil {
				return nil, err
			}
			for _, other := range *list {
				if other.id == made.id {
					return nil, fmt.Errorf("keyring: secret %d has the same key id as another one; replace it", i+1)
				}
			}
			*list = append(*list, made)
		}
		k.cookies = append(k.cookies, newMACs(derive(s, "cookie")))
	}
	oldest := secrets[len(secrets)-1]
	k.persons, k.checks, k.mints = newMACs(derive(oldest, "person")), newMACs(derive(oldest, "check")), newMACs(derive(oldest, "mint"))
	return k, nil
}

func derive(secret []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "admitone "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths that HKDF cannot make
	}
	return key
}

// macs are HMAC-SHA256 states of one key, kept for reuse.
type macs struct{ pool sync.Pool }

// mac is a state with the buffers that would otherwise escape at each use.
type mac struct {
	hash hash.Hash
	in   []byte
	out  [sha256.Size]byte
}

func newMACs(key []byte) *macs {
	return &macs{sync.Pool{New: func() any { return &mac{hash: hmac.New(sha256.New, key)} }}}
}

// sum is the HMAC over the parts, each ended by a zero byte: callers pass none
// in all but the last.
func (m *macs) sum(parts ...string) [sha256.Size]byte {
	s := m.pool.Get().(*mac)
	defer m.pool.Put(s)
	s.hash.Reset()
	s.in = s.in[:0]
	for _, p := range parts {
		s.in = append(append(s.in, p...), 0)
	}
	s.hash.Write(s.in)
	s.hash.Sum(s.out[:0])
	return s.out
}

// NameSize is the length of a subject's or an address's key: 96 bits in
// base64url.
const NameSize = 16

const nameBytes = 12

// Subject is the key of a subject in a launch: 16 characters of base64url, 96
// bits.
func (k *Keyring) Subject(launch, identity string) string {
	var b [NameSize]byte
	return string(k.AppendSubject(b[:0], launch, identity))
}

// AppendSubject appends the key of a subject in a launch.
func (k *Keyring) AppendSubject(dst []byte, launch, identity string) []byte {
	sum := k.persons.sum("subject", launch, identity)
	return base64.RawURLEncoding.AppendEncode(dst, sum[:nameBytes])
}

// Address is the key of an address (a prefix of one) in a launch. Prefixes that
// hold the same addresses have the same key.
func (k *Keyring) Address(launch string, p netip.Prefix) string {
	var b [NameSize]byte
	return string(k.AppendAddress(b[:0], launch, p))
}

// AppendAddress appends the key of an address in a launch.
func (k *Keyring) AppendAddress(dst []byte, launch string, p netip.Prefix) []byte {
	var buffer [32]byte // 16 bytes of address, one of length
	b, _ := p.Masked().AppendBinary(buffer[:0])
	sum := k.persons.sum("address", launch, string(b))
	return base64.RawURLEncoding.AppendEncode(dst, sum[:nameBytes])
}

// MintKey is the key from which a job derives its codes. The job's id may be
// known to many; who knows this key knows the codes. It stays the same when
// secrets rotate while the job runs.
func (k *Keyring) MintKey(launch, job string) []byte {
	sum := k.mints.sum(launch, job)
	return sum[:]
}

// Check makes the two check characters of a code, 10 bits.
func (k *Keyring) Check(launch, body string) [2]byte {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	sum := k.checks.sum(launch, body)
	return [2]byte{alphabet[sum[0]&31], alphabet[sum[1]&31]}
}

// Sign appends a MAC to a value, for one purpose: value.mac, where the MAC has
// 22 characters.
func (k *Keyring) Sign(purpose, value string) string {
	sum := k.cookies[0].sum(purpose, value)
	return value + "." + base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Verify is the value that Sign signed for the purpose.
func (k *Keyring) Verify(purpose, signed string) (value string, ok bool) {
	dot := strings.LastIndexByte(signed, '.')
	if dot < 0 {
		return "", false
	}
	value = signed[:dot]
	got, err := decode(signed[dot+1:])
	if err != nil {
		return "", false
	}
	for _, m := range k.cookies {
		if sum := m.sum(purpose, value); hmac.Equal(sum[:16], got) {
			return value, true
		}
	}
	return "", false
}
