// Package peers holds what somebody would build or pick instead of AdmitOne,
// each tuned as well as we know how, behind the same HTTP call: one answer of
// the same length to the same request. The bench runs each as a process of its
// own, beside a gateway, with the same load.
//
//   - pg: pgx, SELECT … FOR UPDATE, two round trips a redemption
//   - pg-coalesced: the same rows, decided in sets: requests that arrive while a
//     transaction runs leave together in the next one
//   - direct: go-redis, one EVALSHA a request
//   - autopipeline: the same through go-redis' AutoPipeline
//   - own: AdmitOne's own script and store with group commit off
//   - nginx: nginx with Lua and keep-alive to Redis, the script of direct
//   - echo: fasthttp answering the same bytes, deciding nothing: the ceiling; of
//     a redemption, or of whatever else it is told to say
//
// Every one but echo checks what a gateway checks: the code exists, its window,
// its state and its uses; once per subject, and the same answer again; failed
// attempts by address and by subject. All of them keep a record of each
// redemption: a row, or an entry of a stream. None of them heals, is fenced,
// keeps an audit trail or copies to a second store.
package peers
