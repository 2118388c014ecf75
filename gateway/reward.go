package gateway

import (
	"regexp"
	"time"
)

// DisputeState is what is known of a dispute.
type DisputeState string

// The states of a dispute: an end outlasts a beginning that is told later.
const (
	DisputeOpen DisputeState = "open"
	DisputeWon  DisputeState = "won"
	DisputeLost DisputeState = "lost"
)

// Payment is what somebody says of a payment; any part may be missing, and any
// order is right.
type Payment struct {
	ID       string // the payment's, the same in all that is said of it; 1 to 100 of [A-Za-z0-9_.:-]
	Event    string // of what was said; one told again changes nothing; "" if it has none
	Subject  string // canonical: who paid; "" if this does not say
	Amount   int    // minor units, > 0 where there is a subject
	Currency string // ISO 4217, in lower case
	Refunded int    // minor units in all so far
	Dispute  string // its id; "" if none is spoken of
	State    DisputeState
}

// MaxAmount bounds an amount of money, in minor units.
const MaxAmount = 100_000_000_000

var paymentID = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,100}$`)

// Validate returns an invalid_request that names the field at fault.
func (p *Payment) Validate() error {
	switch {
	case !paymentID.MatchString(p.ID):
		return Invalid("id", "Use 1 to 100 letters, digits and _ . : -.")
	case p.Event != "" && !paymentID.MatchString(p.Event):
		return Invalid("event", "Use 1 to 100 letters, digits and _ . : -.")
	case p.Subject != "" && (p.Amount < 1 || p.Amount > MaxAmount):
		return Invalid("amount", "Use a whole number of minor units (cents), from 1 to 100000000000.")
	case p.Subject != "" && !currencyName.MatchString(p.Currency):
		return Invalid("currency", `Use three lower-case letters such as "usd".`)
	case p.Refunded < 0 || p.Refunded > MaxAmount:
		return Invalid("refunded", "Use a whole number of minor units (cents), from 0 to 100000000000.")
	case p.Dispute != "" && !paymentID.MatchString(p.Dispute):
		return Invalid("dispute.id", "Use 1 to 100 letters, digits and _ . : -.")
	}
	switch p.State {
	case "", DisputeOpen, DisputeWon, DisputeLost:
	default:
		return Invalid("dispute.status", "Use open, won or lost.")
	}
	if p.Subject == "" && p.Refunded == 0 && p.Dispute == "" {
		return Invalid("subject", "Say who paid, what was refunded, or what is disputed.")
	}
	return nil
}

// RewardStatus is what became of the reward for a friend's purchase.
type RewardStatus string

// The statuses of a reward.
const (
	RewardNone     RewardStatus = "none" // nothing is due
	RewardPending  RewardStatus = "pending"
	RewardApproved RewardStatus = "approved" // and not due yet
	RewardPaid     RewardStatus = "paid"
	RewardReversed RewardStatus = "reversed"
	RewardCapped   RewardStatus = "capped"
	RewardRejected RewardStatus = "rejected"
)

// Earning says what a purchase came to.
type Earning struct {
	SubjectKey string       // "" while nobody is known to have paid
	Status     RewardStatus // of the subject's reward
	News       bool         // it was not known already
	Epoch      uint64       // of the history that Position stands in
	Position   uint64
}

// RewardDecision is what an operator says of a reward.
type RewardDecision string

// The decisions. A rejected reward is taken back if it was paid.
const (
	ApproveReward RewardDecision = "approve"
	RejectReward  RewardDecision = "reject"
)

// StoredText is a record under its key, as Redis holds it.
type StoredText struct{ Key, Record string }

// PaymentLearned is a payment's record, whole, as something said of it left it.
type PaymentLearned struct {
	Key    string
	ID     string
	Record string
}

// EarningChanged is the record of what a subject's purchases give, whole.
type EarningChanged struct {
	Subject string // key
	Record  string
	By      Actor
}

// Credited is money that moved on a member's account: to it for a reward, from
// it for a clawback.
type Credited struct {
	What     CreditKind
	Subject  string // key
	Referee  string // key: whose purchase it is for
	Payment  string // key
	Amount   int    // minor units, > 0
	Currency string
}

// CreditKind says why money moved.
type CreditKind string

// The kinds of movements.
const (
	CreditReward   CreditKind = "reward"
	CreditClawback CreditKind = "clawback"
)

// The kinds of events about money.
func (PaymentLearned) Kind() string { return "payment" }
func (EarningChanged) Kind() string { return "earning" }
func (Credited) Kind() string       { return "credit" }

// Money is an amount in minor units of a currency.
type Money struct {
	Amount   int    `json:"amount"`
	Currency string `json:"currency"`
}

// Account is what a member earned and has, one entry a currency.
type Account struct {
	Earned  []Money `json:"earned"` // rewards, those taken back not counted off
	Balance []Money `json:"balance"`
}

// RewardRow is a friend's reward, as Postgres keeps it.
type RewardRow struct {
	Referee    string       `json:"referee,omitempty"` // subject
	Referrer   string       `json:"referrer,omitempty"`
	Name       string       `json:"name,omitempty"` // of the referee
	Status     RewardStatus `json:"status"`
	ToReferrer int          `json:"to_referrer"`
	ToReferee  int          `json:"to_referee"`
	Currency   string       `json:"currency,omitempty"`
	Payment    string       `json:"payment,omitempty"` // id
	Due        time.Time    `json:"due_at,omitzero"`
	Changed    time.Time    `json:"changed_at"`
}

// RewardFilter narrows a list of rewards; zero fields do not.
type RewardFilter struct {
	Status   RewardStatus
	Referrer string // key
}

// ReadRewardStatus reads the letter of a status in an earning's record.
func ReadRewardStatus(letter string) RewardStatus {
	switch letter {
	case "p":
		return RewardPending
	case "a":
		return RewardApproved
	case "d":
		return RewardPaid
	case "r":
		return RewardReversed
	case "c":
		return RewardCapped
	case "x":
		return RewardRejected
	}
	return RewardNone
}
