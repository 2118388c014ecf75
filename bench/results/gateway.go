package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"admitone/bench/peers"
	"admitone/bench/rig"
	"admitone/bench/storm"
	"admitone/gateway"
	"admitone/gateway/client"
	"admitone/gateway/keyring"
)

// gatewaySide is `admitone serve` with stores of its own.
type gatewaySide struct {
	contender
	redis    *rig.Redis
	postgres *rig.Postgres
	commands *redis.Client
	api      *client.Client
	database string
	private  string
	key      string // of its admin API
	keyring  *keyring.Keyring
	program  *rig.Program
	start    func(context.Context) error // the process, at the same addresses each time
	drains   []drain
}

// benchLaunch is where redemptions are measured.
const benchLaunch = "bench"

// startGateway builds and starts it, and makes its launches and codes.
func (w *world) startGateway(ctx context.Context) (*gatewaySide, error) {
	g := &gatewaySide{contender: contender{name: "admitone", launch: benchLaunch}}
	binary := filepath.Join(w.dir, "admitone")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/admitone")
	build.Dir = w.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	var err error
	if g.redis, err = w.startRedis(ctx, "admitone"); err != nil {
		return nil, err
	}
	if g.postgres, err = w.startPostgres(ctx, "admitone"); err != nil {
		return nil, err
	}
	if err := g.postgres.Create(ctx, "admitone"); err != nil {
		return nil, err
	}
	g.database = g.postgres.Database("admitone")
	g.commands = redis.NewClient(&redis.Options{Addr: g.redis.Addr()})
	w.closers = append(w.closers, func() { g.commands.Close() })
	g.key = gateway.NewAPIKey()
	secret := keyring.GenerateSecret()
	secrets, err := keyring.ParseSecrets(secret)
	if err != nil {
		return nil, err
	}
	if g.keyring, err = keyring.New(secrets...); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"secrets": secret, "admin-key": g.key} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	var addrs [2]string
	for i := range addrs {
		port, err := rig.FreePort()
		if err != nil {
			return nil, err
		}
		addrs[i] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	g.private = "http://" + addrs[1]
	g.start = func(ctx context.Context) (err error) {
		starting, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		g.program, err = rig.StartProgram(starting, filepath.Join(w.dir, "gateway.log"), g.live, binary, "serve",
			"--addr", addrs[0], "--admin-addr", addrs[1], "--redis", g.redis.URL(), "--postgres", g.database, "--per-address", "16384",
			"--journal-bytes", "8000000000", "--secrets-file", filepath.Join(w.dir, "secrets"), "--admin-key-file", filepath.Join(w.dir, "admin-key"), "--log-level", "warn")
		return err
	}
	if err := g.start(ctx); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { g.program.Kill() })
	g.pids = []proc{{"server", g.program.PID()}, {"redis", g.redis.PID()}, {"postgres", g.postgres.PID()}}
	g.api = client.New("http://"+addrs[0], g.private, g.key, client.Options{})
	if g.target, err = storm.ParseTarget("http://" + addrs[0]); err != nil {
		return nil, err
	}
	if g.hot, g.codes, err = g.makeLaunch(ctx, benchLaunch, "", w.plan.codes); err != nil {
		return nil, err
	}
	g.answerFor(&g.contender)
	w.answerable = append(w.answerable, &g.contender)
	return g, nil
}

// another makes a launch and is its contender.
func (w *world) another(ctx context.Context, launch, policy string, codes int) (*contender, error) {
	g := w.gateway
	c := &contender{name: g.name, target: g.target, launch: launch, pids: g.pids}
	var err error
	if c.hot, c.codes, err = g.makeLaunch(ctx, launch, policy, codes); err != nil {
		return nil, err
	}
	g.answerFor(c)
	w.answerable = append(w.answerable, c)
	return c, nil
}

// resident is how much memory the gateway holds, in bytes.
func (g *gatewaySide) resident() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.program.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kb); err == nil {
			return kb << 10, nil
		}
	}
	return 0, errors.New("the kernel does not tell the gateway's memory")
}

func (g *gatewaySide) live(ctx context.Context) error {
	return getJSON(ctx, g.private+"/healthz", nil)
}

// makeLaunch makes a launch with a link of plenty of uses, and a campaign of
// codes of plenty of uses each.
func (g *gatewaySide) makeLaunch(ctx context.Context, name, policy string, codes int) (hot string, distinct []string, err error) {
	if _, err := g.api.CreateLaunch(ctx, client.YAML, []byte("launch: "+name+"\n"+policy)); err != nil {
		return "", nil, err
	}
	for _, c := range []client.Campaign{
		{Name: "link", Kind: gateway.KindInvite, Type: gateway.TypeLink, MaxUses: plenty},
		{Name: "codes", Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: plenty},
	} {
		if _, err := g.api.CreateCampaign(ctx, name, c); err != nil {
			return "", nil, err
		}
	}
	minted, _, err := g.api.Mint(ctx, name, "link", 1)
	if err != nil {
		return "", nil, err
	}
	if codes > 0 {
		distinct, err = g.mint(ctx, name, "codes", codes)
	}
	return minted[0].Code, distinct, err
}

// mint mints so many codes and returns all that the campaign has.
func (g *gatewaySide) mint(ctx context.Context, launch, campaign string, count int) ([]string, error) {
	const most = 1_000_000 // a job
	for count > 0 {
		n := min(count, most)
		_, job, err := g.api.Mint(ctx, launch, campaign, n)
		if err != nil {
			return nil, err
		}
		if job != nil {
			if _, err := g.api.WaitJob(ctx, launch, job.ID, nil); err != nil {
				return nil, err
			}
		}
		count -= n
	}
	if err := g.drained(ctx, launch); err != nil {
		return nil, err
	}
	read, write := io.Pipe()
	go func() { write.CloseWithError(g.api.ExportCodes(ctx, launch, campaign, write)) }()
	rows := csv.NewReader(read)
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return nil, err
	}
	if head[0] != "code" {
		return nil, fmt.Errorf("the export begins with %q instead of the codes", head[0])
	}
	var list []string
	for {
		r, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, string(append([]byte(nil), r[0]...))) // of its own, not of the line
	}
}

// drained waits until Postgres holds the launch's journal.
func (g *gatewaySide) drained(ctx context.Context, launch string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	for {
		at, err := g.api.Position(ctx, launch)
		if err == nil && at.Entries == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway's Postgres does not catch up with the journal of %s: %w", launch, errors.Join(err, ctx.Err()))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// answerFor makes a launch's stores countable.
func (g *gatewaySide) answerFor(c *contender) {
	c.count = func(ctx context.Context) (peers.Counts, error) { return g.counts(ctx, c.launch) }
}

// counts compares Redis and Postgres and tells what both hold. Members are told
// by their redemptions, of which each has one.
func (g *gatewaySide) counts(ctx context.Context, launch string) (c peers.Counts, err error) {
	if err := g.drained(ctx, launch); err != nil {
		return c, err
	}
	report, err := g.api.Verify(ctx, launch)
	if err != nil {
		return c, err
	}
	if report.Drift != 0 || report.Moving != 0 {
		return c, fmt.Errorf("the stores Redis and Postgres differ in %d rows of %s, %d could not be compared: %+v", report.Drift, launch, report.Moving, report.Differences)
	}
	conn, err := pgx.Connect(ctx, g.database)
	if err != nil {
		return c, err
	}
	defer conn.Close(ctx)
	var rows int64
	err = conn.QueryRow(ctx, `SELECT
		(SELECT sum(used) FROM codes WHERE launch = l.id),
		(SELECT count(DISTINCT subject_key) FROM redemptions WHERE launch = l.id AND status = 'committed'),
		(SELECT count(*) FROM redemptions WHERE launch = l.id),
		(SELECT sum(array_length(regexp_split_to_array(record, E'\nredeemed\t'), 1) - 1) FROM journal WHERE launch = l.id)
		FROM launches l WHERE name = $1`, launch).Scan(&c.Uses, &c.Members, &rows, &c.Records)
	if err == nil && (rows != c.Members || int64(report.Redemptions) != rows) {
		err = fmt.Errorf("the gateway's Postgres has %d redemptions of %d members, Redis %d", rows, c.Members, report.Redemptions)
	}
	return c, err
}

// getJSON reads a small answer; into nil throws it away.
func getJSON(ctx context.Context, url string, into any) error {
	b, err := getBody(ctx, url, "")
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// getBody reads an answer, with an API key unless that is "".
func getBody(ctx context.Context, url, key string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: %s", url, response.Status, bytes.TrimSpace(b))
	}
	return b, nil
}
