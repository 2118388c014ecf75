package gateway

import (
	"net/netip"
	"time"
)

// Mode says what a redemption asks for.
type Mode uint8

// A commit admits the subject at once; a hold sets the use aside until it is
// confirmed, released or expires.
const (
	Commit Mode = iota
	Hold
)

// Status is where a redemption is: held → committed | released,
// committed → rolled_back.
type Status string

// The statuses of a redemption.
const (
	Held       Status = "held"
	Committed  Status = "committed"
	Released   Status = "released"
	RolledBack Status = "rolled_back"
)

// Durability is what a receipt promises.
type Durability string

// Accepted means that Redis decided and journalled it, persisted that Postgres committed it.
const (
	DurabilityAccepted  Durability = "accepted"
	DurabilityPersisted Durability = "persisted"
)

// Redeem asks for one use of a code.
type Redeem struct {
	Code    Code
	Subject string // canonical: the app's user id, or the canonical e-mail
	Email   string // canonical e-mail where one is known, "" otherwise; recipient-bound codes look at it
	Name    string // display name, kept for Postgres only
	Source  string // the caller's word for where the subject came from
	Mode    Mode
	Address netip.Prefix // whom attempts are counted against; the zero Prefix counts nobody
	Proof   string       // the caller's Idempotency-Key; "" if there was none
	Country string       // where the address is, ISO 3166-1; "" if that is not known
	Solved  bool         // the caller has solved the policy's challenge
	Vouched bool         // a back end says who redeems: Email is the subject's own, and guesses count against the subject
}

// Waits is the address whose place on the waitlist the redemption takes up: the
// subject's own, or the one that a back end says is. "" if there is none: a
// stranger's word takes nobody off the list.
func (r *Redeem) Waits() string {
	if r.Vouched || r.Email == r.Subject {
		return r.Email
	}
	return ""
}

// Redemption is the answer to Redeem, and to every later question about it.
type Redemption struct {
	ID         ID
	Code       Code
	Display    string // the code as its campaign writes it
	Campaign   uint32 // number of the code's campaign
	Subject    string // as asked; "" when looked up by id
	SubjectKey string // keyring.Subject of the subject, looked up or asked
	Status     Status
	At         time.Time // of the decision, by Redis' clock
	ExpiresAt  time.Time // of a hold; zero otherwise
	Epoch      uint64    // of the history that Position stands in
	Position   uint64    // of the journal record that holds it, or of the latest one when replayed
	Replayed   bool      // an earlier request of the same subject and code made it
	Proven     bool      // made by this request, or replayed under the same Idempotency-Key
	Founding   bool      // it made its subject a member, or will: nobody spoke for the subject before
	Referred   bool      // a member invited the subject
	Allotment  Rounds    // invites that the member may mint
}

// Validate asks whether a code could be redeemed, without using it.
type Validate struct {
	Code    Code
	Address netip.Prefix
}

// Validation is the answer for a code that can be redeemed.
type Validation struct {
	Campaign  uint32
	Display   string
	Remaining int       // uses, the campaign's cap included
	ExpiresAt time.Time // zero: never
}

// Settlement is what ends a hold or takes a redemption back.
type Settlement string

// The settlements. Confirming what is committed, or releasing what is
// released, answers the same redemption again.
const (
	Confirm  Settlement = "confirm"  // held → committed; hold_expired after its time
	Release  Settlement = "release"  // held → released, by the caller
	Expire   Settlement = "expire"   // held → released, once its time is over
	Rollback Settlement = "rollback" // committed → rolled_back, by an operator
)

// Actor says who changed something and why, for the audit trail.
type Actor struct {
	Name string // the API key's name, "cli", "system"
	Note string // the operator's reason; may be ""
}
