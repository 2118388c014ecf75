package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/peers"
	"admitone/bench/rig"
	"admitone/bench/storm"
)

// world is everything that runs while figures are taken.
type world struct {
	plan
	root       string
	dir        string
	gateway    *gatewaySide
	line       *queue        // once it is filled
	postgres   *rig.Postgres // of the peers
	peers      []*contender
	answerable []*contender      // whose stores are compared with what they told
	missing    map[string]string // peer → why it is not there
	closers    []func()
}

// contender is a server under load, and what it must answer for.
type contender struct {
	name   string
	target storm.Target
	launch string
	hot    string
	codes  []string
	pids   []proc
	told   uint64 // redemptions that clients were told, warm-ups included
	count  func(context.Context) (peers.Counts, error)
}

// proc is a process whose time is told.
type proc struct {
	name string
	pid  int
}

// connections are how many ask at once.
const connections = 256

// plenty are uses that no run uses up.
const plenty = 1_000_000_000

// build starts everything, and seeds it.
func build(ctx context.Context, root string, p plan) (_ *world, err error) {
	dir, err := os.MkdirTemp("", "admitone-bench-")
	if err != nil {
		return nil, err
	}
	w := &world{plan: p, root: root, dir: dir, missing: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(true))
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // postgres is another user
		return nil, err
	}
	note("building and starting")
	if w.gateway, err = w.startGateway(ctx); err != nil {
		return nil, fmt.Errorf("the gateway: %w", err)
	}
	for _, name := range []string{"direct", "autopipeline", "own", "nginx", "pg", "pg-coalesced", "echo"} {
		if p.only != nil && !slices.Contains(p.only, name) {
			w.missing[name] = "left out with -only"
			continue
		}
		c, err := w.startPeer(ctx, name)
		var lacks *rig.MissingError
		if errors.As(err, &lacks) {
			w.missing[name] = lacks.Error()
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the peer %s: %w", name, err)
		}
		w.peers = append(w.peers, c)
		if c.count != nil {
			w.answerable = append(w.answerable, c)
		}
	}
	return w, nil
}

// close ends everything. After a failure it shows where the logs are.
func (w *world) close(failed bool) error {
	for _, f := range slices.Backward(w.closers) {
		f()
	}
	if failed {
		note("the logs are in %s", w.dir)
		return nil
	}
	return os.RemoveAll(w.dir)
}

// codesOf are a peer's codes: one hot, and distinct ones.
func codesOf(n int) (hot string, distinct []string) {
	for i := range n {
		distinct = append(distinct, fmt.Sprintf("D%09d", i))
	}
	return "HOT0000000", distinct
}

func seeds(n int) []peers.Code {
	hot, distinct := codesOf(n)
	list := []peers.Code{{Code: hot, Uses: plenty}}
	for _, c := range distinct {
		list = append(list, peers.Code{Code: c, Uses: plenty})
	}
	return list
}

// startRedis starts a Redis as every contender has it: an append-only file,
// fsync every second, never rewritten in between.
func (w *world) startRedis(ctx context.Context, name string) (*rig.Redis, error) {
	r, err := rig.StartRedis(ctx, rig.RedisOptions{
		Dir: filepath.Join(w.dir, name+"-redis"), AppendOnly: true, Fsync: "everysec", Args: []string{"--auto-aof-rewrite-percentage", "0"},
	})
	if err == nil {
		w.closers = append(w.closers, r.Kill)
	}
	return r, err
}

// startPostgres starts a Postgres that syncs.
func (w *world) startPostgres(ctx context.Context, name string) (*rig.Postgres, error) {
	p, err := rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(w.dir, name+"-postgres"), Durable: true})
	if err == nil {
		w.closers = append(w.closers, func() {
			_ = p.Thaw() // it may be frozen
			p.Kill()
		})
	}
	return p, err
}

// startPeer starts a peer as a process of its own; more are flags besides.
func (w *world) startPeer(ctx context.Context, name string, more ...string) (*contender, error) {
	c := &contender{name: name, launch: "bench"}
	c.hot, c.codes = codesOf(w.plan.codes)
	if name == "nginx" {
		return c, w.startNginx(ctx, c)
	}
	port, err := rig.FreePort()
	if err != nil {
		return nil, err
	}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	args := append([]string{"peer", "-name", name, "-addr", addr, "-codes", strconv.Itoa(w.plan.codes)}, more...)
	switch name {
	case "direct", "autopipeline", "own":
		r, err := w.startRedis(ctx, name)
		if err != nil {
			return nil, err
		}
		args = append(args, "-redis", r.Addr())
		c.pids = append(c.pids, proc{"redis", r.PID()})
	case "pg", "pg-coalesced":
		if w.postgres == nil {
			if w.postgres, err = w.startPostgres(ctx, "peers"); err != nil {
				return nil, err
			}
		}
		database := strings.ReplaceAll(name, "-", "_")
		if err := w.postgres.Create(ctx, database); err != nil {
			return nil, err
		}
		args = append(args, "-postgres", w.postgres.Database(database))
		c.pids = append(c.pids, proc{"postgres", w.postgres.PID()})
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	program, err := rig.StartProgram(starting, filepath.Join(w.dir, name+".log"), listening(addr), self, args...)
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, program.Kill)
	c.pids = append(c.pids, proc{"server", program.PID()})
	if name != "echo" {
		c.count = func(ctx context.Context) (counts peers.Counts, err error) {
			err = getJSON(ctx, "http://"+addr+"/counts", &counts)
			return counts, err
		}
	}
	c.target, err = storm.ParseTarget("http://" + addr)
	return c, err
}

func (w *world) startNginx(ctx context.Context, c *contender) error {
	if _, err := peers.FindNginx(); err != nil {
		return err
	}
	r, err := w.startRedis(ctx, c.name)
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: r.Addr()})
	w.closers = append(w.closers, func() { client.Close() })
	sha, err := peers.SeedRedis(ctx, client, seeds(w.plan.codes))
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	n, err := peers.StartNginx(starting, filepath.Join(w.dir, "nginx"), r.Addr(), sha)
	if err != nil {
		return err
	}
	w.closers = append(w.closers, n.Close)
	c.pids = []proc{{"redis", r.PID()}, {"server", n.PID()}}
	c.count = func(ctx context.Context) (peers.Counts, error) { return peers.CountRedis(ctx, client) }
	c.target, err = storm.ParseTarget("http://" + n.Addr)
	return err
}

func listening(addr string) func(context.Context) error {
	var d net.Dialer
	return func(ctx context.Context) error {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	}
}

// servePeer is this program as a peer's process.
func servePeer(args []string) error {
	flags := flag.NewFlagSet("peer", flag.ContinueOnError)
	name := flags.String("name", "", "which")
	addr := flags.String("addr", "", "to listen at")
	codes := flags.Int("codes", 0, "to seed")
	redisAddr := flags.String("redis", "", "host:port")
	postgres := flags.String("postgres", "", "URL")
	says := flags.String("says", "", "file with the answer of echo, as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	debug.SetGCPercent(400) // few live bytes, much garbage: the peers are tuned too
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	o := peers.Options{Redis: *redisAddr, Postgres: *postgres, Codes: seeds(*codes)}
	if *says != "" {
		b, err := os.ReadFile(*says)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &o.Says); err != nil {
			return err
		}
	}
	s, err := peers.Open(ctx, *name, o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		s.Close()
	}()
	return s.Serve(l)
}

// repository is where the module's root lies.
func repository() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); !ok || err != nil {
		return "", errors.New("run it from its own repository: go run ./bench/results")
	}
	return root, nil
}

func commit(ctx context.Context, root string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// machine names what the figures are of.
func machine() string {
	model := "processor unknown"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores, %s, Linux %s, %s", runtime.NumCPU(), model, strings.TrimSpace(string(release)), runtime.Version())
}
