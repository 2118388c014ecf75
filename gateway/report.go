package gateway

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Page asks for a part of a list: at most Limit rows (1–100) after the opaque
// cursor of the page before ("" for the first).
type Page struct {
	Limit int
	After string
}

// ReadPage reads a page out of a query: limit is 50 where it is "".
func ReadPage(limit, after string) (Page, error) {
	p := Page{Limit: 50, After: after}
	if limit == "" {
		return p, nil
	}
	n, err := strconv.Atoi(limit)
	if err != nil || n < 1 || n > 100 {
		return p, Invalid("limit", "Use a whole number from 1 to 100.")
	}
	p.Limit = n
	return p, nil
}

// List is a page of rows. Next is the cursor of the page behind it, "" for the
// last.
type List[T any] struct {
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
	Next    string `json:"next,omitempty"`
}

// RedemptionRow is a redemption as Postgres keeps it.
type RedemptionRow struct {
	ID        ID        `json:"id"`
	Code      string    `json:"code"` // as written
	Campaign  string    `json:"campaign"`
	Channel   string    `json:"channel,omitempty"`
	Subject   string    `json:"subject"`
	Email     string    `json:"email,omitempty"`
	Name      string    `json:"name,omitempty"`
	Source    string    `json:"source,omitempty"`
	Status    Status    `json:"status"`
	At        time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	SettledAt time.Time `json:"settled_at,omitzero"`
	Position  uint64    `json:"position"`
}

// RedemptionFilter narrows a list of redemptions; zero fields do not.
type RedemptionFilter struct {
	Campaign string
	Subject  string // canonical
	Code     Code
	Status   Status
}

// CodeRow is a code as Postgres keeps it, for exports and lists.
type CodeRow struct {
	Code      string    `json:"code"` // as written
	Campaign  string    `json:"campaign"`
	Channel   string    `json:"channel,omitempty"`
	State     CodeState `json:"state"`
	Used      int       `json:"used"`
	MaxUses   int       `json:"max_uses"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Created   time.Time `json:"created_at"`
}

// AuditEvent is one transition in the life of a code, a campaign or a launch.
type AuditEvent struct {
	Position uint64          `json:"position,omitempty"`
	At       time.Time       `json:"at"`
	Kind     string          `json:"event"`             // issued, redeemed, held, confirmed, released, rolled_back, revoked, reinstated, renewed, refused, campaign, launch
	Subject  string          `json:"subject,omitempty"` // who or what it happened to
	Detail   json.RawMessage `json:"detail,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	Note     string          `json:"note,omitempty"`
}

// CampaignStats is a campaign's funnel, from Postgres.
type CampaignStats struct {
	Campaign   string `json:"campaign"`
	Channel    string `json:"channel,omitempty"`
	Kind       Kind   `json:"kind"`
	Issued     int    `json:"issued"`      // codes
	Revoked    int    `json:"revoked"`     // codes
	Exhausted  int    `json:"exhausted"`   // codes
	Opened     int    `json:"opened"`      // visits of links
	Held       int    `json:"held"`        // redemptions, now
	Redeemed   int    `json:"redeemed"`    // redemptions committed, now
	Released   int    `json:"released"`    // redemptions
	RolledBack int    `json:"rolled_back"` // redemptions
	Subjects   int    `json:"subjects"`    // who is in, each once
}

// ChannelStats are the funnels of a channel's campaigns together.
type ChannelStats struct {
	Channel  string `json:"channel"`
	Issued   int    `json:"issued"`
	Opened   int    `json:"opened"`
	Redeemed int    `json:"redeemed"`
}

// Stats are a launch's figures as of a position.
type Stats struct {
	Launch    string          `json:"launch"`
	Position  uint64          `json:"position"`
	Campaigns []CampaignStats `json:"campaigns"`
	Channels  []ChannelStats  `json:"channels"` // by name; "" is campaigns without one
	Refused   map[Reason]int  `json:"refused"`  // refusals that were kept: see docs/architecture.md
}

// ConflictRow is a decision of Redis that Postgres' constraints did not let
// in: it is kept, counted and shown, and never blocks the journal.
type ConflictRow struct {
	Launch   string    `json:"launch"`
	Position uint64    `json:"position"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"` // what would have been broken: cap, once_per_subject, unknown_code, …
	Detail   string    `json:"detail"`
	Event    string    `json:"event"` // the journal line
}

// ParkedRow is a journal record that could not be read or applied.
type ParkedRow struct {
	Launch   string    `json:"launch"`
	Position uint64    `json:"position"`
	At       time.Time `json:"at"`
	Error    string    `json:"error"`
	Record   string    `json:"record"`
}

// Scope is what an API key may do. Admin may do all that server and read may.
type Scope string

// The scopes of API keys.
const (
	ScopeServer Scope = "server"
	ScopeAdmin  Scope = "admin"
	ScopeRead   Scope = "read"
)

// APIKey is a credential of a back end or an operator, without its secret.
type APIKey struct {
	ID        ID        `json:"id"`
	Name      string    `json:"name"`
	Scopes    []Scope   `json:"scopes"`
	Launch    string    `json:"launch,omitempty"` // "" is all launches
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Created   time.Time `json:"created_at"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	LastUsed  time.Time `json:"last_used_at,omitzero"`
}

// Good reports whether the key is neither revoked nor expired.
func (k *APIKey) Good(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Allows reports whether the key is good for a scope and a launch at a time.
// launch "" asks for what concerns all launches.
func (k *APIKey) Allows(s Scope, launch string, now time.Time) bool {
	return k.Good(now) && (k.Launch == "" || k.Launch == launch) &&
		(slices.Contains(k.Scopes, s) || slices.Contains(k.Scopes, ScopeAdmin))
}
