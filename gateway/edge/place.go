package edge

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// place answers GET /v1/launches/{l}/waitlist/{ticket} out of this gateway's
// copy of the line; only who joined a moment ago is looked up in Redis.
func (q *request) place() error {
	key, err := q.ticketed(keyring.TicketOwner)
	if err != nil {
		return err
	}
	p, err := q.server.placeIn(q.launch, key)
	if err != nil {
		return err
	}
	q.server.polls.count(q.server.now())
	if q.launch.Policy.Waitlist.Display == gateway.DisplayNeverWorsens {
		p.Position = q.server.bestPlace(q.launch.Name, key, p.Position, shownBefore(q.head.ifNoneMatch))
	}
	tag := appendPlaceTag(make([]byte, 0, 64), &p)
	q.headers("application/json")
	h := &q.ctx.Response.Header
	h.SetBytesV("ETag", tag)
	h.Set("Cache-Control", "private, no-cache") // it may be kept, and asked about
	pause := q.server.polls.pause(p.Position)
	h.Set("Retry-After", strconv.Itoa(pause+rand.IntN(pause/5+1)))
	if string(q.head.ifNoneMatch) == string(tag) {
		q.ctx.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	q.out = q.appendPlace(q.out[:0], &p, true)
	q.ctx.SetStatusCode(fasthttp.StatusOK)
	q.ctx.SetBody(q.out)
	return nil
}

// lineAge is how old a copy of the line may be that is still shown; it says how
// old it is.
const lineAge = 30 * time.Second

// placeIn is where an entry stands.
func (s *Server) placeIn(l *gateway.Launch, key gateway.EntryKey) (gateway.Place, error) {
	if line := s.config.Store.Line(l.Name); line != nil {
		if p, ok := line.Place(key); ok && s.now().Add(l.Ahead).Sub(p.AsOf) < lineAge {
			return p, nil
		}
	}
	// While there is no copy, right after a start, all polls would ask Redis.
	if s.lookups.Add(1) > lookupsAtOnce {
		s.lookups.Add(-1)
		return gateway.Place{}, &gateway.Error{Reason: gateway.Overloaded, RetryAfter: 2 * time.Second}
	}
	defer s.lookups.Add(-1)
	e, err := s.config.Store.Entry(s.running, l.Name, key.String())
	if err != nil {
		return gateway.Place{}, err
	}
	return placeOf(&e), nil
}

// lookupsAtOnce bounds the places that are looked up in Redis at the same time.
const lookupsAtOnce = 64

// bestPlace is the best place that an entry was shown, which is kept.
func (s *Server) bestPlace(launch string, key gateway.EntryKey, position, remembered int) int {
	if line := s.config.Store.Line(launch); line != nil {
		position = line.BestPlace(key, position, remembered)
	}
	if remembered > 0 && remembered < position {
		position = remembered
	}
	return position
}

// placeOf is an entry as the line would show it.
func placeOf(e *gateway.Entry) gateway.Place {
	p := gateway.Place{
		Status: e.Status, Position: e.Place, Total: e.Total, Boosts: e.Boosts, Referrals: e.Referrals, Unconfirmed: e.Unconfirmed, AsOf: e.AsOf,
	}
	if e.Status == gateway.EntryInvited {
		p.Offer, p.OfferEnds = e.Offer, e.OfferEnds
	}
	return p
}

// appendPlace writes where an entry stands; its offer's code is for its owner
// only.
func (q *request) appendPlace(b []byte, p *gateway.Place, owner bool) []byte {
	return appendPlace(b, q.launch, p, owner, q.server.polls.pause(p.Position))
}

func appendPlace(b []byte, l *gateway.Launch, p *gateway.Place, owner bool, pause int) []byte {
	b = append(append(append(b, `{"status":"`...), p.Status...), '"')
	if p.Position > 0 {
		b = strconv.AppendInt(append(b, `,"position":`...), int64(p.Position), 10)
		b = strconv.AppendInt(append(b, `,"ahead":`...), int64(p.Position-1), 10)
	}
	b = strconv.AppendInt(append(b, `,"total":`...), int64(p.Total), 10)
	if p.Position > 0 && !p.ETA.IsZero() {
		b = appendTime(append(b, `,"eta":`...), p.ETA)
	}
	b = appendTime(append(b, `,"as_of":`...), p.AsOf)
	b = append(b, `,"boosts":[`...)
	for i, boost := range p.Boosts {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"points":`...), int64(boost.Points), 10)
		b = append(append(append(b, `,"kind":"`...), boost.Kind...), `","reason":`...)
		b = appendTime(append(appendString(b, boostReason(boost)), `,"at":`...), boost.At)
		b = append(b, '}')
	}
	b = strconv.AppendInt(append(b, `],"referrals":`...), int64(p.Referrals), 10)
	if p.Unconfirmed {
		b = append(b, `,"unconfirmed":true`...)
	}
	if p.Status == gateway.EntryInvited {
		b = append(b, `,"offer":{`...)
		if owner {
			b = append(appendString(append(b, `"code":`...), offerText(l, p.Offer)), ',')
		}
		b = append(appendTime(append(b, `"expires_at":`...), p.OfferEnds), '}')
	}
	b = strconv.AppendInt(append(b, `,"next_poll_seconds":`...), int64(pause), 10)
	return append(b, '}')
}

// offerText is an offer's code as its campaign writes it.
func offerText(l *gateway.Launch, code gateway.Code) string {
	if c := l.FindCampaign(gateway.WaitlistCampaign); c != nil {
		return l.Display(c.Number, code, "")
	}
	return string(code)
}

func boostReason(b gateway.Boost) string {
	switch {
	case b.Reason != "":
		return b.Reason
	case b.Kind == gateway.BoostReferred:
		return "referred by somebody on the list"
	case b.Kind == gateway.BoostReferrer:
		return "referred others"
	}
	return string(b.Kind)
}

// appendPlaceTag writes the entity tag of an answer: what of it can change. The
// position comes first, so that one who sends it back remembers it for us.
func appendPlaceTag(b []byte, p *gateway.Place) []byte {
	b = strconv.AppendInt(append(b, '"'), int64(p.Position), 10)
	b = strconv.AppendInt(append(b, '-'), int64(p.Total), 10)
	b = append(append(b, '-'), p.Status[0], p.Status[1])
	b = strconv.AppendInt(append(b, '-'), int64(p.Referrals), 10)
	var last int64
	for _, boost := range p.Boosts {
		last = max(last, boost.At.Unix())
	}
	b = strconv.AppendInt(append(b, '-'), int64(len(p.Boosts)), 10)
	b = strconv.AppendInt(append(b, '-'), last, 36)
	b = strconv.AppendInt(append(b, '-'), p.ETA.Unix()/3600, 36)
	if p.Unconfirmed {
		b = append(b, 'u')
	}
	return append(b, '"')
}

// shownBefore is the position in an entity tag or event id that we gave; 0 if
// it is none.
func shownBefore(tag []byte) int {
	n := 0
	for i, c := range tag {
		switch {
		case c == '"' && i == 0:
		case c >= '0' && c <= '9' && n < 1e9:
			n = n*10 + int(c-'0')
		case c == '-':
			return n
		default:
			return 0
		}
	}
	return 0
}

// polls counts polls, so that everybody is asked to come less often when there
// are many.
type polls struct {
	second, now, last atomic.Int64 // Unix second; polls in it; polls in the one before
}

func (p *polls) count(at time.Time) {
	if s := at.Unix(); p.second.Swap(s) != s {
		p.last.Store(p.now.Swap(0))
	}
	p.now.Add(1)
}

// pause is how many seconds to wait before asking again: the longer the further
// back, and twice or four times as long when the gateway is busy.
func (p *polls) pause(position int) int {
	seconds := 60
	switch {
	case position <= 100: // or not waiting at all: an offer can end
		seconds = 5
	case position <= 1_000:
		seconds = 15
	case position <= 10_000:
		seconds = 30
	}
	switch n := p.last.Load(); {
	case n > 40_000:
		seconds *= 4
	case n > 15_000:
		seconds *= 2
	}
	return seconds
}
