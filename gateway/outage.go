package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// Away is the refusal for an error that says a store did not answer: it timed
// out, took no connection, broke one off, or is going down or coming up. It is
// nil for any other error. For a call that only reads nothing is open: it may
// be asked again.
func Away(err error, reads bool) *Error {
	if !away(err) {
		return nil
	}
	e := &Error{Reason: Unavailable, RetryAfter: time.Second}
	if reads {
		e.Detail = "The records cannot be read just now. Try again shortly."
	}
	return e
}

func away(err error) bool {
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	// SQLSTATE: connection exceptions, too many connections, and a server that
	// stops, crashed or starts.
	var database interface{ SQLState() string }
	if !errors.As(err, &database) {
		return false
	}
	state := database.SQLState()
	return strings.HasPrefix(state, "08") || slices.Contains([]string{"53300", "57P01", "57P02", "57P03"}, state)
}
