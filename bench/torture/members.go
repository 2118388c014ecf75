package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// What a round's members are paid, in cents: with a friend's first purchase of
// so much.
const (
	qualifies  = 1000
	toReferrer = 1000
	toReferee  = 500
)

// memberPolicy is what a round's launch says of members.
const memberPolicy = `
codes: {personal: {allotment: unlimited, per_day: 0, expires: ""}}
referrals: {milestones: {1: 1, 2: 1, 5: 1}}
rewards: {qualifies: {minimum: {amount: 1000, currency: usd}}, pays: {referrer: 1000, referee: 500}}
`

// party are the clients of a round that invite, come by invites, buy, and ask
// their money back, and their ledger.
type party struct {
	world  *world
	launch string
	prefix string // of the subjects
	door   string // the code by which hosts become members

	mu        sync.Mutex
	hosts     []*host
	surprises []string // refusals that nothing explains
}

// host is a member who invites. Only its client touches it while the round
// runs.
type host struct {
	subject string
	invites map[string]bool // codes that were answered: whether persisted
	friends []*friend
}

// friend came by a host's invite, or tried to.
type friend struct {
	subject string
	told    gateway.ID // the redemption that was answered; zero if none was
	safe    bool       // it was told to be persisted
	bought  []*bought
}

// bought is a payment, and what its shop has told of it. An answer that stayed
// unknown is asked for again in the end.
type bought struct {
	list []client.Purchase
	open bool // the last answer is unknown
}

// stands is what is left of a payment, in cents.
func (b *bought) stands() int {
	amount, refunded, disputed := 0, 0, false
	for _, p := range b.list {
		amount, refunded = max(amount, p.Amount), max(refunded, p.Refunded)
		if p.Dispute != nil {
			disputed = p.Dispute.Status != gateway.DisputeWon
		}
	}
	if disputed {
		return 0
	}
	return amount - refunded
}

func (w *world) party(ctx context.Context, launch, prefix string) (*party, error) {
	p := &party{world: w, launch: launch, prefix: prefix}
	api := w.gateways[0].api
	err := eventually(ctx, "the members' campaign is made", func() error {
		_, err := api.CreateCampaign(ctx, launch, client.Campaign{Name: prefix + "-door", Type: gateway.TypeLink, MaxUses: 1000})
		return unless(err, gateway.CampaignExists)
	})
	if err != nil {
		return nil, err
	}
	return p, eventually(ctx, "the members' code is minted", func() error {
		minted, _, err := api.Mint(ctx, launch, prefix+"-door", 1)
		if err == nil {
			p.door = minted[0].Code
		}
		return err
	})
}

// insist repeats a call, at any gateway, until its outcome is known; known is
// false if the context is over before.
func (w *world) insist(ctx context.Context, rng *rand.Rand, call func(context.Context, *client.Client) error) (refused *gateway.Error, known bool) {
	for {
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := call(attempt, w.gateways[rng.IntN(len(w.gateways))].api)
		cancel()
		var e *gateway.Error
		switch {
		case err == nil:
			return nil, true
		case errors.As(err, &e) && e.RetryAfter == 0 && e.Reason.Status() < 500:
			return e, true
		}
		if pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
			return nil, false
		}
	}
}

func (p *party) surprise(what string, e *gateway.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.surprises = append(p.surprises, what+": "+e.Error())
}

// give is one client: a host who invites one friend after the other until the
// context is over.
func (p *party) give(ctx context.Context, number int, rng *rand.Rand) {
	h := &host{subject: fmt.Sprintf("%s-host%d", p.prefix, number), invites: map[string]bool{}}
	if _, ok := p.redeem(ctx, rng, p.door, h.subject, true); !ok {
		return
	}
	p.mu.Lock()
	p.hosts = append(p.hosts, h)
	p.mu.Unlock()
	for n := 0; ctx.Err() == nil; n++ {
		code, ok := p.invite(ctx, rng, h, n)
		if !ok {
			return
		}
		f := &friend{subject: fmt.Sprintf("%s-friend%d", h.subject, n)}
		h.friends = append(h.friends, f)
		p.visit(ctx, rng, h, f, code)
	}
}

// invite mints one invite; a request whose outcome is unknown is repeated under
// its key, and must make no second one.
func (p *party) invite(ctx context.Context, rng *rand.Rand, h *host, n int) (string, bool) {
	var made client.Invited
	e, known := p.world.insist(ctx, rng, func(ctx context.Context, api *client.Client) (err error) {
		made, err = api.Invite(ctx, p.launch, h.subject, 1, "", fmt.Sprintf("invite-%d", n))
		return err
	})
	switch {
	case e != nil:
		p.surprise("an invite of "+h.subject, e)
		return "", false
	case !known:
		return "", false
	}
	code := made.Invites[0].Code
	h.invites[code] = made.Durability == gateway.DurabilityPersisted
	return code, true
}

// visit is what a friend does: come in and buy, in either order, and ask the
// money back now and then.
func (p *party) visit(ctx context.Context, rng *rand.Rand, h *host, f *friend, code string) {
	early := rng.IntN(6) == 0
	if early {
		p.buy(ctx, rng, f)
	}
	answer, ok := p.redeem(ctx, rng, code, f.subject, !h.invites[code])
	if ok {
		f.told, f.safe = answer.ID, answer.Receipt.Durability == gateway.DurabilityPersisted
	}
	if ok && !early {
		p.buy(ctx, rng, f)
	}
	if ok && rng.IntN(4) == 0 {
		p.buy(ctx, rng, f)
	}
}

// redeem lets a subject in. An invite that was not persisted may be lost, and is
// unknown then.
func (p *party) redeem(ctx context.Context, rng *rand.Rand, code, subject string, mayBeLost bool) (answer client.Redemption, ok bool) {
	r := client.Redeem{Code: code, Subject: subject}
	if rng.IntN(3) == 0 || code == p.door {
		r.Ack = gateway.DurabilityPersisted
	}
	e, known := p.world.insist(ctx, rng, func(ctx context.Context, api *client.Client) (err error) {
		answer, err = api.Redeem(ctx, p.launch, r)
		return err
	})
	if e != nil && (e.Reason != gateway.CodeUnknown || !mayBeLost) {
		p.surprise(subject+" redeems", e)
	}
	return answer, known && e == nil
}

// buy lets a friend pay, and the shop tell of it: once or again, with what comes
// behind it.
func (p *party) buy(ctx context.Context, rng *rand.Rand, f *friend) {
	b := &bought{}
	f.bought = append(f.bought, b)
	id := fmt.Sprintf("pay-%s-%d", f.subject, len(f.bought))
	p.tell(ctx, rng, b, client.Purchase{ID: id, Event: id + "-bought", Subject: f.subject, Amount: []int{500, qualifies, 2500}[rng.IntN(3)], Currency: "usd"})
	switch rng.IntN(8) {
	case 0, 1:
		p.tell(ctx, rng, b, client.Purchase{ID: id, Event: id + "-refunded", Refunded: b.list[0].Amount})
	case 2:
		p.tell(ctx, rng, b, client.Purchase{ID: id, Event: id + "-disputed", Dispute: &client.Dispute{ID: id, Status: gateway.DisputeOpen}})
		p.tell(ctx, rng, b, client.Purchase{ID: id, Event: id + "-won", Dispute: &client.Dispute{ID: id, Status: gateway.DisputeWon}})
	}
}

// tell tells of a payment, now and then twice.
func (p *party) tell(ctx context.Context, rng *rand.Rand, b *bought, one client.Purchase) {
	if b.open {
		return
	}
	b.list = append(b.list, one)
	for range 1 + rng.IntN(2) {
		e, known := p.world.insist(ctx, rng, func(ctx context.Context, api *client.Client) error {
			_, err := api.Purchase(ctx, p.launch, one)
			return err
		})
		if e != nil {
			p.surprise("a purchase", e)
		}
		b.open = !known
	}
}
