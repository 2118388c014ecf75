package client

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"admitone/gateway"
)

// Member is a member as the public API shows it.
type Member struct {
	Subject     string         `json:"subject"`
	Member      bool           `json:"member"`
	Tier        string         `json:"tier"`
	Unlock      MemberUnlock   `json:"unlock"`
	Allotment   gateway.Rounds `json:"allotment"`
	Invited     bool           `json:"invited"`
	Referrals   int            `json:"referrals"`
	Leaderboard bool           `json:"leaderboard"`
	JoinedAt    time.Time      `json:"joined_at,omitzero"`

	Credit []gateway.Money `json:"credit"` // balances, one a currency
}

// MemberUnlock is what a member may use, and what is left of it.
type MemberUnlock struct {
	Method    gateway.UnlockMethod `json:"method"`
	Rounds    gateway.Rounds       `json:"rounds"`
	Used      int                  `json:"used"`
	Remaining gateway.Rounds       `json:"remaining"`
	ExpiresAt time.Time            `json:"expires_at,omitzero"`
}

// MemberNow is a member as operators see it.
type MemberNow struct {
	Subject   string               `json:"subject"`
	Member    bool                 `json:"member"`
	Tier      string               `json:"tier"`
	Method    gateway.UnlockMethod `json:"method"`
	Rounds    gateway.Rounds       `json:"rounds"`
	Used      int                  `json:"used_rounds"`
	Remaining gateway.Rounds       `json:"remaining_rounds"`
	Until     time.Time            `json:"unlocked_until,omitzero"`
	Allotment gateway.Rounds       `json:"allotment"`
	Invited   bool                 `json:"invited"`
	Referrals int                  `json:"referrals"`
	Private   bool                 `json:"private"`
	Joined    time.Time            `json:"joined_at,omitzero"`
	Position  uint64               `json:"position"`
}

// Usage is what is left after rounds were used.
type Usage struct {
	Remaining gateway.Rounds `json:"remaining"`
	Unlimited bool           `json:"unlimited"`
}

func (c *Client) memberPath(launch, subject string, parts ...string) string {
	return c.publicPath(launch, append([]string{"members", subject}, parts...)...)
}

// Member reads a member: with a server or read key, or the member's own token.
func (c *Client) Member(ctx context.Context, launch, subject string) (Member, error) {
	return get[Member](ctx, c, c.memberPath(launch, subject), nil)
}

// UseRounds takes rounds from what a member has left. Under an Idempotency-Key
// it may be repeated: they are taken once.
func (c *Client) UseRounds(ctx context.Context, launch, subject string, rounds int, idempotencyKey string) (Usage, error) {
	q := request{method: http.MethodPost, path: c.memberPath(launch, subject, "usage"), in: map[string]int{"rounds": rounds}}
	return answer[Usage](ctx, c, q.under(idempotencyKey))
}

// Active notes something that a member did in the app. With a member token each
// name counts once a day; "activated" and "paid" need a server key.
func (c *Client) Active(ctx context.Context, launch, subject, name string) error {
	q := request{method: http.MethodPost, path: c.memberPath(launch, subject, "activity"), in: map[string]string{"name": name}}
	_, err := c.call(ctx, q, nil)
	return err
}

// ShowOnLeaderboard says whether a member is shown there.
func (c *Client) ShowOnLeaderboard(ctx context.Context, launch, subject string, shown bool) (Member, error) {
	q := request{method: http.MethodPut, path: c.memberPath(launch, subject, "preferences"), repeatable: true, in: map[string]bool{"leaderboard": shown}}
	return answer[Member](ctx, c, q)
}

// Members lists members as Postgres knows them.
func (c *Client) Members(ctx context.Context, launch string, f gateway.MemberFilter, p gateway.Page) (gateway.List[gateway.MemberRow], error) {
	return get[gateway.List[gateway.MemberRow]](ctx, c, c.privatePath(launch, "members"), pageQuery(p, "email", f.Email, "tier", f.Tier, "method", string(f.Method)))
}

// MemberNow reads a member on the private listener.
func (c *Client) MemberNow(ctx context.Context, launch, subject string) (MemberNow, error) {
	return get[MemberNow](ctx, c, c.privatePath(launch, "members", subject), nil)
}

// GrantInvites adds to a member's allotment. It is not repeated by itself.
func (c *Client) GrantInvites(ctx context.Context, launch, subject string, invites int, why string) (MemberNow, error) {
	q := request{method: http.MethodPost, path: c.privatePath(launch, "members", subject, "grant"), in: map[string]any{"invites": invites, "note": why}}
	return answer[MemberNow](ctx, c, q)
}

// SetTier gives a member a tier; "" is the campaign's again.
func (c *Client) SetTier(ctx context.Context, launch, subject, tier, why string) (MemberNow, error) {
	return put[MemberNow](ctx, c, c.privatePath(launch, "members", subject, "tier"), map[string]string{"tier": tier, "note": why})
}

// EraseMember takes what names a member out of everything that is kept.
func (c *Client) EraseMember(ctx context.Context, launch, subject, why string) (MemberNow, error) {
	return put[MemberNow](ctx, c, c.privatePath(launch, "members", subject, "erase"), note{why})
}

// Invite is a code that a member gives away.
type Invite struct {
	Code      string    `json:"code"`
	Link      string    `json:"link"` // a path of the public listener
	Recipient string    `json:"recipient"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Invited are invites minted, and what may still be minted.
type Invited struct {
	Invites    []Invite           `json:"invites"`
	Allotment  gateway.Rounds     `json:"allotment"`
	Durability gateway.Durability `json:"-"` // of the minting
}

// Invite mints invites from a member's allotment; with an e-mail address one
// that only this address can redeem. Under an Idempotency-Key it may be
// repeated: the same ones are answered.
func (c *Client) Invite(ctx context.Context, launch, subject string, count int, email, idempotencyKey string) (Invited, error) {
	q := request{method: http.MethodPost, path: c.memberPath(launch, subject, "invites"), repeatable: idempotencyKey != ""}
	q.set("Idempotency-Key", idempotencyKey)
	body := map[string]any{"count": count}
	if email != "" {
		body["email"] = email
	}
	if err := q.json(body); err != nil {
		return Invited{}, err
	}
	var made Invited
	response, err := c.call(ctx, q, &made)
	if err == nil {
		made.Durability = gateway.Durability(response.Header.Get("Admit-Durability"))
	}
	return made, err
}

// Invites lists the codes that a member gave away, newest first.
func (c *Client) Invites(ctx context.Context, launch, subject string, p gateway.Page) (gateway.List[gateway.InviteRow], error) {
	return get[gateway.List[gateway.InviteRow]](ctx, c, c.memberPath(launch, subject, "invites"), pageQuery(p))
}

// RevokeInvite takes back an invite that nobody has used, and tells the
// allotment that it went back to.
func (c *Client) RevokeInvite(ctx context.Context, launch, subject, code string) (gateway.Rounds, error) {
	var left struct {
		Allotment gateway.Rounds `json:"allotment"`
	}
	_, err := c.call(ctx, request{method: http.MethodDelete, path: c.memberPath(launch, subject, "invites", code), repeatable: true}, &left)
	return left.Allotment, err
}

// Referrals lists who came by a member's invites, and by theirs, so deep.
func (c *Client) Referrals(ctx context.Context, launch, subject string, depth int, p gateway.Page) (gateway.List[gateway.ReferralRow], error) {
	return get[gateway.List[gateway.ReferralRow]](ctx, c, c.memberPath(launch, subject, "referrals"), pageQuery(p, "depth", strconv.Itoa(depth)))
}

// Leaderboard lists the members with the most referrals.
func (c *Client) Leaderboard(ctx context.Context, launch string, most int) ([]gateway.LeaderRow, error) {
	list, err := get[gateway.List[gateway.LeaderRow]](ctx, c, c.publicPath(launch, "leaderboard"), pageQuery(gateway.Page{Limit: most}))
	return list.Data, err
}
