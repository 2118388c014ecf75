package gateway

import "time"

// MaxReferralDepth bounds how far a graph of referrals is followed.
const MaxReferralDepth = 50

// ReferralRow is somebody who came by a member's invites, or by those of
// somebody who did.
type ReferralRow struct {
	Subject   string    `json:"subject,omitempty"`    // for back ends and operators only
	InvitedBy string    `json:"invited_by,omitempty"` // subject, for them too
	Name      string    `json:"name,omitempty"`
	Depth     int       `json:"depth"` // 1: invited by the member
	Member    bool      `json:"member"`
	Referrals int       `json:"referrals"`
	Joined    time.Time `json:"joined_at,omitzero"`
}

// LeaderRow is a place on the leaderboard.
type LeaderRow struct {
	Rank      int    `json:"rank"` // equals share one
	Name      string `json:"name"`
	Referrals int    `json:"referrals"`
}
