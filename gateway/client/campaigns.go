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
	q := request{method: http.MethodPost, base: c.private, path: c.privatePath(launch, "campaigns")}
	if err := q.json(in); err != nil {
		return gateway.Campaign{}, err
	}
	q.once()
	var out gateway.Campaign
	_, err := c.call(ctx, q, &out)
	return out, err
}

// once gives a request an Idempotency-Key of its own: the gateway then answers
// it once, however often it is sent.
func (r *request) once() {
	r.set("Idempotency-Key", gateway.NewID(time.Now()).String())
	r.repeatable = true
}

// Campaigns lists a launch's campaigns.
func (c *Client) Campaigns(ctx context.Context, launch string) ([]gateway.Campaign, error) {
	var list gateway.List[gateway.Campaign]
	err := c.get(ctx, c.privatePath(launch, "campaigns"), nil, &list)
	return list.Data, err
}

// Campaign reads a campaign by its name or id.
func (c *Client) Campaign(ctx context.Context, launch, campaign string) (gateway.Campaign, error) {
	var out gateway.Campaign
	err := c.get(ctx, c.privatePath(launch, "campaigns", campaign), nil, &out)
	return out, err
}

// EditCampaign changes what in says, and nothing else.
func (c *Client) EditCampaign(ctx context.Context, launch, campaign string, in Campaign) (gateway.Campaign, error) {
	q := request{method: http.MethodPatch, base: c.private, path: c.privatePath(launch, "campaigns", campaign), repeatable: true}
	if err := q.json(in); err != nil {
		return gateway.Campaign{}, err
	}
	var out gateway.Campaign
	_, err := c.call(ctx, q, &out)
	return out, err
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
	var out gateway.Campaign
	err := c.put(ctx, c.privatePath(launch, "campaigns", campaign, verb), note{why}, &out)
	return out, err
}
