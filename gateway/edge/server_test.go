package edge

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"admitone/gateway"
)

const aRedeem = `{"code":"CANARY22","subject":"canary@x.example","email":"canary@x.example","name":"Canary"}`

// eventually waits for a condition, with a deadline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func TestPanicsAreAnswered(t *testing.T) {
	w := newWorld(t)
	var nothing []int
	for _, p := range []any{"canary@x.example", errors.New("CANARY22"), func() (p any) { defer func() { p = recover() }(); return nothing[1] }()} {
		w.store.set(func(f *fakeStore) { f.panics = p })
		if a := w.post(redemptions, aRedeem); a.status != 500 || a.word("code") != "internal" || !a.closed {
			t.Errorf("%v: %v", p, a)
		}
	}
	w.store.set(func(f *fakeStore) { f.panics = nil })
	if a := w.post(redemptions, aRedeem); a.status != 201 {
		t.Errorf("afterwards: %v", a)
	}
	logs := w.logs.String()
	if strings.Count(logs, "a handler panicked") != 3 || !strings.Contains(logs, "index out of range") || !strings.Contains(logs, "edge.(*request).redeem") {
		t.Errorf("logged: %s", logs)
	}
}

func TestInternalErrorsKeepTheirText(t *testing.T) {
	w := newWorld(t)
	w.store.err = errors.New("dial tcp: SELECT secret")
	if a := w.post(redemptions, aRedeem); a.status != 500 || a.word("code") != "internal" || strings.Contains(a.body, "SELECT") {
		t.Error(a)
	}
	if !strings.Contains(w.logs.String(), "SELECT secret") {
		t.Error("the operator cannot read it either")
	}
	w.store.set(func(f *fakeStore) { f.err = context.DeadlineExceeded })
	if a := w.post(redemptions, aRedeem); a.status != 503 || a.word("code") != "unavailable" || a.header.Get("Retry-After") == "" {
		t.Error(a)
	}
}

// Whatever goes wrong, what callers sent stays out of the log.
func TestLogsHoldNoSecrets(t *testing.T) {
	w := newWorld(t)
	for _, err := range []error{nil, gateway.Refuse(gateway.CodeUnknown), gateway.Refuse(gateway.Internal), errors.New("broken")} {
		w.store.set(func(f *fakeStore) { f.err = err })
		w.post(redemptions, aRedeem, "Authorization: Bearer ao_server", "Idempotency-Key: canary", "Cookie: invite_code=CANARY22")
		w.get("/i/writer/CANARY22", "User-Agent: canary")
	}
	w.store.set(func(f *fakeStore) { f.panics = "canary@x.example" })
	w.post(redemptions, aRedeem)
	for _, bad := range []string{
		"GET /i/writer/CANARY22 HTTP/1.1\r\nHost: a\r\nCookie: CANARY\x01\r\n\r\n",
		"GET /i/writer/CANARY22 HTTP/1.1\r\nHost: a\r\nCANARY 22\r\n\r\n",
		"GET /i/writer/CANARY22 HTTP/1.1\r\nHost: a\r\nCanary Canary: x\r\nContent-Length: CANARY\r\n\r\n",
		"CANARY\r\n\r\n",
		"GET /i/writer/CANARY22 CANARY/1.1\r\n\r\n",
		"GET /i/writer/CANARY\x0122 HTTP/1.1\r\n\r\n",
	} {
		w.raw(bad)
	}
	logs := w.logs.String()
	for _, secret := range []string{"canary", "ao_server", "127.0.0.1"} {
		if strings.Contains(strings.ToLower(logs), secret) {
			t.Errorf("%s is in the log:\n%s", secret, logs)
		}
	}
	if !strings.Contains(logs, "a request failed") {
		t.Error("nothing was logged at all")
	}
}

func TestListenerErrorsAreLogged(t *testing.T) {
	w := newWorld(t)
	httpLog{w.server.log}.Printf("cannot accept %q: %v", "canary", &net.OpError{Op: "accept", Err: syscall.EMFILE})
	if logs := w.logs.String(); !strings.Contains(logs, "too many open files") || strings.Contains(logs, "canary") {
		t.Error(logs)
	}
}

func TestConnectionLimits(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"address": func(c *Config) { c.ConnectionsPerAddress = 2 },
		"total":   func(c *Config) { c.Connections = 2 },
	} {
		w := newWorld(t, change)
		open := []net.Conn{w.dial(), w.dial()}
		for _, c := range open {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if a := w.read(bufio.NewReader(c), false); a.status != 404 {
				t.Fatalf("%s: %v", name, a)
			}
		}
		a := w.read(bufio.NewReader(w.dial()), false)
		if a.status != 503 || a.word("code") != "overloaded" || a.header.Get("Retry-After") != "1" || !a.closed {
			t.Errorf("%s: the third connection: %v", name, a)
		}
		if got := testutil.ToFloat64(w.server.metrics.turnedAway.WithLabelValues(name)); got != 1 {
			t.Errorf("%s: %v counted", name, got)
		}
		open[0].Close()
		eventually(t, "a place is free", func() bool { return testutil.ToFloat64(w.server.metrics.connections) == 1 })
		if a := w.get("/"); a.status != 404 {
			t.Errorf("%s: after one has gone: %v", name, a)
		}
	}
	w := newWorld(t, trustLoopback, func(c *Config) { c.ConnectionsPerAddress = 1 })
	w.dial()
	if a := w.get("/"); a.status != 404 {
		t.Errorf("a proxy is not bounded: %v", a)
	}
}

func TestGuardForgets(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.get("/", "Connection: close")
	}
	g := w.server.guard
	eventually(t, "all are forgotten", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.open) == 0 && len(g.peers) == 0
	})
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	w := newWorld(t)
	w.store.begun, w.store.hold = make(chan struct{}), make(chan struct{})
	idle, busy := w.dial(), w.dial()
	io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	idleReader := bufio.NewReader(idle)
	w.read(idleReader, false)
	io.WriteString(busy, post(redemptions, aRedeem))
	<-w.store.begun
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- w.server.Shutdown(ctx)
	}()
	if _, err := idleReader.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection is still open: %v", err)
	}
	if c, err := net.Dial("tcp", w.address); err == nil {
		c.Close()
		t.Error("it still listens")
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(w.store.hold)
	if a := w.read(bufio.NewReader(busy), false); a.status != 201 || !a.closed {
		t.Errorf("the request that had begun: %v", a)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsOffInTheEnd(t *testing.T) {
	w := newWorld(t)
	w.store.begun, w.store.hold = make(chan struct{}), make(chan struct{})
	busy := w.dial()
	io.WriteString(busy, post(redemptions, aRedeem))
	<-w.store.begun
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if w.server.running.Err() == nil {
		t.Error("waits go on")
	}
	if _, err := bufio.NewReader(busy).ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open: %v", err)
	}
	close(w.store.hold)
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	w := newWorld(t, func(c *Config) { c.Metrics = registry })
	w.post(redemptions, aRedeem)
	w.store.set(func(f *fakeStore) { f.answer.Replayed = true })
	w.post(redemptions, aRedeem)
	w.store.set(func(f *fakeStore) {
		f.err = gateway.Refuse(gateway.CodeExhausted)
		l := *f.launch
		l.Policy.Refusals = gateway.RefusalsOpaque
		f.launch = &l
	})
	w.post(redemptions, aRedeem)
	w.post(validations, `{"code":"A"}`)
	w.get("/nowhere")
	w.raw("nonsense\r\n\r\n")
	w.get("/i/writer/ABCD2345")
	want := `
# HELP admitone_http_requests_total Public requests by route and outcome: ok, replayed or the refusal's reason.
# TYPE admitone_http_requests_total counter
admitone_http_requests_total{outcome="code_exhausted",route="open"} 1
admitone_http_requests_total{outcome="code_exhausted",route="redeem"} 1
admitone_http_requests_total{outcome="code_exhausted",route="validate"} 1
admitone_http_requests_total{outcome="invalid_request",route="other"} 1
admitone_http_requests_total{outcome="not_found",route="other"} 1
admitone_http_requests_total{outcome="ok",route="activity"} 0
admitone_http_requests_total{outcome="ok",route="confirm"} 0
admitone_http_requests_total{outcome="ok",route="confirm_entry"} 0
admitone_http_requests_total{outcome="ok",route="confirm_link"} 0
admitone_http_requests_total{outcome="ok",route="decline"} 0
admitone_http_requests_total{outcome="ok",route="gumroad"} 0
admitone_http_requests_total{outcome="ok",route="invite"} 0
admitone_http_requests_total{outcome="ok",route="invites"} 0
admitone_http_requests_total{outcome="ok",route="join"} 0
admitone_http_requests_total{outcome="ok",route="leaderboard"} 0
admitone_http_requests_total{outcome="ok",route="member"} 0
admitone_http_requests_total{outcome="ok",route="open"} 0
admitone_http_requests_total{outcome="ok",route="other"} 0
admitone_http_requests_total{outcome="ok",route="place"} 0
admitone_http_requests_total{outcome="ok",route="preferences"} 0
admitone_http_requests_total{outcome="ok",route="preflight"} 0
admitone_http_requests_total{outcome="ok",route="purchases"} 0
admitone_http_requests_total{outcome="ok",route="redeem"} 1
admitone_http_requests_total{outcome="ok",route="redemption"} 0
admitone_http_requests_total{outcome="ok",route="referral_code"} 0
admitone_http_requests_total{outcome="ok",route="referral_stats"} 0
admitone_http_requests_total{outcome="ok",route="referral_validate"} 0
admitone_http_requests_total{outcome="ok",route="referrals"} 0
admitone_http_requests_total{outcome="ok",route="release"} 0
admitone_http_requests_total{outcome="ok",route="stream"} 0
admitone_http_requests_total{outcome="ok",route="stripe"} 0
admitone_http_requests_total{outcome="ok",route="usage"} 0
admitone_http_requests_total{outcome="ok",route="validate"} 0
admitone_http_requests_total{outcome="replayed",route="redeem"} 1
`
	eventually(t, "all are counted", func() bool { return testutil.ToFloat64(w.server.metrics.inFlight) == 0 })
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "admitone_http_requests_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "admitone_http_request_duration_seconds"); n != int(routeCount) || err != nil {
		t.Errorf("%d histograms: %v", n, err)
	}
}

// Pooled requests must not hand one caller's answer to another.
func TestCallersDoNotMix(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	for _, name := range []string{"ann", "ben", "cleo", "dan"} {
		group.Go(func() {
			c := w.dial()
			r := bufio.NewReader(c)
			for range 50 {
				io.WriteString(c, post(redemptions, `{"code":"A","subject":"`+name+`"}`, "X-Request-Id: "+name))
				a := w.read(r, false)
				if a.word("subject") != name || a.header.Get("X-Request-Id") != name {
					t.Errorf("%s: %v", name, a)
					return
				}
			}
		})
	}
	group.Wait()
}
