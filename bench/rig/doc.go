// Package rig runs real servers as child processes on free ports: redis-server
// and postgres, with a proxy to put between; and a mail server in this process
// that keeps what it gets. `admitone dev`, the tests and the benches use it.
//
// A child never outlives its parent, however that ends. Each has a directory of
// its own, listens on 127.0.0.1 only, and comes back with its data when it is
// started on the same directory again.
package rig
