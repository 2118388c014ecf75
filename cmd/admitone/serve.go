package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"
)

// serveCommand is the production command.
type serveCommand struct {
	listen
	secretFlags
	mailFlags
	Redis         string        `required:"" help:"redis://host:6379/0, redis+sentinel://host:26379/name or redis+cluster://host:6379,host:6379." placeholder:"URL"`
	Postgres      string        `required:"" help:"postgres://user:password@host:5432/database." placeholder:"URL"`
	JournalBytes  uint64        `default:"1073741824" help:"Journal that Postgres may lack before new work is refused."`
	Drain         time.Duration `default:"20s" help:"How long requests in hand may take after SIGTERM."`
	AllowEviction bool          `help:"Serve although Redis may throw codes away."`
	Rehearsal     bool          `help:"Let operators set launches' clocks ahead. Never where real people redeem."`
	LogLevel      slog.Level    `default:"info" help:"debug, info, warn or error."`
}

// Run serves until the context is over.
func (c *serveCommand) Run(ctx context.Context) error {
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	clientLog.to.Store(log)
	ring, err := c.keyring()
	if err != nil {
		return err
	}
	adminKey, err := c.adminKey()
	if err != nil {
		return err
	}
	mail, err := c.smtp()
	if err != nil {
		return err
	}
	client, err := redisClient(c.Redis)
	if err != nil {
		return err
	}
	if evicts(ctx, client) && !c.AllowEviction {
		return errors.Join(errors.New("this Redis throws keys away when it is full (maxmemory-policy): codes would vanish; set maxmemory-policy noeviction, or --allow-eviction if you know better"), client.Close())
	}
	n := &node{
		listen: c.listen, redis: client, postgres: c.Postgres, keyring: ring, adminKey: adminKey, log: log, bound: c.JournalBytes, drain: c.Drain,
		rehearsal: c.Rehearsal, mail: mail,
	}
	return n.serve(ctx)
}

// serve runs the node until the context is over or a listener fails.
func (n *node) serve(ctx context.Context) error {
	defer n.stop()
	if err := n.start(ctx); err != nil {
		return err
	}
	n.log.Info("serving", "public", n.public.Addr().String(), "private", n.private.Addr().String(), "version", version)
	select {
	case <-ctx.Done():
		n.log.Info("draining")
		return nil
	case err := <-n.lastError:
		return err
	}
}
