package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// line are the clients of a round's waitlist and their ledger: they join, watch
// their places, leave, take or decline what they are offered, while operators
// boost them and let them in.
type line struct {
	world  *world
	launch string
	prefix string // of the e-mail addresses
	since  uint64 // the journal's position when it began

	mu        sync.Mutex
	people    map[string]*person // by address: who was answered
	released  map[string]int     // places, by release that was answered
	last      int                // number of the person who joined last
	denied    int                // answers that knew nothing of somebody who was answered before
	surprises []string           // refusals that nothing explains
}

// person is one who joined, as its client knows. Only that client touches it.
type person struct {
	email, ticket, referral string
	safe                    bool                // the join was told to be persisted
	end                     gateway.EntryStatus // what a change was answered with; "" if none was
	leaving                 bool                // a change was asked for whose answer may be unknown
	boosts                  []string            // the reasons of boosts that were answered
}

// impatience is how often a change is asked for whose outcome stays unknown: its
// Idempotency-Key may be held by a gateway that is no more.
const impatience = 20

func (w *world) line(ctx context.Context, launch, prefix string) (*line, error) {
	l := &line{world: w, launch: launch, prefix: prefix, people: map[string]*person{}, released: map[string]int{}}
	return l, eventually(ctx, "the journal's position is known", func() error {
		at, err := w.gateways[0].api.Position(ctx, launch)
		l.since = at.Seq
		return err
	})
}

// stand is one client: it brings people in and acts for them until the context
// is over.
func (l *line) stand(ctx context.Context, rng *rand.Rand) {
	var mine []*person
	for ctx.Err() == nil {
		if len(mine) == 0 || rng.IntN(4) == 0 {
			if p := l.join(ctx, rng, mine); p != nil {
				mine = append(mine, p)
			}
		} else {
			l.act(ctx, rng, mine[rng.IntN(len(mine))])
		}
		pause(ctx, time.Duration(rng.IntN(10))*time.Millisecond)
	}
}

// ask repeats a call, at any gateway, until its outcome is known; known is false
// if it stays unknown.
func (l *line) ask(ctx context.Context, rng *rand.Rand, call func(context.Context, *client.Client) error) (refused *gateway.Error, known bool) {
	for range impatience {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := call(attempt, l.world.gateways[rng.IntN(len(l.world.gateways))].api)
		cancel()
		var e *gateway.Error
		switch {
		case err == nil:
			return nil, true
		case !errors.As(err, &e), e.RetryAfter > 0, e.Reason.Status() >= 500, e.Reason == gateway.IdempotencyInFlight:
			// Whether it happened is not known.
		default:
			return e, true
		}
		if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			break
		}
	}
	return nil, false
}

// join lets a new person in, referred by one of those whom the client knows.
func (l *line) join(ctx context.Context, rng *rand.Rand, known []*person) *person {
	l.mu.Lock()
	l.last++
	email := fmt.Sprintf("%s-%d@wait.example", l.prefix, l.last)
	l.mu.Unlock()
	j := client.Join{Email: email, IdempotencyKey: proof(email)}
	if len(known) > 0 && rng.IntN(2) == 0 {
		j.Ref = known[rng.IntN(len(known))].referral
	}
	if rng.IntN(3) == 0 {
		j.Ack = gateway.DurabilityPersisted
	}
	var a client.Joined
	e, ok := l.ask(ctx, rng, func(ctx context.Context, api *client.Client) (err error) {
		a, err = api.Join(ctx, l.launch, j)
		return err
	})
	if e != nil {
		l.surprise(e)
	}
	if !ok || e != nil {
		return nil
	}
	p := &person{email: email, ticket: a.Ticket, referral: a.ReferralCode, safe: a.Receipt.Durability == gateway.DurabilityPersisted}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.people[email] = p
	return p
}

// proof is the Idempotency-Key of whoever has this address.
func proof(email string) string { return strings.ReplaceAll(email, "@", "-") }

// surprise notes a refusal that nothing explains.
func (l *line) surprise(e *gateway.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.surprises = append(l.surprises, e.Error())
}

// act does what a person does next.
func (l *line) act(ctx context.Context, rng *rand.Rand, p *person) {
	switch n := rng.IntN(20); {
	case p.leaving || p.end != "":
		l.watch(ctx, rng, p)
	case n == 0:
		l.change(ctx, rng, p, gateway.EntryLeft, func(ctx context.Context, api *client.Client) error {
			_, err := api.Leave(ctx, l.launch, p.ticket)
			return err
		})
	case n < 3:
		l.boost(ctx, rng, p)
	case n < 6:
		l.again(ctx, rng, p)
	default:
		l.watch(ctx, rng, p)
	}
}

// change asks for a change that ends with this status.
func (l *line) change(ctx context.Context, rng *rand.Rand, p *person, to gateway.EntryStatus, call func(context.Context, *client.Client) error) {
	p.leaving = true
	e, known := l.ask(ctx, rng, call)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case known && e == nil:
		p.end = to
	case known && e.Reason == gateway.EntryUnknown:
		l.denied++
	case known: // such as an offer that was taken back meanwhile
		p.leaving = false
	}
}

// again joins a second time: whoever is on the list is told so.
func (l *line) again(ctx context.Context, rng *rand.Rand, p *person) {
	var a client.Joined
	e, ok := l.ask(ctx, rng, func(ctx context.Context, api *client.Client) (err error) {
		a, err = api.Join(ctx, l.launch, client.Join{Email: p.email, IdempotencyKey: proof(p.email)})
		return err
	})
	if ok && e == nil && !a.Known {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.denied++
	}
}

// watch polls the person's place, and answers an offer that it finds.
func (l *line) watch(ctx context.Context, rng *rand.Rand, p *person) {
	var at client.Place
	e, ok := l.ask(ctx, rng, func(ctx context.Context, api *client.Client) (err error) {
		at, err = api.Place(ctx, l.launch, p.ticket)
		return err
	})
	if e != nil {
		l.mu.Lock()
		l.denied++
		l.mu.Unlock()
	}
	if !ok || e != nil || at.Offer == nil || at.Offer.Code == "" || p.leaving || p.end != "" {
		return
	}
	switch rng.IntN(3) {
	case 0:
		l.change(ctx, rng, p, gateway.EntryDeclined, func(ctx context.Context, api *client.Client) error {
			_, err := api.Decline(ctx, l.launch, p.ticket)
			return err
		})
	case 1:
		l.change(ctx, rng, p, gateway.EntryRegistered, func(ctx context.Context, api *client.Client) error {
			_, err := api.Redeem(ctx, l.launch, client.Redeem{Code: at.Offer.Code, Email: p.email})
			return err
		})
	}
}

// boost lets an operator move the person, once for its reason.
func (l *line) boost(ctx context.Context, rng *rand.Rand, p *person) {
	reason := gateway.NewID(time.Now()).Short()
	points := 1 + rng.IntN(30)
	e, ok := l.ask(ctx, rng, func(ctx context.Context, api *client.Client) error {
		_, err := api.Boost(ctx, l.launch, p.email, points, reason, reason)
		return err
	})
	if e != nil && e.Reason != gateway.NotWaiting {
		l.surprise(e)
	}
	if ok && e == nil {
		p.boosts = append(p.boosts, reason)
	}
}

// release lets people in, a few at a time, until the context is over.
func (l *line) release(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		count, order, key := 1+rng.IntN(15), gateway.ByPriority, gateway.NewID(time.Now()).Short()
		if rng.IntN(3) == 0 {
			order = gateway.ByLottery
		}
		var r client.Release
		e, ok := l.ask(ctx, rng, func(ctx context.Context, api *client.Client) (err error) {
			r, err = api.LetIn(ctx, l.launch, count, order, "", "", key)
			return err
		})
		if e != nil {
			l.surprise(e)
		}
		if ok && e == nil {
			l.mu.Lock()
			l.released[r.ID] = count
			l.mu.Unlock()
		}
		pause(ctx, time.Duration(100+rng.IntN(300))*time.Millisecond)
	}
}
