package keyring

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// TokenPrefix opens every member token.
const TokenPrefix = "aom_"

// TokenLife is how long a member token is good for.
const TokenLife = 90 * 24 * time.Hour

// maxToken bounds what is decoded before the seal is checked; a subject of 200
// bytes makes a token of 320.
const maxToken = 1024

var errToken = errors.New("keyring: not a member token of this launch, or too old")

// MemberToken lets a subject speak for itself in one launch. It is sealed:
// nobody can read the subject in it or make one.
func (k *Keyring) MemberToken(launch, subject string, issued time.Time) string {
	var buffer [512]byte
	return string(k.AppendMemberToken(buffer[:0], launch, subject, issued))
}

// AppendMemberToken appends the token that MemberToken makes.
func (k *Keyring) AppendMemberToken(dst []byte, launch, subject string, issued time.Time) []byte {
	var buffer [512]byte
	plain := binary.BigEndian.AppendUint64(buffer[:0], uint64(issued.Unix()))
	plain = append(plain, subject...)
	return k.tokens[0].append(append(dst, TokenPrefix...), launch, plain)
}

// OpenMemberToken is the subject of a token of the launch.
func (k *Keyring) OpenMemberToken(launch, token string, now time.Time) (subject string, err error) {
	sealed, ok := strings.CutPrefix(token, TokenPrefix)
	if !ok || len(token) > maxToken {
		return "", errToken
	}
	plain, err := open(k.tokens, launch, sealed)
	if err != nil || len(plain) < 8 {
		return "", errToken
	}
	issued := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0)
	if now.Sub(issued) > TokenLife || issued.Sub(now) > time.Hour {
		return "", errToken
	}
	return string(plain[8:]), nil
}
