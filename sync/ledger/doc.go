// Package ledger keeps every result durably in Postgres.
//
// Apply takes a launch's journal records in order and commits their rows and
// the position together: applying a record twice, or out of order, or from a
// history that was given up, is impossible rather than harmless. Everything in
// a batch is set-based: one statement for each kind of row.
//
// The constraints arbitrate. What they refuse is put into conflicts and the
// journal goes on; a record that cannot be applied at all is parked.
//
//	launches, campaigns, codes, redemptions   the state, one row each
//	positions                                 how far: seq and epoch, the fence
//	epochs                                    where each history went on from
//	gateways, vouchers                        who lives, and has told what it answered
//	attempts, visits, changes                 refusals, visited links, operators' changes
//	entries, releases, schedules              the waitlist and its cohorts
//	members, member_events, milestones        who is in, and why a record changed
//	payments, earnings, credit_entries        what was paid, what is due for it, what moved
//	refills                                   which slot of its schedule a refill has served
//	activities                                what members did in the app
//	signals, anomalies                        what a rule noticed and let in; what was unusual
//	journal                                   every record as it was written, by month
//	conflicts, parked                         what did not fit
//	api_keys, idempotency, mint_jobs          what lives in Postgres only
//	webhook_endpoints, _messages, _deliveries where events are told to, and how it went
//	mails                                     what is written to people, and how far it came
//
// Dump reads the state back for Redis to be rebuilt from.
package ledger
