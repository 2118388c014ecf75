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
	return get[gateway.List[gateway.MailRow]](ctx, c, c.privatePath(launch, "mails"), pageQuery(p, "status", string(f.Status), "kind", string(f.Kind), "recipient", f.Recipient))
}

// Mail reads one e-mail.
func (c *Client) Mail(ctx context.Context, launch string, id gateway.ID) (gateway.MailRow, error) {
	return get[gateway.MailRow](ctx, c, c.privatePath(launch, "mails", id.String()), nil)
}

// ReplayMail sends an e-mail again that is dead or suppressed.
func (c *Client) ReplayMail(ctx context.Context, launch string, id gateway.ID) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: c.privatePath(launch, "mails", id.String(), "replay")}, nil)
	return err
}

// ReplayMails sends all e-mails again that are dead or suppressed and were made
// since a time, of one kind or of all with "", and returns how many.
func (c *Client) ReplayMails(ctx context.Context, launch string, kind gateway.MailKind, since time.Time) (int, error) {
	out, err := answer[struct{ Replayed int }](ctx, c, request{method: http.MethodPost, path: c.privatePath(launch, "mails", "replay"), in: struct {
		Kind  gateway.MailKind `json:"kind,omitempty"`
		Since time.Time        `json:"since"`
	}{kind, since}})
	return out.Replayed, err
}

// PreviewMail writes an e-mail of a kind with sample data, by the policy's
// template or by one to try.
func (c *Client) PreviewMail(ctx context.Context, launch string, kind gateway.MailKind, own *gateway.MailTemplate) (gateway.RenderedMail, error) {
	return put[gateway.RenderedMail](ctx, c, c.privatePath(launch, "mails", "preview"), struct {
		Kind     gateway.MailKind      `json:"kind"`
		Template *gateway.MailTemplate `json:"template,omitempty"`
	}{kind, own})
}
