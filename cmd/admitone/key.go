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

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make an API key; its secret is shown once."`
	List   keyList   `cmd:"" help:"List API keys."`
	Revoke keyRevoke `cmd:"" help:"Revoke an API key."`
}

type keyCreate struct {
	remote
	Name    string        `arg:""`
	Scope   []string      `required:"" help:"server, read or admin; may be repeated."`
	Launch  string        `help:"The one launch it is good for; all if not given."`
	Expires time.Duration `help:"How long it is good for; always if not given."`
}

// Run makes the key and prints its secret.
func (c *keyCreate) Run(ctx context.Context, api *client.Client) error {
	scopes := make([]gateway.Scope, len(c.Scope))
	for i, s := range c.Scope {
		scopes[i] = gateway.Scope(s)
	}
	var expires time.Time
	if c.Expires > 0 {
		expires = time.Now().Add(c.Expires)
	}
	k, err := api.CreateKey(ctx, c.Name, scopes, c.Launch, expires)
	if err != nil {
		return err
	}
	return c.print(k, func(w io.Writer) { fmt.Fprintln(w, k.Secret) })
}

type keyList struct{ remote }

// Run lists the keys.
func (c *keyList) Run(ctx context.Context, api *client.Client) error {
	list, err := api.Keys(ctx)
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		row(w, "ID", "NAME", "SCOPES", "LAUNCH", "EXPIRES", "REVOKED", "LAST USED")
		for _, k := range list {
			words := make([]string, len(k.Scopes))
			for i, s := range k.Scopes {
				words[i] = string(s)
			}
			row(w, k.ID, k.Name, strings.Join(words, ","), k.Launch, when(k.ExpiresAt), when(k.RevokedAt), when(k.LastUsed))
		}
	})
}

type keyRevoke struct {
	remote
	ID string `arg:""`
}

// Run revokes the key.
func (c *keyRevoke) Run(ctx context.Context, api *client.Client) error {
	id, err := gateway.ParseID(c.ID)
	if err != nil {
		return fmt.Errorf("the id: %w", err)
	}
	if err := api.RevokeKey(ctx, id); err != nil {
		return err
	}
	return c.print(map[string]any{"revoked": id}, func(w io.Writer) { fmt.Fprintf(w, "key %s is revoked\n", id) })
}
