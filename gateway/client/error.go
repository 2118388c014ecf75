package client

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"admitone/gateway"
)

// Error is a problem document that the gateway answered. It unwraps to a
// *gateway.Error: errors.Is(err, gateway.Refuse(reason)) tells what it is.
type Error struct {
	Refusal   *gateway.Error
	Status    int
	RequestID string
	Problems  []gateway.Problem   // of a policy
	Lines     []gateway.LineError // of an import
	Indexes   []int               // of codes in a list
}

func (e *Error) Error() string {
	s := e.Refusal.Error()
	if e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// Unwrap is the refusal.
func (e *Error) Unwrap() error { return e.Refusal }

// maxProblem bounds a problem document, in bytes: an import names every line.
const maxProblem = 4 << 20

// readProblem makes an error of an answer that is one.
func readProblem(response *http.Response) error {
	e := &Error{Refusal: &gateway.Error{}, Status: response.StatusCode, RequestID: response.Header.Get("X-Request-Id")}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // or a date, which no gateway sends
	var p struct {
		Code       gateway.Reason      `json:"code"`
		Detail     string              `json:"detail"`
		Field      string              `json:"field"`
		RetryAfter int                 `json:"retry_after"`
		Problems   []gateway.Problem   `json:"problems"`
		Lines      []gateway.LineError `json:"lines"`
		Indexes    []int               `json:"indexes"`
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	if err == nil && kind == "application/problem+json" {
		err = json.Unmarshal(body, &p)
	}
	if err != nil || p.Code == "" {
		// Not a gateway: a proxy before it, or something else at its address.
		p.Code, p.Detail = gateway.Internal, fmt.Sprintf("The server answered %d without saying why.", response.StatusCode)
		switch response.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			p.Code = gateway.Unavailable
		case http.StatusNotFound:
			p.Code = gateway.NotFound
		}
	}
	e.Refusal.Reason, e.Refusal.Detail, e.Refusal.Field = p.Code, p.Detail, p.Field
	e.Refusal.RetryAfter = time.Duration(max(p.RetryAfter, seconds, 0)) * time.Second
	e.Problems, e.Lines, e.Indexes = p.Problems, p.Lines, p.Indexes
	return e
}
