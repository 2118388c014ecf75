package edge

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// Store decides. It bounds the time of every call itself, does not keep what
// it is handed after it returned (texts are views of the request), and refuses
// with a *gateway.Error; any other error is answered as internal.
type Store interface {
	// Launch (of Inviter) is the snapshot of a launch, or launch_unknown. It is
	// asked on every request.
	// Redeem uses a code once, or answers the same redemption again.
	Redeem(ctx context.Context, launch string, r *gateway.Redeem) (gateway.Redemption, error)
	// Validate returns the refusal that redeeming would meet.
	Validate(ctx context.Context, launch string, v gateway.Validate) (gateway.Validation, error)
	// Redemption returns redemption_unknown if there is none.
	Redemption(ctx context.Context, launch string, id gateway.ID) (gateway.Redemption, error)
	// Settle ends a hold: redemption_unknown, not_held, hold_expired.
	Settle(ctx context.Context, launch string, id gateway.ID, s gateway.Settlement, by gateway.Actor) (gateway.Redemption, error)
	// Open counts the visit of a code's link; a code that does not exist is no
	// error.
	Open(ctx context.Context, launch string, code gateway.Code) error
	// Member returns member_unknown for who never was one.
	Member(ctx context.Context, launch, subject string) (gateway.Member, error)
	// UseRounds takes all rounds asked for or returns rounds_exhausted.
	UseRounds(ctx context.Context, launch string, u gateway.Use) (gateway.Rounds, error)
	// Active notes what a member did: member_unknown, activities_exceeded.
	Active(ctx context.Context, launch string, a gateway.Act) error
	// ChangeMember returns member_unknown or activities_exceeded.
	ChangeMember(ctx context.Context, launch string, c gateway.ChangeMember) (gateway.Member, error)
	// Inviter mints members' codes; RevokeInvite takes one back: code_unknown
	// for another's, code_exhausted for a used one.
	gateway.Licenser
	// Code returns code_unknown if there is none.
	Code(ctx context.Context, launch string, code gateway.Code) (gateway.CodeInfo, error)
	// Purchase learns what is said of a payment: invalid_request.
	Purchase(ctx context.Context, launch string, p gateway.Payment) (gateway.Earning, error)
	RevokeInvite(ctx context.Context, launch, subject string, code gateway.Code) (gateway.Rounds, error)
	Waitlister
}

// Waitlister keeps the waitlist.
type Waitlister interface {
	// Join takes a place, or answers the one that the address has: waitlist_closed,
	// launch_closed, joins_exceeded, overloaded.
	Join(ctx context.Context, launch string, j *gateway.Join) (gateway.Joined, error)
	// Entry returns entry_unknown if there is none.
	Entry(ctx context.Context, launch, key string) (gateway.Entry, error)
	// ChangeEntry returns entry_unknown, no_offer or already_registered.
	ChangeEntry(ctx context.Context, launch string, c gateway.ChangeEntry) (gateway.Entry, error)
	// Line is this process' copy of the line; nil while there is none.
	Line(launch string) *gateway.Line
}

// Ledger remembers: what members ask of Postgres. It may be a moment behind.
// Members are named by their keys.
type Ledger interface {
	// Invites lists the codes that a member gave away, newest first.
	Invites(ctx context.Context, launch, subject string, p gateway.Page) (gateway.List[gateway.InviteRow], error)
	// Referrals lists who came by a member's invites, and by theirs, so deep.
	Referrals(ctx context.Context, launch, subject string, depth int, p gateway.Page) (gateway.List[gateway.ReferralRow], error)
	// Leaderboard lists the members with the most referrals by display name.
	Leaderboard(ctx context.Context, launch string, most int) ([]gateway.LeaderRow, error)
	// Account is what a member earned and has.
	Account(ctx context.Context, launch, subject string) (gateway.Account, error)
	// ReferralStats is what a member's referrals came to.
	ReferralStats(ctx context.Context, launch, subject string, p gateway.Page) (gateway.ReferralStats, error)
}

// KeyChecker knows API keys. Check returns unauthorized for a key that does not
// exist or is not good any more.
type KeyChecker interface {
	Check(ctx context.Context, bearer string) (*gateway.APIKey, error)
}

// Persistence knows how far a launch's journal has come in Postgres.
type Persistence interface {
	Reached(launch string, epoch, position uint64) bool
	Wait(ctx context.Context, launch string, epoch, position uint64) error
}

// Countries knows where addresses are: ISO 3166-1 codes, "" for an address that
// it does not know. It is asked on every redemption.
type Countries interface{ Country(netip.Addr) string }

// Challenger asks a provider whether a challenge's token is good. An error says
// that the provider did not answer.
type Challenger interface {
	Verify(ctx context.Context, provider, token string) (bool, error)
}

// Config is what a Server stands on. Store, Keyring and Persisted are
// required.
type Config struct {
	Store     Store
	Keyring   *keyring.Keyring
	Persisted Persistence
	Keys      KeyChecker // nil: no API key is good
	Ledger    Ledger     // nil: what only Postgres knows is unavailable
	// StripeSecrets are the signing secrets of Stripe's webhooks, by launch.
	StripeSecrets map[string][]string
	// GumroadTokens are what Gumroad's pings must bring in their address, by
	// launch.
	GumroadTokens map[string][]string

	Countries  Countries  // nil: nobody's country is known
	Challenger Challenger // nil: no challenge's token can be checked

	// PersistWait is how long an answer waits for Postgres where the request or
	// the policy asks for it; then it says accepted. 0: 2 s.
	PersistWait time.Duration

	// TrustedProxies are the networks whose forwarding headers count. Nobody
	// else's do.
	TrustedProxies []netip.Prefix
	// UseForwarded reads RFC 7239's Forwarded instead of X-Forwarded-For. Only
	// one of the two is read: the other one is the client's word, because a
	// proxy passes on a header that it does not know.
	UseForwarded bool

	// Connections bounds the open connections. 0: 16,384.
	Connections int
	// ConnectionsPerAddress bounds those of one address (IPv6: of one /64).
	// Trusted proxies are not bounded. 0: 256.
	ConnectionsPerAddress int

	Log     *slog.Logger          // nil: the default logger
	Metrics prometheus.Registerer // nil: not registered anywhere
	Now     func() time.Time      // nil: time.Now
}

// The limits of a request and of a connection.
const (
	maxBody      = 16 << 10
	maxHeader    = 8 << 10
	readTimeout  = 5 * time.Second // header and body
	writeTimeout = 10 * time.Second
	idleTimeout  = 60 * time.Second
)

// Server is the public listener.
type Server struct {
	config   Config
	http     *fasthttp.Server
	proxies  proxies
	metrics  *metrics
	log      *slog.Logger
	now      func() time.Time
	ids      requestIDs
	requests sync.Pool // of *request
	polls    polls
	lookups  atomic.Int64 // places that are being looked up in Redis
	audience audience     // of streams
	leaders  leaders
	stopping chan struct{} // closed when streams are to end

	running context.Context // ends when connections are cut off
	cut     context.CancelFunc
	guard   *guard
	stop    sync.Once // of stopping
}

// New makes a server. It does not listen yet.
func New(c Config) *Server {
	if c.PersistWait <= 0 {
		c.PersistWait = 2 * time.Second
	}
	if c.Connections <= 0 {
		c.Connections = 16 << 10
	}
	if c.ConnectionsPerAddress <= 0 {
		c.ConnectionsPerAddress = 256
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{
		config: c, log: c.Log, now: c.Now, ids: newRequestIDs(),
		proxies: proxies{trusted: c.TrustedProxies, forwarded: c.UseForwarded},
	}
	s.metrics = newMetrics(c.Metrics)
	s.guard = newGuard(c.Connections, c.ConnectionsPerAddress, &s.proxies, s.metrics)
	s.running, s.cut = context.WithCancel(context.Background())
	s.stopping = make(chan struct{})
	s.requests.New = func() any { return &request{server: s} }
	s.http = &fasthttp.Server{
		Handler:            s.handle,
		ErrorHandler:       s.unreadable,
		Logger:             httpLog{c.Log},
		ReadTimeout:        readTimeout,
		WriteTimeout:       writeTimeout,
		IdleTimeout:        idleTimeout,
		ReadBufferSize:     maxHeader,
		MaxRequestBodySize: maxBody,
		// The guard refuses first, in the API's own words.
		Concurrency:                  c.Connections + 1,
		CloseOnShutdown:              true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		// fasthttp would log header blocks as they came in; httpLog keeps
		// even what this leaves.
		SecureErrorLogMessage: true,
	}
	return s
}

// Serve answers connections of the listener until Shutdown; then it returns
// nil.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(s.guard.watch(l)) }

// Shutdown stops listening, lets requests that have begun finish, each with
// Connection: close, and returns when all connections are closed. When the
// context ends first, it cuts them off and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() { close(s.stopping) })
	err := s.http.ShutdownWithContext(ctx)
	s.cut()
	if err != nil {
		s.guard.closeAll()
	}
	return err
}
