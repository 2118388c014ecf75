package gateway

import (
	"slices"
	"strings"
	"time"
)

// WebhookEndpoint is a URL that a launch's events are told to.
type WebhookEndpoint struct {
	ID          ID        `json:"id"`
	URL         string    `json:"url"`
	Description string    `json:"description,omitempty"`
	Events      []string  `json:"events"` // types, "code.*" or "*"
	Codes       bool      `json:"codes"`  // codes are sent in full
	Created     time.Time `json:"created_at"`
	DisabledAt  time.Time `json:"disabled_at,omitzero"`
	Reason      string    `json:"disabled_reason,omitempty"` // gone, failing or operator
	Failing     time.Time `json:"failing_since,omitzero"`
	Pending     int       `json:"pending"` // deliveries
	Failed      int       `json:"failed"`  // deliveries
}

// Why an endpoint is told nothing any more.
const (
	WebhookGone     = "gone"     // it answered 410
	WebhookFailing  = "failing"  // nothing reached it for WebhookFailingFor
	WebhookOperator = "operator" // somebody said so
)

// WebhookFailingFor is how long nothing may succeed before an endpoint is
// disabled: longer than the last retry of a delivery.
const WebhookFailingFor = 5 * 24 * time.Hour

// Wants reports whether the endpoint asks for events of a type.
func (e *WebhookEndpoint) Wants(kind string) bool {
	return slices.ContainsFunc(e.Events, func(filter string) bool {
		prefix, family := strings.CutSuffix(filter, "*")
		return filter == kind || family && strings.HasPrefix(kind, prefix)
	})
}

// WebhookDelivery is one message on its way to one endpoint, and how the last
// attempt ended.
type WebhookDelivery struct {
	ID       ID        `json:"id"`
	Message  ID        `json:"message"` // the webhook-id
	Type     string    `json:"type"`
	At       time.Time `json:"at"`    // of the event
	State    string    `json:"state"` // pending, delivered or failed
	Attempts int       `json:"attempts"`
	TriedAt  time.Time `json:"tried_at,omitzero"`
	NextAt   time.Time `json:"next_at,omitzero"`
	Status   int       `json:"status,omitempty"` // of the answer; 0: there was none
	Error    string    `json:"error,omitempty"`
	Millis   int       `json:"duration_ms,omitempty"`
	Response string    `json:"response,omitempty"` // the beginning of the answer's body
}

// The states of a delivery.
const (
	WebhookPending   = "pending"
	WebhookDelivered = "delivered"
	WebhookFailed    = "failed"
)

// WebhookMessage is what is told of one event.
type WebhookMessage struct {
	ID       ID
	Type     string
	At       time.Time
	Body     []byte // JSON
	Revealed []byte // JSON with codes in full; nil where no endpoint asks for it
	Subject  string // key of whom it names; "" if nobody
}

// WebhookDispatch is all that an attempt needs.
type WebhookDispatch struct {
	Delivery WebhookDelivery
	Endpoint WebhookEndpoint
	Body     []byte
	Round    int    // attempts since the delivery, or its replay, began
	Secret   string // sealed
	Previous string // sealed; "" if none signs any more
}

// WebhookReplay says which deliveries are sent again: one, or all that failed
// for events since a time.
type WebhookReplay struct {
	Delivery ID
	Since    time.Time
}

// Validate returns an invalid_request that names the field at fault. The
// URL's address is not its matter.
func (e *WebhookEndpoint) Validate() error {
	switch {
	case !absoluteHTTP(e.URL) || strings.Contains(e.URL, "#"):
		return Invalid("url", `Use an absolute URL such as "https://app.example/hooks/admitone", without a password or a fragment.`)
	case len(e.Description) > maxLabel || strings.ContainsFunc(e.Description, notPrintable):
		return Invalid("description", "Use at most 100 bytes of printable text.")
	case len(e.Events) == 0 || len(e.Events) > len(WebhookTypes):
		return Invalid("events", `Give the types of events to send, or ["*"] for all.`)
	}
	for _, filter := range e.Events {
		known := slices.ContainsFunc(WebhookTypes, func(kind string) bool {
			family, _, _ := strings.Cut(kind, ".")
			return filter == "*" || filter == kind || filter == family+".*"
		})
		if !known {
			return Invalid("events", "Use \"*\", a family such as \"redemption.*\", or any of: "+strings.Join(WebhookTypes, ", ")+".")
		}
	}
	return nil
}
