package client

import (
	"context"
	"net/http"
	"time"

	"admitone/gateway"
)

// Join asks for a place on the waitlist.
type Join struct {
	Email  string `json:"email"`
	Name   string `json:"name,omitempty"`
	Source string `json:"source,omitempty"`
	Ref    string `json:"ref,omitempty"` // the referral code of another entry
	IP     string `json:"ip,omitempty"`  // the end user's; needs a server key

	Ack            gateway.Durability `json:"-"` // "" is what the policy says
	IdempotencyKey string             `json:"-"` // whoever repeats it gets the same ticket again
}

// Joined is the answer to Join. Of an address that was on the list already,
// whoever shows neither the first join's key nor a server key learns only that:
// Known is true, Message says what to do, and Ticket is "".
type Joined struct {
	Status       gateway.EntryStatus `json:"status"`
	Message      string              `json:"message"`
	Ticket       string              `json:"ticket"` // for watching, leaving and declining
	Position     int                 `json:"position"`
	Total        int                 `json:"total"`
	Priority     int                 `json:"priority"`
	Known        bool                `json:"known"`
	Referred     bool                `json:"referred"`
	ReferralCode string              `json:"referral_code"`
	ReferralLink string              `json:"referral_link"`
	NextPoll     int                 `json:"next_poll_seconds"`
	Receipt      Receipt             `json:"receipt"`
}

// Place is where an entry stands.
type Place struct {
	Status      gateway.EntryStatus `json:"status"`
	Position    int                 `json:"position"` // 1 is the front; 0 when it does not wait
	Ahead       int                 `json:"ahead"`
	Total       int                 `json:"total"`
	ETA         time.Time           `json:"eta,omitzero"`
	AsOf        time.Time           `json:"as_of"`
	Boosts      []gateway.Boost     `json:"boosts"`
	Referrals   int                 `json:"referrals"`
	Unconfirmed bool                `json:"unconfirmed"`
	Offer       *Offer              `json:"offer"`
	NextPoll    int                 `json:"next_poll_seconds"`
}

// Offer is what an entry was given that was let in. Code is "" where a ticket
// that confirms the address is shown the place.
type Offer struct {
	Code      string    `json:"code"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Join takes a place on the waitlist, or answers the one that the address has.
func (c *Client) Join(ctx context.Context, launch string, j Join) (Joined, error) {
	q := request{method: http.MethodPost, path: c.publicPath(launch, "waitlist"), repeatable: true, in: j}
	q.set("Admit-Ack", string(j.Ack))
	q.set("Idempotency-Key", j.IdempotencyKey)
	return answer[Joined](ctx, c, q)
}

// Place reads where the entry of a ticket stands.
func (c *Client) Place(ctx context.Context, launch, ticket string) (Place, error) {
	return c.place(ctx, http.MethodGet, launch, ticket)
}

// Leave takes an entry off the list.
func (c *Client) Leave(ctx context.Context, launch, ticket string) (Place, error) {
	return c.place(ctx, http.MethodDelete, launch, ticket)
}

// Decline gives an offer back.
func (c *Client) Decline(ctx context.Context, launch, ticket string) (Place, error) {
	return c.place(ctx, http.MethodPost, launch, ticket, "decline")
}

// ConfirmAddress confirms the address of an entry, with the ticket of the link
// that was mailed to it.
func (c *Client) ConfirmAddress(ctx context.Context, launch, ticket string) (Place, error) {
	return c.place(ctx, http.MethodPost, launch, ticket, "confirm")
}

func (c *Client) place(ctx context.Context, method, launch, ticket string, verb ...string) (Place, error) {
	parts := append([]string{"waitlist", ticket}, verb...)
	return answer[Place](ctx, c, request{method: method, path: c.publicPath(launch, parts...), repeatable: true})
}
