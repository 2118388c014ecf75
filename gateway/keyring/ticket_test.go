package keyring

import (
	"bytes"
	"testing"
)

func TestTicket(t *testing.T) {
	old := bytes.Repeat([]byte{1}, MinSecret)
	k, err := New(old)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := New(bytes.Repeat([]byte{2}, MinSecret), old)
	if err != nil {
		t.Fatal(err)
	}
	key := k.Subject("l", "ann@x.example")
	for _, purpose := range []string{TicketOwner, TicketReferral, TicketConfirm} {
		ticket := k.Ticket(purpose, "l", key)
		for name, ring := range map[string]*Keyring{"its own": k, "after rotation": rotated} {
			if p, got, ok := ring.OpenTicket("l", ticket); !ok || p != purpose || got.String() != key {
				t.Errorf("%s: %s opens as %s %s, %v", name, ticket, p, got, ok)
			}
		}
		if _, _, ok := k.OpenTicket("m", ticket); ok {
			t.Error("another launch takes it")
		}
		for i := range len(ticket) {
			for _, c := range []byte("Aa0_v") {
				forged := []byte(ticket)
				if forged[i] == c {
					continue
				}
				forged[i] = c
				if p, got, ok := k.OpenTicket("l", string(forged)); ok {
					t.Errorf("%s, forged from %s, opens as %s %s", forged, ticket, p, got)
				}
			}
		}
		for _, cut := range []string{"", ticket[:10], ticket + "A", ticket[4:], "aox_" + ticket[4:]} {
			if _, _, ok := k.OpenTicket("l", cut); ok {
				t.Errorf("%q opens", cut)
			}
		}
	}
	if k.Ticket(TicketOwner, "l", "short") != "" {
		t.Error("a ticket for no entry")
	}
}

func TestSource(t *testing.T) {
	k, err := New(bytes.Repeat([]byte{1}, MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	signed := k.SignSource("l", "producthunt")
	if s, ok := k.VerifySource("l", signed); !ok || s != "producthunt" {
		t.Errorf("%q, %v", s, ok)
	}
	if _, ok := k.VerifySource("m", signed); ok {
		t.Error("another launch takes it")
	}
	if _, ok := k.VerifySource("l", "twitter"+signed[len("producthunt"):]); ok {
		t.Error("another source under the same signature")
	}
}
