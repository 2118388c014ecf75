package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"admitone/gateway/client"
)

type verifyCommand struct {
	remote
	Launch string `arg:""`
}

// Run compares the two stores. It fails where they differ.
func (c *verifyCommand) Run(ctx context.Context, api *client.Client) error {
	r, err := api.Verify(ctx, c.Launch)
	if err != nil {
		return err
	}
	err = c.print(r, func(w io.Writer) {
		fmt.Fprintf(w, "position %d: %d campaigns, %d codes and %d redemptions compared, %d differences\n", r.Position, r.Campaigns, r.Codes, r.Redemptions, r.Drift)
		if r.Moving > 0 {
			fmt.Fprintf(w, "%d rows changed too often to be compared\n", r.Moving)
		}
		if r.Drift > 0 {
			row(w, "KIND", "KEY", "REDIS", "POSTGRES")
		}
		for _, d := range r.Differences {
			row(w, d.Kind, d.Key, d.Redis, d.Postgres)
		}
	})
	if err == nil && r.Drift > 0 {
		return errors.New("the two stores differ")
	}
	return err
}
