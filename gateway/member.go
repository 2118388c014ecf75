package gateway

import (
	"strings"
	"time"
)

// UnlockMethod is how a member got what it may use.
type UnlockMethod string

// The methods. A subject that was let in and taken back has none.
const (
	UnlockInvite  UnlockMethod = "invite_code"
	UnlockLicense UnlockMethod = "license_key"
	UnlockTrial   UnlockMethod = "trial"
)

// StoredMember is a member's record. lua/lib/members.lua says how it is packed.
type StoredMember struct {
	Tier      string // an operator's; "" is the campaign's
	Method    UnlockMethod
	Campaign  uint32 // of the code that let the member in; 0 if none
	Inviter   string // key of who issued that code; "" if nobody did
	Via       ID     // the redemption by which the inviter got the referral
	Rounds    Rounds // granted in all
	Used      int
	Until     time.Time // zero: for good
	Allotment Rounds
	Referrals int
	Crossed   string // milestones, joined by dots
	Open      string // codes not used up, by the day they expire on
	Day       int    // of the last minting, since 1970
	Minted    int    // on that day
	Refilled  time.Time
	Code      Code // personal referral code; "" if none
	Private   bool // not on the leaderboard
	Joined    time.Time
	Made      ID     // the redemption that made the member; zero if another call did
	Proofs    string // keys of the last Idempotency-Keys
	Brought   string // redemptions of their codes in a window of time, window:n
}

// In reports whether the subject is a member now: let in by a code.
func (m *StoredMember) In() bool { return m.Method == UnlockInvite || m.Method == UnlockLicense }

// MemberCause is why a member's record changed.
type MemberCause string

// The causes. Ref holds what is named behind each.
const (
	MemberJoined     MemberCause = "joined"     // redemption
	MemberLeft       MemberCause = "left"       // redemption taken back
	MemberReferred   MemberCause = "referred"   // redemption of an invite of theirs
	MemberUnreferred MemberCause = "unreferred" // the same, taken back
	MemberCounted    MemberCause = "counted"    // a code of theirs was used up or freed
	MemberTrial      MemberCause = "trial"      // rounds; the first call
	MemberUsed       MemberCause = "used"       // rounds
	MemberGranted    MemberCause = "granted"    // invites
	MemberTier       MemberCause = "tier"       // tier, URL-encoded
	MemberPrivate    MemberCause = "private"    // 1 or 0
	MemberErased     MemberCause = "erased"
	MemberMinted     MemberCause = "minted"   // how many
	MemberRevoked    MemberCause = "revoked"  // code
	MemberRefilled   MemberCause = "refilled" // by how many, on schedule
	MemberCode       MemberCause = "code"     // the referral code
)

// Member is a member as it is now.
type Member struct {
	StoredMember
	SubjectKey string
	Left       Rounds // rounds
	Epoch      uint64
	Position   uint64
}

// Use asks for rounds.
type Use struct {
	Subject string // canonical
	Email   string
	Rounds  int    // ≥ 1
	Proof   string // the caller's Idempotency-Key; "" if there was none
	Begin   bool   // the caller speaks for the subject: one that never redeemed may begin a trial
}

// ChangeMember is what an operator, or the member, changes.
type ChangeMember struct {
	Subject string      // canonical
	Change  MemberCause // MemberGranted, MemberTier, MemberPrivate or MemberErased
	Invites int         // for MemberGranted, 1 to MaxGrant
	Tier    string      // for MemberTier; "" is the campaign's again
	Private bool        // for MemberPrivate
	Own     bool        // the member asks itself: so much a day
	By      Actor
}

// Act is something that a member did in the app.
type Act struct {
	Subject string // canonical
	Name    string // [a-z0-9_-]{1,40}
	Own     bool   // the member tells it itself: each name once a day, and so many
}

// The activities that figures are made of: a member cannot claim them.
const (
	ActActivated = "activated"
	ActPaid      = "paid"
)

// MaxOwnActs is how many things a member may tell of itself on one day, by UTC.
const MaxOwnActs = 10

// MaxGrant is how many invites an operator may grant a member at once.
const MaxGrant = 100_000

// MaxRounds is how many rounds one call may use.
const MaxRounds = 1_000_000

// Validate returns an invalid_request that names the field at fault.
func (c *ChangeMember) Validate() error {
	switch c.Change {
	case MemberGranted:
		if c.Invites < 1 || c.Invites > MaxGrant {
			return Invalid("invites", "Use a whole number from 1 to 100000.")
		}
	case MemberTier:
		if len(c.Tier) > maxLabel || strings.ContainsFunc(c.Tier, notPrintable) {
			return Invalid("tier", "Use at most 100 bytes of printable text.")
		}
	}
	return nil
}

// MemberRow is a member as Postgres keeps it.
type MemberRow struct {
	Subject   string       `json:"subject,omitempty"` // "" once erased
	Email     string       `json:"email,omitempty"`
	Name      string       `json:"name,omitempty"`
	Tier      string       `json:"tier"`
	Method    UnlockMethod `json:"method"`
	Campaign  string       `json:"campaign,omitempty"`
	Invited   bool         `json:"invited"` // by a member
	Rounds    Rounds       `json:"rounds"`
	Used      int          `json:"used_rounds"`
	Until     time.Time    `json:"unlocked_until,omitzero"`
	Allotment Rounds       `json:"allotment"`
	Referrals int          `json:"referrals"`
	Private   bool         `json:"private"`
	Joined    time.Time    `json:"joined_at,omitzero"`
	Erased    bool         `json:"erased"`
}

// MemberFilter narrows a list of members; zero fields do not.
type MemberFilter struct {
	Email  string // canonical
	Tier   string
	Method UnlockMethod
}
