package admin

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"admitone/gateway"
)

// Store decides: what the admin API asks of Redis.
type Store interface {
	gateway.Minter
	Launch(ctx context.Context, name string) (*gateway.Launch, error)
	Launches(ctx context.Context) ([]string, error)
	CreateLaunch(ctx context.Context, p gateway.Policy, by gateway.Actor) (*gateway.Launch, error)
	PutPolicy(ctx context.Context, p gateway.Policy, version uint64, by gateway.Actor) (*gateway.Launch, error)
	SetClock(ctx context.Context, launch string, ahead time.Duration, by gateway.Actor) (*gateway.Launch, error)
	SetOpen(ctx context.Context, launch string, open bool, by gateway.Actor) (*gateway.Launch, error)
	CreateCampaign(ctx context.Context, launch string, c gateway.Campaign, by gateway.Actor) (*gateway.Campaign, error)
	PutCampaign(ctx context.Context, launch string, c gateway.Campaign, version uint64, by gateway.Actor) (*gateway.Campaign, error)
	Code(ctx context.Context, launch string, code gateway.Code) (gateway.CodeInfo, error)
	ChangeCodes(ctx context.Context, launch string, ch gateway.ChangeCodes) (uint64, error)
	Redemption(ctx context.Context, launch string, id gateway.ID) (gateway.Redemption, error)
	Settle(ctx context.Context, launch string, id gateway.ID, s gateway.Settlement, by gateway.Actor) (gateway.Redemption, error)
	Member(ctx context.Context, launch, subject string) (gateway.Member, error)
	ChangeMember(ctx context.Context, launch string, c gateway.ChangeMember) (gateway.Member, error)
	DecideReward(ctx context.Context, launch, subject string, d gateway.RewardDecision, by gateway.Actor) (gateway.Earning, error)
	Position(ctx context.Context, launch string) (gateway.Position, error)
	WaitlistStore
}

// Ledger remembers: what the admin API asks of Postgres.
type Ledger interface {
	Redemptions(ctx context.Context, launch string, f gateway.RedemptionFilter, p gateway.Page) (gateway.List[gateway.RedemptionRow], error)
	Codes(ctx context.Context, launch string, campaign uint32, p gateway.Page) (gateway.List[gateway.CodeRow], error)
	ExportCodes(ctx context.Context, launch string, campaign uint32, to func(gateway.CodeRow) error) error
	CountCodes(ctx context.Context, launch string, campaign uint32) (int, error)
	CodeEvents(ctx context.Context, launch string, code gateway.Code, p gateway.Page) (gateway.List[gateway.AuditEvent], error)
	Changes(ctx context.Context, launch string, p gateway.Page) (gateway.List[gateway.AuditEvent], error)
	Conflicts(ctx context.Context, launch string, p gateway.Page) (gateway.List[gateway.ConflictRow], error)
	Parked(ctx context.Context, launch string, p gateway.Page) (gateway.List[gateway.ParkedRow], error)
	Rewards(ctx context.Context, launch string, f gateway.RewardFilter, p gateway.Page) (gateway.List[gateway.RewardRow], error)
	Referrals(ctx context.Context, launch, subject string, depth int, p gateway.Page) (gateway.List[gateway.ReferralRow], error)
	Members(ctx context.Context, launch string, f gateway.MemberFilter, p gateway.Page) (gateway.List[gateway.MemberRow], error)
	Stats(ctx context.Context, launch string) (gateway.Stats, error)
	Analytics(ctx context.Context, launch string, now time.Time) (gateway.Analytics, error)
	CreateKey(ctx context.Context, k gateway.APIKey, hash [sha256.Size]byte) error
	Keys(ctx context.Context) ([]*gateway.APIKey, error)
	RevokeKey(ctx context.Context, id gateway.ID) error
	Job(ctx context.Context, launch string, id gateway.ID) (gateway.MintJob, error)
	Anomalies(ctx context.Context, launch string, open bool, p gateway.Page) (gateway.List[gateway.Anomaly], error)
	Webhooks(ctx context.Context, launch string) ([]gateway.WebhookEndpoint, error)
	Webhook(ctx context.Context, launch string, id gateway.ID) (gateway.WebhookEndpoint, error)
	DeleteWebhook(ctx context.Context, launch string, id gateway.ID) error
	Deliveries(ctx context.Context, launch string, endpoint gateway.ID, state string, p gateway.Page) (gateway.List[gateway.WebhookDelivery], error)
	Mails(ctx context.Context, launch string, f gateway.MailFilter, p gateway.Page) (gateway.List[gateway.MailRow], error)
	Mail(ctx context.Context, launch string, id gateway.ID) (gateway.MailRow, error)
	BeginOnce(ctx context.Context, scope, key string, request [sha256.Size]byte) (*gateway.Answered, error)
	FinishOnce(ctx context.Context, scope, key string, a gateway.Answered) error
	WaitlistLedger
	CohortLedger
}

// Persistence knows how far a launch's journal has come in Postgres.
type Persistence interface {
	Wait(ctx context.Context, launch string, epoch, position uint64) error
}

// Queue takes mintings that are too large to answer at once, and keeps
// webhooks.
type Queue interface {
	Mint(ctx context.Context, j gateway.MintJob) error
	CreateWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint) (gateway.WebhookEndpoint, string, error)
	PutWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint) error
	RotateWebhook(ctx context.Context, launch string, id gateway.ID, overlap time.Duration) (secret string, err error)
	ReplayWebhook(ctx context.Context, launch string, endpoint gateway.ID, r gateway.WebhookReplay) (int, error)
	ReplayMails(ctx context.Context, launch string, r gateway.MailReplay) (int, error)
}

// Verifier compares the two stores.
type Verifier interface {
	Verify(ctx context.Context, launch string) (gateway.VerifyReport, error)
}

// Keyring knows the keys of people, and vouches for where they come from.
type Keyring interface {
	Subject(launch, identity string) string
	SignSource(launch, source string) string
}

// Config is what a handler stands on. Ready and Metrics may be nil.
type Config struct {
	Store    Store
	Ledger   Ledger
	Verifier Verifier
	// Persisted is waited for before a change is answered; nil waits for
	// nothing.
	Persisted Persistence
	Queue     Queue
	Keyring   Keyring
	// HeldBack is why a launch's next scheduled release waits; it may be nil.
	HeldBack func(launch string) string
	// Rehearsal lets launches' clocks be set ahead.
	Rehearsal bool
	Keys      *gateway.Keys
	Checker   gateway.Checker
	Log       *slog.Logger
	Metrics   *prometheus.Registry
	// Ready lists why this process should get no traffic; nothing when it may.
	Ready func(context.Context) []string
	// Warnings lists what an operator should know all the same.
	Warnings func(context.Context) []string
}

// server answers the admin API.
type server struct {
	Config
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// New makes the handler of the private listener.
func New(c Config) http.Handler {
	s := &server{
		Config: c,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_admin_requests_total", Help: "Requests to the admin API by route and status.",
		}, []string{"route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "admitone_admin_request_duration_seconds", Help: "Time to answer a request to the admin API.",
			Buckets: prometheus.ExponentialBuckets(0.001, 3, 9),
		}, []string{"route"}),
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics != nil {
		c.Metrics.MustRegister(s.requests, s.duration)
	}
	return s.routes()
}

// Serve is an http.Server for the handler, with the limits that a port wants.
func Serve(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, WriteTimeout: 10 * time.Minute, // a long export
	}
}
