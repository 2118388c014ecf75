package journal

import (
	"net/url"
	"strconv"
	"strings"

	"admitone/gateway"
)

// waitlist reads the lines of the waitlist.
func (w *words) waitlist(kind string) gateway.Event {
	switch kind {
	case "joined":
		e := gateway.EntryJoined{
			Key: w.entryKey(), Arrival: w.number(), Priority: w.signed(), Source: w.unescaped(), Points: w.signed(), Referrer: w.next(),
		}
		flags := w.next()
		e.Unconfirmed, e.Counted = strings.Contains(flags, "u"), strings.Contains(flags, "c")
		e.Address, e.Proof, e.Boosts, e.Sealed = w.next(), w.next(), w.next(), []byte(w.next())
		return e
	case "boosted":
		e := gateway.EntryBoosted{Key: w.entryKey()}
		cause, ok := w.next(), false
		if e.Cause, ok = gateway.ParseBoostKind(cause); !ok {
			w.unknown(cause)
		}
		e.Points, e.Priority, e.Referrals, e.Boosts = w.signed(), w.signed(), int(w.number()), w.next()
		e.By = w.actor()
		return e
	case "confirmed":
		return gateway.EntryConfirmed{Key: w.entryKey(), Counted: strings.Contains(w.next(), "c")}
	case "entry":
		e := gateway.EntryMoved{Key: w.entryKey(), From: w.status(), To: w.status(), Cause: w.needed()}
		if e.Code = gateway.Code(w.next()); e.Code != "" {
			e.Code = w.code(string(e.Code))
		}
		e.Revoked, e.Refill = w.flag(), w.next()
		e.By = w.actor()
		return e
	case "release":
		e := gateway.ReleasePut{ID: w.needed(), Count: int(w.number()), Order: w.order(), Seed: w.next(), Upto: w.number(), Slot: w.time()}
		e.By = w.actor()
		return e
	case "offered":
		return gateway.OfferMade{
			Release: w.needed(), Key: w.entryKey(), Code: w.code(w.needed()), Display: w.next(), Campaign: w.campaign(), ExpiresAt: w.time(), Recipient: w.needed(),
		}
	case "released":
		return gateway.ReleaseEnded{ID: w.needed(), Done: int(w.number())}
	}
	e := gateway.SchedulePut{Running: w.oneOf("on", "off") == "on", Since: w.time()}
	e.By = w.actor()
	return e
}

// entryKey is a key of 16 characters.
func (w *words) entryKey() string {
	s := w.next()
	_, ok := gateway.ParseEntryKey(s)
	w.bad = w.bad || !ok
	return s
}

func (w *words) signed() int {
	n, err := strconv.ParseInt(w.next(), 10, 32)
	w.bad = w.bad || err != nil
	return int(n)
}

func (w *words) unescaped() string {
	s, err := url.QueryUnescape(w.next())
	w.bad = w.bad || err != nil
	return s
}

func (w *words) status() gateway.EntryStatus {
	return gateway.EntryStatus(w.oneOf(string(gateway.EntryWaiting), string(gateway.EntryInvited), string(gateway.EntryRegistered),
		string(gateway.EntryDeclined), string(gateway.EntryExpired), string(gateway.EntryLeft)))
}

func (w *words) order() gateway.ReleaseOrder {
	return gateway.ReleaseOrder(w.oneOf(string(gateway.ByPriority), string(gateway.ByLottery)))
}
