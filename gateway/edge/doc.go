// Package edge is the public listener: it turns HTTP requests into the
// domain's verbs and answers back into JSON. It never sees Redis or SQL.
//
// A request goes this way: conns.go admits its connection, head.go reads its
// header block and refuses what could be read in two ways, routes.go finds its
// handler, request.go runs it. Handlers return errors; error.go turns them into
// problem documents. decode.go reads bodies, identity.go says who redeems,
// address.go from where, credential.go with which right, abuse.go whether that is
// somebody to be turned away. The verbs themselves are redeem.go, redemption.go,
// validate.go and open.go, of the waitlist waitlist.go, place.go and stream.go,
// of members member.go, invite.go, referral.go, referral_calls.go and
// purchase.go; answer.go writes what they say.
//
// What a handler reads of a request are slices of fasthttp's buffers: they are
// good until the handler returns. What is handed to the store is copied.
package edge
