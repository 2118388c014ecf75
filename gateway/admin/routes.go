package admin

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"admitone/gateway"
)

// Routes lists every call of the admin API, its scope, and whether it honours
// an Idempotency-Key.
var apiRoutes = []struct {
	pattern string
	scope   gateway.Scope
	once    bool
	handle  func(*server, *call) error
}{
	{"POST /admin/v1/launches", gateway.ScopeAdmin, false, (*server).createLaunch},
	{"GET /admin/v1/launches", gateway.ScopeRead, false, (*server).listLaunches},
	{"GET /admin/v1/launches/{launch}", gateway.ScopeRead, false, (*server).getLaunch},
	{"GET /admin/v1/launches/{launch}/policy", gateway.ScopeRead, false, (*server).getPolicy},
	{"PUT /admin/v1/launches/{launch}/policy", gateway.ScopeAdmin, false, (*server).putPolicy},
	{"POST /admin/v1/launches/{launch}/open", gateway.ScopeAdmin, false, (*server).openLaunch},
	{"PUT /admin/v1/launches/{launch}/clock", gateway.ScopeAdmin, false, (*server).setClock},
	{"POST /admin/v1/launches/{launch}/close", gateway.ScopeAdmin, false, (*server).closeLaunch},

	{"POST /admin/v1/launches/{launch}/campaigns", gateway.ScopeAdmin, true, (*server).createCampaign},
	{"GET /admin/v1/launches/{launch}/campaigns", gateway.ScopeRead, false, (*server).listCampaigns},
	{"GET /admin/v1/launches/{launch}/campaigns/{campaign}", gateway.ScopeRead, false, (*server).getCampaign},
	{"PATCH /admin/v1/launches/{launch}/campaigns/{campaign}", gateway.ScopeAdmin, false, (*server).editCampaign},
	{"POST /admin/v1/launches/{launch}/campaigns/{campaign}/pause", gateway.ScopeAdmin, false, setState(gateway.CampaignOnHold)},
	{"POST /admin/v1/launches/{launch}/campaigns/{campaign}/resume", gateway.ScopeAdmin, false, setState(gateway.CampaignActive)},
	{"POST /admin/v1/launches/{launch}/campaigns/{campaign}/revoke", gateway.ScopeAdmin, false, setState(gateway.CampaignWithdrawn)},
	{"POST /admin/v1/launches/{launch}/campaigns/{campaign}/reinstate", gateway.ScopeAdmin, false, setState(gateway.CampaignActive)},

	{"POST /admin/v1/launches/{launch}/campaigns/{campaign}/codes", gateway.ScopeAdmin, true, (*server).mintCodes},
	{"POST /admin/v1/launches/{launch}/campaigns/{campaign}/codes/import", gateway.ScopeAdmin, true, (*server).importCodes},
	{"GET /admin/v1/launches/{launch}/campaigns/{campaign}/codes", gateway.ScopeRead, false, (*server).listCodes},
	{"GET /admin/v1/launches/{launch}/campaigns/{campaign}/codes/export", gateway.ScopeRead, false, (*server).exportCodes},
	{"GET /admin/v1/launches/{launch}/jobs/{job}", gateway.ScopeRead, false, (*server).getJob},
	{"GET /admin/v1/launches/{launch}/codes/{code}", gateway.ScopeRead, false, (*server).getCode},
	{"GET /admin/v1/launches/{launch}/codes/{code}/events", gateway.ScopeRead, false, (*server).codeEvents},
	{"POST /admin/v1/launches/{launch}/codes/{code}/revoke", gateway.ScopeAdmin, false, changeOne(gateway.Revoke)},
	{"POST /admin/v1/launches/{launch}/codes/{code}/reinstate", gateway.ScopeAdmin, false, changeOne(gateway.Reinstate)},
	{"POST /admin/v1/launches/{launch}/codes/{code}/renew", gateway.ScopeAdmin, false, changeOne(gateway.Renew)},
	{"POST /admin/v1/launches/{launch}/codes/revoke", gateway.ScopeAdmin, false, changeMany(gateway.Revoke)},
	{"POST /admin/v1/launches/{launch}/codes/reinstate", gateway.ScopeAdmin, false, changeMany(gateway.Reinstate)},
	{"POST /admin/v1/launches/{launch}/codes/renew", gateway.ScopeAdmin, false, changeMany(gateway.Renew)},

	{"GET /admin/v1/launches/{launch}/redemptions", gateway.ScopeRead, false, list((*server).listRedemptions)},
	{"GET /admin/v1/launches/{launch}/redemptions/{id}", gateway.ScopeRead, false, (*server).getRedemption},
	{"POST /admin/v1/launches/{launch}/redemptions/{id}/rollback", gateway.ScopeAdmin, false, (*server).rollback},

	{"GET /admin/v1/launches/{launch}/members", gateway.ScopeRead, false, list((*server).listMembers)},
	{"GET /admin/v1/launches/{launch}/members/{subject}", gateway.ScopeRead, false, (*server).getMember},
	{"GET /admin/v1/launches/{launch}/members/{subject}/referrals", gateway.ScopeRead, false, (*server).listReferrals},
	{"POST /admin/v1/launches/{launch}/members/{subject}/grant", gateway.ScopeAdmin, true, (*server).grantInvites},
	{"POST /admin/v1/launches/{launch}/members/{subject}/tier", gateway.ScopeAdmin, false, (*server).setTier},
	{"POST /admin/v1/launches/{launch}/members/{subject}/erase", gateway.ScopeAdmin, false, (*server).eraseMember},

	{"GET /admin/v1/launches/{launch}/rewards", gateway.ScopeRead, false, list((*server).listRewards)},
	{"POST /admin/v1/launches/{launch}/rewards/{subject}/approve", gateway.ScopeAdmin, false, decideReward(gateway.ApproveReward)},
	{"POST /admin/v1/launches/{launch}/rewards/{subject}/reject", gateway.ScopeAdmin, false, decideReward(gateway.RejectReward)},

	{"GET /admin/v1/launches/{launch}/waitlist", gateway.ScopeRead, false, (*server).listEntries},
	{"GET /admin/v1/launches/{launch}/waitlist/export", gateway.ScopeRead, false, (*server).exportEntries},
	{"POST /admin/v1/launches/{launch}/waitlist/import", gateway.ScopeAdmin, true, (*server).importEntries},
	{"GET /admin/v1/launches/{launch}/waitlist/stats", gateway.ScopeRead, false, (*server).waitlistStats},
	{"POST /admin/v1/launches/{launch}/waitlist/sources", gateway.ScopeAdmin, false, (*server).signSource},
	{"GET /admin/v1/launches/{launch}/waitlist/schedule", gateway.ScopeRead, false, (*server).getSchedule},
	{"POST /admin/v1/launches/{launch}/waitlist/pause", gateway.ScopeAdmin, false, setReleases(false)},
	{"POST /admin/v1/launches/{launch}/waitlist/resume", gateway.ScopeAdmin, false, setReleases(true)},
	{"POST /admin/v1/launches/{launch}/waitlist/releases", gateway.ScopeAdmin, true, (*server).createRelease},
	{"GET /admin/v1/launches/{launch}/waitlist/releases", gateway.ScopeRead, false, (*server).listReleases},
	{"GET /admin/v1/launches/{launch}/waitlist/releases/{release}", gateway.ScopeRead, false, (*server).getRelease},
	{"GET /admin/v1/launches/{launch}/waitlist/entries/{entry}", gateway.ScopeRead, false, (*server).getEntry},
	{"POST /admin/v1/launches/{launch}/waitlist/entries/{entry}/boost", gateway.ScopeAdmin, true, (*server).boostEntry},
	{"POST /admin/v1/launches/{launch}/waitlist/entries/{entry}/remove", gateway.ScopeAdmin, false, (*server).removeEntry},

	{"GET /admin/v1/launches/{launch}/stats", gateway.ScopeRead, false, (*server).stats},
	{"GET /admin/v1/launches/{launch}/analytics", gateway.ScopeRead, false, (*server).analytics},
	{"GET /admin/v1/launches/{launch}/events", gateway.ScopeRead, false, list((*server).events)},
	{"GET /admin/v1/launches/{launch}/anomalies", gateway.ScopeRead, false, list((*server).anomalies)},
	{"GET /admin/v1/launches/{launch}/conflicts", gateway.ScopeRead, false, list((*server).conflicts)},
	{"GET /admin/v1/launches/{launch}/parked", gateway.ScopeRead, false, list((*server).parked)},
	{"GET /admin/v1/launches/{launch}/position", gateway.ScopeRead, false, (*server).position},
	{"POST /admin/v1/launches/{launch}/verify", gateway.ScopeRead, false, (*server).verify},

	{"POST /admin/v1/launches/{launch}/webhooks", gateway.ScopeAdmin, false, (*server).createWebhook},
	{"GET /admin/v1/launches/{launch}/webhooks", gateway.ScopeRead, false, (*server).listWebhooks},
	{"GET /admin/v1/launches/{launch}/webhooks/{id}", gateway.ScopeRead, false, (*server).getWebhook},
	{"PATCH /admin/v1/launches/{launch}/webhooks/{id}", gateway.ScopeAdmin, false, (*server).editWebhook},
	{"DELETE /admin/v1/launches/{launch}/webhooks/{id}", gateway.ScopeAdmin, false, (*server).deleteWebhook},
	{"POST /admin/v1/launches/{launch}/webhooks/{id}/rotate", gateway.ScopeAdmin, false, (*server).rotateWebhook},
	{"POST /admin/v1/launches/{launch}/webhooks/{id}/replay", gateway.ScopeAdmin, false, (*server).replayWebhook},
	{"GET /admin/v1/launches/{launch}/webhooks/{id}/deliveries", gateway.ScopeRead, false, (*server).listDeliveries},

	{"GET /admin/v1/launches/{launch}/mails", gateway.ScopeRead, false, list((*server).listMails)},
	{"GET /admin/v1/launches/{launch}/mails/{id}", gateway.ScopeRead, false, (*server).getMail},
	{"POST /admin/v1/launches/{launch}/mails/{id}/replay", gateway.ScopeAdmin, false, (*server).replayMail},
	{"POST /admin/v1/launches/{launch}/mails/replay", gateway.ScopeAdmin, false, (*server).replayMails},
	{"POST /admin/v1/launches/{launch}/mails/preview", gateway.ScopeRead, false, (*server).previewMail},

	{"POST /admin/v1/keys", gateway.ScopeAdmin, false, (*server).createKey},
	{"GET /admin/v1/keys", gateway.ScopeAdmin, false, (*server).listKeys},
	{"DELETE /admin/v1/keys/{id}", gateway.ScopeAdmin, false, (*server).revokeKey},
}

// Patterns lists the calls of the admin API as "METHOD /path", for whoever
// compares a description with the truth.
func Patterns() []string {
	list := make([]string, len(apiRoutes))
	for i, r := range apiRoutes {
		list[i] = r.pattern
	}
	return list
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range apiRoutes {
		handle := func(c *call) error { return r.handle(s, c) }
		if r.once {
			handle = s.once(r.pattern, handle)
		}
		mux.Handle(r.pattern, s.api(r.pattern, r.scope, handle))
	}
	mux.Handle("/", s.api("other", "", func(c *call) error { return nowhere(c, mux) }))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeHealth(w, nil, nil) })
	mux.HandleFunc("GET /readyz", s.readyz)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	}
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle("GET "+path, s.api("pprof", gateway.ScopeAdmin, func(c *call) error {
			c.done, c.code = true, http.StatusOK
			h(c.w, c.r)
			return nil
		}))
	}
	return mux
}

// nowhere answers for a path that has no call, or not with this method.
func nowhere(c *call, mux *http.ServeMux) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := c.r.Clone(c.r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if allowed == nil {
		return gateway.Refuse(gateway.NotFound)
	}
	c.w.Header().Set("Allow", strings.Join(allowed, ", "))
	return &gateway.Error{Reason: gateway.MethodNotAllowed, Detail: "Use " + strings.Join(allowed, " or ") + "."}
}

func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	var reasons, warnings []string
	if s.Ready != nil {
		reasons = s.Ready(r.Context())
	}
	if s.Warnings != nil {
		warnings = s.Warnings(r.Context())
	}
	writeHealth(w, reasons, warnings)
}

func writeHealth(w http.ResponseWriter, reasons, warnings []string) {
	status, word := http.StatusOK, "ok"
	if len(reasons) > 0 {
		status, word = http.StatusServiceUnavailable, "not ready"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The client may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(map[string]any{"status": word, "reasons": orEmpty(reasons), "warnings": orEmpty(warnings)})
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
