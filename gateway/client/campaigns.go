package client

import (
	"context"
	"net/http"
	"time"

	"admitone/gateway"
)

// Campaign is what a campaign is made of, or changed by. What is left out (nil
// or "") has the policy's default for the type, or stays as it is.
type Campaign struct {
	Name       string               `json:"name,omitempty"`
	Kind       gateway.Kind         `json:"kind,omitempty"`
	Type       gateway.CampaignType `json:"type,omitempty"`
	Tier       *string              `json:"tier,omitempty"`
	Channel    *string              `json:"channel,omitempty"`
	MaxUses    int                  `json:"max_uses,omitempty"`
	Starts     *time.Time           `json:"starts_at,omitempty"`
	Ends       *time.Time           `json:"ends_at,omitempty"`
	Expires    *gateway.Duration    `json:"expires,omitempty"`
	Format     string               `json:"format,omitempty"`
	Prefix     string               `json:"prefix,omitempty"`
	Period     string               `json:"period,omitempty"`
	Cap        *int                 `json:"cap,omitempty"`
	PerSubject *int                 `json:"per_subject,omitempty"`
	Pace       *gateway.Rate        `json:"pace,omitempty"`
	Vanity     *bool                `json:"vanity,omitempty"`
}

// CreateCampaign makes a campaign.
func (c *Client) CreateCampaign(ctx context.Context, launch string, in Campaign) (gateway.Campaign, error) {
	return answer[gateway.Campaign](ctx, c, request{method: http.MethodPost, path: c.privatePath(launch, "campaigns"), in: in}.under(fresh()))
}

// fresh is an Idempotency-Key for one request: the gateway does once what it
// asks for, however often it is sent.
func fresh() string { return gateway.NewID(time.Now()).String() }

// Campaigns lists a launch's campaigns.
func (c *Client) Campaigns(ctx context.Context, launch string) ([]gateway.Campaign, error) {
	list, err := get[gateway.List[gateway.Campaign]](ctx, c, c.privatePath(launch, "campaigns"), nil)
	return list.Data, err
}

// Campaign reads a campaign by its name or id.
func (c *Client) Campaign(ctx context.Context, launch, campaign string) (gateway.Campaign, error) {
	return get[gateway.Campaign](ctx, c, c.privatePath(launch, "campaigns", campaign), nil)
}

// EditCampaign changes what in says, and nothing else.
func (c *Client) EditCampaign(ctx context.Context, launch, campaign string, in Campaign) (gateway.Campaign, error) {
	return answer[gateway.Campaign](ctx, c, request{method: http.MethodPatch, path: c.privatePath(launch, "campaigns", campaign), repeatable: true, in: in})
}

// PauseCampaign stops redemptions of its codes for a while.
func (c *Client) PauseCampaign(ctx context.Context, launch, campaign, why string) (gateway.Campaign, error) {
	return c.setCampaign(ctx, launch, campaign, "pause", why)
}

// ResumeCampaign ends a pause.
func (c *Client) ResumeCampaign(ctx context.Context, launch, campaign, why string) (gateway.Campaign, error) {
	return c.setCampaign(ctx, launch, campaign, "resume", why)
}

// RevokeCampaign revokes all of its codes at once.
func (c *Client) RevokeCampaign(ctx context.Context, launch, campaign, why string) (gateway.Campaign, error) {
	return c.setCampaign(ctx, launch, campaign, "revoke", why)
}

// ReinstateCampaign takes its revocation back.
func (c *Client) ReinstateCampaign(ctx context.Context, launch, campaign, why string) (gateway.Campaign, error) {
	return c.setCampaign(ctx, launch, campaign, "reinstate", why)
}

func (c *Client) setCampaign(ctx context.Context, launch, campaign, verb, why string) (gateway.Campaign, error) {
	return put[gateway.Campaign](ctx, c, c.privatePath(launch, "campaigns", campaign, verb), note{why})
}
