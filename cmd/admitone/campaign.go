package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

type campaignCommand struct {
	Create    campaignCreate    `cmd:"" help:"Make a campaign."`
	Edit      campaignEdit      `cmd:"" help:"Change a campaign."`
	List      campaignList      `cmd:"" help:"List a launch's campaigns."`
	Pause     campaignPause     `cmd:"" help:"Pause a campaign."`
	Resume    campaignResume    `cmd:"" help:"Resume a paused campaign."`
	Revoke    campaignRevoke    `cmd:"" help:"Revoke all codes of a campaign at once."`
	Reinstate campaignReinstate `cmd:"" help:"Take the revocation of a campaign back."`
}

// campaignFlags are what a campaign is made of; what is left out has the
// policy's default, or stays as it is.
type campaignFlags struct {
	Type       string            `help:"personal, bulk, vip, waitlist or link."`
	Kind       string            `help:"invite, license or referral."`
	Tier       *string           `help:"Tier that a redemption unlocks."`
	Channel    *string           `help:"Where the codes are handed out: partner, event, email, …"`
	MaxUses    int               `help:"Uses of each code."`
	Starts     *time.Time        `help:"When codes begin to be good." placeholder:"TIME"`
	Ends       *time.Time        `help:"When all codes expire." placeholder:"TIME"`
	Expires    *gateway.Duration `help:"How long a code is good from its minting: 30d, 72h." placeholder:"DURATION"`
	Format     string            `help:"Code template, as {prefix}-{period}-{random:8}."`
	Prefix     string            `help:"Value of {prefix}."`
	Period     string            `help:"Value of {period}."`
	Cap        *int              `help:"Redemptions over all codes; 0 is no cap."`
	PerSubject *int              `help:"Codes that one subject may redeem; 0 is no limit."`
	Pace       *gateway.Rate     `help:"Redemptions in windows of time, such as 100/1h; off is no pace." placeholder:"RATE"`
	Vanity     *bool             `help:"Codes may be chosen and imported."`
}

func (f *campaignFlags) body(name string) client.Campaign {
	return client.Campaign{
		Name: name, Type: gateway.CampaignType(f.Type), Kind: gateway.Kind(f.Kind), Tier: f.Tier, Channel: f.Channel, MaxUses: f.MaxUses,
		Starts: f.Starts, Ends: f.Ends, Expires: f.Expires, Format: f.Format, Prefix: f.Prefix, Period: f.Period, Cap: f.Cap,
		PerSubject: f.PerSubject, Pace: f.Pace, Vanity: f.Vanity,
	}
}

type campaignCreate struct {
	remote
	campaignFlags
	Launch string `arg:""`
	Name   string `arg:""`
}

// Run makes the campaign.
func (c *campaignCreate) Run(ctx context.Context, api *client.Client) error {
	made, err := api.CreateCampaign(ctx, c.Launch, c.body(c.Name))
	if err != nil {
		return err
	}
	return c.print(made, func(w io.Writer) { fmt.Fprintf(w, "campaign %s: made, codes look like %s\n", made.Name, made.Format) })
}

type campaignEdit struct {
	remote
	campaignFlags
	Rename   string `help:"Its new name."`
	Launch   string `arg:""`
	Campaign string `arg:"" help:"Name or id."`
}

// Run changes the campaign.
func (c *campaignEdit) Run(ctx context.Context, api *client.Client) error {
	changed, err := api.EditCampaign(ctx, c.Launch, c.Campaign, c.body(c.Rename))
	if err != nil {
		return err
	}
	return c.print(changed, func(w io.Writer) { fmt.Fprintf(w, "campaign %s: changed\n", changed.Name) })
}

type campaignList struct {
	remote
	Launch string `arg:""`
}

// Run lists the campaigns.
func (c *campaignList) Run(ctx context.Context, api *client.Client) error {
	list, err := api.Campaigns(ctx, c.Launch)
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		row(w, "CAMPAIGN", "KIND", "TYPE", "CHANNEL", "USES", "CAP", "STATE", "FORMAT")
		for _, g := range list {
			row(w, g.Name, g.Kind, g.Type, g.Channel, g.MaxUses, g.Cap, g.State, g.Format)
		}
	})
}

// campaignState names a campaign whose state is changed.
type campaignState struct {
	remote
	Launch   string `arg:""`
	Campaign string `arg:"" help:"Name or id."`
	Note     string `help:"Why, for the audit trail."`
}

func (c *campaignState) change(ctx context.Context, how func(ctx context.Context, launch, campaign, why string) (gateway.Campaign, error)) error {
	g, err := how(ctx, c.Launch, c.Campaign, c.Note)
	if err != nil {
		return err
	}
	return c.print(g, func(w io.Writer) { fmt.Fprintf(w, "campaign %s is %s\n", g.Name, g.State) })
}

type (
	campaignPause     struct{ campaignState }
	campaignResume    struct{ campaignState }
	campaignRevoke    struct{ campaignState }
	campaignReinstate struct{ campaignState }
)

// Run pauses the campaign.
func (c *campaignPause) Run(ctx context.Context, api *client.Client) error {
	return c.change(ctx, api.PauseCampaign)
}

// Run resumes the campaign.
func (c *campaignResume) Run(ctx context.Context, api *client.Client) error {
	return c.change(ctx, api.ResumeCampaign)
}

// Run revokes the campaign.
func (c *campaignRevoke) Run(ctx context.Context, api *client.Client) error {
	return c.change(ctx, api.RevokeCampaign)
}

// Run takes the revocation back.
func (c *campaignReinstate) Run(ctx context.Context, api *client.Client) error {
	return c.change(ctx, api.ReinstateCampaign)
}
