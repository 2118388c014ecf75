package client

import (
	"context"
	"net/http"
	"time"

	"admitone/gateway"
)

// NewKey is an API key with its secret, which is told once.
type NewKey struct {
	gateway.APIKey
	Secret string `json:"secret"`
}

const keysPath = adminPath + "/keys"

// CreateKey makes an API key. A launch of "" is all launches, a zero time no
// expiry. It is never sent twice: a secret that got lost is revoked.
func (c *Client) CreateKey(ctx context.Context, name string, scopes []gateway.Scope, launch string, expires time.Time) (NewKey, error) {
	return answer[NewKey](ctx, c, request{method: http.MethodPost, path: keysPath, in: struct {
		Name      string          `json:"name"`
		Scopes    []gateway.Scope `json:"scopes"`
		Launch    string          `json:"launch,omitempty"`
		ExpiresAt time.Time       `json:"expires_at,omitzero"`
	}{name, scopes, launch, expires}})
}

// Keys lists the API keys, without their secrets.
func (c *Client) Keys(ctx context.Context) ([]gateway.APIKey, error) {
	list, err := get[gateway.List[gateway.APIKey]](ctx, c, keysPath, nil)
	return list.Data, err
}

// RevokeKey ends an API key.
func (c *Client) RevokeKey(ctx context.Context, id gateway.ID) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: path(keysPath, id.String()), repeatable: true}, nil)
	return err
}
