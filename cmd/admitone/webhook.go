package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

type webhookCommand struct {
	Create     webhookCreate     `cmd:"" help:"Make an endpoint that events are sent to; its secret is shown once."`
	List       webhookList       `cmd:"" help:"List a launch's endpoints."`
	Enable     webhookEnable     `cmd:"" help:"Send events to an endpoint again that was disabled."`
	Disable    webhookDisable    `cmd:"" help:"Send an endpoint nothing any more."`
	Deliveries webhookDeliveries `cmd:"" help:"List what was sent to an endpoint, and how it answered."`
	Replay     webhookReplay     `cmd:"" help:"Send a delivery again, or all that failed since a time."`
	Rotate     webhookRotate     `cmd:"" help:"Give an endpoint another secret; the old one signs too for a while."`
	Delete     webhookDelete     `cmd:"" help:"Forget an endpoint and its log."`
}

type webhookCreate struct {
	remote
	Launch      string   `arg:""`
	URL         string   `arg:""`
	Event       []string `help:"Type to send, such as redemption.committed or code.*; may be repeated. All if not given."`
	Codes       bool     `help:"Send codes in full instead of their last two characters."`
	Description string   `help:"What the endpoint is for."`
}

// Run makes the endpoint and prints its secret.
func (c *webhookCreate) Run(ctx context.Context, api *client.Client) error {
	w, err := api.CreateWebhook(ctx, c.Launch, client.WebhookChange{URL: &c.URL, Description: &c.Description, Events: c.Event, Codes: &c.Codes})
	if err != nil {
		return err
	}
	return c.print(w, func(out io.Writer) { fmt.Fprintf(out, "%s\n%s\n", w.ID, w.Secret) })
}

type webhookList struct {
	remote
	Launch string `arg:""`
}

// Run lists the endpoints.
func (c *webhookList) Run(ctx context.Context, api *client.Client) error {
	list, err := api.Webhooks(ctx, c.Launch)
	if err != nil {
		return err
	}
	return c.print(list, func(out io.Writer) {
		row(out, "ID", "URL", "EVENTS", "PENDING", "FAILED", "FAILING SINCE", "DISABLED")
		for _, w := range list {
			disabled := ""
			if !w.DisabledAt.IsZero() {
				disabled = w.Reason + " " + when(w.DisabledAt)
			}
			row(out, w.ID, w.URL, strings.Join(w.Events, ","), w.Pending, w.Failed, when(w.Failing), disabled)
		}
	})
}

// endpoint names one endpoint on the command line.
type endpoint struct {
	remote
	Launch string `arg:""`
	ID     string `arg:"" help:"The endpoint's id."`
}

func (e endpoint) id() (gateway.ID, error) {
	id, err := gateway.ParseID(e.ID)
	if err != nil {
		return id, fmt.Errorf("the id: %w", err)
	}
	return id, nil
}

func (e endpoint) enable(ctx context.Context, api *client.Client, on bool) error {
	id, err := e.id()
	if err != nil {
		return err
	}
	w, err := api.EditWebhook(ctx, e.Launch, id, client.WebhookChange{Enabled: &on})
	if err != nil {
		return err
	}
	word := map[bool]string{true: "enabled", false: "disabled"}[on]
	return e.print(w, func(out io.Writer) { fmt.Fprintf(out, "endpoint %s is %s\n", id, word) })
}

type webhookEnable struct{ endpoint }

// Run enables the endpoint.
func (c *webhookEnable) Run(ctx context.Context, api *client.Client) error {
	return c.enable(ctx, api, true)
}

type webhookDisable struct{ endpoint }

// Run disables the endpoint.
func (c *webhookDisable) Run(ctx context.Context, api *client.Client) error {
	return c.enable(ctx, api, false)
}

type webhookDeliveries struct {
	endpoint
	State string `enum:",pending,delivered,failed" default:"" help:"Only those that are pending, delivered or failed."`
	Limit int    `default:"50" help:"At most so many, up to 100."`
	After string `help:"Cursor of the page before."`
}

// Run lists deliveries.
func (c *webhookDeliveries) Run(ctx context.Context, api *client.Client) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	list, err := api.Deliveries(ctx, c.Launch, id, c.State, gateway.Page{Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return c.print(list, func(out io.Writer) {
		row(out, "ID", "TYPE", "AT", "STATE", "ATTEMPTS", "STATUS", "MS", "NEXT", "ERROR")
		for _, d := range list.Data {
			row(out, d.ID, d.Type, when(d.At), d.State, d.Attempts, d.Status, d.Millis, when(d.NextAt), d.Error)
		}
		if list.HasMore {
			fmt.Fprintln(out, "more: --after", list.Next)
		}
	})
}

type webhookReplay struct {
	endpoint
	Delivery string    `help:"The one delivery to send again." xor:"which" required:""`
	Since    time.Time `help:"Send all again that failed for events since this time (RFC 3339)." xor:"which" required:""`
}

// Run sends deliveries again.
func (c *webhookReplay) Run(ctx context.Context, api *client.Client) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	var delivery gateway.ID
	if c.Delivery != "" {
		if delivery, err = gateway.ParseID(c.Delivery); err != nil {
			return fmt.Errorf("the delivery: %w", err)
		}
	}
	n, err := api.ReplayWebhook(ctx, c.Launch, id, delivery, c.Since)
	if err != nil {
		return err
	}
	return c.print(map[string]int{"replayed": n}, func(out io.Writer) { fmt.Fprintf(out, "%d deliveries are on their way again\n", n) })
}

type webhookRotate struct {
	endpoint
	Overlap time.Duration `default:"24h" help:"How long the old secret signs too."`
}

// Run rotates the secret and prints the new one.
func (c *webhookRotate) Run(ctx context.Context, api *client.Client) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	w, err := api.RotateWebhook(ctx, c.Launch, id, c.Overlap)
	if err != nil {
		return err
	}
	return c.print(w, func(out io.Writer) { fmt.Fprintln(out, w.Secret) })
}

type webhookDelete struct{ endpoint }

// Run deletes the endpoint.
func (c *webhookDelete) Run(ctx context.Context, api *client.Client) error {
	id, err := c.id()
	if err != nil {
		return err
	}
	if err := api.DeleteWebhook(ctx, c.Launch, id); err != nil {
		return err
	}
	return c.print(map[string]any{"deleted": id}, func(out io.Writer) { fmt.Fprintf(out, "endpoint %s is deleted\n", id) })
}
