// Package keyring holds everything that the deployment's secrets key: the names
// that people have in Redis, the seals on what the journal carries of them, the
// check characters of codes, member tokens and signed cookies.
//
// Secrets are listed newest first. The newest seals and signs, all of them open
// and verify, and the last one, the deployment's first, names people and checks
// codes: it must stay in the list for good.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"strings"
	"sync"
)

// MinSecret is the least length of a secret, in bytes.
const MinSecret = 32

// Keyring is safe for concurrent use.
type Keyring struct {
	persons *macs // keys of subjects and addresses
	checks  *macs // check characters
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
	k.persons, k.checks = newMACs(derive(oldest, "person")), newMACs(derive(oldest, "check"))
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

// Subject is the key of a subject in a launch: 16 characters of base64url, 96
// bits.
func (k *Keyring) Subject(launch, identity string) string {
	sum := k.persons.sum("subject", launch, identity)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Address is the key of an address (a prefix of one) in a launch.
func (k *Keyring) Address(launch string, p netip.Prefix) string {
	sum := k.persons.sum("address", launch, p.String())
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// Check makes the two check characters of a code, 10 bits.
func (k *Keyring) Check(launch, body string) [2]byte {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	sum := k.checks.sum(launch, body)
	return [2]byte{alphabet[sum[0]&31], alphabet[sum[1]&31]}
}

// seal is AES-256-GCM under one key, and the key's id.
type seal struct {
	id   byte
	aead cipher.AEAD
}

func newSeal(key []byte) (seal, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return seal{}, err
	}
	aead, err := cipher.NewGCM(block)
	sum := sha256.Sum256(key)
	return seal{sum[0], aead}, err
}

const nonceSize = 12

func (s seal) append(dst []byte, bound string, plain []byte) []byte {
	var buffer [512]byte
	b := append(buffer[:0], s.id)
	b = b[:1+nonceSize]
	rand.Read(b[1:])
	b = s.aead.Seal(b, b[1:1+nonceSize], plain, []byte(bound))
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

func open(list []seal, bound string, sealed []byte) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().AppendDecode(nil, sealed)
	if err != nil || len(b) < 1+nonceSize {
		return nil, errSeal
	}
	for _, s := range list {
		if s.id == b[0] {
			if plain, err := s.aead.Open(nil, b[1:1+nonceSize], b[1+nonceSize:], []byte(bound)); err == nil {
				return plain, nil
			}
		}
	}
	return nil, errSeal
}

var errSeal = errors.New("keyring: the seal does not open with any of the secrets")

// Seal appends plain, sealed for a launch, as base64url of key id ‖ nonce ‖
// AES-256-GCM ciphertext.
func (k *Keyring) Seal(dst []byte, launch string, plain []byte) []byte {
	return k.seals[0].append(dst, launch, plain)
}

// Open is what Seal sealed for the launch.
func (k *Keyring) Open(launch string, sealed []byte) ([]byte, error) {
	return open(k.seals, launch, sealed)
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
	got, err := base64.RawURLEncoding.Strict().DecodeString(signed[dot+1:])
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

// GenerateSecret makes a secret of 32 random bytes, in hex.
func GenerateSecret() string {
	var b [MinSecret]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// ParseSecrets reads secrets separated by commas or white space, each at least
// 32 bytes in hex or base64, newest first. Errors never show one.
func ParseSecrets(text string) ([][]byte, error) {
	var secrets [][]byte
	for i, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' }) {
		b, err := hex.DecodeString(word)
		if err != nil {
			b, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(word), "="))
		}
		if err != nil || len(b) < MinSecret {
			return nil, fmt.Errorf("secret %d: use at least %d bytes in hex or base64 (openssl rand -hex 32)", i+1, MinSecret)
		}
		secrets = append(secrets, b)
	}
	if secrets == nil {
		return nil, errors.New("no secret given: use at least 32 bytes in hex (openssl rand -hex 32)")
	}
	return secrets, nil
}
