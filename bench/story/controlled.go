package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/client"
)

// Controlled plays what a writing tool's launch is besides its waitlist of ten
// thousand: the kinds of codes, members who bring others past milestones, and
// those who try to cheat their way forward in the line.
func Controlled(ctx context.Context, out io.Writer) error {
	post, err := rig.StartSMTP(rig.SMTPOptions{})
	if err != nil {
		return err
	}
	defer post.Stop()
	c := &controlled{post: post}
	return tell(ctx, out, writer, "controlled-launch.yaml", []string{"--smtp-url", post.URL(), "--smtp-rate", "1000"},
		c.kinds, c.personal, c.milestones, c.byHand, c.joins, c.cheats, c.twoReleases, c.offers, c.lapses)
}

type controlled struct {
	post    *rig.SMTP
	invited []client.Invite // the founder's
	people  map[string]client.Joined
	offered []string // who was let in by two releases
}

const topMember = "top@writers.example"

func (c *controlled) kinds(t *tale, ctx context.Context) error {
	bulk, err := t.codes(ctx, "press", 3, "--type", "bulk", "--max-uses", "5", "--tier", "early", "--channel", "press")
	if err != nil {
		return err
	}
	vip, err := t.codes(ctx, "friends of the house", 1, "--type", "vip", "--tier", "vip")
	if err != nil {
		return err
	}
	for i := range 5 {
		r, err := t.email(ctx, strings.ToLower(bulk[0]), fmt.Sprintf("reader%d@press.example", i))
		if err := errors.Join(err, want("a reader's tier", r.Tier, "early")); err != nil {
			return err
		}
	}
	_, err = t.email(ctx, bulk[0], "reader5@press.example")
	if err := refused("the sixth of five", err, gateway.CodeExhausted); err != nil {
		return err
	}
	r, err := t.email(ctx, vip[0], "star@house.example")
	if err := errors.Join(err, want("a VIP's tier", r.Tier, "vip")); err != nil {
		return err
	}
	if _, err := t.admin.ChangeCodes(ctx, t.launch, gateway.Revoke, bulk[1:2], time.Time{}, "leaked"); err != nil {
		return err
	}
	if _, err := t.admin.ChangeCodes(ctx, t.launch, gateway.Renew, bulk[2:], time.Now().Add(-time.Minute), "over"); err != nil {
		return err
	}
	var states []string
	for _, code := range []string{bulk[0], bulk[1], bulk[2]} {
		info, err := t.admin.Code(ctx, t.launch, code)
		if err != nil {
			return err
		}
		states = append(states, string(info.State))
	}
	fresh, _, err := t.admin.Mint(ctx, t.launch, "press", 1)
	if err != nil {
		return err
	}
	info, err := t.admin.Code(ctx, t.launch, fresh[0].Code)
	states = append([]string{string(info.State)}, states...)
	t.fact("codes", "bulk %s-…: 3 codes of 5 uses, tier early, any case; vip: tier vip; a code is %s", bulk[0][:4], strings.Join(states, ", "))
	return errors.Join(err, want("states", fmt.Sprint(states), "[active exhausted revoked expired]"), want("prefix", bulk[0][:5], "PRES-"))
}

// email lets an address in.
func (t *tale) email(ctx context.Context, code, email string) (client.Redemption, error) {
	name, _, _ := strings.Cut(email, "@")
	return t.server.Redeem(ctx, t.launch, client.Redeem{Code: code, Email: email, Name: strings.ToUpper(name[:1]) + strings.TrimRight(name[1:], "0123456789"), IP: t.address()})
}

func (c *controlled) personal(t *tale, ctx context.Context) error {
	codes, err := t.codes(ctx, "first", 3)
	if err != nil {
		return err
	}
	r, err := t.email(ctx, codes[0], topMember)
	if err := errors.Join(err, want("tier and invites", fmt.Sprint(r.Tier, int(r.Allotment)), "standard3")); err != nil {
		return err
	}
	made, err := t.server.Invite(ctx, t.launch, topMember, 3, "", "")
	if err != nil {
		return err
	}
	c.invited = made.Invites
	_, err = t.server.Invite(ctx, t.launch, topMember, 1, "", "")
	days := time.Until(made.Invites[0].ExpiresAt).Hours() / 24
	t.fact("a member", "tier standard, 3 personal codes of 1 use for %.0f days; the 4th: allotment_exhausted", days)
	if days < 29.9 || days > 30.1 {
		return fmt.Errorf("an invite lives for %.1f days", days)
	}
	return refused("a fourth invite", err, gateway.AllotmentExhausted)
}

// bring lets friends come by invites, all at once.
func (c *controlled) bring(t *tale, ctx context.Context, first int, invites []client.Invite) error {
	addresses := make([]string, len(invites))
	for i := range addresses {
		addresses[i] = t.address()
	}
	came := crowd(len(invites), func(i int) error {
		_, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: invites[i].Code, Email: fmt.Sprintf("friend%d@friends.example", first+i), IP: addresses[i]})
		return err
	})
	return want("friends who came", fmt.Sprint(came), fmt.Sprint(map[gateway.Reason]int{"": len(invites)}))
}

func (c *controlled) milestones(t *tale, ctx context.Context) error {
	// 3 friends give 3 invites, the 5th 3 more: 9 friends by what is given.
	n := 0
	for len(c.invited) > 0 {
		if err := c.bring(t, ctx, n, c.invited); err != nil {
			return err
		}
		n += len(c.invited)
		m, err := t.server.Member(ctx, t.launch, topMember)
		if err != nil {
			return err
		}
		c.invited = nil
		if m.Allotment > 0 {
			made, err := t.server.Invite(ctx, t.launch, topMember, int(m.Allotment), "", "")
			if err != nil {
				return err
			}
			c.invited = made.Invites
		}
	}
	if err := want("friends by 3 invites and two milestones", n, 9); err != nil {
		return err
	}
	// An operator lends 38: they come all at once, past 10 and 25.
	if _, err := t.admin.GrantInvites(ctx, t.launch, topMember, 38, "for the launch party"); err != nil {
		return err
	}
	made, err := t.server.Invite(ctx, t.launch, topMember, 38, "", "")
	if err != nil {
		return err
	}
	if err := c.bring(t, ctx, n, made.Invites); err != nil {
		return err
	}
	m, err := t.server.Member(ctx, t.launch, topMember)
	t.fact("milestones", "3, 5, 10, 25 crossed once each, the last two while 38 friends came at once: %d invites for them; %d referrals", 4*3, m.Referrals)
	return errors.Join(err, want("referrals and invites left", fmt.Sprint(m.Referrals, int(m.Allotment)), "47 6"))
}

func (c *controlled) byHand(t *tale, ctx context.Context) error {
	if err := t.settled(ctx); err != nil {
		return err
	}
	a, err := t.admin.Analytics(ctx, t.launch)
	if err != nil || len(a.Top) == 0 {
		return fmt.Errorf("top referrers: %+v, %w", a.Top, orNothing(err))
	}
	if err := want("the top referrer", fmt.Sprint(a.Top[0].Subject, a.Top[0].Referrals), topMember+"47"); err != nil {
		return err
	}
	if _, err := t.admin.SetTier(ctx, t.launch, topMember, "vip", "the top referrer"); err != nil {
		return err
	}
	if _, err := t.admin.GrantInvites(ctx, t.launch, topMember, 25, "the top referrer"); err != nil {
		return err
	}
	made, err := t.server.Invite(ctx, t.launch, topMember, 3, "", "")
	if err != nil {
		return err
	}
	if err := c.bring(t, ctx, 47, made.Invites); err != nil {
		return err
	}
	m, err := t.server.Member(ctx, t.launch, topMember)
	if err := errors.Join(err, want("tier, referrals and invites", fmt.Sprint(m.Tier, m.Referrals, int(m.Allotment)), "vip50 31")); err != nil {
		return err
	}
	// Each milestone is told once, by e-mail here.
	err = t.until(ctx, "five milestones are told", func() (bool, error) { return len(c.post.To(topMember)) >= 5, nil })
	if err != nil {
		return err
	}
	var told []string
	for _, l := range c.post.To(topMember) {
		told = append(told, strings.Fields(l.Subject)[0])
	}
	slices.Sort(told)
	t.fact("top referrer", "47 referrals: VIP and 25 invites by hand; with the 50th, milestones told by e-mail: %s", strings.Join(told, ", "))
	return want("e-mails of milestones", fmt.Sprint(told), "[10 25 3 5 50]")
}

func (c *controlled) joins(t *tale, ctx context.Context) error {
	// Releases are made by hand here; the other story has the daily ones.
	if err := t.change(ctx, func(p *gateway.Policy) { p.Waitlist.Release.Count = 0 }); err != nil {
		return err
	}
	c.people = map[string]client.Joined{}
	join := func(email, source, ref string, points int) error {
		a, err := t.server.Join(ctx, t.launch, client.Join{Email: email, Source: source, Ref: ref, IP: t.address()})
		c.people[email] = a
		return errors.Join(err, want("points of "+email, a.Priority, points))
	}
	for i := range 12 {
		if err := join(fmt.Sprintf("w%d@wait.example", i), "", "", 0); err != nil {
			return err
		}
	}
	if err := errors.Join(join("hunter@wait.example", "producthunt", "", 20), join("bird@wait.example", "twitter", "", 5),
		join("guest@wait.example", "", c.people["w9@wait.example"].ReferralCode, 10)); err != nil {
		return err
	}
	again, err := t.server.Join(ctx, t.launch, client.Join{Email: "HUNTER+news@wait.example", IP: t.address()})
	if err := errors.Join(err, want("joined again", fmt.Sprint(again.Known, again.ReferralCode == c.people["hunter@wait.example"].ReferralCode), "true true")); err != nil {
		return err
	}
	order := ""
	for _, email := range []string{"hunter@wait.example", "guest@wait.example", "w9@wait.example", "bird@wait.example", "w0@wait.example"} {
		p, err := t.server.As("").Place(ctx, t.launch, c.people[email].Ticket)
		if err != nil {
			return err
		}
		order += fmt.Sprint(p.Position, " ")
	}
	t.fact("waitlist", "+20 from producthunt, +10 referred, +5 to the referrer, +5 from twitter: places %sand a second join is the first", order)
	return want("priority first, then arrival", order, "1 2 3 4 5 ") // w9 and bird have 5 points each: who came first stands first
}

func (c *controlled) cheats(t *tale, ctx context.Context) error {
	public := t.server.As("")
	claim, err := public.Join(ctx, t.launch, client.Join{Email: "liar@wait.example", Source: "producthunt"})
	if err := errors.Join(err, want("points of who claims producthunt in a browser", claim.Priority, 0)); err != nil {
		return err
	}
	mine := claim.ReferralCode
	forgeries := []string{
		base64.StdEncoding.EncodeToString([]byte("hunter@wait.example")), base64.RawURLEncoding.EncodeToString([]byte("w0@wait.example")),
		"hunter@wait.example", "garbage", strings.ToUpper(mine), mine[:len(mine)-1], mine + "a", "x" + mine[1:],
	}
	for i, ref := range forgeries {
		a, err := public.Join(ctx, t.launch, client.Join{Email: fmt.Sprintf("forger%d@wait.example", i), Ref: ref})
		if err == nil && (a.Priority != 0 || a.Referred) {
			return fmt.Errorf("the forged referral %d earned %d points", i, a.Priority)
		}
		if err != nil && !errors.Is(err, gateway.Refuse(gateway.InvalidRequest)) {
			return fmt.Errorf("the forged referral %d: %w", i, err)
		}
	}
	if _, err := public.Join(ctx, t.launch, client.Join{Email: "liar@wait.example", Ref: mine}); err != nil {
		return err
	}
	p, err := public.Place(ctx, t.launch, claim.Ticket)
	if err := errors.Join(err, want("points by one's own link", len(p.Boosts), 0)); err != nil {
		return err
	}
	for ticket, reason := range map[string]gateway.Reason{
		"guess": gateway.TicketInvalid, claim.Ticket[:len(claim.Ticket)-2] + "xx": gateway.TicketInvalid, mine: gateway.Forbidden,
	} {
		_, err := public.Place(ctx, t.launch, ticket)
		if err := refused("a guessed ticket", err, reason); err != nil {
			return err
		}
	}
	t.fact("cheats", "source=producthunt from a browser: 0 points; %d forged referrals (base64 e-mails, garbage, bits of others): 0; one's own link: 0; guessed tickets: unknown", len(forgeries))
	return want("an e-mail in the link", strings.Contains(claim.ReferralLink, "liar"), false)
}

func (c *controlled) twoReleases(t *tale, ctx context.Context) error {
	came := crowd(2, func(i int) error {
		_, err := t.admin.LetIn(ctx, t.launch, 5, gateway.ByPriority, "", "", fmt.Sprint("release-", i))
		return err
	})
	if err := want("releases", came[""], 2); err != nil {
		return err
	}
	err := t.until(ctx, "ten are let in", func() (bool, error) {
		list, err := t.admin.Entries(ctx, t.launch, gateway.EntryFilter{Status: gateway.EntryInvited}, gateway.Page{Limit: 100})
		c.offered = nil
		for _, e := range list.Data {
			c.offered = append(c.offered, e.Email)
		}
		return len(c.offered) == 10, err
	})
	if err != nil {
		return fmt.Errorf("%d of ten: %w", len(c.offered), err)
	}
	err = t.until(ctx, "ten have an e-mail each", func() (bool, error) {
		for _, email := range c.offered {
			if len(c.post.To(email)) != 1 {
				return false, fmt.Errorf("%s has %d", email, len(c.post.To(email)))
			}
		}
		return true, nil
	})
	t.fact("two releases at once", "5 and 5: ten people, one e-mail with one code each")
	return err
}

// offers are redeemed, declined, left and found in time.
func (c *controlled) offers(t *tale, ctx context.Context) error {
	public := t.server.As("")
	offer := func(email string) (client.Place, error) {
		return public.Place(ctx, t.launch, c.people[email].Ticket)
	}
	p, err := offer("hunter@wait.example")
	if err != nil || p.Offer == nil {
		return fmt.Errorf("the first in line: %+v, %w", p, orNothing(err))
	}
	days := time.Until(p.Offer.ExpiresAt).Hours() / 24
	if _, err := t.email(ctx, strings.ToLower(p.Offer.Code), "hunter@wait.example"); err != nil {
		return err
	}
	_, err = t.email(ctx, p.Offer.Code, "late@wait.example")
	if err := refused("an offer's code again", err, gateway.CodeExhausted); err != nil {
		return err
	}
	if _, err := public.Decline(ctx, t.launch, c.people["guest@wait.example"].Ticket); err != nil {
		return err
	}
	if _, err := public.Leave(ctx, t.launch, c.people["w9@wait.example"].Ticket); err != nil {
		return err
	}
	// Two places went to the next in line.
	statuses := map[gateway.EntryStatus]int{}
	err = t.until(ctx, "places that came back are given again", func() (bool, error) {
		if err := t.settled(ctx); err != nil {
			return false, err
		}
		s, err := t.admin.WaitlistStats(ctx, t.launch)
		statuses = s.Statuses
		return statuses[gateway.EntryInvited] == 9 && statuses[gateway.EntryRegistered] == 1, err
	})
	t.fact("offers", "single use, %.0f days; one registered, one declined, one left: both places went to the next in line; %v", days, statuses)
	if days < 6.9 || days > 7.1 {
		return fmt.Errorf("an offer lives for %.1f days", days)
	}
	return err
}

// lapses lets time pass.
func (c *controlled) lapses(t *tale, ctx context.Context) error {
	made, err := t.server.Invite(ctx, t.launch, topMember, 1, "", "")
	if errors.Is(err, gateway.Refuse(gateway.InvitesPerDay)) { // 50 were minted today
		if err = t.ahead(ctx, 25*time.Hour); err == nil {
			made, err = t.server.Invite(ctx, t.launch, topMember, 1, "", "")
		}
	}
	if err != nil {
		return err
	}
	if err := t.ahead(ctx, 31*24*time.Hour+26*time.Hour); err != nil {
		return err
	}
	_, err = t.email(ctx, made.Invites[0].Code, "slow@friends.example")
	t.fact("30 days later", "an invite nobody used: code_expired; offers that nobody took expired")
	return refused("an invite after 30 days", err, gateway.CodeExpired)
}
