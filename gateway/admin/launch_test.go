package admin

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"admitone/gateway"
)

func TestLaunch(t *testing.T) {
	w := begin(t, nil)
	const yaml = "Content-Type: application/yaml"
	w.want(200, w.do("POST", "/admin/v1/launches?dry_run=true", "launch: m\n", yaml), "dry_run", true, "policy.launch", "m")
	w.want(404, w.do("GET", "/admin/v1/launches/m", ""))
	w.want(201, w.do("POST", "/admin/v1/launches", "launch: m\nholds: {expires: 20m}\n", yaml), "name", "m", "open", true, "policy.holds.expires", "20m")
	w.want(200, w.do("GET", "/admin/v1/launches", ""), "data.0.name", "l", "data.1.name", "m", "data.2", nil)

	a := w.want(200, w.do("GET", "/admin/v1/launches/m/policy", ""))
	read := "If-Match: " + a.header.Get("ETag")
	w.want(200, w.do("PUT", "/admin/v1/launches/m/policy?dry_run=true", `{"launch":"m","name":"M"}`, read), "policy.name", "M")
	w.want(200, w.do("PUT", "/admin/v1/launches/m/policy", `{"launch":"m","name":"M"}`, read), "name", "M")
	w.want(409, w.do("PUT", "/admin/v1/launches/m/policy", `{"launch":"m","name":"N"}`, read), "code", "conflict")
	w.want(200, w.do("GET", "/admin/v1/launches/m/policy", ""), "name", "M", "holds.expires", "15m")
	w.want(404, w.do("PUT", "/admin/v1/launches/none/policy", `{"launch":"none"}`), "code", "launch_unknown")

	w.want(200, w.do("POST", "/admin/v1/launches/m/close", `{"note":"over"}`), "open", false)
	w.want(200, w.do("GET", "/admin/v1/launches/m", ""), "open", false)
	w.want(200, w.do("POST", "/admin/v1/launches/m/open", ""), "open", true)
}

func TestClock(t *testing.T) {
	w := begin(t, nil)
	const path = "/admin/v1/launches/l/clock"
	w.want(403, w.do("PUT", path, `{"ahead":"48h"}`), "code", "forbidden")
	w = begin(t, func(c *Config) { c.Rehearsal = true })
	w.want(400, w.do("PUT", path, `{"ahead":"9999d"}`), "field", "ahead")
	w.want(400, w.do("PUT", path, `{}`), "field", "ahead")
	w.want(200, w.do("PUT", path, `{"ahead":"48h"}`), "clock_ahead", "2d")
	w.want(409, w.do("PUT", path, `{"ahead":"1h"}`), "field", "ahead")
}

func TestCampaign(t *testing.T) {
	w := begin(t, nil)
	w.want(201, w.do("POST", "/admin/v1/launches", `{"launch":"m","codes":{"personal":{"uses":2,"expires":"5d","format":"{campaign:4}-{random:8}"}}}`))
	const path = "/admin/v1/launches/m/campaigns"
	made := w.want(201, w.do("POST", path, `{"name":"friends","type":"personal","starts_at":"2027-01-01T00:00:00Z"}`),
		"max_uses", 2.0, "expires", "5d", "format", "FRIE-{random:8}", "kind", "invite", "state", "active")
	_ = made
	w.want(200, w.do("PATCH", path+"/friends", `{"channel":"partner","cap":100,"expires":""}`), "channel", "partner", "cap", 100.0, "expires", "", "max_uses", 2.0)
	for verb, state := range map[string]string{"pause": "paused", "resume": "active", "revoke": "revoked", "reinstate": "active"} {
		w.want(200, w.do("POST", path+"/friends/"+verb, `{"note":"n"}`), "state", state)
		w.want(200, w.do("GET", path+"/"+made.get("id").(string), ""), "state", state)
	}
	w.want(200, w.do("GET", path, ""), "data.0.name", "friends", "data.1", nil)
}

// racer lets somebody else change the launch before the first write of a
// campaign.
type racer struct {
	*model
	raced bool
}

func (r *racer) PutCampaign(ctx context.Context, launch string, c gateway.Campaign, version uint64, by gateway.Actor) (*gateway.Campaign, error) {
	if !r.raced {
		r.raced = true
		other := c
		other.Tier, other.Channel = "gold", ""
		if _, err := r.model.PutCampaign(ctx, launch, other, 0, by); err != nil {
			return nil, err
		}
	}
	return r.model.PutCampaign(ctx, launch, c, version, by)
}

// TestCampaignRace: two edits at once are both there afterwards.
func TestCampaignRace(t *testing.T) {
	w := begin(t, func(c *Config) { c.Store = &racer{model: c.Store.(*model)} })
	w.want(200, w.do("PATCH", "/admin/v1/launches/l/campaigns/c", `{"channel":"partner"}`), "channel", "partner", "tier", "gold")
}

func TestHealth(t *testing.T) {
	reasons := []string{"the launch l is not admitted"}
	registry := prometheus.NewRegistry()
	w := begin(t, func(c *Config) {
		c.Metrics = registry
		c.Ready = func(context.Context) []string { return reasons }
		c.Warnings = func(context.Context) []string { return []string{"Redis keeps no append-only file"} }
	})
	w.want(200, w.do("GET", "/healthz", ""), "status", "ok")
	w.want(503, w.do("GET", "/readyz", ""), "reasons.0", reasons[0], "warnings.0", "Redis keeps no append-only file")
	reasons = nil
	w.want(200, w.do("GET", "/readyz", ""), "status", "ok", "reasons.0", nil)
	a := w.want(200, w.do("GET", "/metrics", ""))
	if !strings.Contains(string(a.body), `admitone_admin_requests_total{route="POST /admin/v1/launches",status="201"} 1`) {
		t.Errorf("%s", a.body)
	}
}
