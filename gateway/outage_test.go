package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

type stateError string

func (e stateError) Error() string    { return "a database's error" }
func (e stateError) SQLState() string { return string(e) }

// TestAway tells an outage, which passes, from a fault, which somebody has to
// look at.
func TestAway(t *testing.T) {
	for _, err := range []error{
		context.DeadlineExceeded, io.ErrUnexpectedEOF, &net.OpError{Op: "dial", Err: errors.New("connection refused")},
		stateError("57P01"), stateError("57P03"), stateError("08006"), stateError("53300"),
	} {
		e := Away(fmt.Errorf("reading: %w", err), true)
		if e == nil || e.Reason != Unavailable || e.RetryAfter <= 0 || e.Detail == "" {
			t.Errorf("%v: %v", err, e)
		}
		if e := Away(err, false); e == nil || e.Detail != "" {
			t.Errorf("%v of a change: %v", err, e)
		}
	}
	for _, err := range []error{nil, errors.New("a fault"), stateError("42601"), stateError("23505"), stateError("")} {
		if e := Away(err, true); e != nil {
			t.Errorf("%v: %v", err, e)
		}
	}
}
