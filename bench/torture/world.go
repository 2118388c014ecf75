package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/client"
	"admitone/gateway/keyring"
)

// world is everything that runs.
type world struct {
	dir      string
	redis    *rig.Redis
	postgres *rig.Postgres
	client   *redis.Client
	gateways []*process
	adminKey string
}

// process is one `admitone serve`.
type process struct {
	world         *world
	n             int
	public, admin string
	program       *rig.Program
	api           *client.Client
}

const gateways = 2

func build(ctx context.Context) (_ *world, err error) {
	dir, err := os.MkdirTemp("", "admitone-torture-")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, adminKey: gateway.NewAPIKey()}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // postgres is another user
		return nil, err
	}
	binary := filepath.Join(dir, "admitone")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "admitone/cmd/admitone").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	if w.postgres, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(dir, "postgres"), Durable: true}); err != nil {
		return nil, err
	}
	if err := w.postgres.Create(ctx, "admitone"); err != nil {
		return nil, err
	}
	if w.redis, err = rig.StartRedis(ctx, rig.RedisOptions{Dir: filepath.Join(dir, "redis"), AppendOnly: true, Fsync: "everysec"}); err != nil {
		return nil, err
	}
	w.client = redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	for name, text := range map[string]string{"secrets": keyring.GenerateSecret(), "admin-key": w.adminKey} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for n := range gateways {
		p := &process{world: w, n: n}
		for _, addr := range []*string{&p.public, &p.admin} {
			port, err := rig.FreePort()
			if err != nil {
				return nil, err
			}
			*addr = fmt.Sprintf("127.0.0.1:%d", port)
		}
		p.api = client.New("http://"+p.public, "http://"+p.admin, w.adminKey, client.Options{Retries: -1})
		w.gateways = append(w.gateways, p)
		if err := p.start(ctx); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// start starts the gateway, again and again while Postgres is coming back.
func (p *process) start(ctx context.Context) error {
	w := p.world
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var err error
		p.program, err = rig.StartProgram(ctx, filepath.Join(w.dir, fmt.Sprintf("gateway-%d.log", p.n)), p.live, filepath.Join(w.dir, "admitone"), "serve",
			"--addr", p.public, "--admin-addr", p.admin, "--redis", w.redis.URL(), "--postgres", w.postgres.Database("admitone"), "--per-address", "4096",
			"--secrets-file", filepath.Join(w.dir, "secrets"), "--admin-key-file", filepath.Join(w.dir, "admin-key"), "--log-level", "warn")
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

func (p *process) live(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/healthz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func (w *world) close() {
	for _, g := range w.gateways {
		if g.program != nil {
			g.program.Kill()
		}
	}
	if w.redis != nil {
		w.redis.Kill()
	}
	if w.postgres != nil {
		w.postgres.Kill()
	}
	if w.client != nil {
		w.client.Close()
	}
	os.RemoveAll(w.dir)
}

// calm waits until every gateway serves the launch and Postgres holds what
// Redis does.
func (w *world) calm(ctx context.Context, launch string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var last error
	for ctx.Err() == nil {
		settled := 0
		for _, g := range w.gateways {
			at, err := g.api.Position(ctx, launch)
			if err == nil && at.Entries == 0 {
				settled++
			} else if err != nil {
				last = err
			}
		}
		if settled == len(w.gateways) {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
	}
	return errors.Join(errors.New("it did not come to rest within a minute"), last)
}
