package edge

import (
	"bytes"
	"strings"
)

// route is one line of the public API.
type route uint8

// The routes.
const (
	routeOther route = iota // nothing is there
	routeRedeem
	routeRedemption
	routeConfirm
	routeRelease
	routeValidate
	routeOpen
	routeMember
	routeUsage
	routeActivity
	routePreferences
	routeJoin
	routePlace
	routeStream
	routeDecline
	routeConfirmEntry
	routeConfirmLink
	routeInvites
	routeInvite
	routeReferrals
	routeLeaderboard
	routeReferralCode
	routeReferralValidate
	routeReferralStats
	routePurchases
	routeStripe
	routeGumroad
	routePreflight // of any other route
	routeCount
)

// routes says for each route its name in metrics and the methods it takes.
var routes = [routeCount]struct{ name, allow string }{
	routeOther:      {"other", ""},
	routeRedeem:     {"redeem", "POST"},
	routeRedemption: {"redemption", "GET"},
	routeConfirm:    {"confirm", "POST"},
	routeRelease:    {"release", "POST"},
	routeValidate:   {"validate", "POST"},
	routeOpen:       {"open", "GET, HEAD"},
	routePreflight:  {"preflight", "OPTIONS"},

	routeMember:           {"member", "GET"},
	routeUsage:            {"usage", "POST"},
	routeActivity:         {"activity", "POST"},
	routePreferences:      {"preferences", "PUT"},
	routeInvites:          {"invites", "GET, POST"},
	routeInvite:           {"invite", "DELETE"},
	routeReferrals:        {"referrals", "GET"},
	routeLeaderboard:      {"leaderboard", "GET"},
	routeReferralCode:     {"referral_code", "GET"},
	routeReferralValidate: {"referral_validate", "POST"},
	routeReferralStats:    {"referral_stats", "GET"},
	routePurchases:        {"purchases", "POST"},
	routeStripe:           {"stripe", "POST"},
	routeGumroad:          {"gumroad", "POST"},
	routeJoin:             {"join", "POST"},
	routePlace:            {"place", "GET, DELETE"},
	routeStream:           {"stream", "GET"},
	routeDecline:          {"decline", "POST"},
	routeConfirmEntry:     {"confirm_entry", "POST"},
	routeConfirmLink:      {"confirm_link", "GET, POST"},
}

// answer runs the handler of a route.
func (q *request) answer() error {
	switch q.route {
	case routeRedeem:
		return q.redeem() // /v1/launches/{l}/redemptions
	case routeRedemption:
		return q.redemption() // /v1/launches/{l}/redemptions/{id}
	case routeConfirm:
		return q.confirm() // /v1/launches/{l}/redemptions/{id}/confirm
	case routeRelease:
		return q.release() // /v1/launches/{l}/redemptions/{id}/release
	case routeValidate:
		return q.validate() // /v1/launches/{l}/validations
	case routeOpen:
		return q.open() // /i/{l}/{code}
	case routeJoin:
		return q.join() // /v1/launches/{l}/waitlist
	case routePlace:
		if q.ctx.IsDelete() {
			return q.leave()
		}
		return q.place() // /v1/launches/{l}/waitlist/{ticket}
	case routeStream:
		return q.stream() // /v1/launches/{l}/waitlist/{ticket}/events
	case routeDecline:
		return q.decline() // /v1/launches/{l}/waitlist/{ticket}/decline
	case routeConfirmEntry:
		return q.confirmEntry() // /v1/launches/{l}/waitlist/{ticket}/confirm
	case routeConfirmLink:
		return q.confirmLink() // /w/{l}/{ticket}
	}
	return q.answerMember() // what speaks of members
}

// allows reports whether the route takes the method.
func (r route) allows(method []byte) bool {
	for rest := routes[r].allow; rest != ""; {
		var one string
		if one, rest, _ = strings.Cut(rest, ", "); one == string(method) {
			return true
		}
	}
	return false
}

// find reads the target of a request. It is taken as it was sent: no dots are
// resolved and no slashes merged, so there is one way to name a thing.
func find(target []byte) (r route, launch, param []byte) {
	path, _, _ := bytes.Cut(target, []byte("?"))
	var seg [7][]byte
	n := 0
	for rest := path; len(rest) > 0 && rest[0] == '/'; n++ {
		if n == len(seg) {
			return routeOther, nil, nil
		}
		rest = rest[1:]
		end := bytes.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		seg[n], rest = rest[:end], rest[end:]
	}
	line := n >= 4 && string(seg[3]) == "waitlist"
	api := n >= 4 && string(seg[0]) == "v1" && string(seg[1]) == "launches"
	switch {
	case n == 3 && string(seg[0]) == "i":
		return routeOpen, seg[1], seg[2]
	case n == 4 && api && string(seg[3]) == "redemptions":
		return routeRedeem, seg[2], nil
	case n == 5 && api && string(seg[3]) == "redemptions":
		return routeRedemption, seg[2], seg[4]
	case n == 6 && api && string(seg[3]) == "redemptions" && string(seg[5]) == "confirm":
		return routeConfirm, seg[2], seg[4]
	case n == 6 && api && string(seg[3]) == "redemptions" && string(seg[5]) == "release":
		return routeRelease, seg[2], seg[4]
	case n == 4 && api && string(seg[3]) == "validations":
		return routeValidate, seg[2], nil
	case n == 3 && string(seg[0]) == "w":
		return routeConfirmLink, seg[1], seg[2]
	case n == 4 && api && line:
		return routeJoin, seg[2], nil
	case n == 5 && api && line:
		return routePlace, seg[2], seg[4]
	case n == 6 && api && line && string(seg[5]) == "events":
		return routeStream, seg[2], seg[4]
	case n == 6 && api && line && string(seg[5]) == "decline":
		return routeDecline, seg[2], seg[4]
	case n == 6 && api && line && string(seg[5]) == "confirm":
		return routeConfirmEntry, seg[2], seg[4]
	case api:
		r, param = findMember(seg[3:n])
		return r, seg[2], param
	}
	return routeOther, nil, nil
}
