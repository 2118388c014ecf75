package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"admitone/gateway"
	"admitone/gateway/client"
)

// output runs a command and decodes the JSON that it prints.
func output(t *testing.T, up *devUp, into any, args ...string) {
	t.Helper()
	t.Setenv("ADMITONE_KEY", up.AdminKey)
	f, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	real := os.Stdout
	os.Stdout = f
	code := run(t.Context(), append(args, "--json", "--admin-url", up.Private))
	os.Stdout = real
	if code != 0 {
		t.Fatalf("%v exits with %d", args, code)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%v prints %s: %v", args, b, err)
	}
}

// TestWebhookCommands: an endpoint made on the command line is told of a
// redemption over HTTP, and what was sent can be listed and sent again.
func TestWebhookCommands(t *testing.T) {
	up := startDev(t, dataDir(t))
	type message struct {
		header http.Header
		body   []byte
	}
	inbox := make(chan message, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		inbox <- message{r.Header, b}
	}))
	t.Cleanup(receiver.Close)
	next := func(secret string) {
		t.Helper()
		select {
		case m := <-inbox:
			w, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Verify(m.body, m.header); err != nil {
				t.Errorf("%v: %s", err, m.body)
			}
		case <-time.After(time.Minute):
			t.Fatal("nothing comes")
		}
	}
	var made client.NewWebhook
	output(t, up, &made, "webhook", "create", up.Launch, receiver.URL, "--event", "redemption.*", "--codes")
	if _, err := up.api.Redeem(t.Context(), up.Launch, client.Redeem{Code: up.freshCodes(t, 1)[0], Email: "ann@example.com"}); err != nil {
		t.Fatal(err)
	}
	next(made.Secret)
	id := made.ID.String()
	var list gateway.List[gateway.WebhookDelivery]
	for deadline := time.Now().Add(time.Minute); len(list.Data) == 0 && time.Now().Before(deadline); {
		output(t, up, &list, "webhook", "deliveries", up.Launch, id, "--state", "delivered")
	}
	if len(list.Data) != 1 || list.Data[0].Type != "redemption.committed" || list.Data[0].Status != 200 {
		t.Fatalf("%+v", list)
	}
	var rotated client.NewWebhook
	output(t, up, &rotated, "webhook", "rotate", up.Launch, id)
	var replayed map[string]int
	output(t, up, &replayed, "webhook", "replay", up.Launch, id, "--delivery", list.Data[0].ID.String())
	next(made.Secret) // it signs too, for a day
	var e gateway.WebhookEndpoint
	output(t, up, &e, "webhook", "disable", up.Launch, id)
	if e.Reason != gateway.WebhookOperator {
		t.Errorf("%+v", e)
	}
	output(t, up, &e, "webhook", "enable", up.Launch, id)
	var endpoints []gateway.WebhookEndpoint
	output(t, up, &endpoints, "webhook", "list", up.Launch)
	if len(endpoints) != 1 || endpoints[0].URL != receiver.URL || endpoints[0].Reason != "" {
		t.Errorf("%+v", endpoints)
	}
	var gone map[string]string
	output(t, up, &gone, "webhook", "delete", up.Launch, id)
	if gone["deleted"] != id {
		t.Errorf("%v", gone)
	}
}
