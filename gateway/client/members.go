package client

import (
	"context"
	"net/http"
	"net/url"
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
	var m Member
	_, err := c.call(ctx, request{method: http.MethodGet, base: c.public, path: c.memberPath(launch, subject), repeatable: true}, &m)
	return m, err
}

// UseRounds takes rounds from what a member has left. Under an Idempotency-Key
// it may be repeated: they are taken once.
func (c *Client) UseRounds(ctx context.Context, launch, subject string, rounds int, idempotencyKey string) (Usage, error) {
	q := request{method: http.MethodPost, base: c.public, path: c.memberPath(launch, subject, "usage"), repeatable: idempotencyKey != ""}
	q.set("Idempotency-Key", idempotencyKey)
	if err := q.json(map[string]int{"rounds": rounds}); err != nil {
		return Usage{}, err
	}
	var u Usage
	_, err := c.call(ctx, q, &u)
	return u, err
}

// Active notes something that a member did in the app.
func (c *Client) Active(ctx context.Context, launch, subject, name string) error {
	q := request{method: http.MethodPost, base: c.public, path: c.memberPath(launch, subject, "activity")}
	if err := q.json(map[string]string{"name": name}); err != nil {
		return err
	}
	_, err := c.call(ctx, q, nil)
	return err
}

// ShowOnLeaderboard says whether a member is shown there.
func (c *Client) ShowOnLeaderboard(ctx context.Context, launch, subject string, shown bool) (Member, error) {
	q := request{method: http.MethodPut, base: c.public, path: c.memberPath(launch, subject, "preferences"), repeatable: true}
	if err := q.json(map[string]bool{"leaderboard": shown}); err != nil {
		return Member{}, err
	}
	var m Member
	_, err := c.call(ctx, q, &m)
	return m, err
}

// Members lists members as Postgres knows them.
func (c *Client) Members(ctx context.Context, launch string, f gateway.MemberFilter, p gateway.Page) (gateway.List[gateway.MemberRow], error) {
	q := pageQuery(p)
	for name, value := range map[string]string{"email": f.Email, "tier": f.Tier, "method": string(f.Method)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	var list gateway.List[gateway.MemberRow]
	err := c.get(ctx, c.privatePath(launch, "members"), q, &list)
	return list, err
}

// MemberNow reads a member on the private listener.
func (c *Client) MemberNow(ctx context.Context, launch, subject string) (MemberNow, error) {
	var m MemberNow
	err := c.get(ctx, c.privatePath(launch, "members", subject), nil, &m)
	return m, err
}

// GrantInvites adds to a member's allotment. It is not repeated by itself.
func (c *Client) GrantInvites(ctx context.Context, launch, subject string, invites int, why string) (MemberNow, error) {
	q := request{method: http.MethodPost, base: c.private, path: c.privatePath(launch, "members", subject, "grant")}
	if err := q.json(map[string]any{"invites": invites, "note": why}); err != nil {
		return MemberNow{}, err
	}
	var m MemberNow
	_, err := c.call(ctx, q, &m)
	return m, err
}

// SetTier gives a member a tier; "" is the campaign's again.
func (c *Client) SetTier(ctx context.Context, launch, subject, tier, why string) (MemberNow, error) {
	var m MemberNow
	err := c.put(ctx, c.privatePath(launch, "members", subject, "tier"), map[string]string{"tier": tier, "note": why}, &m)
	return m, err
}

// EraseMember takes what names a member out of everything that is kept.
func (c *Client) EraseMember(ctx context.Context, launch, subject, why string) (MemberNow, error) {
	var m MemberNow
	err := c.put(ctx, c.privatePath(launch, "members", subject, "erase"), note{why}, &m)
	return m, err
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
	Invites   []Invite       `json:"invites"`
	Allotment gateway.Rounds `json:"allotment"`
}

// Invite mints invites from a member's allotment; with an e-mail address one
// that only this address can redeem. Under an Idempotency-Key it may be
// repeated: the same ones are answered.
func (c *Client) Invite(ctx context.Context, launch, subject string, count int, email, idempotencyKey string) (Invited, error) {
	q := request{method: http.MethodPost, base: c.public, path: c.memberPath(launch, subject, "invites"), repeatable: idempotencyKey != ""}
	q.set("Idempotency-Key", idempotencyKey)
	body := map[string]any{"count": count}
	if email != "" {
		body["email"] = email
	}
	if err := q.json(body); err != nil {
		return Invited{}, err
	}
	var made Invited
	_, err := c.call(ctx, q, &made)
	return made, err
}

// Invites lists the codes that a member gave away, newest first.
func (c *Client) Invites(ctx context.Context, launch, subject string, p gateway.Page) (gateway.List[gateway.InviteRow], error) {
	var list gateway.List[gateway.InviteRow]
	_, err := c.call(ctx, request{method: http.MethodGet, base: c.public, path: c.memberPath(launch, subject, "invites"), query: pageQuery(p), repeatable: true}, &list)
	return list, err
}

// RevokeInvite takes back an invite that nobody has used, and tells the
// allotment that it went back to.
func (c *Client) RevokeInvite(ctx context.Context, launch, subject, code string) (gateway.Rounds, error) {
	var left struct {
		Allotment gateway.Rounds `json:"allotment"`
	}
	_, err := c.call(ctx, request{method: http.MethodDelete, base: c.public, path: c.memberPath(launch, subject, "invites", code), repeatable: true}, &left)
	return left.Allotment, err
}

// Referrals lists who came by a member's invites, and by theirs, so deep.
func (c *Client) Referrals(ctx context.Context, launch, subject string, depth int, p gateway.Page) (gateway.List[gateway.ReferralRow], error) {
	query := pageQuery(p)
	query.Set("depth", strconv.Itoa(depth))
	var list gateway.List[gateway.ReferralRow]
	_, err := c.call(ctx, request{method: http.MethodGet, base: c.public, path: c.memberPath(launch, subject, "referrals"), query: query, repeatable: true}, &list)
	return list, err
}

// Leaderboard lists the members with the most referrals.
func (c *Client) Leaderboard(ctx context.Context, launch string, most int) ([]gateway.LeaderRow, error) {
	var list struct {
		Data []gateway.LeaderRow `json:"data"`
	}
	_, err := c.call(ctx, request{
		method: http.MethodGet, base: c.public, path: c.publicPath(launch, "leaderboard"), query: url.Values{"limit": {strconv.Itoa(most)}}, repeatable: true,
	}, &list)
	return list.Data, err
}
