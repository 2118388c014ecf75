package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"admitone/gateway"
)

// script is a server that answers its steps one after the other, and notes
// what it was asked.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	asked []*http.Request
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	step := s.steps[min(len(s.asked), len(s.steps))-1]
	s.mu.Unlock()
	step(w, r)
}

func (s *script) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func problem(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("X-Request-Id", "r-1")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func ok(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

// lost closes the connection without an answer.
func lost(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func serve(t *testing.T, steps ...http.HandlerFunc) (*Client, *script) {
	t.Helper()
	s := &script{steps: steps}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c := New(server.URL+"/", server.URL, "ao_secret", Options{})
	t.Cleanup(c.Close)
	return c, s
}

func TestRetry(t *testing.T) {
	notAdmitted := problem(503, `{"code":"not_admitted"}`)
	unavailable := problem(503, `{"code":"unavailable"}`)
	redeem := func(c *Client) error { _, err := c.Redeem(t.Context(), "l", Redeem{Code: "A"}); return err }
	mint := func(c *Client) error { _, _, err := c.Mint(t.Context(), "l", "c", 1); return err }
	createKey := func(c *Client) error {
		_, err := c.CreateKey(t.Context(), "k", nil, "", time.Time{})
		return err
	}
	for name, test := range map[string]struct {
		steps []http.HandlerFunc
		call  func(*Client) error
		times int
		want  gateway.Reason // "" none
	}{
		"not admitted":              {[]http.HandlerFunc{notAdmitted, ok("{}")}, redeem, 2, ""},
		"unavailable":               {[]http.HandlerFunc{unavailable, ok("{}")}, redeem, 2, ""},
		"lost":                      {[]http.HandlerFunc{lost, lost, ok("{}")}, redeem, 3, ""},
		"in flight":                 {[]http.HandlerFunc{lost, problem(409, `{"code":"idempotency_in_flight"}`), ok("{}")}, mint, 3, ""},
		"not for ever":              {[]http.HandlerFunc{notAdmitted}, redeem, 4, gateway.NotAdmitted},
		"a refusal":                 {[]http.HandlerFunc{problem(409, `{"code":"code_exhausted"}`)}, redeem, 1, gateway.CodeExhausted},
		"internal":                  {[]http.HandlerFunc{problem(500, `{"code":"internal"}`)}, redeem, 1, gateway.Internal},
		"too long a wait":           {[]http.HandlerFunc{problem(429, `{"code":"attempts_exceeded","retry_after":3600}`)}, redeem, 1, gateway.AttemptsExceeded},
		"not repeatable, refused":   {[]http.HandlerFunc{notAdmitted, ok("{}")}, createKey, 2, ""},
		"not repeatable, uncertain": {[]http.HandlerFunc{unavailable, ok("{}")}, createKey, 1, gateway.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := serve(t, test.steps...)
			err := test.call(c)
			if test.want == "" && err != nil || test.want != "" && !errors.Is(err, gateway.Refuse(test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if s.times() != test.times {
				t.Errorf("sent %d times, want %d", s.times(), test.times)
			}
		})
	}
	t.Run("not repeatable, lost", func(t *testing.T) {
		c, s := serve(t, lost)
		if err := createKey(c); err == nil || s.times() != 1 {
			t.Errorf("error %v after %d times, want an error after 1", err, s.times())
		}
	})
	t.Run("never sent", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		dials := 0
		c := New("", "http://"+l.Addr().String(), "", Options{HTTP: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials++; dials < 3 {
					return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
		}}})
		server := &http.Server{Handler: ok(`{"secret":"s"}`)}
		go func() { _ = server.Serve(l) }()
		defer server.Close()
		if err := createKey(c); err != nil || dials != 3 {
			t.Errorf("error %v after %d dials, want none after 3", err, dials)
		}
	})
	t.Run("ended context", func(t *testing.T) {
		c, s := serve(t, problem(503, `{"code":"not_admitted","retry_after":4}`))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.Redeem(ctx, "l", Redeem{}); err == nil || s.times() != 1 {
			t.Errorf("error %v after %d times, want an error after 1", err, s.times())
		}
	})
}

// TestSameKey: what is sent again carries the key of the first time.
func TestSameKey(t *testing.T) {
	c, s := serve(t, lost, ok(`{"codes":[{"code":"A"}]}`))
	codes, _, err := c.Mint(t.Context(), "l", "c", 1)
	if err != nil || len(codes) != 1 {
		t.Fatalf("%v, %v", codes, err)
	}
	first, second := s.asked[0].Header.Get("Idempotency-Key"), s.asked[1].Header.Get("Idempotency-Key")
	if first == "" || first != second {
		t.Errorf("keys %q and %q", first, second)
	}
}

func TestProblem(t *testing.T) {
	c, _ := serve(t, problem(400, `{"code":"invalid_request","detail":"Use a code.","field":"code","retry_after":7,"lines":[{"line":3,"message":"no"}],"indexes":[4]}`))
	_, err := c.As("").ImportCodes(t.Context(), "l", "c", []byte("x"))
	var e *Error
	var refusal *gateway.Error
	if !errors.As(err, &e) || !errors.As(err, &refusal) {
		t.Fatalf("%T %v", err, err)
	}
	if e.Status != 400 || e.RequestID != "r-1" || len(e.Lines) != 1 || e.Lines[0].Line != 3 || len(e.Indexes) != 1 {
		t.Errorf("%+v", e)
	}
	if refusal.Reason != gateway.InvalidRequest || refusal.Field != "code" || refusal.Detail != "Use a code." || refusal.RetryAfter != 7*time.Second {
		t.Errorf("%+v", refusal)
	}
}

// TestStranger: what answers may not be a gateway.
func TestStranger(t *testing.T) {
	for status, want := range map[int]gateway.Reason{502: gateway.Unavailable, 404: gateway.NotFound, 418: gateway.Internal} {
		c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", status) })
		c.retries = 0
		if _, err := c.Launch(t.Context(), "l"); !errors.Is(err, gateway.Refuse(want)) {
			t.Errorf("%d: %v, want %s", status, err, want)
		}
	}
	c, _ := serve(t, ok("<html>"))
	if _, err := c.Launch(t.Context(), "l"); err == nil {
		t.Error("an answer that is no JSON is taken")
	}
}

// TestQuiet: a code in a path is in no error.
func TestQuiet(t *testing.T) {
	c, _ := serve(t, lost)
	c.retries = 0
	if _, err := c.Code(t.Context(), "l", "SECRETCODE"); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v", err)
	}
	c.private = "http://\x7f"
	if _, err := c.Code(t.Context(), "l", "SECRETCODE"); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v", err)
	}
}

func TestExport(t *testing.T) {
	whole := "code\nA\n"
	c, s := serve(t, ok(whole), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("code\nA"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	var b strings.Builder
	if err := c.ExportCodes(t.Context(), "l", "a campaign/1", &b); err != nil || b.String() != whole {
		t.Errorf("%q, %v", b.String(), err)
	}
	if got, want := s.asked[0].URL.EscapedPath(), "/admin/v1/launches/l/campaigns/a%20campaign%2F1/codes/export"; got != want {
		t.Errorf("path %q, want %q", got, want)
	}
	if got := s.asked[0].Header.Get("Authorization"); got != "Bearer ao_secret" {
		t.Errorf("credential %q", got)
	}
	if err := c.ExportCodes(t.Context(), "l", "c", &b); err == nil {
		t.Error("half an export is taken for a whole one")
	}
}
