package edge

import (
	"strconv"
	"time"
	"unicode/utf8"

	"admitone/gateway"
)

// receipt says how safe a decision is, and where it stands in the journal.
type receipt struct {
	durability gateway.Durability
	position   uint64
}

// appendRedemption writes a redemption. token is "" for who may not have one.
func (q *request) appendRedemption(b []byte, r *gateway.Redemption, subject, token string, rc receipt) []byte {
	l, c := q.campaign(r.Campaign)
	b = append(b, `{"id":"`...)
	b, _ = r.ID.AppendText(b)
	b = append(append(append(b, `","status":"`...), r.Status...), '"')
	b = appendString(append(b, `,"code":`...), r.Display)
	if c != nil {
		b = appendString(append(b, `,"campaign":`...), c.Name)
	}
	if subject != "" {
		b = appendString(append(b, `,"subject":`...), subject)
	}
	if c != nil {
		b = appendString(append(b, `,"tier":`...), c.TierOr(l.Policy.Unlock.Tier))
		b = appendUnlock(b, &l.Policy.Unlock, c.Kind, r.At)
	}
	if r.Referred {
		b = append(b, `,"referred":true`...)
	}
	if r.Allotment != 0 {
		b = appendRounds(append(b, `,"allotment":`...), r.Allotment)
	}
	if r.Status == gateway.Held {
		b = appendTime(append(b, `,"expires_at":`...), r.ExpiresAt)
	}
	if token != "" {
		b = append(append(append(b, `,"member_token":"`...), token...), '"')
	}
	b = append(append(b, `,"receipt":{"durability":"`...), rc.durability...)
	b = strconv.AppendUint(append(b, `","position":`...), rc.position, 10)
	b = strconv.AppendBool(append(b, `},"replayed":`...), r.Replayed)
	return append(b, '}')
}

// campaign finds a campaign in the request's snapshot, or in the newest one:
// the campaign may be younger than the request.
func (q *request) campaign(number uint32) (*gateway.Launch, *gateway.Campaign) {
	if c := q.launch.Campaign(number); c != nil {
		return q.launch, c
	}
	l, err := q.server.config.Store.Launch(q.server.running, q.launch.Name)
	if err != nil {
		return q.launch, nil
	}
	return l, l.Campaign(number)
}

// appendUnlock writes what a redemption of a kind of code unlocks.
func appendUnlock(b []byte, u *gateway.UnlockPolicy, kind gateway.Kind, at time.Time) []byte {
	method, rounds := "invite_code", u.InviteRounds
	if kind == gateway.KindLicense {
		method, rounds = "license_key", u.LicenseRounds
	}
	b = append(append(b, `,"unlock":{"method":"`...), method...)
	b = appendRounds(append(b, `","rounds":`...), rounds)
	if u.Expires > 0 && !at.IsZero() {
		b = appendTime(append(b, `,"expires_at":`...), at.Add(time.Duration(u.Expires)))
	}
	return append(b, '}')
}

func appendRounds(b []byte, r gateway.Rounds) []byte {
	if r == gateway.Unlimited {
		return append(b, `"unlimited"`...)
	}
	return strconv.AppendInt(b, int64(r), 10)
}

// appendValidation writes what a code that can be redeemed would give.
func (q *request) appendValidation(b []byte, v *gateway.Validation) []byte {
	b = appendString(append(b, `{"valid":true,"code":`...), v.Display)
	if l, c := q.campaign(v.Campaign); c != nil {
		b = appendString(append(b, `,"tier":`...), c.TierOr(l.Policy.Unlock.Tier))
	}
	b = strconv.AppendInt(append(b, `,"remaining_uses":`...), int64(v.Remaining), 10)
	if !v.ExpiresAt.IsZero() {
		b = appendTime(append(b, `,"expires_at":`...), v.ExpiresAt)
	}
	return append(b, '}')
}

// appendTime writes RFC 3339 in UTC, to the millisecond.
func appendTime(b []byte, t time.Time) []byte {
	b = t.UTC().AppendFormat(append(b, '"'), "2006-01-02T15:04:05.999Z07:00")
	return append(b, '"')
}

// appendString writes a JSON string. What is not UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		if c >= ' ' {
			b = append(b, '\\', c)
		} else {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}
