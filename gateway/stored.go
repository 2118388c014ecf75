package gateway

import "time"

// What a store must hold to serve a launch, as the ledger knows it: Redis is
// rebuilt from it, and compared with it.

// StoredLaunch is a launch and how far its history has come.
type StoredLaunch struct {
	Name     string
	Version  uint64
	Open     bool
	Policy   []byte // JSON
	Seq      uint64
	Epoch    uint64
	Bytes    uint64
	Ahead    time.Duration // of the launch's clock
	Arrivals uint64        // joins so far
	// Identity is the run of the Redis server that is admitted, "" before the
	// first.
	Identity string
	// Adopting is the epoch that a heal which did not end wanted to carry on.
	Adopting uint64
}

// StoredCampaign is a campaign and its uses, held ones included.
type StoredCampaign struct {
	Campaign
	Used int
}

// StoredCode is a code's record.
type StoredCode struct {
	Code      Code
	Display   string
	Campaign  uint32
	Used      int // held ones included
	Held      int
	MaxUses   int // 0: the campaign's
	Revoked   bool
	ExpiresAt time.Time
	Recipient string // key
	Issuer    string // key
}

// StoredRedemption is a redemption that a repeated request may ask about.
type StoredRedemption struct {
	ID        ID
	Subject   string // key
	Address   string // key
	Code      Code
	Campaign  uint32
	Status    Status
	Proof     string
	At        time.Time
	ExpiresAt time.Time
}

// StoredEntry is an entry of the waitlist.
type StoredEntry struct {
	Entry
	Proof   string
	Packed  string // boosts, as the scripts write them
	Counted bool   // the referral
	Address string // key
	Code    Code   // of its last offer, whatever became of it
	Ends    time.Time
}

// StoredQueue is the waitlist's schedule and what was joined.
type StoredQueue struct {
	Scheduled bool // the schedule was ever started or paused
	Schedule
	Releases []Cohort
}

// StoredRecord is a member's record under its subject's key.
type StoredRecord struct {
	Subject string // key
	StoredMember
}

// StoredFailure is a failed attempt that still counts.
type StoredFailure struct {
	Subject string // key
	Address string // key
	At      time.Time
}
