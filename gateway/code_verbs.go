package gateway

import "time"

// CodeState is where a code is, as of the moment it is read.
type CodeState string

// The states of a code: active → exhausted | expired | revoked, and back.
const (
	CodeActive       CodeState = "active"
	CodeIsExhausted  CodeState = "exhausted"
	CodeIsExpired    CodeState = "expired"
	CodeIsRevoked    CodeState = "revoked"
	CodeIsNotStarted CodeState = "not_started"
)

// NewCode is one code to be minted or imported.
type NewCode struct {
	Code      Code
	Display   string    // as written to people; "" when the campaign's template renders it
	MaxUses   int       // 0: the campaign's
	ExpiresAt time.Time // zero: with the campaign
	Recipient string    // canonical e-mail or subject it is bound to; "" if none
	Issuer    string    // canonical subject that issued it; "" if none
}

// CodeInfo is one code's record.
type CodeInfo struct {
	Code      Code
	Display   string
	Campaign  uint32
	State     CodeState
	Used      int // committed and held together
	Held      int
	MaxUses   int
	ExpiresAt time.Time
	Bound     bool // to a recipient
	Issued    bool // by a member
}

// CodeChange is what an operator does to codes that exist.
type CodeChange string

// The changes of codes. Renewing sets another expiry.
const (
	Revoke    CodeChange = "revoked"
	Reinstate CodeChange = "reinstated"
	Renew     CodeChange = "renewed"
)

// ChangeCodes changes a list of codes together: all of them, or none when one
// does not exist.
type ChangeCodes struct {
	Change    CodeChange
	Codes     []Code
	ExpiresAt time.Time // for Renew; zero: with the campaign
	By        Actor
}

// CodesExist refuses a minting: the codes at these indexes exist already.
// Nothing was minted.
type CodesExist struct{ Indexes []int }

func (e *CodesExist) Error() string        { return Refuse(CodeExists).Error() }
func (e *CodesExist) Is(target error) bool { return Refuse(CodeExists).Is(target) }

// CodesUnknown refuses a change: the codes at these indexes do not exist.
// Nothing was changed.
type CodesUnknown struct{ Indexes []int }

func (e *CodesUnknown) Error() string        { return Refuse(CodeUnknown).Error() }
func (e *CodesUnknown) Is(target error) bool { return Refuse(CodeUnknown).Is(target) }
