package admin

import (
	"net/http"
	"time"

	"admitone/gateway"
)

// webhookBody makes or changes an endpoint; what it leaves out stays as it is.
type webhookBody struct {
	URL         *string  `json:"url"`
	Description *string  `json:"description"`
	Events      []string `json:"events"`
	Codes       *bool    `json:"codes"`
	Enabled     *bool    `json:"enabled"`
}

func (b *webhookBody) apply(e *gateway.WebhookEndpoint) {
	set(&e.URL, b.URL)
	set(&e.Description, b.Description)
	set(&e.Codes, b.Codes)
	if b.Events != nil {
		e.Events = b.Events
	}
	switch {
	case b.Enabled == nil:
	case *b.Enabled:
		e.Reason = ""
	case e.Reason == "":
		e.Reason = gateway.WebhookOperator
	}
}

// webhookSecret is an endpoint in the answer that tells its secret, the only
// one that does.
type webhookSecret struct {
	gateway.WebhookEndpoint
	Secret string `json:"secret"`
}

func (s *server) createWebhook(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	var b webhookBody
	if err := c.decode(&b); err != nil {
		return err
	}
	if b.Enabled != nil {
		return gateway.Invalid("enabled", "A new endpoint is enabled; leave this out.")
	}
	e := gateway.WebhookEndpoint{Events: []string{"*"}}
	b.apply(&e)
	e, secret, err := s.Queue.CreateWebhook(c.r.Context(), l.Name, e)
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, webhookSecret{e, secret})
}

func (s *server) listWebhooks(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	list, err := s.Ledger.Webhooks(c.r.Context(), l.Name)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"data": orEmpty(list), "has_more": false})
}

// webhook finds the endpoint of the path.
func (c *call) webhook(s *server) (*gateway.Launch, gateway.WebhookEndpoint, error) {
	l, err := c.launch(s)
	if err != nil {
		return nil, gateway.WebhookEndpoint{}, err
	}
	id, err := c.pathID("id", gateway.NotFound)
	if err != nil {
		return nil, gateway.WebhookEndpoint{}, err
	}
	e, err := s.Ledger.Webhook(c.r.Context(), l.Name, id)
	return l, e, err
}

func (s *server) getWebhook(c *call) error {
	_, e, err := c.webhook(s)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, e)
}

func (s *server) editWebhook(c *call) error {
	l, e, err := c.webhook(s)
	if err != nil {
		return err
	}
	var b webhookBody
	if err := c.decode(&b); err != nil {
		return err
	}
	b.apply(&e)
	if err := s.Queue.PutWebhook(c.r.Context(), l.Name, e); err != nil {
		return err
	}
	return s.getWebhook(c)
}

func (s *server) deleteWebhook(c *call) error {
	l, e, err := c.webhook(s)
	if err != nil {
		return err
	}
	if err := s.Ledger.DeleteWebhook(c.r.Context(), l.Name, e.ID); err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"deleted": e.ID})
}

// The overlap of a rotation: how long the secret before signs too.
const (
	overlapDefault = 24 * time.Hour
	overlapMost    = 7 * 24 * time.Hour
)

func (s *server) rotateWebhook(c *call) error {
	l, e, err := c.webhook(s)
	if err != nil {
		return err
	}
	b := struct {
		Overlap gateway.Duration `json:"overlap"`
	}{gateway.Duration(overlapDefault)}
	if c.r.ContentLength != 0 {
		if err := c.decode(&b); err != nil {
			return err
		}
	}
	if b.Overlap > gateway.Duration(overlapMost) {
		return gateway.Invalid("overlap", `Use a duration up to "7d"; "" ends the old secret at once.`)
	}
	secret, err := s.Queue.RotateWebhook(c.r.Context(), l.Name, e.ID, time.Duration(b.Overlap))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, webhookSecret{e, secret})
}

func (s *server) replayWebhook(c *call) error {
	l, e, err := c.webhook(s)
	if err != nil {
		return err
	}
	var b struct {
		Delivery string    `json:"delivery"`
		Since    time.Time `json:"since"`
	}
	if err := c.decode(&b); err != nil {
		return err
	}
	r := gateway.WebhookReplay{Since: b.Since}
	switch {
	case (b.Delivery == "") == b.Since.IsZero():
		return gateway.Invalid("delivery", "Give the id of one delivery, or since for all that failed since a time.")
	case b.Delivery != "":
		if r.Delivery, err = gateway.ParseID(b.Delivery); err != nil {
			return gateway.Invalid("delivery", "Use the id of a delivery.")
		}
	}
	n, err := s.Queue.ReplayWebhook(c.r.Context(), l.Name, e.ID, r)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"replayed": n})
}

func (s *server) listDeliveries(c *call) error {
	l, e, err := c.webhook(s)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	state := c.r.URL.Query().Get("state")
	switch state {
	case "", gateway.WebhookPending, gateway.WebhookDelivered, gateway.WebhookFailed:
	default:
		return gateway.Invalid("state", "Use pending, delivered or failed.")
	}
	list, err := s.Ledger.Deliveries(c.r.Context(), l.Name, e.ID, state, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}
