package main

import (
	"cmp"
	"slices"

	"admitone/gateway"
)

// oracle keeps the waitlist as the policy's words say, with plain slices: what
// AdmitOne answers is held against it.
type oracle struct {
	people []*waiter // by arrival
	byMail map[string]*waiter
	line   []*waiter // who waits, in order
}

type waiter struct {
	email    string
	arrival  int
	priority int
	source   string
	referred bool
	status   gateway.EntryStatus
	ticket   string
	referral string
	invited  bool // ever
	day      int  // when it was invited
}

func newOracle() *oracle { return &oracle{byMail: map[string]*waiter{}} }

func ahead(a, b *waiter) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.arrival, b.arrival))
}

func (o *oracle) insert(w *waiter) {
	i, _ := slices.BinarySearchFunc(o.line, w, ahead)
	o.line = slices.Insert(o.line, i, w)
}

func (o *oracle) remove(w *waiter) {
	if i, found := slices.BinarySearchFunc(o.line, w, ahead); found {
		o.line = slices.Delete(o.line, i, i+1)
	}
}

// place is where somebody stands, 1 at the front; 0 for who does not wait.
func (o *oracle) place(w *waiter) int {
	i, found := slices.BinarySearchFunc(o.line, w, ahead)
	if !found || w.status != gateway.EntryWaiting {
		return 0
	}
	return i + 1
}

// The points of the policy.
var sourcePoints = map[string]int{"producthunt": 20, "twitter": 5}

func (o *oracle) join(email, source string, by *waiter) *waiter {
	w := &waiter{email: email, arrival: len(o.people) + 1, priority: sourcePoints[source], source: source, status: gateway.EntryWaiting}
	if by != nil {
		w.priority, w.referred = w.priority+10, true
		if by.status == gateway.EntryWaiting {
			o.remove(by)
			by.priority += 5
			o.insert(by)
		}
	}
	o.people = append(o.people, w)
	o.byMail[email] = w
	o.insert(w)
	return w
}

// release lets the next n in.
func (o *oracle) release(n, day int) []*waiter {
	let := slices.Clone(o.line[:min(n, len(o.line))])
	for _, w := range let {
		o.remove(w)
		w.status, w.invited, w.day = gateway.EntryInvited, true, day
	}
	return let
}

// end gives a place back: the next in line gets it.
func (o *oracle) end(w *waiter, status gateway.EntryStatus, day int) []*waiter {
	w.status = status
	if status == gateway.EntryRegistered {
		return nil
	}
	return o.release(1, day)
}
