package client

import (
	"context"
	"net/http"
	"time"

	"admitone/gateway"
)

// NewWebhook is an endpoint with its secret, which is told once.
type NewWebhook struct {
	gateway.WebhookEndpoint
	Secret string `json:"secret"`
}

// WebhookChange makes or changes an endpoint; what is nil is left as it is.
type WebhookChange struct {
	URL         *string  `json:"url,omitempty"`
	Description *string  `json:"description,omitempty"`
	Events      []string `json:"events,omitempty"`
	Codes       *bool    `json:"codes,omitempty"`
	Enabled     *bool    `json:"enabled,omitempty"`
}

// CreateWebhook makes an endpoint. It is never sent twice: a secret that got
// lost is rotated, or its endpoint deleted.
func (c *Client) CreateWebhook(ctx context.Context, launch string, w WebhookChange) (NewWebhook, error) {
	return c.webhookSecret(ctx, c.privatePath(launch, "webhooks"), w)
}

// RotateWebhook gives an endpoint another secret; the one before signs too for
// as long as overlap.
func (c *Client) RotateWebhook(ctx context.Context, launch string, id gateway.ID, overlap time.Duration) (NewWebhook, error) {
	return c.webhookSecret(ctx, c.privatePath(launch, "webhooks", id.String(), "rotate"), struct {
		Overlap gateway.Duration `json:"overlap"`
	}{gateway.Duration(overlap)})
}

func (c *Client) webhookSecret(ctx context.Context, path string, in any) (NewWebhook, error) {
	return answer[NewWebhook](ctx, c, request{method: http.MethodPost, path: path, in: in})
}

// Webhooks lists a launch's endpoints.
func (c *Client) Webhooks(ctx context.Context, launch string) ([]gateway.WebhookEndpoint, error) {
	list, err := get[gateway.List[gateway.WebhookEndpoint]](ctx, c, c.privatePath(launch, "webhooks"), nil)
	return list.Data, err
}

// Webhook reads an endpoint.
func (c *Client) Webhook(ctx context.Context, launch string, id gateway.ID) (gateway.WebhookEndpoint, error) {
	return get[gateway.WebhookEndpoint](ctx, c, c.privatePath(launch, "webhooks", id.String()), nil)
}

// EditWebhook changes an endpoint.
func (c *Client) EditWebhook(ctx context.Context, launch string, id gateway.ID, w WebhookChange) (gateway.WebhookEndpoint, error) {
	return answer[gateway.WebhookEndpoint](ctx, c, request{method: http.MethodPatch, path: c.privatePath(launch, "webhooks", id.String()), repeatable: true, in: w})
}

// DeleteWebhook forgets an endpoint and its log.
func (c *Client) DeleteWebhook(ctx context.Context, launch string, id gateway.ID) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: c.privatePath(launch, "webhooks", id.String()), repeatable: true}, nil)
	return err
}

// Deliveries lists an endpoint's deliveries, newest first; state "" is all.
func (c *Client) Deliveries(ctx context.Context, launch string, id gateway.ID, state string, p gateway.Page) (gateway.List[gateway.WebhookDelivery], error) {
	return get[gateway.List[gateway.WebhookDelivery]](ctx, c, c.privatePath(launch, "webhooks", id.String(), "deliveries"), pageQuery(p, "state", state))
}

// ReplayWebhook sends one delivery again, or with a zero id all that failed
// since a time, and returns how many.
func (c *Client) ReplayWebhook(ctx context.Context, launch string, id, delivery gateway.ID, since time.Time) (int, error) {
	in := struct {
		Delivery string    `json:"delivery,omitempty"`
		Since    time.Time `json:"since,omitzero"`
	}{Since: since}
	if delivery != (gateway.ID{}) {
		in.Delivery = delivery.String()
	}
	out, err := answer[struct{ Replayed int }](ctx, c, request{method: http.MethodPost, path: c.privatePath(launch, "webhooks", id.String(), "replay"), in: in})
	return out.Replayed, err
}
