package gateway

import (
	"strconv"
	"time"
)

// MaxReferralDepth bounds how far a graph of referrals is followed.
const MaxReferralDepth = 50

// ReadReferralDepth reads how far a graph of referrals is to be followed; "" is
// to those whom the member brought.
func ReadReferralDepth(depth string) (int, error) {
	if depth == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(depth)
	if err != nil || n < 1 || n > MaxReferralDepth {
		return 0, Invalid("depth", "Use a whole number from 1 to 50.")
	}
	return n, nil
}

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

// ReferralStats is what a member's referrals came to, as Postgres knows it.
type ReferralStats struct {
	TotalReferrals int         `json:"total_referrals"`
	TotalEarned    []Money     `json:"total_earned"` // in all, what was taken back not counted off
	CurrentBalance []Money     `json:"current_balance"`
	ReferredByCode string      `json:"referred_by_code,omitempty"`
	Referrals      []FriendRow `json:"referrals"` // newest first
}

// FriendRow is somebody who came by a member's code, and what that gave.
type FriendRow struct {
	Subject string       `json:"subject,omitempty"` // for back ends only
	Name    string       `json:"name,omitempty"`
	Joined  time.Time    `json:"joined_at,omitzero"`
	Reward  RewardStatus `json:"reward"`
	Earned  int          `json:"earned"` // minor units, now
}
