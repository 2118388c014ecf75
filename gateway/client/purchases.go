package client

import (
	"context"
	"net/http"
	"net/url"

	"admitone/gateway"
)

// Purchase is what a back end knows of a payment; any part may be missing, and
// it may be told in any order and any number of times.
type Purchase struct {
	ID       string   `json:"id"`
	Event    string   `json:"event,omitempty"`
	Subject  string   `json:"subject,omitempty"`
	Amount   int      `json:"amount,omitempty"` // minor units
	Currency string   `json:"currency,omitempty"`
	Refunded int      `json:"refunded,omitempty"` // minor units in all
	Dispute  *Dispute `json:"dispute,omitempty"`
}

// Dispute is a payment that its payer's bank asks back.
type Dispute struct {
	ID     string               `json:"id"`
	Status gateway.DisputeState `json:"status"`
}

// Purchased is what a purchase came to.
type Purchased struct {
	ID     string               `json:"id"`
	Reward gateway.RewardStatus `json:"reward"`
	Known  bool                 `json:"known"` // it was told before
}

// Purchase tells of a payment; it needs a server key.
func (c *Client) Purchase(ctx context.Context, launch string, p Purchase) (Purchased, error) {
	return put[Purchased](ctx, c, c.publicPath(launch, "purchases"), p)
}

// Stripe sends an event as Stripe would: the raw body and its Stripe-Signature.
func (c *Client) Stripe(ctx context.Context, launch string, body []byte, signature string) (Purchased, error) {
	q := request{method: http.MethodPost, path: c.publicPath(launch, "hooks", "stripe"), contentType: "application/json", body: body, repeatable: true}
	q.set("Stripe-Signature", signature)
	return answer[Purchased](ctx, c, q)
}

// Gumroad sends a ping as Gumroad would, and tells what its licence key is now.
func (c *Client) Gumroad(ctx context.Context, launch, token string, form url.Values) (string, error) {
	q := request{
		method: http.MethodPost, path: c.publicPath(launch, "hooks", "gumroad"), query: url.Values{"token": {token}},
		contentType: "application/x-www-form-urlencoded", body: []byte(form.Encode()), repeatable: true,
	}
	var v struct {
		License string `json:"license"`
	}
	_, err := c.call(ctx, q, &v)
	return v.License, err
}

// ReferralCode is a code that a member refers people by.
type ReferralCode struct {
	Code          string `json:"code"`
	ShareLink     string `json:"share_link"`
	RemainingUses int    `json:"remaining_uses"`
	MaxUses       int    `json:"max_uses"`
}

// ReferralValidity says whether a referral code could be used.
type ReferralValidity struct {
	Valid         bool   `json:"valid"`
	Message       string `json:"message"`
	RemainingUses int    `json:"remaining_uses"`
}

// ReferralStats is what a member's referrals came to.
type ReferralStats struct {
	Code          string `json:"code"`
	RemainingUses int    `json:"remaining_uses"`
	MaxUses       int    `json:"max_uses"`
	gateway.ReferralStats
}

// ReferralCode is a member's code, made when it is first asked for: the
// member's own with its token (subject ""), anybody's with a server key.
func (c *Client) ReferralCode(ctx context.Context, launch, subject string) (ReferralCode, error) {
	return get[ReferralCode](ctx, c, c.publicPath(launch, "referral", "code"), pageQuery(gateway.Page{}, "subject", subject))
}

// ReferralStats is what a member's referrals came to.
func (c *Client) ReferralStats(ctx context.Context, launch, subject string) (ReferralStats, error) {
	return get[ReferralStats](ctx, c, c.publicPath(launch, "referral", "stats"), pageQuery(gateway.Page{Limit: 100}, "subject", subject))
}

// ValidateReferral asks whether a referral code could be used.
func (c *Client) ValidateReferral(ctx context.Context, launch, code string) (ReferralValidity, error) {
	return put[ReferralValidity](ctx, c, c.publicPath(launch, "referral", "validate"), map[string]string{"code": code})
}

// Rewards lists friends' rewards; referrer "" is everybody's.
func (c *Client) Rewards(ctx context.Context, launch string, status gateway.RewardStatus, referrer string, p gateway.Page) (gateway.List[gateway.RewardRow], error) {
	return get[gateway.List[gateway.RewardRow]](ctx, c, c.privatePath(launch, "rewards"), pageQuery(p, "status", string(status), "referrer", referrer))
}

// DecideReward approves or rejects the reward for a friend's purchase.
func (c *Client) DecideReward(ctx context.Context, launch, subject string, d gateway.RewardDecision, why string) (gateway.RewardStatus, error) {
	v, err := put[struct {
		Status gateway.RewardStatus `json:"status"`
	}](ctx, c, c.privatePath(launch, "rewards", subject, string(d)), note{why})
	return v.Status, err
}
