package edge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"admitone/gateway"
	"admitone/gateway/gatewaytest"
	"admitone/gateway/keyring"
)

func TestMain(m *testing.M) {
	// fasthttp keeps one clock for all servers' Date fields, for good, and a
	// sweeper for each server that looks up every ten seconds whether to end.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// noon is when everything in these tests happens.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var anID = gateway.NewID(noon)

// world is a server with everything around it faked.
type world struct {
	t         testing.TB
	server    *Server
	address   string
	store     *fakeStore
	keyring   *keyring.Keyring
	persisted *gateway.Persisted
	logs      *lines
}

// fakeStore answers what it is told to, and remembers what it was asked.
type fakeStore struct {
	fakeMembers
	mu       sync.Mutex
	launch   *gateway.Launch
	answer   gateway.Redemption
	err      error
	panics   any
	begun    chan struct{} // gets a word when Redeem begins, if not nil
	hold     chan struct{} // Redeem waits for it, if not nil
	redeemed []gateway.Redeem
	tried    []gateway.Validate
	settled  []gateway.Settlement
	by       []gateway.Actor
	opened   []gateway.Code
	fakeWaitlist
	line    *gateway.Line
	lookups atomic.Int64  // of entries
	looking chan struct{} // a lookup waits for it, if not nil
}

// fakeWaitlist is the model's.
type fakeWaitlist struct{ *gatewaytest.Model }

// Entry is the model's, counted.
func (f *fakeStore) Entry(ctx context.Context, launch, key string) (gateway.Entry, error) {
	f.lookups.Add(1)
	if f.looking != nil {
		<-f.looking
	}
	return f.fakeWaitlist.Entry(ctx, launch, key)
}

// Line is the copy that a test made.
func (f *fakeStore) Line(string) *gateway.Line {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.line
}

func (f *fakeStore) Launch(_ context.Context, name string) (*gateway.Launch, error) {
	if name != "writer" {
		return nil, gateway.Refuse(gateway.LaunchUnknown)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.launch, nil
}

func (f *fakeStore) Redeem(_ context.Context, _ string, r *gateway.Redeem) (gateway.Redemption, error) {
	f.mu.Lock()
	f.redeemed = append(f.redeemed, kept(*r))
	answer, err, begun, hold, panics := f.answer, f.err, f.begun, f.hold, f.panics
	f.mu.Unlock()
	if panics != nil {
		panic(panics)
	}
	if begun != nil {
		begun <- struct{}{}
		<-hold
	}
	return answer, err
}

func (f *fakeStore) Validate(_ context.Context, _ string, v gateway.Validate) (gateway.Validation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v.Code = gateway.Code(strings.Clone(string(v.Code)))
	f.tried = append(f.tried, v)
	return gateway.Validation{Campaign: 1, Display: "ABCD-2345", Remaining: 3, ExpiresAt: noon}, f.err
}

func (f *fakeStore) Redemption(context.Context, string, gateway.ID) (gateway.Redemption, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answer, f.err
}

func (f *fakeStore) Settle(_ context.Context, _ string, _ gateway.ID, s gateway.Settlement, by gateway.Actor) (gateway.Redemption, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settled, f.by = append(f.settled, s), append(f.by, by)
	return f.answer, f.err
}

func (f *fakeStore) Open(_ context.Context, _ string, c gateway.Code) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened = append(f.opened, c)
	return f.err
}

// kept is what a store may keep of a request: copies.
func kept(r gateway.Redeem) gateway.Redeem {
	r.Code, r.Subject, r.Email = gateway.Code(strings.Clone(string(r.Code))), strings.Clone(r.Subject), strings.Clone(r.Email)
	r.Name, r.Source, r.Proof = strings.Clone(r.Name), strings.Clone(r.Source), strings.Clone(r.Proof)
	return r
}

// set changes the store between requests.
func (f *fakeStore) set(change func(*fakeStore)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// fakeKeys knows three keys.
type fakeKeys struct{}

var shopKey = gateway.APIKey{Name: "shop", Scopes: []gateway.Scope{gateway.ScopeServer}}

func (fakeKeys) Check(_ context.Context, bearer string) (*gateway.APIKey, error) {
	switch bearer {
	case "ao_server":
		return &shopKey, nil
	case "ao_read":
		return &gateway.APIKey{Name: "reader", Scopes: []gateway.Scope{gateway.ScopeRead}}, nil
	case "ao_elsewhere":
		return &gateway.APIKey{Name: "other", Scopes: []gateway.Scope{gateway.ScopeServer}, Launch: "other"}, nil
	}
	return nil, gateway.Refuse(gateway.Unauthorized)
}

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld starts a server on a port of its own; the test stops it.
func newWorld(t testing.TB, changes ...func(*Config)) *world {
	t.Helper()
	policy := gateway.DefaultPolicy("writer")
	policy.LandingURL = "https://writer.example/signup"
	policy.Unlock.InviteRounds, policy.Unlock.Expires = 30, gateway.Duration(24*time.Hour)
	launch := &gateway.Launch{Name: "writer", Open: true, Policy: policy}
	launch.SetCampaigns([]*gateway.Campaign{
		{Number: 1, Name: "beta", Kind: gateway.KindInvite, Format: "{random:8}"},
		{Number: 2, Name: "shop", Kind: gateway.KindLicense, Tier: "pro", Format: "{random:8}"},
	})
	ring, err := keyring.New(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, keyring: ring, persisted: &gateway.Persisted{}, logs: &lines{}, store: &fakeStore{launch: launch, fakeWaitlist: fakeWaitlist{gatewaytest.NewModel(noon)}}}
	w.store.EntryKey = ring.Subject
	w.store.answer = gateway.Redemption{
		ID: anID, Code: "ABCD2345", Display: "ABCD-2345", Campaign: 1, Subject: "ann@x.example", SubjectKey: ring.Subject("writer", "ann@x.example"),
		Status: gateway.Committed, At: noon, Position: 7, Proven: true, Founding: true,
	}
	c := Config{
		Store: w.store, Keyring: ring, Persisted: w.persisted, Keys: fakeKeys{}, PersistWait: time.Millisecond,
		Log: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: func() time.Time { return noon },
	}
	for _, change := range changes {
		change(&c)
	}
	w.server = New(c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.address = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		w.server.Shutdown(ctx)
		l.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w
}

// trustLoopback makes the tests' own connections come from a proxy.
func trustLoopback(c *Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
}

// dial opens a connection that the test closes.
func (w *world) dial() net.Conn {
	w.t.Helper()
	c, err := net.Dial("tcp", w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
	closed bool // the server said that it closes the connection
	field  map[string]any
}

func (a answer) String() string { return fmt.Sprintf("%d %v\n%s", a.status, a.header, a.body) }

// word is a field of the JSON body as a text.
func (a answer) word(name string) string {
	s, _ := a.field[name].(string)
	return s
}

// raw sends bytes and reads one response.
func (w *world) raw(request string) answer {
	w.t.Helper()
	c := w.dial()
	if _, err := io.WriteString(c, request); err != nil {
		w.t.Fatal(err)
	}
	return w.read(bufio.NewReader(c), strings.HasPrefix(request, "HEAD "))
}

func (w *world) read(r *bufio.Reader, head bool) answer {
	w.t.Helper()
	q := &http.Request{Method: "GET"}
	if head {
		q.Method = "HEAD"
	}
	response, err := http.ReadResponse(r, q)
	if err != nil {
		w.t.Fatalf("no answer: %v", err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(b), closed: response.Close}
	json.Unmarshal(b, &a.field)
	return a
}

// post sends a body of JSON. Header lines are "Name: value".
func (w *world) post(path, body string, header ...string) answer {
	w.t.Helper()
	return w.raw(post(path, body, header...))
}

func post(path, body string, header ...string) string {
	lines := append([]string{"POST " + path + " HTTP/1.1", "Host: writer.example", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))}, header...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

// get sends a request without a body.
func (w *world) get(path string, header ...string) answer {
	w.t.Helper()
	return w.raw(strings.Join(append([]string{"GET " + path + " HTTP/1.1", "Host: writer.example"}, header...), "\r\n") + "\r\n\r\n")
}

const redemptions = "/v1/launches/writer/redemptions"
