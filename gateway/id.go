package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// ID is a UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits. Every
// id is made by a gateway before Redis decides, so that a repeated request and
// a replayed event name the same row.
type ID [16]byte

// NewID makes an id for the time given. Its last two bytes may be overwritten
// by a store that wants an id to say where its record lies; 58 random bits a
// millisecond remain.
func NewID(now time.Time) ID {
	var id ID
	rand.Read(id[6:]) // never fails: crypto/rand aborts the program instead
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint32(id[:4], uint32(ms>>16))
	binary.BigEndian.PutUint16(id[4:6], uint16(ms))
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// DerivedID is the id that a text always has: a UUIDv8 (RFC 9562) of its hash.
func DerivedID(text string) ID {
	sum := sha256.Sum256([]byte(text))
	id := ID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads the canonical text form, 36 characters in either case.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, errNotID
	}
	for i, at := range [...]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		if _, err := hex.Decode(id[i:i+1], []byte(s[at:at+2])); err != nil {
			return ID{}, errNotID
		}
	}
	return id, nil
}

var errNotID = errors.New("not a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")

// AppendText appends the canonical text form.
func (id ID) AppendText(b []byte) ([]byte, error) {
	b = hex.AppendEncode(b, id[:4])
	for _, part := range [...][]byte{id[4:6], id[6:8], id[8:10], id[10:]} {
		b = append(b, '-')
		b = hex.AppendEncode(b, part)
	}
	return b, nil
}

func (id ID) String() string {
	b, _ := id.AppendText(make([]byte, 0, 36))
	return string(b)
}

// MarshalText and UnmarshalText are the canonical text form in JSON.
func (id ID) MarshalText() ([]byte, error) { return id.AppendText(nil) }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// Short is the id in 22 characters of base64url: its form in Redis keys,
// script arguments and journal lines.
func (id ID) Short() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// AppendShort appends the 22-character form.
func (id ID) AppendShort(b []byte) []byte { return base64.RawURLEncoding.AppendEncode(b, id[:]) }

// ParseShort reads the 22-character form.
func ParseShort(s string) (ID, error) {
	var id ID
	if len(s) != 22 {
		return ID{}, errNotShort
	}
	if _, err := shortEncoding.Decode(id[:], []byte(s)); err != nil {
		return ID{}, errNotShort
	}
	return id, nil
}

var shortEncoding = base64.RawURLEncoding.Strict()

var errNotShort = errors.New("not an id of 22 base64url characters")

// Time is when the id was made, in milliseconds, by its maker's clock.
func (id ID) Time() time.Time {
	ms := uint64(binary.BigEndian.Uint32(id[:4]))<<16 | uint64(binary.BigEndian.Uint16(id[4:6]))
	return time.UnixMilli(int64(ms)).UTC()
}
