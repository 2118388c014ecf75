// Package client speaks to both listeners of a gateway: the public one, as a
// back end, a browser or a member does, and the private one, as an operator
// does. The command line, the load generator and the tests go through it.
//
// client.go sends a request and reads its answer, retry.go says what may be
// sent again, error.go reads problem documents. public.go are the public calls;
// launches.go, campaigns.go, codes.go, reports.go, mails.go and keys.go the private ones.
package client
