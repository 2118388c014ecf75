package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	"github.com/redis/go-redis/v9"

	"admitone/gateway/challenge"
	"admitone/gateway/country"
	"admitone/gateway/keyring"
	"admitone/lua"
	"admitone/sync/jobs"
)

// newParser reads flags, then the environment (ADMITONE_…), then the file of
// --config.
func newParser(cli *commands) (*kong.Kong, error) {
	return kong.New(cli, append(values(),
		kong.Name("admitone"),
		kong.Description("A redemption gateway for invite-only and launch-day products: a code with N uses admits N, never N+1, and what it answered it remembers."),
		kong.DefaultEnvars("ADMITONE"),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": version},
	)...)
}

// configFile is a YAML file that gives values to flags which neither the
// command line nor the environment gave.
type configFile string

// BeforeResolve adds the file to what flags are read from.
func (c configFile) BeforeResolve(k *kong.Kong, ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFile))
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	values := map[string]any{}
	if err := yaml.Unmarshal(b, &values); err != nil {
		return fmt.Errorf("--config: %s is not valid YAML: %s", path, yaml.FormatError(err, false, false))
	}
	ctx.AddResolver(fileResolver{path, values})
	return nil
}

type fileResolver struct {
	path   string
	values map[string]any
}

// Validate refuses names that are no flag of the command.
func (r fileResolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, group := range append([]*kong.Node{app.Node}, app.Leaves(true)...) {
		for _, f := range group.Flags {
			known[f.Name] = true
		}
	}
	for name := range r.values {
		if !known[name] {
			return fmt.Errorf("--config: %s: there is no flag --%s", r.path, name)
		}
	}
	return nil
}

// Resolve is the file's value of a flag.
func (r fileResolver) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	v, ok := r.values[f.Name]
	if !ok {
		return nil, nil
	}
	if list, ok := v.([]any); ok {
		words := make([]string, len(list))
		for i, w := range list {
			words[i] = fmt.Sprint(w)
		}
		return strings.Join(words, ","), nil
	}
	return fmt.Sprint(v), nil
}

// listen are the two listeners and their limits.
type listen struct {
	Addr           string   `default:":8080" help:"Public listener."`
	AdminAddr      string   `default:"127.0.0.1:9080" help:"Private listener: admin API, metrics, health."`
	TrustedProxies []string `help:"CIDRs whose X-Forwarded-For counts." placeholder:"CIDR"`
	Forwarded      bool     `help:"Read RFC 7239 Forwarded instead of X-Forwarded-For."`
	PerAddress     int      `default:"256" help:"Open connections of one client address."`
	PublicURL      string   `help:"Where people reach the public listener, for links in e-mails: https://join.example." placeholder:"URL"`
	PrometheusURL  string   `help:"Prometheus that guards of releases put their queries to." placeholder:"URL"`
	WebhookAllow   []string `help:"Private CIDRs that webhooks may be sent to, by http too." placeholder:"CIDR"`

	CountryDatabase     string `help:"MaxMind DB file for the policies' rules of countries; read again when it changes." placeholder:"FILE"`
	ChallengeSecretFile string `help:"File of the secret for Turnstile or hCaptcha; or ADMITONE_CHALLENGE_SECRET." placeholder:"FILE"`
	shops
}

// countries is the database of countries; nil if none was given.
func (l listen) countries() (*country.DB, error) {
	if l.CountryDatabase == "" {
		return nil, nil
	}
	d, err := country.Open(l.CountryDatabase)
	if err != nil {
		return nil, fmt.Errorf("--country-database: %w", err)
	}
	return d, nil
}

// challenger asks whether challenges were solved; nil without a secret.
func (l listen) challenger() (*challenge.Verifier, error) {
	text, err := secret(l.ChallengeSecretFile, "ADMITONE_CHALLENGE_SECRET")
	if err != nil || text == "" {
		return nil, err
	}
	return challenge.New(text), nil
}

func (l listen) proxies() ([]netip.Prefix, error) {
	return networks("--trusted-proxies", l.TrustedProxies)
}

func networks(flag string, words []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range words {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no CIDR such as 10.0.0.0/8", flag, s)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// mailFlags say where e-mail is handed over.
type mailFlags struct {
	SMTPURL          string `name:"smtp-url" help:"smtp://user@host:587 (STARTTLS), smtps://user@host:465 (TLS) or smtp+plain://127.0.0.1:25. Without one, e-mail waits." placeholder:"URL"`
	SMTPPasswordFile string `name:"smtp-password-file" help:"File of the user's password; or ADMITONE_SMTP_PASSWORD." placeholder:"FILE"`
	SMTPCAFile       string `name:"smtp-ca-file" help:"PEM certificates to check the server with, besides the system's." placeholder:"FILE"`
	SMTPFrom         string `name:"smtp-from" help:"Sender of launches whose policy names none." placeholder:"ADDRESS"`
	SMTPRate         int    `name:"smtp-rate" default:"10" help:"E-mails a second that this process sends at most."`
	SMTPConnections  int    `name:"smtp-connections" default:"4" help:"Connections to the server at once."`
}

func (f mailFlags) smtp() (jobs.SMTP, error) {
	o := jobs.SMTP{URL: f.SMTPURL, From: f.SMTPFrom, Rate: f.SMTPRate, Connections: f.SMTPConnections}
	if f.SMTPRate < 1 || f.SMTPConnections < 1 {
		return o, errors.New("--smtp-rate and --smtp-connections are at least 1")
	}
	var err error
	if o.Password, err = secret(f.SMTPPasswordFile, "ADMITONE_SMTP_PASSWORD"); err != nil || f.SMTPCAFile == "" {
		return o, err
	}
	if o.CA, err = os.ReadFile(f.SMTPCAFile); err != nil {
		return o, fmt.Errorf("--smtp-ca-file: %w", err)
	}
	return o, nil
}

// secretFlags are where the deployment's secrets come from: never the command
// line, where every process could read them.
type secretFlags struct {
	Secrets      string `kong:"-"`
	SecretsFile  string `help:"File of the deployment's secrets, newest first; or ADMITONE_SECRETS." placeholder:"FILE"`
	AdminKeyFile string `help:"File of the bootstrap admin key; or ADMITONE_ADMIN_KEY." placeholder:"FILE"`
}

func (s secretFlags) keyring() (*keyring.Keyring, error) {
	text, err := secret(s.SecretsFile, "ADMITONE_SECRETS")
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("no secrets: set ADMITONE_SECRETS or --secrets-file to 32 random bytes in hex (openssl rand -hex 32); they must never change, see docs/operations.md")
	}
	secrets, err := keyring.ParseSecrets(text)
	if err != nil {
		return nil, err
	}
	return keyring.New(secrets...)
}

func (s secretFlags) adminKey() (string, error) {
	key, err := secret(s.AdminKeyFile, "ADMITONE_ADMIN_KEY")
	if err == nil && key != "" && len(key) < 20 {
		return "", errors.New("the bootstrap admin key is shorter than 20 characters")
	}
	return key, err
}

func secret(file, variable string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(variable)), nil
	}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no file %s for %s", file, variable)
	}
	return strings.TrimSpace(string(b)), err
}

// redisClient connects to what a URL names: redis://host:port/0 is one server,
// redis+sentinel://host:port,host:port/name the master that Sentinels know,
// redis+cluster://host:port,host:port a Cluster; rediss… speaks TLS.
func redisClient(url string) (redis.UniversalClient, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, errors.New("the Redis URL has no scheme; use redis://host:6379/0, redis+sentinel://host:26379/name or redis+cluster://host:6379,host:6379")
	}
	base, kind, _ := strings.Cut(scheme, "+")
	hosts, path, _ := strings.Cut(rest, "/")
	credentials, hosts := splitLast(hosts, "@")
	list := strings.Split(hosts, ",")
	database := path
	if kind != "" {
		database = "0"
	}
	one, err := redis.ParseURL(base + "://" + credentials + list[0] + "/" + database)
	if err != nil {
		return nil, errors.New("the Redis URL does not parse; use redis://user:password@host:6379/0") // its own error could show the password
	}
	o := &redis.UniversalOptions{
		Addrs: list, DB: one.DB, Username: one.Username, Password: one.Password, TLSConfig: one.TLSConfig,
		ContextTimeoutEnabled: true, PoolSize: 64, MaxRetries: 1,
	}
	switch kind {
	case "":
		o.Addrs = []string{one.Addr}
	case "sentinel":
		if o.MasterName, _, _ = strings.Cut(path, "?"); o.MasterName == "" {
			return nil, errors.New("the Redis URL names no master; use redis+sentinel://host:26379/name")
		}
	case "cluster":
		o.IsClusterMode = true
	default:
		return nil, fmt.Errorf("the Redis URL has the scheme %q; use redis, redis+sentinel or redis+cluster (rediss for TLS)", scheme)
	}
	return lua.NewClient(o), nil
}

// splitLast cuts behind the last separator, which stays with the first half.
func splitLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	return s[:i+1], s[i+1:]
}

// writeFile writes a small file whole or not at all.
func writeFile(path string, mode os.FileMode, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
