package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"admitone/gateway"
)

// RedemptionNow is a redemption as Redis knows it, for operators.
type RedemptionNow struct {
	ID        gateway.ID     `json:"id"`
	Status    gateway.Status `json:"status"`
	Code      string         `json:"code"`
	Campaign  string         `json:"campaign"`
	At        time.Time      `json:"created_at"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
	Position  uint64         `json:"position"`
}

// Redemptions lists redemptions, newest first, as Postgres knows them.
func (c *Client) Redemptions(ctx context.Context, launch string, f gateway.RedemptionFilter, p gateway.Page) (gateway.List[gateway.RedemptionRow], error) {
	return get[gateway.List[gateway.RedemptionRow]](ctx, c, c.privatePath(launch, "redemptions"), pageQuery(p, "campaign", f.Campaign, "subject", f.Subject, "code", string(f.Code), "status", string(f.Status)))
}

// RedemptionNow reads a redemption on the private listener.
func (c *Client) RedemptionNow(ctx context.Context, launch string, id gateway.ID) (RedemptionNow, error) {
	return get[RedemptionNow](ctx, c, c.privatePath(launch, "redemptions", id.String()), nil)
}

// Rollback takes a committed redemption back; why is for the audit trail.
func (c *Client) Rollback(ctx context.Context, launch string, id gateway.ID, why string) (RedemptionNow, error) {
	return put[RedemptionNow](ctx, c, c.privatePath(launch, "redemptions", id.String(), "rollback"), note{why})
}

// Stats are a launch's figures.
func (c *Client) Stats(ctx context.Context, launch string) (gateway.Stats, error) {
	return get[gateway.Stats](ctx, c, c.privatePath(launch, "stats"), nil)
}

// Analytics are a launch's funnels and what follows from them.
func (c *Client) Analytics(ctx context.Context, launch string) (gateway.Analytics, error) {
	return get[gateway.Analytics](ctx, c, c.privatePath(launch, "analytics"), nil)
}

// AnalyticsCSV writes a launch's funnels as CSV.
func (c *Client) AnalyticsCSV(ctx context.Context, launch string, to io.Writer) error {
	response, err := c.send(ctx, request{
		method: http.MethodGet, path: c.privatePath(launch, "analytics"), query: url.Values{"format": {"csv"}}, repeatable: true,
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(to, response.Body); err != nil {
		return fmt.Errorf("client: the answer broke off: %w", err)
	}
	return nil
}

// Events lists what operators did to a launch, newest first.
func (c *Client) Events(ctx context.Context, launch string, p gateway.Page) (gateway.List[gateway.AuditEvent], error) {
	return get[gateway.List[gateway.AuditEvent]](ctx, c, c.privatePath(launch, "events"), pageQuery(p))
}

// Anomalies lists what was unusual, newest first; with open only what still is.
func (c *Client) Anomalies(ctx context.Context, launch string, open bool, p gateway.Page) (gateway.List[gateway.Anomaly], error) {
	q := pageQuery(p)
	if open {
		q.Set("state", "open")
	}
	return get[gateway.List[gateway.Anomaly]](ctx, c, c.privatePath(launch, "anomalies"), q)
}

// Conflicts lists what Postgres' constraints refused.
func (c *Client) Conflicts(ctx context.Context, launch string) ([]gateway.ConflictRow, error) {
	return all(func(p gateway.Page) (gateway.List[gateway.ConflictRow], error) {
		return get[gateway.List[gateway.ConflictRow]](ctx, c, c.privatePath(launch, "conflicts"), pageQuery(p))
	})
}

// Parked lists journal records that could not be applied.
func (c *Client) Parked(ctx context.Context, launch string) ([]gateway.ParkedRow, error) {
	return all(func(p gateway.Page) (gateway.List[gateway.ParkedRow], error) {
		return get[gateway.List[gateway.ParkedRow]](ctx, c, c.privatePath(launch, "parked"), pageQuery(p))
	})
}

// Position is how far a launch's journal is, in Redis and in Postgres.
func (c *Client) Position(ctx context.Context, launch string) (gateway.Position, error) {
	return get[gateway.Position](ctx, c, c.privatePath(launch, "position"), nil)
}

// Verify compares a launch in Redis and in Postgres.
func (c *Client) Verify(ctx context.Context, launch string) (gateway.VerifyReport, error) {
	return put[gateway.VerifyReport](ctx, c, c.privatePath(launch, "verify"), struct{}{})
}

// Readiness is what /readyz says.
type Readiness struct {
	Ready    bool     `json:"-"`
	Status   string   `json:"status"`
	Reasons  []string `json:"reasons"`  // why the gateway should get no traffic
	Warnings []string `json:"warnings"` // what an operator should know all the same
}

// Ready asks whether the gateway should get traffic. Not to be ready is no
// error.
func (c *Client) Ready(ctx context.Context) (Readiness, error) {
	var r Readiness
	if c.private == "" {
		return r, errNoPrivate
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, c.private+"/readyz", nil)
	if err != nil {
		return r, errNoPrivate
	}
	response, err := c.http.Do(q)
	if err != nil {
		return r, quiet(err)
	}
	defer finish(response)
	r.Ready = response.StatusCode == http.StatusOK
	return r, decode(response.Body, &r)
}

var errNoPrivate = errors.New("client: no valid URL was given for the private listener")
