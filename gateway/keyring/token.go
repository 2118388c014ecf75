package keyring

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"admitone/gateway"
)

// TokenPrefix opens every member token.
const TokenPrefix = "aom_"

// TokenLife is how long a member token is good for.
const TokenLife = 90 * 24 * time.Hour

// tokenHead is what stands before the subject: the second of issue, 8 bytes,
// and the redemption's id.
const tokenHead = 8 + len(gateway.ID{})

// maxToken bounds what is decoded before the seal is checked; a subject of 200
// bytes makes a token of 341.
const maxToken = 1024

var errToken = errors.New("keyring: not a member token of this launch, or too old")

// MemberToken lets a subject speak for itself in one launch, by the redemption
// that it was given for; the zero ID where a back end vouches for the subject.
// It is sealed: nobody can read the subject in it or make one.
func (k *Keyring) MemberToken(launch, subject string, by gateway.ID, issued time.Time) string {
	var buffer [512]byte
	return string(k.AppendMemberToken(buffer[:0], launch, subject, by, issued))
}

// AppendMemberToken appends the token that MemberToken makes.
func (k *Keyring) AppendMemberToken(dst []byte, launch, subject string, by gateway.ID, issued time.Time) []byte {
	var buffer [512]byte
	plain := binary.BigEndian.AppendUint64(buffer[:0], uint64(issued.Unix()))
	plain = append(append(plain, by[:]...), subject...)
	return k.tokens[0].append(append(dst, TokenPrefix...), launch, plain)
}

// OpenMemberToken is the subject of a token of the launch, and the redemption
// that it was given for. Whether that one stands is the caller's to ask.
func (k *Keyring) OpenMemberToken(launch, token string, now time.Time) (subject string, by gateway.ID, err error) {
	sealed, ok := strings.CutPrefix(token, TokenPrefix)
	if !ok || len(token) > maxToken {
		return "", by, errToken
	}
	plain, err := open(k.tokens, launch, sealed)
	if err != nil || len(plain) < tokenHead {
		return "", by, errToken
	}
	issued := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0)
	if now.Sub(issued) > TokenLife || issued.Sub(now) > time.Hour {
		return "", by, errToken
	}
	copy(by[:], plain[8:])
	return string(plain[tokenHead:]), by, nil
}
