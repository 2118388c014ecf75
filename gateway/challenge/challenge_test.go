package challenge

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"admitone/gateway"
)

func TestVerify(t *testing.T) {
	quit := make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.Form.Get("secret") != "s3cret" {
			t.Errorf("%s %v, %v", r.Method, r.Form, err)
		}
		switch r.Form.Get("response") {
		case "good":
			io.WriteString(w, `{"success":true,"hostname":"app.example"}`)
		case "used":
			io.WriteString(w, `{"success":false,"error-codes":["timeout-or-duplicate"]}`)
		case "misconfigured":
			io.WriteString(w, `{"success":false,"error-codes":["invalid-input-secret"]}`)
		case "broken":
			io.WriteString(w, `<html>`)
		case "away":
			w.WriteHeader(http.StatusBadGateway)
		case "elsewhere":
			http.Redirect(w, r, "/", http.StatusFound)
		case "slow":
			select {
			case <-quit:
			case <-r.Context().Done():
			}
		}
	}))
	defer provider.Close()
	defer close(quit)
	v := New("s3cret")
	v.Endpoints = map[string]string{gateway.ChallengeTurnstile: provider.URL}
	v.client.Timeout = 200 * time.Millisecond
	for token, want := range map[string]struct{ good, fails bool }{
		"good": {true, false}, "used": {false, false}, "misconfigured": {false, true}, "broken": {false, true}, "away": {false, true}, "elsewhere": {false, true}, "slow": {false, true},
	} {
		good, err := v.Verify(context.Background(), gateway.ChallengeTurnstile, token)
		if good != want.good || (err != nil) != want.fails {
			t.Errorf("%s: %v, %v", token, good, err)
		}
	}
	if _, err := v.Verify(context.Background(), "nobody", "good"); err == nil {
		t.Error("a provider that does not exist answers")
	}
	full := New("s3cret")
	for range questions {
		full.asking <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := full.Verify(ctx, gateway.ChallengeHCaptcha, "good"); err == nil {
		t.Error("there is no bound on questions")
	}
}
