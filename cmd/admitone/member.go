package main

import (
	"context"
	"fmt"
	"io"

	"admitone/gateway"
	"admitone/gateway/client"
)

type memberCommand struct {
	List  memberList  `cmd:"" help:"List a launch's members."`
	Show  memberShow  `cmd:"" help:"Show a member."`
	Grant memberGrant `cmd:"" help:"Grant a member invites."`
	Tier  memberTier  `cmd:"" help:"Change a member's tier."`
	Erase memberErase `cmd:"" help:"Erase what names a member; counts and referrals stay."`
}

type memberList struct {
	remote
	Launch string `arg:""`
	Email  string `help:"Who has this e-mail address."`
	Tier   string `help:"Who has this tier."`
	Method string `help:"Who was let in by invite_code, license_key, or is on trial."`
	Limit  int    `default:"50" help:"How many, 1 to 100."`
	After  string `help:"The next of the page before." placeholder:"CURSOR"`
}

// Run lists members.
func (c *memberList) Run(ctx context.Context, api *client.Client) error {
	f := gateway.MemberFilter{Email: c.Email, Tier: c.Tier, Method: gateway.UnlockMethod(c.Method)}
	list, err := api.Members(ctx, c.Launch, f, gateway.Page{Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		row(w, "SUBJECT", "NAME", "TIER", "BY", "ROUNDS", "USED", "ALLOTMENT", "REFERRALS", "JOINED")
		for _, m := range list.Data {
			who := m.Subject
			if m.Erased {
				who = "(erased)"
			}
			row(w, who, m.Name, m.Tier, m.Method, amount(m.Rounds), m.Used, amount(m.Allotment), m.Referrals, when(m.Joined))
		}
		if list.HasMore {
			fmt.Fprintf(w, "more: --after %s\n", list.Next)
		}
	})
}

// amount writes a number that may be unlimited.
func amount(r gateway.Rounds) string {
	if r == gateway.Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(int64(r))
}

// oneMember names a member.
type oneMember struct {
	remote
	Launch  string `arg:""`
	Subject string `arg:"" help:"The app's id, or an e-mail address."`
}

func (c oneMember) show(m client.MemberNow, err error) error {
	if err != nil {
		return err
	}
	return c.print(m, func(w io.Writer) {
		row(w, "SUBJECT", "MEMBER", "TIER", "BY", "ROUNDS LEFT", "ALLOTMENT", "REFERRALS", "JOINED")
		row(w, m.Subject, m.Member, m.Tier, m.Method, amount(m.Remaining), amount(m.Allotment), m.Referrals, when(m.Joined))
	})
}

type memberShow struct{ oneMember }

// Run shows a member as Redis has it.
func (c *memberShow) Run(ctx context.Context, api *client.Client) error {
	return c.show(api.MemberNow(ctx, c.Launch, c.Subject))
}

type memberGrant struct {
	oneMember
	Invites int    `arg:""`
	Note    string `help:"Why, for the audit trail."`
}

// Run grants invites.
func (c *memberGrant) Run(ctx context.Context, api *client.Client) error {
	return c.show(api.GrantInvites(ctx, c.Launch, c.Subject, c.Invites, c.Note))
}

type memberTier struct {
	oneMember
	Tier string `arg:"" help:"Its new tier; '' for the campaign's."`
	Note string `help:"Why, for the audit trail."`
}

// Run changes a tier.
func (c *memberTier) Run(ctx context.Context, api *client.Client) error {
	return c.show(api.SetTier(ctx, c.Launch, c.Subject, c.Tier, c.Note))
}

type memberErase struct {
	oneMember
	Note string `help:"Why, for the audit trail."`
}

// Run erases a member.
func (c *memberErase) Run(ctx context.Context, api *client.Client) error {
	return c.show(api.EraseMember(ctx, c.Launch, c.Subject, c.Note))
}
