package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"admitone/gateway"
)

// send sends a request, again where that is safe and may help: after a lost
// connection, and when the gateway says so.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	for tried := 0; ; tried++ {
		response, err := c.once(ctx, r)
		if err == nil || tried >= c.retries || ctx.Err() != nil {
			return response, err
		}
		wait, again := c.again(r, err, tried)
		if !again {
			return nil, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// again says whether a request that failed is sent once more, and how long to
// wait before.
func (c *Client) again(r request, err error, tried int) (time.Duration, bool) {
	backoff := 50 * time.Millisecond << tried
	backoff += rand.N(backoff)
	var e *gateway.Error
	if !errors.As(err, &e) {
		// Nobody answered. What never left this machine may go out again,
		// whatever it asks for.
		var dial *net.OpError
		neverSent := errors.As(err, &dial) && dial.Op == "dial"
		return backoff, r.repeatable || neverSent
	}
	switch e.Reason {
	case gateway.Overloaded, gateway.NotAdmitted, gateway.Unavailable, gateway.IdempotencyInFlight, gateway.AttemptsExceeded:
	default:
		return 0, false
	}
	// Overloaded and not admitted were refused before anything was done; the
	// outcome of unavailable is open.
	if !r.repeatable && (e.Reason == gateway.Unavailable || e.Reason == gateway.IdempotencyInFlight) {
		return 0, false
	}
	return max(backoff, e.RetryAfter), e.RetryAfter <= c.patience
}
