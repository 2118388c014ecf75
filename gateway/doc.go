// Package gateway is AdmitOne's domain: launches, campaigns, codes and
// redemptions, the events that change them, and the errors that refuse them.
//
// It imports the standard library only and knows neither Redis nor SQL, and of
// HTTP the statuses of its refusals. The rooms around it adapt it: edge and
// admin speak HTTP, lua decides in Redis, sync/ledger keeps the rows in
// Postgres. rooms_test.go holds each to what it may see. Interfaces are declared
// where they are used; what several rooms share is declared here.
//
// A redemption reads in this order: redeem.go (the request and the answer),
// edge/redeem.go (HTTP), lua/redeem.lua (the decision), sync/ledger/redeem.go
// (the row). Every feature keeps its file name in every room.
package gateway
