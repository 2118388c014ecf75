package edge

import (
	"bytes"

	"admitone/gateway"
)

// answerMember runs the handler of a route about members, their invites and
// referrals, and what they buy.
func (q *request) answerMember() error {
	switch q.route {
	case routeMember:
		return q.member() // /v1/launches/{l}/members/{subject}
	case routeUsage:
		return q.usage() // …/members/{subject}/usage
	case routeActivity:
		return q.activity() // …/members/{subject}/activity
	case routePreferences:
		return q.preferences() // …/members/{subject}/preferences
	case routeInvites:
		return q.invites() // …/members/{subject}/invites
	case routeInvite:
		return q.revokeInvite() // …/members/{subject}/invites/{code}
	case routeReferrals:
		return q.referrals() // …/members/{subject}/referrals
	case routeReferralCode:
		return q.referralCode() // …/referral/code
	case routeReferralValidate:
		return q.referralValidate() // …/referral/validate
	case routeReferralStats:
		return q.referralStats() // …/referral/stats
	case routePurchases:
		return q.purchases() // …/purchases
	case routeStripe:
		return q.stripe() // …/hooks/stripe
	case routeGumroad:
		return q.gumroad() // …/hooks/gumroad
	case routeLeaderboard:
		return q.leaderboard() // …/leaderboard
	}
	return gateway.Refuse(gateway.NotFound)
}

// findMember reads what a path names behind the launch.
func findMember(seg [][]byte) (r route, param []byte) {
	words := map[string]route{
		"usage": routeUsage, "activity": routeActivity, "preferences": routePreferences, "invites": routeInvites, "referrals": routeReferrals,
	}
	switch n, first := len(seg), string(seg[0]); {
	case first == "leaderboard" && n == 1:
		return routeLeaderboard, nil
	case first == "purchases" && n == 1:
		return routePurchases, nil
	case first == "hooks" && n == 2:
		return map[string]route{"stripe": routeStripe, "gumroad": routeGumroad}[string(seg[1])], nil
	case first == "referral" && n == 2:
		return map[string]route{"code": routeReferralCode, "validate": routeReferralValidate, "stats": routeReferralStats}[string(seg[1])], nil
	case first == "members" && n == 2:
		return routeMember, seg[1]
	case first == "members" && n == 3:
		return words[string(seg[2])], seg[1]
	case first == "members" && n == 4 && string(seg[2]) == "invites":
		return routeInvite, seg[1]
	}
	return routeOther, nil
}

// lastSegment is the end of a request's path.
func lastSegment(target []byte) []byte {
	path, _, _ := bytes.Cut(target, []byte("?"))
	return path[bytes.LastIndexByte(path, '/')+1:]
}
