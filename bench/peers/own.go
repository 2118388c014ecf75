package peers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/gateway/keyring"
	"admitone/lua"
)

// own is AdmitOne's store with group commit off: its own script, for one
// request a call, on as many connections at once as ask.
type own struct {
	client redis.UniversalClient
	store  *lua.Store
	codes  []Code
}

const ownLaunch = "bench"

func newOwn(ctx context.Context, o Options) (Decider, error) {
	secret, err := keyring.ParseSecrets(keyring.GenerateSecret())
	if err != nil {
		return nil, err
	}
	ring, err := keyring.New(secret...)
	if err != nil {
		return nil, err
	}
	client := lua.NewClient(&redis.UniversalOptions{Addrs: []string{o.Redis}, PoolSize: 256})
	p := &own{client, lua.New(lua.Options{Redis: client, Keyring: ring, Batch: 1, Flights: 256, JournalBytes: 1 << 40}), o.Codes}
	if err := p.seed(ctx, o.Codes); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return p, nil
}

func (p *own) seed(ctx context.Context, codes []Code) error {
	by := gateway.Actor{Name: "bench"}
	if _, err := p.store.CreateLaunch(ctx, gateway.DefaultPolicy(ownLaunch), by); err != nil {
		return err
	}
	campaign, err := p.store.CreateCampaign(ctx, ownLaunch, gateway.Campaign{
		Name: "bench", Kind: gateway.KindInvite, Type: gateway.TypeLink, MaxUses: 1, Format: "{random:10}", Vanity: true,
	}, by)
	if err != nil {
		return err
	}
	for len(codes) > 0 {
		n := min(lua.MaxMint, len(codes))
		list := make([]gateway.NewCode, n)
		for i, c := range codes[:n] {
			list[i] = gateway.NewCode{Code: gateway.Code(c.Code), MaxUses: c.Uses}
		}
		if _, err := p.store.Mint(ctx, ownLaunch, campaign.Number, list, by); err != nil {
			return fmt.Errorf("seeding: %w", err)
		}
		codes = codes[n:]
	}
	return nil
}

func (p *own) Decide(ctx context.Context, a Ask) (Answer, error) {
	r := gateway.Redeem{Code: gateway.Code(a.Code), Subject: a.Subject}
	if address, err := netip.ParseAddr(a.Address); err == nil {
		r.Address = netip.PrefixFrom(address, address.BitLen())
	}
	made, err := p.store.Redeem(ctx, ownLaunch, &r)
	var refused *gateway.Error
	if errors.As(err, &refused) && statuses[string(refused.Reason)] != 0 {
		return Answer{Reason: string(refused.Reason)}, nil
	}
	return Answer{ID: made.ID, Replay: made.Replayed}, err
}

// Count tells the codes' uses; the members are those uses, since a subject is
// let in once, and so are the records: the store journals nothing else here.
func (p *own) Count(ctx context.Context) (c Counts, err error) {
	for _, code := range p.codes {
		info, err := p.store.Code(ctx, ownLaunch, gateway.Code(code.Code))
		if err != nil {
			return c, err
		}
		c.Uses += int64(info.Used)
	}
	c.Members, c.Records = c.Uses, c.Uses
	return c, nil
}

func (p *own) Close() { p.client.Close() }
