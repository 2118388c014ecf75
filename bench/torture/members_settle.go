package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// settle compares what members were told with both stores: invites and who came
// by them, referrals and milestones, and every account to the cent. loses says
// that Redis may have forgotten what was not persisted.
func (p *party) settle(ctx context.Context, rng *rand.Rand, loses bool, one *Round) error {
	if err := p.ask(ctx, rng); err != nil {
		return err
	}
	came, err := p.came(ctx)
	if err != nil {
		return err
	}
	for _, what := range p.surprises {
		one.Misled++
		one.brief("members: %s", what)
	}
	for _, h := range p.hosts {
		if err := p.kept(ctx, h, came, loses, one); err != nil {
			return err
		}
	}
	// Who paid before they came is made up for within seconds.
	wrong := 0
	err = eventually(ctx, "every account is what the purchases come to", func() (err error) {
		wrong, one.Rewarded, err = p.accounts(ctx, came)
		if err == nil && wrong > 0 {
			err = fmt.Errorf("%d are not", wrong)
		}
		return err
	})
	if one.Unpaid = wrong; wrong > 0 {
		one.brief("members: %v", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return p.crossed(ctx, one)
}

// ask tells again of what was told without an answer: its shop would.
func (p *party) ask(ctx context.Context, rng *rand.Rand) error {
	for _, h := range p.hosts {
		for _, f := range h.friends {
			for _, b := range f.bought {
				if !b.open {
					continue
				}
				last := b.list[len(b.list)-1]
				err := eventually(ctx, "a purchase is answered", func() error {
					_, err := p.world.gateways[rng.IntN(len(p.world.gateways))].api.Purchase(ctx, p.launch, last)
					return err
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return p.world.calm(ctx, p.launch)
}

// came are the redemptions of invites that Postgres holds, by subject.
func (p *party) came(ctx context.Context) (map[string]gateway.RedemptionRow, error) {
	all := map[string]gateway.RedemptionRow{}
	for page := (gateway.Page{Limit: 100}); ; {
		list, err := p.world.gateways[0].api.Redemptions(ctx, p.launch, gateway.RedemptionFilter{Campaign: gateway.InvitesCampaign, Status: gateway.Committed}, page)
		if err != nil {
			return nil, err
		}
		for _, r := range list.Data {
			all[r.Subject] = r
		}
		if !list.HasMore {
			return all, nil
		}
		page.After = list.Next
	}
}

// kept compares a host's invites and friends.
func (p *party) kept(ctx context.Context, h *host, came map[string]gateway.RedemptionRow, loses bool, one *Round) error {
	there := map[string]bool{}
	for page := (gateway.Page{Limit: 100}); ; {
		list, err := p.world.gateways[0].api.Invites(ctx, p.launch, h.subject, page)
		if err != nil {
			return err
		}
		for _, i := range list.Data {
			there[i.Code] = true
			if i.Uses > i.MaxUses {
				one.Over++
			}
		}
		if !list.HasMore {
			break
		}
		page.After = list.Next
	}
	for code, safe := range h.invites {
		one.Invited++
		if !there[code] && (safe || !loses) {
			one.InvitesLost++
		}
	}
	// The last one may have been minted and never answered.
	if stray := len(there) - len(h.invites); stray > 1 {
		one.Misled++
		one.brief("members: %s asked for %d invites and has %d", h.subject, len(h.invites), len(there))
	}
	referrals := 0
	for _, f := range h.friends {
		row, ok := came[f.subject]
		if ok {
			referrals++
		}
		if f.told == (gateway.ID{}) {
			continue
		}
		one.Admitted++
		if f.safe {
			one.Persisted++
		}
		if !ok || row.ID != f.told {
			one.Lost++
			if f.safe {
				one.LostSafe++
			}
		}
	}
	now, err := p.world.gateways[0].api.MemberNow(ctx, p.launch, h.subject) // as Redis has it
	if err == nil && now.Referrals != referrals {
		one.Misled++
		one.brief("members: %s has %d referrals in Redis, %d friends in Postgres", h.subject, now.Referrals, referrals)
	}
	return err
}

// accounts counts those that are not what the purchases come to, and the rewards
// that were earned.
func (p *party) accounts(ctx context.Context, came map[string]gateway.RedemptionRow) (wrong, rewarded int, err error) {
	check := func(subject string, cents int) error {
		m, err := p.world.gateways[0].api.Member(ctx, p.launch, subject)
		if unless(err, gateway.MemberUnknown) != nil {
			return err
		}
		has := 0
		for _, c := range m.Credit {
			has += c.Amount
		}
		if has != cents {
			wrong++
		}
		return nil
	}
	for _, h := range p.hosts {
		cents := 0
		for _, f := range h.friends {
			own := 0
			if _, in := came[f.subject]; in && f.qualified() {
				own, cents, rewarded = toReferee, cents+toReferrer, rewarded+1
			}
			if err := check(f.subject, own); err != nil {
				return wrong, rewarded, err
			}
		}
		if err := check(h.subject, cents); err != nil {
			return wrong, rewarded, err
		}
	}
	return wrong, rewarded, nil
}

// qualified reports whether a purchase of the friend's stands that pays.
func (f *friend) qualified() bool {
	for _, b := range f.bought {
		if b.stands() >= qualifies {
			return true
		}
	}
	return false
}

// crossed reads from Postgres alone that every milestone was crossed once, and
// that no reward was given twice without being taken back between.
func (p *party) crossed(ctx context.Context, one *Round) error {
	conn, err := pgx.Connect(ctx, p.world.postgres.Database("admitone"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var milestones, twice int
	err = conn.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM members m WHERE m.launch = l.id AND (m.referrals >= 1)::int + (m.referrals >= 2)::int + (m.referrals >= 5)::int <>
			(SELECT count(*) FROM milestones x WHERE x.launch = m.launch AND x.subject_key = m.subject_key)),
		(SELECT count(*) FROM (SELECT FROM credit_entries c WHERE c.launch = l.id AND account <> '' GROUP BY account, referee_key
			HAVING count(*) FILTER (WHERE kind = 'reward') - count(*) FILTER (WHERE kind = 'clawback') NOT IN (0, 1)) AS x)
		FROM launches l WHERE l.name = $1`, p.launch).Scan(&milestones, &twice)
	if milestones > 0 {
		one.Misled += milestones
		one.brief("members: %d have not crossed the milestones that they passed, once each", milestones)
	}
	if twice > 0 {
		one.Unpaid += twice
		one.brief("members: %d rewards were given more than once", twice)
	}
	return err
}
