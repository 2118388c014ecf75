package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

type mailCommand struct {
	List    mailList    `cmd:"" help:"List e-mails and how far they have come."`
	Replay  mailReplay  `cmd:"" help:"Send an e-mail again that is dead or suppressed, or all since a time."`
	Preview mailPreview `cmd:"" help:"Show what a template makes of sample data."`
}

type mailList struct {
	remote
	Launch string `arg:""`
	Status string `enum:",queued,sent,dead,suppressed" default:"" help:"Only those that are queued, sent, dead or suppressed."`
	Kind   string `help:"Only those of a kind: offer, confirm, invitation, milestone or reward."`
	To     string `help:"Only those to this address." placeholder:"ADDRESS"`
	Limit  int    `default:"50" help:"At most so many, up to 100."`
	After  string `help:"Cursor of the page before."`
}

// Run lists e-mails, newest first.
func (c *mailList) Run(ctx context.Context, api *client.Client) error {
	f := gateway.MailFilter{Status: gateway.MailStatus(c.Status), Kind: gateway.MailKind(c.Kind), Recipient: c.To}
	list, err := api.Mails(ctx, c.Launch, f, gateway.Page{Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return c.print(list, func(out io.Writer) {
		row(out, "ID", "KIND", "TO", "STATUS", "ATTEMPTS", "MADE", "SENT", "NEXT", "ERROR")
		for _, m := range list.Data {
			row(out, m.ID, m.Kind, m.Recipient, m.Status, m.Attempts, when(m.Created), when(m.SentAt), when(m.NextAt), m.Error)
		}
		if list.HasMore {
			fmt.Fprintln(out, "more: --after", list.Next)
		}
	})
}

type mailReplay struct {
	remote
	Launch string    `arg:""`
	ID     string    `arg:"" optional:"" help:"The one e-mail to send again."`
	Since  time.Time `help:"Send all again that are dead or suppressed and were made since this time (RFC 3339)."`
	Kind   string    `help:"With --since: only those of a kind."`
}

// Run sends e-mails again.
func (c *mailReplay) Run(ctx context.Context, api *client.Client) error {
	if (c.ID == "") == c.Since.IsZero() {
		return errors.New("give the id of one e-mail, or --since TIME for all that were not sent")
	}
	n := 1
	var err error
	if c.ID != "" {
		id, bad := gateway.ParseID(c.ID)
		if bad != nil {
			return fmt.Errorf("the id: %w", bad)
		}
		err = api.ReplayMail(ctx, c.Launch, id)
	} else {
		n, err = api.ReplayMails(ctx, c.Launch, gateway.MailKind(c.Kind), c.Since)
	}
	if err != nil {
		return err
	}
	return c.print(map[string]int{"replayed": n}, func(out io.Writer) { fmt.Fprintf(out, "%d e-mails are on their way again\n", n) })
}

type mailPreview struct {
	remote
	Launch  string `arg:""`
	Kind    string `arg:"" help:"offer, confirm, invitation, milestone or reward."`
	Subject string `help:"A subject to try, instead of the policy's."`
	Text    string `help:"File of a text to try." placeholder:"FILE"`
	HTML    string `name:"html" help:"File of HTML to try." placeholder:"FILE"`
	Show    string `enum:"text,html" default:"text" help:"What to print: the text or the HTML."`
}

// Run prints the subject and the text, or the HTML, as they would be sent.
func (c *mailPreview) Run(ctx context.Context, api *client.Client) error {
	var own *gateway.MailTemplate
	if c.Subject != "" || c.Text != "" || c.HTML != "" {
		own = &gateway.MailTemplate{Subject: c.Subject}
		for path, to := range map[string]*string{c.Text: &own.Text, c.HTML: &own.HTML} {
			if path == "" {
				continue
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			*to = string(b)
		}
	}
	m, err := api.PreviewMail(ctx, c.Launch, gateway.MailKind(c.Kind), own)
	if err != nil {
		return err
	}
	return c.print(m, func(out io.Writer) {
		if c.Show == "html" {
			fmt.Fprint(out, m.HTML)
			return
		}
		fmt.Fprintf(out, "Subject: %s\n\n%s", m.Subject, m.Text)
	})
}

// stuckMail is how long e-mail may wait before it is told of.
const stuckMail = time.Hour

// unsent warns of e-mail that waits.
func (n *node) unsent(ctx context.Context) (warnings []string) {
	depths, err := n.ledger.MailDepths(ctx)
	if err != nil {
		return nil // said elsewhere
	}
	for launch, d := range depths {
		switch {
		case n.mail.URL == "":
			warnings = append(warnings, fmt.Sprintf("%d e-mails of the launch %s wait, and this process has no --smtp-url to send them with", d.Queued, launch))
		case time.Since(d.Oldest) > stuckMail:
			warnings = append(warnings, fmt.Sprintf("%d e-mails of the launch %s wait, the oldest for more than an hour: admitone mail list %s --status queued says why", d.Queued, launch, launch))
		}
	}
	return warnings
}
