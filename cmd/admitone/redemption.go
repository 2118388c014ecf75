package main

import (
	"context"
	"fmt"
	"io"

	"admitone/gateway"
	"admitone/gateway/client"
)

type redemptionCommand struct {
	List     redemptionList     `cmd:"" help:"List redemptions, newest first, as Postgres knows them."`
	Rollback redemptionRollback `cmd:"" help:"Take a redemption back; its code has the use again."`
}

type redemptionList struct {
	remote
	Launch   string `arg:""`
	Campaign string `help:"Of this campaign."`
	Subject  string `help:"Of this person: the app's id, or an e-mail address."`
	Code     string `help:"Of this code."`
	Status   string `help:"held, committed, released or rolled_back."`
	Limit    int    `default:"50" help:"How many, 1 to 100."`
	After    string `help:"The next of the page before." placeholder:"CURSOR"`
}

// Run lists redemptions.
func (c *redemptionList) Run(ctx context.Context, api *client.Client) error {
	f := gateway.RedemptionFilter{Campaign: c.Campaign, Subject: c.Subject, Code: gateway.Code(c.Code), Status: gateway.Status(c.Status)}
	list, err := api.Redemptions(ctx, c.Launch, f, gateway.Page{Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		row(w, "ID", "STATUS", "CODE", "CAMPAIGN", "SUBJECT", "SOURCE", "MADE", "SETTLED")
		for _, r := range list.Data {
			row(w, r.ID, r.Status, r.Code, r.Campaign, r.Subject, r.Source, when(r.At), when(r.SettledAt))
		}
		if list.HasMore {
			fmt.Fprintf(w, "more: --after %s\n", list.Next)
		}
	})
}

type redemptionRollback struct {
	remote
	Launch string `arg:""`
	ID     string `arg:"" help:"Of the redemption; redemption list names it."`
	Note   string `help:"Why, for the audit trail."`
}

// Run takes a redemption back.
func (c *redemptionRollback) Run(ctx context.Context, api *client.Client) error {
	id, err := gateway.ParseID(c.ID)
	if err != nil {
		return fmt.Errorf("the id: %w", err)
	}
	r, err := api.Rollback(ctx, c.Launch, id, c.Note)
	if err != nil {
		return err
	}
	return c.print(r, func(w io.Writer) { fmt.Fprintf(w, "redemption %s is %s; its code is %s\n", r.ID, r.Status, r.Code) })
}
