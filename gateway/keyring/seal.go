package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
)

// Seal appends plain, sealed for a launch, as base64url of key id ‖ nonce ‖
// AES-256-GCM ciphertext. It does not allocate where dst has room.
func (k *Keyring) Seal(dst []byte, launch string, plain []byte) []byte {
	return k.seals[0].append(dst, launch, plain)
}

// Open is what Seal sealed for the launch. Its error does not tell why.
func (k *Keyring) Open(launch string, sealed []byte) ([]byte, error) {
	return open(k.seals, launch, string(sealed))
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

const (
	nonceSize = 12
	headSize  = 1 + nonceSize // key id and nonce
	tagSize   = 16
)

// scratch is what a seal is made in: an AEAD's arguments would escape.
type scratch struct{ raw, bound []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s seal) append(dst []byte, bound string, plain []byte) []byte {
	w := scratches.Get().(*scratch)
	defer scratches.Put(w)
	w.bound = append(w.bound[:0], bound...)
	b := slices.Grow(w.raw[:0], headSize+len(plain)+tagSize)[:headSize]
	b[0] = s.id
	rand.Read(b[1:])
	b = append(b, plain...)
	// In place: the scratch keeps the ciphertext only.
	w.raw = s.aead.Seal(b[:headSize], b[1:headSize], b[headSize:], w.bound)
	return base64.RawURLEncoding.AppendEncode(dst, w.raw)
}

var errSeal = errors.New("keyring: the seal does not open with any of the secrets")

func open(list []seal, bound, sealed string) ([]byte, error) {
	b, err := decode(sealed)
	if err != nil || len(b) < headSize {
		return nil, errSeal
	}
	for _, s := range list {
		if s.id == b[0] {
			if plain, err := s.aead.Open(nil, b[1:headSize], b[headSize:], []byte(bound)); err == nil {
				return plain, nil
			}
		}
	}
	return nil, errSeal
}

// decode reads base64url that can be written in one way only; the decoder
// itself skips line breaks.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errSeal
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
