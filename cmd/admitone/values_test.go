package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// TestValues reads what people write behind a flag, and says what to write.
func TestValues(t *testing.T) {
	parse := func(args ...string) (*commands, error) {
		cli := &commands{}
		parser, err := newParser(cli)
		if err != nil {
			t.Fatal(err)
		}
		parser.Stdout, parser.Stderr = io.Discard, io.Discard
		_, err = parser.Parse(args)
		return cli, err
	}
	cli, err := parse("webhook", "rotate", "writer", "id", "--overlap", "1d12h")
	if err != nil || cli.Webhook.Rotate.Overlap != 36*time.Hour {
		t.Errorf("1d12h was read as %v, %v", cli.Webhook.Rotate.Overlap, err)
	}
	cli, err = parse("storm", "http://127.0.0.1:1", "--launch", "l", "--code", "A", "--for", "1.5s")
	if err != nil || cli.Storm.For != 1500*time.Millisecond {
		t.Errorf("1.5s was read as %v, %v", cli.Storm.For, err)
	}
	cli, err = parse("campaign", "create", "writer", "beta", "--ends", "2026-11-21")
	if err != nil || !cli.Campaign.Create.Ends.Equal(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a day was read as %v, %v", cli.Campaign.Create.Ends, err)
	}
	for _, c := range []struct{ says, args string }{
		{"--overlap", "webhook rotate writer id --overlap soon"},
		{"30d, 72h or 15m", "webhook rotate writer id --overlap 30x"},
		{"2026-11-21T09:00:00Z", "mail replay writer --since yesterday"},
		{"debug, info, warn or error", "serve --redis r --postgres p --log-level loud"},
	} {
		if _, err := parse(strings.Fields(c.args)...); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "2006") {
			t.Errorf("%s: %v, it does not say %q", c.args, err, c.says)
		}
	}
}

// TestExplain is what a person reads when a call fails.
func TestExplain(t *testing.T) {
	for _, address := range []string{"localhost:9080", "127.0.0.1", "ftp://h", "http://"} {
		if err := checkAdminURL(address); err == nil || !strings.Contains(err.Error(), "--admin-url") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := checkAdminURL("https://gateway.internal:9080"); err != nil {
		t.Error(err)
	}
	wrong := &client.Error{
		Refusal: gateway.Invalid("limits.x", "limits.x: unknown field; codes.y: use 1"), RequestID: "r-1",
		Problems: []gateway.Problem{{Path: "limits.x", Message: "unknown field"}, {Path: "codes.y", Message: "use 1"}},
	}
	for _, c := range []struct {
		err  error
		says string
	}{
		{wrong, "admitone: the policy is wrong in 2 places; nothing was changed (request r-1)\n  limits.x: unknown field\n  codes.y: use 1\n"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "--admin-url"},
		{&client.Error{Refusal: gateway.Refuse(gateway.NotFound)}, "--admin-url"},
	} {
		var b bytes.Buffer
		explain(&b, c.err)
		if !strings.Contains(b.String(), c.says) {
			t.Errorf("%v is explained as %q", c.err, b.String())
		}
	}
}
