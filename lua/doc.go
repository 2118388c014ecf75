// Package lua is the Redis adapter: every change of a launch's state is one
// script here that checks everything, writes the state and appends what it
// decided to the launch's journal, in one atomic step.
//
// redeem.lua decides, redeem.go asks; codes.go asks codes_mint.lua and
// codes_change.lua, and so on. A script's head says which parts of lib it uses,
// names its KEYS, ARGV and replies; contract_test.go holds both halves to it.
// script.go sends scripts, keys.go builds every key, group.go lets concurrent
// requests share a call. launch.go, admit.go, identity.go and witness.go are the
// fence: which history is served, and what is told to one that lost something;
// restore.go and compare.go are what heal and verify stand on; line.go is the
// copy of the waitlist that polls are answered from.
//
// What Redis holds of a launch, all under the hash tag {launch}:
//
//	ao:{l}:meta       hash    epoch, seq, version, persisted, bytes, rules
//	ao:{l}:config     hash    the policy's and the campaigns' documents, names
//	ao:{l}:campaigns  hash    n → rules; nu → uses; # → how many
//	ao:{l}:c:hhhh     hash    65,536 buckets: code → packed record
//	ao:{l}:s:hhhh     hash    65,536 buckets: subject key → packed redemptions
//	ao:{l}:members    hash    subject key → packed member, of who got more than admission
//	ao:{l}:own        hash    subject key → what the member told of itself today
//	ao:{l}:e:hhhh     hash    65,536 buckets: e-mail key → packed waitlist entry
//	ao:{l}:queue      zset    who waits, by priority and arrival
//	ao:{l}:offers     zset    e-mail key → when the offer is to be looked at
//	ao:{l}:releases   hash    id → packed release; the schedule
//	ao:{l}:joins:0    hash    joins by address; 0 and 1 take turns
//	ao:{l}:payments   hash    payment key → packed payment
//	ao:{l}:earnings   hash    subject key → packed earning: what a subject's purchases give
//	ao:{l}:holds      zset    redemption id → when the hold is over
//	ao:{l}:attempts:0 hash    failures by address and subject; 0 and 1 take turns
//	ao:{l}:dedup:0    hash    who redeemed from an address; 0 and 1 take turns
//	ao:{l}:holders    hash    holds by address in a window of time
//	ao:{l}:journal    stream  one record a script call, id = position
//	ao:{l}:restore    string  epoch of the restore under way: it fences off an earlier one
//
// Small hashes of packed records are what makes a million codes fit in some 30
// MB: Redis keeps them as one compact list each.
package lua
