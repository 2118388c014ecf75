package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"admitone/bench/rig"
	"admitone/gateway/client"
)

// process is one `admitone serve`.
type process struct {
	world         *world
	n             int
	binaries      binaries
	binary        string // that runs now
	store         string // the URL of Postgres
	public, admin string
	link          *rig.Proxy // to Redis, standalone
	program       *rig.Program
	api           *client.Client
}

// compile builds the gateway; with edits it is built from sources so changed.
func compile(ctx context.Context, dir, name string, edits ...edit) (string, error) {
	binary := filepath.Join(dir, name)
	args := []string{"build", "-o", binary}
	if len(edits) > 0 {
		overlay, err := overlay(filepath.Join(dir, name+"-overlay"), edits)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.CommandContext(ctx, "go", append(args, "admitone/cmd/admitone")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return binary, nil
}

func newProcess(w *world, n int, b binaries, store string) (*process, error) {
	p := &process{world: w, n: n, binaries: b, binary: b.current, store: store}
	for _, addr := range []*string{&p.public, &p.admin} {
		port, err := rig.FreePort()
		if err != nil {
			return nil, err
		}
		*addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	if w.kind == standalone {
		link, err := rig.StartProxy(w.redis.Addr())
		if err != nil {
			return nil, err
		}
		p.link = link
	}
	p.api = client.New("http://"+p.public, "http://"+p.admin, w.adminKey, client.Options{Retries: -1})
	return p, nil
}

// redisURL is what the gateway is told of Redis.
func (p *process) redisURL() string {
	switch p.world.kind {
	case sentinel:
		return p.world.sentinel.URL()
	case cluster:
		return p.world.cluster.URL()
	}
	return "redis://" + p.link.Addr() + "/0"
}

// start starts the gateway, again and again while its stores are coming back.
func (p *process) start(ctx context.Context) error {
	w := p.world
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var err error
		p.program, err = rig.StartProgram(ctx, filepath.Join(w.dir, fmt.Sprintf("gateway-%d.log", p.n)), p.live, p.binary, "serve",
			"--addr", p.public, "--admin-addr", p.admin, "--redis", p.redisURL(), "--postgres", p.store, "--per-address", "4096",
			"--secrets-file", filepath.Join(w.dir, "secrets"), "--admin-key-file", filepath.Join(w.dir, "admin-key"), "--log-level", "warn")
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

func (p *process) live(ctx context.Context) error {
	body, err := p.get(ctx, "/healthz")
	if err != nil {
		return err
	}
	return body.Close()
}

func (p *process) get(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s: %s", path, response.Status)
	}
	return response.Body, nil
}

// metric is a metric's value, all its labels together.
func (p *process) metric(ctx context.Context, name string) (sum float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	body, err := p.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	found := false
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if base, _, _ := strings.Cut(key, "{"); base != name {
			continue
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			sum, found = sum+n, true
		}
	}
	if !found {
		return 0, errors.Join(fmt.Errorf("there is no metric %s", name), lines.Err())
	}
	return sum, nil
}

// leader is the gateway that copies the journals now.
func (w *world) leader(ctx context.Context) (leader *process, err error) {
	err = eventually(ctx, "a gateway leads", func() error {
		for _, g := range w.gateways {
			if n, err := g.metric(ctx, "admitone_syncer_leader"); err == nil && n == 1 {
				leader = g
				return nil
			}
		}
		return errors.New("none does")
	})
	return leader, err
}

// resident is how much memory the gateway holds and how many files it has open.
func (p *process) resident() (bytes int64, files int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.program.PID()))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			if err != nil {
				return 0, 0, err
			}
			bytes = n << 10
		}
	}
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.program.PID()))
	return bytes, len(list), err
}
