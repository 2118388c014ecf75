package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"admitone/gateway"
)

// without is a ledger whose Postgres takes no connections when figures are read.
type without struct{ Ledger }

func (without) Stats(context.Context, string) (gateway.Stats, error) {
	return gateway.Stats{}, fmt.Errorf("ledger: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")})
}

// TestPostgresAway: that Postgres is away is no fault of ours, and passes.
func TestPostgresAway(t *testing.T) {
	w := begin(t, func(c *Config) { c.Ledger = without{c.Ledger} })
	a := w.do("GET", "/admin/v1/launches/l/stats", "")
	w.want(503, a, "code", "unavailable", "retry_after", 1.0)
	if a.header.Get("Retry-After") == "" {
		t.Error("nobody is told when to come back")
	}
}
