package lua

import (
	"encoding/base64"

	"admitone/gateway"
)

// launchesKey is the set of all launches' names. It may name a launch that was
// never made, never the other way round.
const launchesKey = "ao:launches"

// persistedChannel carries "launch epoch position" whenever the syncer moves one.
const persistedChannel = "ao:persisted"

// keys are the keys of one launch. They share its hash tag and so live in one
// Cluster slot: a script over them is atomic everywhere.
type keys struct {
	meta, config, campaigns, holds, members, journal string
	own                                              string // what members told of themselves
	payments, earnings                               string
	restore                                          string // epoch of the restore under way
	attempts0, attempts1, dedup0, dedup1, holders    string
	queue, offers, releases, joins0, joins1          string // of the waitlist
	codePrefix, subjectPrefix, entryPrefix           string
}

func newKeys(launch string) *keys {
	p := "ao:{" + launch + "}:"
	return &keys{
		meta: p + "meta", config: p + "config", campaigns: p + "campaigns", holds: p + "holds", members: p + "members", own: p + "own", payments: p + "payments", earnings: p + "earnings",
		journal: p + "journal", restore: p + "restore", attempts0: p + "attempts:0", attempts1: p + "attempts:1",
		dedup0: p + "dedup:0", dedup1: p + "dedup:1", holders: p + "holders", queue: p + "queue", offers: p + "offers", releases: p + "releases", joins0: p + "joins:0", joins1: p + "joins:1",
		codePrefix: p + "c:", subjectPrefix: p + "s:", entryPrefix: p + "e:",
	}
}

// code is the bucket of a code, by FNV-1a of its canonical text.
func (k *keys) code(c gateway.Code) string { return k.codePrefix + hex16(codeBucket(c)) }

func (k *keys) appendCode(b []byte, c gateway.Code) []byte {
	return appendHex16(append(b, k.codePrefix...), codeBucket(c))
}

func codeBucket(c gateway.Code) uint16 {
	h := uint32(2166136261)
	for i := range len(c) {
		h = (h ^ uint32(c[i])) * 16777619
	}
	return uint16(h ^ h>>16)
}

// subject is the bucket of a subject key.
func (k *keys) subject(key string) string { return k.subjectPrefix + hex16(subjectBucket(key)) }

// entry is the bucket of a waitlist entry's key.
func (k *keys) entry(key string) string { return k.entryPrefix + hex16(subjectBucket(key)) }

// located is the bucket of the subject whose redemption has this id.
func (k *keys) located(id gateway.ID) string {
	return k.subjectPrefix + hex16(uint16(id[14])<<8|uint16(id[15]))
}

// locate writes the subject's bucket into the last two bytes of a redemption's
// id, so that the id alone finds the record.
func locate[T string | []byte](id gateway.ID, subjectKey T) gateway.ID {
	b := subjectBucket(subjectKey)
	id[14], id[15] = byte(b>>8), byte(b)
	return id
}

// subjectBucket takes 16 bits of a subject key, which is a base64url HMAC and
// so already evenly spread.
func subjectBucket[T string | []byte](key T) uint16 {
	var b [3]byte
	if len(key) < 4 {
		return 0
	}
	var text [4]byte
	copy(text[:], key)
	base64.RawURLEncoding.Decode(b[:], text[:])
	return uint16(b[0])<<8 | uint16(b[1])
}

func hex16(n uint16) string {
	var b [4]byte
	return string(appendHex16(b[:0], n))
}

func appendHex16(b []byte, n uint16) []byte {
	const digits = "0123456789abcdef"
	return append(b, digits[n>>12], digits[n>>8&15], digits[n>>4&15], digits[n&15])
}
