package client

import (
	"context"
	"net/http"
	"time"

	"admitone/gateway"
)

// Mails lists a launch's e-mails, newest first. Recipients are told to keys
// with the admin scope only.
func (c *Client) Mails(ctx context.Context, launch string, f gateway.MailFilter, p gateway.Page) (gateway.List[gateway.MailRow], error) {
	q := pageQuery(p)
	for name, value := range map[string]string{"status": string(f.Status), "kind": string(f.Kind), "recipient": f.Recipient} {
		if value != "" {
			q.Set(name, value)
		}
	}
	var list gateway.List[gateway.MailRow]
	err := c.get(ctx, c.privatePath(launch, "mails"), q, &list)
	return list, err
}

// Mail reads one e-mail.
func (c *Client) Mail(ctx context.Context, launch string, id gateway.ID) (m gateway.MailRow, err error) {
	err = c.get(ctx, c.privatePath(launch, "mails", id.String()), nil, &m)
	return m, err
}

// ReplayMail sends an e-mail again that is dead or suppressed.
func (c *Client) ReplayMail(ctx context.Context, launch string, id gateway.ID) error {
	_, err := c.call(ctx, request{method: http.MethodPost, base: c.private, path: c.privatePath(launch, "mails", id.String(), "replay")}, nil)
	return err
}

// ReplayMails sends all e-mails again that are dead or suppressed and were made
// since a time, of one kind or of all with "", and returns how many.
func (c *Client) ReplayMails(ctx context.Context, launch string, kind gateway.MailKind, since time.Time) (int, error) {
	q := request{method: http.MethodPost, base: c.private, path: c.privatePath(launch, "mails", "replay")}
	err := q.json(struct {
		Kind  gateway.MailKind `json:"kind,omitempty"`
		Since time.Time        `json:"since"`
	}{kind, since})
	if err != nil {
		return 0, err
	}
	var out struct{ Replayed int }
	_, err = c.call(ctx, q, &out)
	return out.Replayed, err
}

// PreviewMail writes an e-mail of a kind with sample data, by the policy's
// template or by one to try.
func (c *Client) PreviewMail(ctx context.Context, launch string, kind gateway.MailKind, own *gateway.MailTemplate) (m gateway.RenderedMail, err error) {
	q := request{method: http.MethodPost, base: c.private, path: c.privatePath(launch, "mails", "preview"), repeatable: true}
	err = q.json(struct {
		Kind     gateway.MailKind      `json:"kind"`
		Template *gateway.MailTemplate `json:"template,omitempty"`
	}{kind, own})
	if err == nil {
		_, err = c.call(ctx, q, &m)
	}
	return m, err
}
