// Package challenge asks Turnstile or hCaptcha whether a token shows that a
// person solved their challenge. Both speak the same protocol, siteverify.
package challenge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"admitone/gateway"
)

// endpoints are where the providers are asked.
var endpoints = map[string]string{
	gateway.ChallengeTurnstile: "https://challenges.cloudflare.com/turnstile/v0/siteverify",
	gateway.ChallengeHCaptcha:  "https://api.hcaptcha.com/siteverify",
}

const (
	timeout   = 3 * time.Second // of a question, an attacker's included
	questions = 64              // at a time
	maxAnswer = 16 << 10        // bytes
)

// Verifier asks providers. It is safe for concurrent use.
type Verifier struct {
	// Endpoints replace the providers' own, by provider; nil replaces none.
	Endpoints map[string]string

	secret string
	client *http.Client
	asking chan struct{}
}

// New asks with a secret of the deployment.
func New(secret string) *Verifier {
	return &Verifier{
		secret: secret, asking: make(chan struct{}, questions),
		client: &http.Client{
			Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: questions, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true},
		},
	}
}

// Verify reports whether a token is good: the provider takes each once. Its
// error says that the provider could not be asked, or did not know the secret.
func (v *Verifier) Verify(ctx context.Context, provider, token string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case v.asking <- struct{}{}:
		defer func() { <-v.asking }()
	case <-ctx.Done():
		return false, errors.New("challenge: too many questions at a time")
	}
	to := v.Endpoints[provider]
	if to == "" {
		to = endpoints[provider]
	}
	if to == "" {
		return false, fmt.Errorf("challenge: there is no provider %q", provider)
	}
	form := url.Values{"secret": {v.secret}, "response": {token}}.Encode()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form))
	if err != nil {
		return false, fmt.Errorf("challenge: %w", err)
	}
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := v.client.Do(q)
	if err != nil {
		return false, fmt.Errorf("challenge: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 500 {
		return false, fmt.Errorf("challenge: %s answered %d", provider, response.StatusCode)
	}
	var answer struct {
		Success bool     `json:"success"`
		Errors  []string `json:"error-codes"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer); err != nil {
		return false, fmt.Errorf("challenge: %s answered %d: %w", provider, response.StatusCode, err)
	}
	for _, code := range answer.Errors {
		switch code {
		case "missing-input-secret", "invalid-input-secret", "internal-error", "sitekey-secret-mismatch":
			return false, fmt.Errorf("challenge: %s says %s", provider, code)
		}
	}
	return answer.Success, nil
}
