package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"admitone/gateway"
	"admitone/lua"
	"admitone/sync/heal"
	"admitone/sync/ledger"
)

// healCommand heals without a gateway: it needs the stores themselves.
type healCommand struct {
	secretFlags
	Redis    string   `required:"" help:"As for serve." placeholder:"URL"`
	Postgres string   `required:"" help:"As for serve." placeholder:"URL"`
	JSON     bool     `name:"json" help:"Print JSON."`
	Launches []string `arg:"" optional:"" help:"Launches; all that Postgres knows if none is named."`
}

// Run heals what Redis has lost, and says what it did.
func (c *healCommand) Run(ctx context.Context) error {
	ring, err := c.keyring()
	if err != nil {
		return err
	}
	client, err := redisClient(c.Redis)
	if err != nil {
		return err
	}
	defer client.Close()
	l, err := ledger.Open(ctx, c.Postgres, ring)
	if err != nil {
		return err
	}
	defer l.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	clientLog.to.Store(log)
	h := &heal.Healer{Ledger: l, Pool: l.Pool(), Log: log}
	h.Serve(lua.New(lua.Options{Redis: client, Keyring: ring, Persisted: new(gateway.Persisted), Logger: log}))
	names := c.Launches
	if len(names) == 0 {
		if names, err = l.Launches(ctx); err != nil {
			return err
		}
	}
	reports := []heal.Report{}
	for _, name := range names {
		r, err := h.Heal(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		reports = append(reports, r)
	}
	return remote{JSON: c.JSON}.print(reports, func(w io.Writer) {
		for _, r := range reports {
			if !r.Healed {
				fmt.Fprintf(w, "%s: Redis is whole at position %d\n", r.Launch, r.Seq)
				continue
			}
			if r.Adopted {
				fmt.Fprintf(w, "%s: Redis' history goes on at position %d under epoch %d\n", r.Launch, r.Seq, r.Epoch)
				continue
			}
			fmt.Fprintf(w, "%s: healed to position %d, epoch %d: %d campaigns, %d codes, %d redemptions in %v\n", r.Launch, r.Seq, r.Epoch, r.Campaigns, r.Codes, r.Redemptions, r.Took.Round(1e6))
		}
	})
}
