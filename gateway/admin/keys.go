package admin

import (
	"net/http"
	"time"

	"admitone/gateway"
)

// keyBody asks for an API key.
type keyBody struct {
	Name      string          `json:"name"`
	Scopes    []gateway.Scope `json:"scopes"`
	Launch    string          `json:"launch"`
	ExpiresAt time.Time       `json:"expires_at"`
}

// createKey makes an API key; its secret is in this answer and nowhere else.
func (s *server) createKey(c *call) error {
	var b keyBody
	if err := c.decode(&b); err != nil {
		return err
	}
	now := time.Now().UTC()
	if err := gateway.ValidName("name", b.Name); err != nil {
		return err
	}
	if len(b.Scopes) == 0 {
		return gateway.Invalid("scopes", `Give one or more of "server", "admin" and "read".`)
	}
	for _, scope := range b.Scopes {
		if scope != gateway.ScopeServer && scope != gateway.ScopeAdmin && scope != gateway.ScopeRead {
			return gateway.Invalid("scopes", `Use "server", "admin" or "read".`)
		}
	}
	switch {
	case b.Launch != "" && !gateway.ValidLaunchName(b.Launch):
		return gateway.Invalid("launch", `Use a launch's name, or "" for all.`)
	case !b.ExpiresAt.IsZero() && !b.ExpiresAt.After(now):
		return gateway.Invalid("expires_at", "Use a time to come, or leave it out.")
	}
	secret := gateway.NewAPIKey()
	k := gateway.APIKey{ID: gateway.NewID(now), Name: b.Name, Scopes: b.Scopes, Launch: b.Launch, ExpiresAt: b.ExpiresAt, Created: now}
	if err := s.Ledger.CreateKey(c.r.Context(), k, gateway.HashAPIKey(secret)); err != nil {
		return err
	}
	return c.answer(http.StatusCreated, struct {
		gateway.APIKey
		Secret string `json:"secret"`
	}{k, secret})
}

func (s *server) listKeys(c *call) error {
	keys, err := s.Ledger.Keys(c.r.Context())
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"data": orEmpty(keys), "has_more": false})
}

func (s *server) revokeKey(c *call) error {
	id, err := c.pathID("id", gateway.NotFound)
	if err != nil {
		return err
	}
	if err := s.Ledger.RevokeKey(c.r.Context(), id); err != nil {
		return err
	}
	s.Keys.Forget()
	return c.answer(http.StatusOK, map[string]any{"revoked": id})
}
