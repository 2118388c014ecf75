package client

import (
	"context"
	"io"
	"net/http"
	"time"

	"admitone/gateway"
)

// Redeem asks for one use of a code. A request that is sent twice is one
// redemption: the same subject and code name it.
type Redeem struct {
	Code    string `json:"code,omitempty"`
	Subject string `json:"subject,omitempty"`
	Email   string `json:"email,omitempty"`
	Name    string `json:"name,omitempty"`
	Source  string `json:"source,omitempty"`
	Mode    string `json:"mode,omitempty"` // commit (also "") or hold
	IP      string `json:"ip,omitempty"`   // the end user's; needs a server key

	Ack            gateway.Durability `json:"-"` // "" is what the policy says
	IdempotencyKey string             `json:"-"` // whoever repeats it gets the member token again
	Cookie         string             `json:"-"` // the attribution cookie, "name=value", where no code is given
}

// Redemption is the answer to Redeem.
type Redemption struct {
	ID          gateway.ID     `json:"id"`
	Status      gateway.Status `json:"status"`
	Code        string         `json:"code"`
	Campaign    string         `json:"campaign"`
	Subject     string         `json:"subject"`
	Tier        string         `json:"tier"`
	Unlock      Unlock         `json:"unlock"`
	ExpiresAt   time.Time      `json:"expires_at,omitzero"` // of a hold
	Referred    bool           `json:"referred"`            // a member invited the subject
	Message     string         `json:"message"`             // why there is no referral, with the status "registered"
	Allotment   gateway.Rounds `json:"allotment"`
	MemberToken string         `json:"member_token"`
	Receipt     Receipt        `json:"receipt"`
	Replayed    bool           `json:"replayed"`
	// Late says that Postgres was waited for in vain: the redemption stands,
	// accepted.
	Late bool `json:"-"`
}

// Receipt says how safe the decision is, and where it stands in the journal.
type Receipt struct {
	Durability gateway.Durability `json:"durability"`
	Position   uint64             `json:"position"`
}

// Unlock is what a redemption gives.
type Unlock struct {
	Method    string         `json:"method"`
	Rounds    gateway.Rounds `json:"rounds"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
}

// Validation says whether a code could be redeemed.
type Validation struct {
	Valid     bool           `json:"valid"`
	Code      string         `json:"code"`
	Tier      string         `json:"tier"`
	Remaining int            `json:"remaining_uses"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
	Reason    gateway.Reason `json:"reason"`
	Message   string         `json:"message"`
}

func (c *Client) publicPath(launch string, parts ...string) string {
	return path("/v1/launches", append([]string{launch}, parts...)...)
}

// Redeem uses a code, or answers the same redemption again.
func (c *Client) Redeem(ctx context.Context, launch string, r Redeem) (Redemption, error) {
	q := request{method: http.MethodPost, path: c.publicPath(launch, "redemptions"), repeatable: true, in: r}
	q.set("Admit-Ack", string(r.Ack))
	q.set("Idempotency-Key", r.IdempotencyKey)
	q.set("Cookie", r.Cookie)
	return c.redemption(ctx, q)
}

// Redemption reads a redemption: with an API key, or the member's own token.
func (c *Client) Redemption(ctx context.Context, launch string, id gateway.ID) (Redemption, error) {
	return c.redemption(ctx, request{method: http.MethodGet, path: c.publicPath(launch, "redemptions", id.String()), repeatable: true})
}

// Confirm makes a hold a redemption.
func (c *Client) Confirm(ctx context.Context, launch string, id gateway.ID) (Redemption, error) {
	return c.redemption(ctx, request{method: http.MethodPost, path: c.publicPath(launch, "redemptions", id.String(), "confirm"), repeatable: true})
}

// Release gives a held use back.
func (c *Client) Release(ctx context.Context, launch string, id gateway.ID) (Redemption, error) {
	return c.redemption(ctx, request{method: http.MethodPost, path: c.publicPath(launch, "redemptions", id.String(), "release"), repeatable: true})
}

func (c *Client) redemption(ctx context.Context, q request) (Redemption, error) {
	var r Redemption
	response, err := c.call(ctx, q, &r)
	if err == nil {
		r.Late = response.StatusCode == http.StatusAccepted
	}
	return r, err
}

// Validate asks whether a code could be redeemed, without using it. ip is the
// end user's address, "" for the caller's own.
func (c *Client) Validate(ctx context.Context, launch, code, ip string) (Validation, error) {
	return put[Validation](ctx, c, c.publicPath(launch, "validations"), struct {
		Code string `json:"code"`
		IP   string `json:"ip,omitempty"`
	}{code, ip})
}

// Visit follows an invitation link: where it leads ("" if the launch has no
// landing page), and the cookies that it sets.
func (c *Client) Visit(ctx context.Context, launch, code string) (location string, cookies []*http.Cookie, err error) {
	response, err := c.send(ctx, request{method: http.MethodGet, path: path("/i", launch, code)})
	if err != nil {
		return "", nil, err
	}
	defer finish(response)
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxProblem))
	return response.Header.Get("Location"), response.Cookies(), err
}
