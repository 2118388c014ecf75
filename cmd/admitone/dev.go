package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/keyring"
)

// devCommand runs everything on this machine.
type devCommand struct {
	listen
	mailFlags
	Data      string `default:".admitone" help:"Directory of all that is kept."`
	Redis     string `help:"A Redis to use instead of one of its own." placeholder:"URL"`
	Postgres  string `help:"A Postgres to use instead of one of its own." placeholder:"URL"`
	AdminKey  string `help:"The admin key; made once and kept in the data directory if not given."`
	ReadyFile string `help:"File to write the URLs to, as JSON, once it serves." placeholder:"FILE"`
	Verbose   bool   `short:"v" help:"Log every admin request."`
}

// Run serves until the context is over, and leaves no child behind.
func (c *devCommand) Run(ctx context.Context) error {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return fmt.Errorf("the data directory: %w; choose another with --data", err)
	}
	unlock, err := lockDir(data)
	if err != nil {
		return err
	}
	defer unlock()
	if c.ReadyFile != "" {
		if err := os.Remove(c.ReadyFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--ready-file: %w", err)
		}
	}
	// The ports first: nothing is started for a gateway that cannot listen.
	for flag, addr := range map[string]string{"addr": c.Addr, "admin-addr": c.AdminAddr} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("the port is taken: %w; choose another with --%s (port 0 is any free one)", err, flag)
		}
		l.Close()
	}
	c.PerAddress = max(c.PerAddress, 16<<10) // everybody here comes from one address
	if c.WebhookAllow == nil {
		c.WebhookAllow = []string{"127.0.0.0/8", "::1/128"} // receivers on this machine, to try webhooks out
	}
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelInfo
	}
	d := &development{devCommand: c, data: data, log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	clientLog.to.Store(d.log)
	defer d.stop()
	return d.run(ctx)
}

// development is what dev has started.
type development struct {
	*devCommand
	data     string
	log      *slog.Logger
	redis    *rig.Redis
	mini     *miniredis.Miniredis
	postgres *rig.Postgres
	mail     *rig.SMTP
	kept     atomic.Int64 // e-mails
}

func (d *development) run(ctx context.Context) error {
	if d.Redis != "" && d.Postgres != "" {
		say("Using your Redis and your Postgres.")
	}
	if err := d.startPostgres(ctx); err != nil {
		return err
	}
	if err := d.startRedis(ctx); err != nil {
		return err
	}
	ring, adminKey, err := d.secrets()
	if err != nil {
		return err
	}
	mail, err := d.startMail()
	if err != nil {
		return err
	}
	client, err := redisClient(d.Redis)
	if err != nil {
		return err
	}
	n := &node{
		listen: d.listen, redis: client, postgres: d.Postgres, keyring: ring, adminKey: adminKey, log: d.log, bound: 1 << 30, drain: 10 * time.Second,
		rehearsal: true, mail: mail,
	}
	defer n.stop()
	if err := n.start(ctx); err != nil {
		return err
	}
	code, err := d.demo(ctx, n)
	if err != nil {
		return fmt.Errorf("the demo launch: %w", err)
	}
	ready := map[string]string{
		"public": "http://" + reachable(n.public.Addr()), "private": "http://" + reachable(n.private.Addr()),
		"admin_key": adminKey, "launch": demoLaunch, "redis": d.Redis, "postgres": d.Postgres,
	}
	say("%s", d.welcome(ready, code))
	if d.ReadyFile != "" {
		if err := writeFile(d.ReadyFile, 0o600, func(w io.Writer) error { return json.NewEncoder(w).Encode(ready) }); err != nil {
			return fmt.Errorf("--ready-file: %w", err)
		}
	}
	select {
	case <-ctx.Done():
		say("\nStopping.")
		return nil
	case err := <-n.lastError:
		return err
	}
}

// startTimeout bounds the start of a server.
const startTimeout = time.Minute

func (d *development) startPostgres(ctx context.Context) error {
	if d.Postgres != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	p, err := rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(d.data, "postgres"), Durable: true})
	if err != nil {
		var missing *rig.MissingError
		if errors.As(err, &missing) {
			return fmt.Errorf("%w; or give one with --postgres URL", err)
		}
		return err
	}
	d.postgres = p
	d.Postgres = p.Database("admitone")
	return p.Create(ctx, "admitone")
}

// startRedis starts redis-server where there is one, and otherwise a Redis
// that lives in this process and forgets: what it serves is reloaded from
// Postgres.
func (d *development) startRedis(ctx context.Context) error {
	if d.Redis != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := rig.StartRedis(ctx, rig.RedisOptions{Dir: filepath.Join(d.data, "redis"), AppendOnly: true, Fsync: "always"})
	var missing *rig.MissingError
	if errors.As(err, &missing) {
		m := miniredis.NewMiniRedis()
		if err := m.Start(); err != nil {
			return err
		}
		d.mini, d.Redis = m, "redis://"+m.Addr()+"/0"
		say("redis-server is not on this machine: using the embedded miniredis, for trying out only (apt-get install redis-server).")
		return nil
	}
	if err != nil {
		return err
	}
	d.redis, d.Redis = r, r.URL()
	return nil
}

func (d *development) stop() {
	if d.mail != nil {
		d.mail.Stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if d.redis != nil {
		if err := d.redis.Stop(ctx); err != nil {
			d.log.Warn("stopping redis-server", "error", err)
		}
	}
	if d.mini != nil {
		d.mini.Close()
	}
	if d.postgres != nil {
		if err := d.postgres.Stop(ctx); err != nil {
			d.log.Warn("stopping postgres", "error", err)
		}
	}
}

// secrets are made once and kept in the data directory, readable by its owner.
func (d *development) secrets() (*keyring.Keyring, string, error) {
	text, err := keep(filepath.Join(d.data, "secrets"), keyring.GenerateSecret)
	if err != nil {
		return nil, "", err
	}
	secrets, err := keyring.ParseSecrets(text)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", filepath.Join(d.data, "secrets"), err)
	}
	ring, err := keyring.New(secrets...)
	if err != nil || d.AdminKey != "" {
		return ring, d.AdminKey, err
	}
	key, err := keep(filepath.Join(d.data, "admin-key"), gateway.NewAPIKey)
	return ring, key, err
}

// keep reads a file, or makes it.
func keep(path string, make func() string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text := make()
		return text, writeFile(path, 0o600, func(w io.Writer) error { _, err := io.WriteString(w, text+"\n"); return err })
	}
	return strings.TrimSpace(string(b)), err
}

// The demo launch: a campaign of ten codes.
const (
	demoLaunch   = "demo"
	demoCampaign = "welcome"
	demoCodes    = 10
)

// demo makes the demo launch if there is none, and finds a code of it that can
// be redeemed; a new one when all are used up.
func (d *development) demo(ctx context.Context, n *node) (string, error) {
	by := gateway.Actor{Name: "dev"}
	l, err := n.store.Launch(ctx, demoLaunch)
	if errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) {
		p := gateway.DefaultPolicy(demoLaunch)
		p.Name = "Demo"
		p.Abuse.Allow = thisMachine() // three typing errors lock nobody out who tries things
		l, err = n.store.CreateLaunch(ctx, p, by)
	}
	if err != nil {
		return "", err
	}
	campaign := l.FindCampaign(demoCampaign)
	if campaign == nil {
		campaign, err = n.store.CreateCampaign(ctx, demoLaunch, gateway.Campaign{
			Name: demoCampaign, Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: 1, Format: "{random:10}", Vanity: true,
		}, by)
		if err != nil {
			return "", err
		}
	}
	found := ""
	err = n.ledger.ExportCodes(ctx, demoLaunch, campaign.Number, func(r gateway.CodeRow) error {
		if found == "" && r.State == gateway.CodeActive {
			found = r.Code
		}
		return nil
	})
	if err != nil || found != "" {
		return found, err
	}
	if l, err = n.store.Launch(ctx, demoLaunch); err != nil {
		return "", err
	}
	minting := &gateway.Minting{Store: n.store, Checker: n.keyring, Launch: l, Campaign: campaign, By: by}
	codes, err := minting.Generate(ctx, demoCodes, 0)
	if err != nil {
		return "", err
	}
	return codes[0].Display, nil
}

// thisMachine are the addresses of whoever tries things here.
func thisMachine() gateway.Networks {
	var list gateway.Networks
	for _, s := range []string{"127.0.0.0/8", "::1/128"} {
		list = append(list, gateway.Network{Prefix: netip.MustParsePrefix(s)})
	}
	return list
}

// reachable is an address as a client on this machine writes it.
func reachable(a net.Addr) string {
	host, port, _ := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// welcome is what dev says when it serves; the curl lines are the README's.
func (d *development) welcome(ready map[string]string, code string) string {
	kept := d.data
	mail := d.SMTPURL
	if d.mail != nil {
		mail = filepath.Join(d.data, mailDir) + " (kept as files, sent to nobody)"
	}
	if d.mini != nil {
		kept += " (Redis: embedded, reloaded from Postgres)"
	}
	return fmt.Sprintf(`AdmitOne is serving the launch "demo".

  public    %[1]s
  private   %[2]s   (metrics, health, admin API)
  admin key %[3]s
  data      %[4]s
  e-mail    %[6]s

Redeem a code, see what the next one is told who tries it, and what the operator sees:

  curl -s %[1]s/v1/launches/demo/redemptions -H 'Content-Type: application/json' -d '{"code":"%[5]s","email":"ann@example.com"}'

  curl -s %[1]s/v1/launches/demo/redemptions -H 'Content-Type: application/json' -d '{"code":"%[5]s","email":"bob@example.com"}'

  curl -s %[2]s/admin/v1/launches/demo/codes/%[5]s -H 'Authorization: Bearer %[3]s'

Make a launch of your own, in another shell (docs/first-launch.md):

  export ADMITONE_KEY=%[3]s ADMITONE_ADMIN_URL=%[2]s
  %[7]s launch apply -f examples/policies/controlled-launch.yaml

Ctrl-C stops everything; the next start finds it again.`, ready["public"], ready["private"], ready["admin_key"], kept, code, mail, os.Args[0])
}

func say(format string, a ...any) { fmt.Printf(format+"\n", a...) }

// lockDir makes sure that one dev at a time uses a data directory.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory: %w; choose another with --data", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another admitone dev is using %s; stop it, or choose another directory with --data", dir)
	}
	return func() { f.Close() }, nil
}
