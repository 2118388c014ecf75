package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"admitone/gateway/client"
)

type statsCommand struct {
	remote
	Launch string `arg:""`
}

// Run shows the figures of each campaign.
func (c *statsCommand) Run(ctx context.Context, api *client.Client) error {
	s, err := api.Stats(ctx, c.Launch)
	if err != nil {
		return err
	}
	return c.print(s, func(w io.Writer) {
		row(w, "CAMPAIGN", "CHANNEL", "ISSUED", "OPENED", "HELD", "REDEEMED", "RELEASED", "ROLLED BACK", "REVOKED")
		for _, g := range s.Campaigns {
			row(w, g.Campaign, g.Channel, g.Issued, g.Opened, g.Held, g.Redeemed, g.Released, g.RolledBack, g.Revoked)
		}
		for _, reason := range slices.Sorted(maps.Keys(s.Refused)) {
			fmt.Fprintf(w, "refused, %s: %d\n", reason, s.Refused[reason])
		}
		fmt.Fprintf(w, "as of position %d in Postgres\n", s.Position)
	})
}
