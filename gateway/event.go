package gateway

import "time"

// RecordVersion is the version of the journal records that this gateway
// writes. Readers know it and the one before.
const RecordVersion = 1

// Record is one entry of a launch's journal: what one script call decided, in
// order. Seq counts the launch's records from 1 without a gap; it is the
// launch's position.
type Record struct {
	Launch string
	Seq    uint64
	Epoch  uint64    // of the history it was written in
	At     time.Time // Redis' clock, millisecond precision
	Bytes  uint64    // of all records of the launch so far, this one included
	Events []Event
	Raw    string // as it was written, for the audit trail
}

// Placed is an event, when it happened by Redis' clock, and where it stands.
type Placed struct {
	Event
	At       time.Time
	Position uint64 // of its record
}

// Event is one decision in a record: one of the Event types of this file.
type Event interface{ Kind() string }

// LaunchPut is a launch made, its policy changed, or opened and closed.
type LaunchPut struct {
	Version uint64
	Open    bool
	Policy  []byte // JSON
	By      Actor
}

// ClockSet is a launch's clock set ahead of Redis' own, in a rehearsal.
type ClockSet struct {
	Version uint64
	Ahead   time.Duration // millisecond precision
	By      Actor
}

// CampaignPut is a campaign made or changed.
type CampaignPut struct {
	Version  uint64
	Campaign []byte // JSON of a Campaign
	By       Actor
}

// CodesMinted are codes that came to be, all with the same attributes.
type CodesMinted struct {
	Campaign  uint32
	MaxUses   int       // 0: the campaign's
	ExpiresAt time.Time // zero: with the campaign
	Recipient string    // key; "" if unbound
	Issuer    string    // key; "" if none
	Sealed    []byte    // Person of the recipient, "" if unbound
	Codes     []MintedCode
	By        Actor
}

// MintedCode is a code and how it is written.
type MintedCode struct {
	Code    Code
	Display string
}

// CodesChanged are codes revoked, reinstated or renewed.
type CodesChanged struct {
	Change    CodeChange
	ExpiresAt time.Time
	Codes     []Code
	By        Actor
}

// Redeemed is a use of a code, held or committed.
type Redeemed struct {
	ID        ID
	Status    Status
	Code      Code
	Campaign  uint32
	Subject   string // key
	Address   string // key; "" if none was counted
	Proof     string // key of the Idempotency-Key; "" if none
	ExpiresAt time.Time
	Sealed    []byte // Person
}

// Settled is a hold that ended or a redemption taken back.
type Settled struct {
	ID       ID
	From, To Status
	Cause    Settlement
	Code     Code
	Campaign uint32
	Subject  string // key
	By       Actor
}

// Refused is a refusal worth keeping: one that counted as a failed attempt, or
// one whose true reason the answer hid.
type Refused struct {
	Reason  Reason
	Counted bool   // against the attempt limits
	Verb    string // redeem or validate
	Code    Code   // as it was read, folded
	Subject string // key; "" if none was named
	Address string // key; "" if none was counted
}

// Signalled is what a rule noticed about a redemption and let in all the same.
// Signals: shared_address, another subject has redeemed from the same address.
type Signalled struct {
	What       string
	Redemption ID
	Code       Code
	Campaign   uint32
	Subject    string // key
	Address    string // key
}

// Opened are visits of a code's link.
type Opened struct {
	Code     Code
	Campaign uint32
	Count    int
}

// EntryJoined is a new place on the waitlist, or one taken again.
type EntryJoined struct {
	Key         string
	Arrival     uint64
	Priority    int
	Source      string
	Points      int    // of the source
	Referrer    string // key; "" if none counts
	Unconfirmed bool
	Counted     bool // the referral has been counted
	Address     string
	Proof       string
	Boosts      string // packed, ParseBoosts reads it
	Sealed      []byte // Person; its subject is the e-mail address
}

// EntryBoosted is a change of an entry's priority, or a referral that counts.
type EntryBoosted struct {
	Key       string
	Cause     BoostKind
	Points    int
	Priority  int // from then on
	Referrals int // from then on
	Boosts    string
	By        Actor
}

// EntryConfirmed is an address that was confirmed.
type EntryConfirmed struct {
	Key     string
	Counted bool // the referral has been counted
}

// EntryMoved is a change of an entry's status.
type EntryMoved struct {
	Key      string
	From, To EntryStatus
	Cause    string // the verb, or "redeem"
	Code     Code   // of its offer; "" if it had none
	Revoked  bool   // that code
	Refill   string // the release that has a place to give again; "" if none
	By       Actor
}

// ReleasePut is a release made.
type ReleasePut struct {
	ID    string
	Count int
	Order ReleaseOrder
	Seed  string
	Upto  uint64
	Slot  time.Time
	By    Actor
}

// OfferMade is an entry let in: a code that came to be, and for whom.
type OfferMade struct {
	Release   string
	Key       string
	Code      Code
	Display   string // as it is written to people
	Campaign  uint32
	ExpiresAt time.Time
	Recipient string // key of whom the code is for; after "~" it is not bound
}

// ReleaseEnded is a release whose offers are made, or that found nobody.
type ReleaseEnded struct {
	ID   string
	Done int
}

// SchedulePut is the schedule started or paused.
type SchedulePut struct {
	Running bool
	Since   time.Time
	By      Actor
}

// MemberChanged is a member's record, whole, as a change left it.
type MemberChanged struct {
	Subject string // key
	Cause   MemberCause
	Ref     string // what caused it: a redemption's short id, a number, a code; "" if nothing
	Member  StoredMember
	Record  string // as Redis holds it
	By      Actor
	Sealed  []byte // Person of a subject that redeemed nothing; "" otherwise
}

// MilestoneCrossed is a number of referrals reached for the first time.
type MilestoneCrossed struct {
	Subject   string // key
	Milestone int    // referrals
	Invites   int    // granted for it
	Referrals int    // then
}

// MemberActed is something that a member did in the app.
type MemberActed struct {
	Subject string // key
	Name    string
}

// Person is what the journal carries sealed: who redeemed, in plain words.
type Person struct {
	Subject string `json:"s"`
	Email   string `json:"e,omitempty"`
	Name    string `json:"n,omitempty"`
	Source  string `json:"o,omitempty"`
	Country string `json:"c,omitempty"`
}

// The kinds are the first word of an event's line in the journal.
func (LaunchPut) Kind() string      { return "launch" }
func (ClockSet) Kind() string       { return "clock" }
func (CampaignPut) Kind() string    { return "campaign" }
func (CodesMinted) Kind() string    { return "minted" }
func (CodesChanged) Kind() string   { return "changed" }
func (Redeemed) Kind() string       { return "redeemed" }
func (Settled) Kind() string        { return "settled" }
func (Refused) Kind() string        { return "refused" }
func (Opened) Kind() string         { return "opened" }
func (EntryJoined) Kind() string    { return "joined" }
func (EntryBoosted) Kind() string   { return "boosted" }
func (EntryConfirmed) Kind() string { return "confirmed" }
func (EntryMoved) Kind() string     { return "entry" }
func (ReleasePut) Kind() string     { return "release" }
func (OfferMade) Kind() string      { return "offered" }
func (ReleaseEnded) Kind() string   { return "released" }
func (SchedulePut) Kind() string    { return "schedule" }
func (Signalled) Kind() string      { return "signal" }

// The kinds of members' events.
func (MemberChanged) Kind() string    { return "member" }
func (MilestoneCrossed) Kind() string { return "milestone" }
func (MemberActed) Kind() string      { return "activity" }
