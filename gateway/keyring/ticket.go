package keyring

import (
	"crypto/hmac"
	"encoding/base64"

	"admitone/gateway"
)

// What a ticket lets its bearer do, by the letters it opens with.
const (
	TicketOwner    = "aot_" // everything that the entry may: watch, see its offer, leave, decline
	TicketReferral = "aor_" // refer others to the entry
	TicketConfirm  = "aoc_" // confirm the entry's address
)

// ticketSize is the length of every ticket: four letters, then 12 bytes of key
// and 10 of MAC.
const ticketSize = 4 + 30

// Ticket names a waitlist entry for one purpose. It says nothing about the
// person, and nobody else can make one, or one of another purpose from it.
func (k *Keyring) Ticket(purpose, launch, key string) string {
	entry, ok := gateway.ParseEntryKey(key)
	if !ok {
		return ""
	}
	var b [22]byte
	sum := k.cookies[0].sum("ticket", purpose, launch, string(entry[:]))
	copy(b[copy(b[:], entry[:]):], sum[:10])
	return purpose + base64.RawURLEncoding.EncodeToString(b[:])
}

// OpenTicket is the purpose and the entry of a ticket of the launch.
func (k *Keyring) OpenTicket(launch, ticket string) (purpose string, key gateway.EntryKey, ok bool) {
	if len(ticket) != ticketSize {
		return "", key, false
	}
	switch purpose = ticket[:4]; purpose {
	case TicketOwner, TicketReferral, TicketConfirm:
	default:
		return "", key, false
	}
	b, err := decode(ticket[4:])
	if err != nil || len(b) != 22 {
		return "", key, false
	}
	copy(key[:], b)
	for _, m := range k.cookies {
		if sum := m.sum("ticket", purpose, launch, string(key[:])); hmac.Equal(sum[:10], b[12:]) {
			return purpose, key, true
		}
	}
	return "", gateway.EntryKey{}, false
}

// SignSource makes a word that says where people come from one that the launch
// vouches for: word.mac.
func (k *Keyring) SignSource(launch, source string) string { return k.Sign("source:"+launch, source) }

// VerifySource is the source that SignSource signed.
func (k *Keyring) VerifySource(launch, signed string) (source string, ok bool) {
	return k.Verify("source:"+launch, signed)
}
