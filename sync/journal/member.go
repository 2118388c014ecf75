package journal

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

var unlockMethods = map[string]gateway.UnlockMethod{
	"i": gateway.UnlockInvite, "l": gateway.UnlockLicense, "t": gateway.UnlockTrial, "": "",
}

// memberFields is how many words a member's record has at the most.
const memberFields = 21

// ParseMember reads a member's record as Redis holds it. Its error is
// ErrVersion or ErrMalformed.
func ParseMember(record string) (gateway.StoredMember, error) {
	list := strings.Split(record, ";")
	for len(list) < memberFields {
		list = append(list, "")
	}
	w := &words{list: list, newer: len(list) > memberFields}
	m := gateway.StoredMember{Tier: w.escaped(), Method: w.method()}
	m.Campaign, m.Inviter, m.Via = uint32(w.numberOr0()), w.next(), w.idOr0()
	m.Rounds, m.Used, m.Until, m.Allotment = w.rounds(), int(w.numberOr0()), w.time(), w.rounds()
	m.Referrals, m.Crossed, m.Open = int(w.numberOr0()), w.next(), w.next()
	m.Day, m.Minted, m.Refilled = int(w.numberOr0()), int(w.numberOr0()), w.time()
	if code := w.next(); code != "" {
		m.Code = w.code(code)
	}
	m.Private, m.Joined, m.Made, m.Proofs = w.next() == "1", w.time(), w.idOr0(), w.next()
	m.Brought = w.next()
	if w.newer {
		return gateway.StoredMember{}, ErrVersion
	}
	if w.bad {
		return gateway.StoredMember{}, ErrMalformed
	}
	return m, nil
}

// PackMember writes a member's record as the scripts do.
func PackMember(m gateway.StoredMember) string {
	method := ""
	for letter, each := range unlockMethods {
		if each == m.Method {
			method = letter
		}
	}
	private := ""
	if m.Private {
		private = "1"
	}
	record := strings.Join([]string{
		url.QueryEscape(m.Tier), method, packNumber(int64(m.Campaign)), m.Inviter, packID(m.Via),
		packRounds(m.Rounds), packNumber(int64(m.Used)), packTime(m.Until), packRounds(m.Allotment),
		packNumber(int64(m.Referrals)), m.Crossed, m.Open, packNumber(int64(m.Day)), packNumber(int64(m.Minted)), packTime(m.Refilled),
		string(m.Code), private, packTime(m.Joined), packID(m.Made), m.Proofs, m.Brought,
	}, ";")
	return strings.TrimRight(record, ";")
}

func packNumber(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func packRounds(r gateway.Rounds) string {
	if r == gateway.Unlimited {
		return "u"
	}
	return packNumber(int64(r))
}

func packTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return packNumber(t.UnixMilli())
}

func packID(id gateway.ID) string {
	if id == (gateway.ID{}) {
		return ""
	}
	return id.Short()
}

func (w *words) escaped() string {
	s, err := url.QueryUnescape(w.next())
	w.bad = w.bad || err != nil
	return s
}

func (w *words) method() gateway.UnlockMethod {
	letter := w.next()
	m, ok := unlockMethods[letter]
	if !ok {
		w.unknown(letter)
	}
	return m
}

func (w *words) rounds() gateway.Rounds {
	if w.list[0] == "u" {
		w.next()
		return gateway.Unlimited
	}
	return gateway.Rounds(w.numberOr0())
}

func (w *words) idOr0() gateway.ID {
	if w.list[0] == "" {
		w.next()
		return gateway.ID{}
	}
	return w.id()
}

func (w *words) member() gateway.Event {
	e := gateway.MemberChanged{Subject: w.needed(), Cause: gateway.MemberCause(w.needed()), Ref: w.next(), Record: w.next()}
	e.By, e.Sealed = w.actor(), []byte(w.next())
	var err error
	e.Member, err = ParseMember(e.Record)
	w.bad, w.newer = w.bad || err != nil, w.newer || errors.Is(err, ErrVersion)
	return e
}
