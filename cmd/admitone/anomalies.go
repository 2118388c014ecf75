package main

import (
	"context"
	"fmt"
	"io"

	"admitone/gateway"
	"admitone/gateway/client"
)

type anomaliesCommand struct {
	remote
	Launch string `arg:""`
	Open   bool   `help:"Only what still is."`
	Limit  int    `default:"50" help:"At most so many, up to 100."`
	After  string `help:"Cursor of the page before."`
}

// Run lists what was unusual.
func (c *anomaliesCommand) Run(ctx context.Context, api *client.Client) error {
	list, err := api.Anomalies(ctx, c.Launch, c.Open, gateway.Page{Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		row(w, "KIND", "SUBJECT", "VALUE", "USUAL", "BOUND", "BEGAN", "ENDED")
		for _, a := range list.Data {
			row(w, a.Kind, a.Subject, fmt.Sprintf("%.1f", a.Value), fmt.Sprintf("%.1f", a.Usual), fmt.Sprintf("%.1f", a.Bound), when(a.BeganAt), when(a.EndedAt))
		}
		if list.HasMore {
			fmt.Fprintln(w, "more: --after", list.Next)
		}
	})
}
