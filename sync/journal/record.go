// Package journal reads the records that the scripts write: text, one line an
// event, words separated by TAB. docs/architecture.md lists the lines.
package journal

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

// Entry is a record as Redis holds it.
type Entry struct {
	Seq uint64
	Raw string
}

// ErrVersion says that a record is one this gateway does not know how to read: a
// newer one wrote it, with another version, or with a line, a word or a field
// that came later. It has to wait for a newer syncer; it is not poison.
var ErrVersion = errors.New("journal: record of a newer version")

// ErrMalformed says that a record cannot be read at all.
var ErrMalformed = errors.New("journal: malformed record")

// Parse reads a record. Its error is ErrVersion or ErrMalformed.
func Parse(launch, raw string) (gateway.Record, error) {
	head, rest, more := strings.Cut(raw, "\n")
	h := strings.Split(head, "\t")
	if !known(h[0]) {
		if _, err := strconv.ParseUint(h[0], 10, 32); err == nil && len(h) > 1 {
			return gateway.Record{}, fmt.Errorf("%w: %s", ErrVersion, h[0])
		}
		return gateway.Record{}, ErrMalformed
	}
	if len(h) > headWords && more {
		return gateway.Record{}, fmt.Errorf("%w: a head of %d words", ErrVersion, len(h))
	}
	if len(h) != headWords || !more {
		return gateway.Record{}, ErrMalformed
	}
	p := &words{list: h[1:]}
	r := gateway.Record{Launch: launch, Seq: p.number(), Epoch: p.number(), At: p.time(), Bytes: p.number(), Raw: raw}
	if p.bad || r.Seq == 0 || r.At.IsZero() {
		return gateway.Record{}, ErrMalformed
	}
	r.Events = make([]gateway.Event, 0, strings.Count(rest, "\n")+1)
	for line := range strings.SplitSeq(rest, "\n") {
		e, err := parseEvent(line)
		if err != nil {
			return gateway.Record{}, err
		}
		r.Events = append(r.Events, e)
	}
	return r, nil
}

// known reports whether this gateway reads records of a version: of its own
// release's, and of the one before, whose gateways may run beside it.
func known(version string) bool {
	return version == strconv.Itoa(gateway.RecordVersion) || gateway.RecordVersion > 1 && version == strconv.Itoa(gateway.RecordVersion-1)
}

// headWords is how many words a record's first line has.
const headWords = 5

// arity is how many words follow a line's kind.
var arity = map[string]int{
	"launch": 5, "clock": 4, "campaign": 4, "minted": 9, "changed": 5, "redeemed": 9, "settled": 9, "refused": 6, "opened": 3, "signal": 6,
	"joined": 11, "boosted": 8, "confirmed": 2, "entry": 9, "release": 8, "offered": 7, "released": 2, "schedule": 4,
	"member": 7, "milestone": 4, "activity": 2, "payment": 3, "earning": 4, "credit": 6,
}

// maxWords is the most words that a line has behind its kind.
const maxWords = 11

func parseEvent(line string) (gateway.Event, error) {
	kind, rest, _ := strings.Cut(line, "\t")
	var space [maxWords]string
	n, found := arity[kind], strings.Count(rest, "\t")+1
	switch {
	case n == 0 && isWord(kind), n > 0 && found > n:
		return nil, fmt.Errorf("%w: a line of kind %s with %d words", ErrVersion, kind, found)
	case n == 0 || found != n:
		return nil, fmt.Errorf("%w: a line of kind %.20q", ErrMalformed, kind)
	}
	for i := range n {
		space[i], rest, _ = strings.Cut(rest, "\t")
	}
	p := &words{list: space[:n]}
	e := p.event(kind)
	if p.newer {
		return nil, fmt.Errorf("%w: a line of kind %s", ErrVersion, kind)
	}
	if p.bad {
		return nil, fmt.Errorf("%w: a line of kind %s", ErrMalformed, kind)
	}
	return e, nil
}

// isWord reports whether a text is a word as the scripts write them: one that
// this gateway does not know came later.
func isWord(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && (c < 'a' || 'z' < c) {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 32
}

// words reads a line's words in order and remembers whether one was bad, or
// one that only a newer gateway knows.
type words struct {
	list       []string
	bad, newer bool
}

// unknown notes a word that is none of those known here.
func (w *words) unknown(s string) {
	w.bad, w.newer = true, w.newer || isWord(s)
}

func (w *words) event(kind string) gateway.Event {
	switch kind {
	case "launch":
		e := gateway.LaunchPut{Version: w.number(), Open: w.flag()}
		e.By, e.Policy = w.actor(), []byte(w.needed())
		return e
	case "clock":
		e := gateway.ClockSet{Version: w.number(), Ahead: time.Duration(w.number()) * time.Millisecond}
		e.By = w.actor()
		return e
	case "campaign":
		e := gateway.CampaignPut{Version: w.number()}
		e.By, e.Campaign = w.actor(), []byte(w.needed())
		return e
	case "minted":
		e := gateway.CodesMinted{Campaign: w.campaign(), MaxUses: int(w.numberOr0()), ExpiresAt: w.time(), Recipient: w.next(), Issuer: w.next(), Sealed: []byte(w.next())}
		e.By = w.actor()
		for c := range strings.SplitSeq(w.needed(), ",") {
			code, display, ok := strings.Cut(c, "=")
			if !ok {
				display = code
			}
			e.Codes = append(e.Codes, gateway.MintedCode{Code: w.code(code), Display: display})
		}
		return e
	case "changed":
		e := gateway.CodesChanged{Change: gateway.CodeChange(w.oneOf(string(gateway.Revoke), string(gateway.Reinstate), string(gateway.Renew))), ExpiresAt: w.time()}
		e.By = w.actor()
		for c := range strings.SplitSeq(w.needed(), ",") {
			e.Codes = append(e.Codes, w.code(c))
		}
		return e
	case "redeemed":
		return gateway.Redeemed{
			ID: w.id(), Status: gateway.Status(w.oneOf(string(gateway.Held), string(gateway.Committed))), Code: w.code(w.next()), Campaign: w.campaign(),
			Subject: w.needed(), Address: w.next(), Proof: w.next(), ExpiresAt: w.time(), Sealed: []byte(w.next()),
		}
	case "settled":
		e := gateway.Settled{
			ID: w.id(), From: gateway.Status(w.needed()), To: gateway.Status(w.oneOf(string(gateway.Committed), string(gateway.Released), string(gateway.RolledBack))),
			Cause: gateway.Settlement(w.needed()), Code: w.code(w.next()), Campaign: w.campaign(), Subject: w.needed(),
		}
		e.By = w.actor()
		return e
	case "signal":
		return gateway.Signalled{What: w.needed(), Redemption: w.id(), Code: w.code(w.next()), Campaign: w.campaign(), Subject: w.needed(), Address: w.next()}
	case "member":
		return w.member()
	case "milestone":
		return gateway.MilestoneCrossed{Subject: w.needed(), Milestone: int(w.number()), Invites: int(w.numberOr0()), Referrals: int(w.number())}
	case "payment":
		return gateway.PaymentLearned{Key: w.needed(), ID: w.needed(), Record: w.next()}
	case "earning":
		e := gateway.EarningChanged{Subject: w.needed(), Record: w.next()}
		e.By = w.actor()
		return e
	case "credit":
		return gateway.Credited{
			What: gateway.CreditKind(w.oneOf(string(gateway.CreditReward), string(gateway.CreditClawback))), Subject: w.needed(), Referee: w.needed(),
			Payment: w.needed(), Amount: int(w.number()), Currency: w.needed(),
		}
	case "activity":
		return gateway.MemberActed{Subject: w.needed(), Name: w.needed()}
	case "refused":
		return gateway.Refused{Reason: gateway.Reason(w.needed()), Counted: w.flag(), Verb: w.needed(), Code: w.code(w.next()), Subject: w.next(), Address: w.next()}
	}
	if kind == "opened" {
		return gateway.Opened{Code: w.code(w.next()), Campaign: w.campaign(), Count: int(w.number())}
	}
	return w.waitlist(kind)
}

func (w *words) next() string {
	s := w.list[0]
	w.list = w.list[1:]
	return s
}

func (w *words) needed() string {
	s := w.next()
	w.bad = w.bad || s == ""
	return s
}

func (w *words) oneOf(list ...string) string {
	s := w.next()
	for _, each := range list {
		if s == each {
			return s
		}
	}
	w.unknown(s)
	return ""
}

func (w *words) number() uint64 {
	n, err := strconv.ParseUint(w.next(), 10, 53)
	w.bad = w.bad || err != nil
	return n
}

func (w *words) numberOr0() uint64 {
	if w.list[0] == "" {
		w.next()
		return 0
	}
	return w.number()
}

func (w *words) campaign() uint32 {
	n := w.number()
	w.bad = w.bad || n == 0 || n > 1<<31
	return uint32(n)
}

func (w *words) flag() bool { return w.oneOf("0", "1") == "1" }

// time reads Unix milliseconds; "" is the zero time.
func (w *words) time() time.Time {
	n := w.numberOr0()
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(n)).UTC()
}

func (w *words) id() gateway.ID {
	id, err := gateway.ParseShort(w.next())
	w.bad = w.bad || err != nil
	return id
}

// code checks that a word is a code in canonical form.
func (w *words) code(s string) gateway.Code {
	c, err := gateway.ReadCode(s)
	w.bad = w.bad || err != nil || string(c) != s
	return c
}

func (w *words) actor() gateway.Actor {
	name, err1 := url.QueryUnescape(w.next())
	note, err2 := url.QueryUnescape(w.next())
	w.bad = w.bad || err1 != nil || err2 != nil
	return gateway.Actor{Name: name, Note: note}
}
