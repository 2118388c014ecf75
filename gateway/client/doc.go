// Package client speaks to both listeners of a gateway: the public one, as a
// back end, a browser or a member does, and the private one, as an operator
// does. The command line and the tests go through it.
//
// client.go sends a request and reads its answer, retry.go says what may be
// sent again, error.go reads problem documents. public.go, waitlist.go,
// members.go and purchases.go are the public calls, with what operators see of
// members and rewards; the other files are the private ones.
package client
