package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// devUp is a running `admitone dev`.
type devUp struct {
	Public   string
	Private  string
	AdminKey string `json:"admin_key"`
	Launch   string
	Redis    string
	Postgres string

	api  *client.Client
	stop func()
}

// startDev runs `admitone dev` on free ports in this process.
func startDev(t *testing.T, data string, flags ...string) *devUp {
	t.Helper()
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	ready := filepath.Join(t.TempDir(), "ready.json")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	args := append([]string{"dev", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data", data, "--ready-file", ready}, flags...)
	go func() { done <- run(ctx, args) }()
	deadline := time.After(2 * time.Minute)
	up := &devUp{}
	for {
		b, err := os.ReadFile(ready)
		if err == nil {
			if err := json.Unmarshal(b, up); err != nil {
				t.Fatal(err)
			}
			break
		}
		select {
		case code := <-done:
			cancel()
			t.Fatalf("admitone dev ended with status %d", code)
		case <-deadline:
			cancel()
			t.Fatal("admitone dev is not ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
	up.api = client.New(up.Public, up.Private, up.AdminKey, client.Options{})
	up.stop = sync.OnceFunc(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("admitone dev ended with status %d", code)
		}
		up.api.Close()
	})
	t.Cleanup(up.stop)
	return up
}

// dataDir is a directory that postgres, as another user, can reach.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "admitone-dev-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

// freshCodes mints codes in the demo launch.
func (u *devUp) freshCodes(t *testing.T, n int) []string {
	t.Helper()
	minted, _, err := u.api.Mint(t.Context(), u.Launch, demoCampaign, n)
	if err != nil {
		t.Fatal(err)
	}
	codes := make([]string, n)
	for i, m := range minted {
		codes[i] = m.Code
	}
	return codes
}

// TestDevKeepsState: what was redeemed before a stop is known after the next
// start, with a redis-server, and with an embedded Redis that forgets.
func TestDevKeepsState(t *testing.T) {
	for name, withoutRedis := range map[string]bool{"redis-server": false, "miniredis": true} {
		t.Run(name, func(t *testing.T) {
			if withoutRedis {
				hideRedis(t)
			}
			data := dataDir(t)
			up := startDev(t, data)
			code := up.freshCodes(t, 1)[0]
			ask := client.Redeem{Code: code, Email: "ann@example.com"}
			for range 5 { // who tries things here is not locked out
				_, err := up.api.As("").Redeem(t.Context(), up.Launch, client.Redeem{Code: "NONSENSE", Email: "ann@example.com"})
				if !errors.Is(err, gateway.Refuse(gateway.CodeUnknown)) {
					t.Fatalf("a code that does not exist: %v", err)
				}
			}
			first, err := up.api.Redeem(t.Context(), up.Launch, ask)
			if err != nil || first.Replayed || first.MemberToken == "" {
				t.Fatalf("%+v, %v", first, err)
			}
			up.stop()

			up = startDev(t, data)
			again, err := up.api.Redeem(t.Context(), up.Launch, ask)
			if err != nil || again.ID != first.ID || !again.Replayed {
				t.Fatalf("after a restart: %+v, %v", again, err)
			}
			_, err = up.api.Redeem(t.Context(), up.Launch, client.Redeem{Code: code, Email: "bob@example.com"})
			if !errors.Is(err, gateway.Refuse(gateway.CodeExhausted)) {
				t.Fatalf("a used code after a restart: %v", err)
			}
			report, err := up.api.Verify(t.Context(), up.Launch)
			if err != nil || report.Drift != 0 || report.Redemptions != 1 {
				t.Fatalf("%+v, %v", report, err)
			}
		})
	}
}

// hideRedis leaves everything on the PATH but redis-server.
func hideRedis(t *testing.T) {
	t.Helper()
	empty := t.TempDir()
	t.Setenv("PATH", empty)
}

// TestRace: the promise, over HTTP, on real servers: 64 clients at once on a
// code of 50 uses, and each request four times at once.
func TestRace(t *testing.T) {
	up := startDev(t, dataDir(t))
	const rounds, clients, uses = 100, 64, 50
	if _, err := up.api.CreateCampaign(t.Context(), up.Launch, client.Campaign{Name: "race", Type: gateway.TypeLink, MaxUses: uses}); err != nil {
		t.Fatal(err)
	}
	minted, _, err := up.api.Mint(t.Context(), up.Launch, "race", rounds)
	if err != nil {
		t.Fatal(err)
	}
	for round, m := range minted {
		in := make(chan bool, clients)
		var crowd sync.WaitGroup
		for i := range clients {
			crowd.Go(func() {
				_, err := up.api.Redeem(t.Context(), up.Launch, client.Redeem{Code: m.Code, Subject: fmt.Sprintf("r%d-%d", round, i)})
				if err != nil && !errors.Is(err, gateway.Refuse(gateway.CodeExhausted)) {
					t.Errorf("round %d: %v", round, err)
				}
				in <- err == nil
			})
		}
		crowd.Wait()
		admitted := 0
		for range clients {
			if <-in {
				admitted++
			}
		}
		if admitted != uses {
			t.Fatalf("round %d: %d were admitted by a code of %d uses", round, admitted, uses)
		}
	}
	code := up.freshCodes(t, 1)[0]
	ids := make([]gateway.ID, 4)
	var same sync.WaitGroup
	for i := range ids {
		same.Go(func() {
			r, err := up.api.Redeem(t.Context(), up.Launch, client.Redeem{Code: code, Subject: "four times"})
			if err != nil {
				t.Error(err)
			}
			ids[i] = r.ID
		})
	}
	same.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("the same request made %v and %v", ids[0], id)
		}
	}
	report, err := up.api.Verify(t.Context(), up.Launch)
	if err != nil || report.Drift != 0 || report.Redemptions != rounds*uses+1 {
		t.Fatalf("%+v, %v", report, err)
	}
}

// TestNoSecretsInLogs plays requests with secrets in them and greps all that
// was logged for them.
func TestNoSecretsInLogs(t *testing.T) {
	logs := captureStderr(t)
	up := startDev(t, dataDir(t), "--verbose")
	code := up.freshCodes(t, 1)[0]
	const person = "canary.person@example.com"
	r, err := up.api.Redeem(t.Context(), up.Launch, client.Redeem{Code: code, Email: person, Name: "Canary Name"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/launches/demo/validations", "/v1/launches/demo/nowhere", "/i/demo/" + code} {
		request, err := http.NewRequest(http.MethodPost, up.Public+path, strings.NewReader(`{"code":"`+code+`","email":"`+person+`","bogus":1}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+r.MemberToken)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if _, err := up.api.Code(t.Context(), up.Launch, code); err != nil {
		t.Fatal(err)
	}
	up.stop()
	text := logs()
	if !strings.Contains(text, "admin request") {
		t.Fatal("nothing was logged: the test looks in the wrong place")
	}
	for what, secret := range map[string]string{"code": code, "e-mail": "canary.person", "name": "Canary", "token": r.MemberToken, "admin key": up.AdminKey} {
		if strings.Contains(text, secret) {
			t.Errorf("a log shows the %s", what)
		}
	}
}

// captureStderr redirects this process's standard error into a file.
func captureStderr(t *testing.T) func() string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	real := os.Stderr
	os.Stderr = f
	t.Cleanup(func() { os.Stderr = real; f.Close() })
	return func() string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

// TestDevRefuses: what is in the way is said in a sentence, with a way out.
func TestDevRefuses(t *testing.T) {
	data := dataDir(t)
	up := startDev(t, data)
	taken := strings.TrimPrefix(up.Public, "http://")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a port that is taken":    {[]string{"dev", "--addr", taken, "--admin-addr", "127.0.0.1:0", "--data", dataDir(t)}, "choose another with --addr"},
		"a data directory in use": {[]string{"dev", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data", data}, "another admitone dev is using"},
		"no secrets":              {[]string{"serve", "--redis", up.Redis, "--postgres", up.Postgres}, "ADMITONE_SECRETS"},
		"a Redis URL of a kind":   {[]string{"serve", "--redis", "http://x", "--postgres", up.Postgres, "--secrets-file", filepath.Join(data, "secrets")}, "redis://"},
		"no API key":              {[]string{"stats", "demo", "--admin-url", up.Private}, "ADMITONE_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			logs := captureStderr(t)
			if code := run(t.Context(), c.args); code != 1 {
				t.Errorf("exit status %d, want 1", code)
			}
			if text := logs(); !strings.Contains(text, c.want) {
				t.Errorf("it says %q, which does not name %q", text, c.want)
			}
		})
	}
	if code := run(t.Context(), []string{"frobnicate"}); code != 2 {
		t.Errorf("wrong usage exits with %d, want 2", code)
	}
}
