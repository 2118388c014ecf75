package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

type analyticsCommand struct {
	remote
	Launch string `arg:""`
	CSV    bool   `name:"csv" help:"Print the funnels as CSV."`
}

// Run shows how far people came, by campaign and channel, and what it earned.
func (c *analyticsCommand) Run(ctx context.Context, api *client.Client) error {
	if c.CSV {
		return api.AnalyticsCSV(ctx, c.Launch, os.Stdout)
	}
	a, err := api.Analytics(ctx, c.Launch)
	if err != nil {
		return err
	}
	return c.print(a, func(w io.Writer) {
		row(w, "CAMPAIGN", "CHANNEL", "ISSUED", "OPENED", "REDEEMED", "SUBJECTS", "ACTIVATED", "PAID", "DAY 7", "OF ISSUED", "OF OPENED", "ACTIVATED", "PAID")
		for _, f := range a.Campaigns {
			funnelLine(w, f.Campaign, f.Channel, f.Funnel)
		}
		for _, f := range a.Channels {
			funnelLine(w, "(channel)", f.Channel, f.Funnel)
		}
		funnelLine(w, "(all)", "", a.Total)
		for _, u := range a.Unlocks {
			fmt.Fprintf(w, "unlocked by %s: %d (%s), churned %d\n", u.Method, u.Members, percent(&u.Share), u.Churned)
		}
		for _, r := range a.Top {
			fmt.Fprintf(w, "referrer %s: %d referrals, %d rewarded\n", r.Subject, r.Referrals, r.Rewarded)
		}
		for _, r := range a.Referrers {
			fmt.Fprintf(w, "referrer %s: %d of %d referrals active in 7 days, %d events\n", r.Subject, r.Active, r.Referrals, r.Events)
		}
		for _, r := range a.Rewards {
			fmt.Fprintf(w, "rewards in %s, minor units: %d paid to %d members (%d), clawed back %d, net %d\n", r.Currency, r.Paid, r.Accounts, r.Rewards, r.ClawedBack, r.Net)
		}
		if p := a.FirstPurchase; p.Median != nil && p.Mean != nil {
			fmt.Fprintf(w, "first purchase after %s (median), %s (mean), of %d\n", seconds(*p.Median), seconds(*p.Mean), p.Subjects)
		}
		fmt.Fprintf(w, "as of position %d in Postgres, %s\n", a.Position, a.At.Format(time.RFC3339))
	})
}

func funnelLine(w io.Writer, campaign, channel string, f gateway.Funnel) {
	v := f.Conversion
	row(w, campaign, channel, f.Issued, f.Opened, f.Redeemed, f.Subjects, f.Activated, f.Paid, percent(v.Retained), percent(v.Issued), percent(v.Opened), percent(v.Activated), percent(v.Paid))
}

// percent writes a part of 1; nil is of nothing.
func percent(p *float64) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100**p)
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}
