// Package storm sends a server of redemptions more requests than it is used to,
// and tells how it took them.
//
// One thread owns all connections and waits for them with epoll, so that the
// generator takes a small part of the machine that it shares with what it
// measures; how much, it tells itself. Open loop (Options.Rate above 0): when
// each request is to leave is settled beforehand, and its latency counts from
// that moment on, whether or not a connection was free; a run that did not keep
// to its schedule has no rate to report. Closed loop (Rate 0): each connection
// sends its next request when it has read an answer; that finds the peak, and
// says little of latency.
//
// loop.go is the engine, conn.go one connection, request.go writes requests,
// mix.go says which, result.go and chart.go tell what came of it.
package storm
