package rig

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions say how a postgres is to run.
type PostgresOptions struct {
	Dir     string   // of its data and log
	Port    int      // 0: a free one
	Durable bool     // fsync; without it a test is faster and forgets on a power cut
	Args    []string // more of its own options
}

// Postgres is a PostgreSQL server.
type Postgres struct {
	options  PostgresOptions
	path     string
	uid, gid int
	password string
	child    *child
}

// StartPostgres starts a postgres, making its cluster first where there is
// none, and waits until it answers. As root it runs as another user. It returns
// a *MissingError where the programs are not on the machine.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	path, err := find("postgres", "postgresql")
	if err != nil {
		return nil, err
	}
	initdb, err := find("initdb", "postgresql")
	if err != nil {
		return nil, err
	}
	p := &Postgres{options: o, path: path, uid: -1, gid: -1}
	if err := p.own(); err != nil {
		return nil, err
	}
	if err := p.prepare(initdb); err != nil {
		return nil, err
	}
	if p.options.Port == 0 {
		if p.options.Port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	return p, p.start(ctx)
}

// own settles whose the data is and where it lies: postgres refuses to be root,
// so root lends it to the user postgres, or to nobody.
func (p *Postgres) own() error {
	dir, err := filepath.Abs(p.options.Dir)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return fmt.Errorf("rig: postgres cannot run as root, and there is neither a user postgres nor nobody: %w", err)
			}
		}
		if p.uid, err = strconv.Atoi(u.Uid); err != nil {
			return err
		}
		if p.gid, err = strconv.Atoi(u.Gid); err != nil {
			return err
		}
		if !reachable(dir) {
			// Below a home that only root may enter: somewhere else, always
			// the same place for the same directory.
			sum := sha256.Sum256([]byte(dir))
			dir = filepath.Join(os.TempDir(), "admitone-postgres-"+hex.EncodeToString(sum[:6]))
		}
	}
	p.options.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if p.uid >= 0 {
		return os.Chown(dir, p.uid, p.gid)
	}
	return nil
}

// reachable reports whether everybody may pass through the directories above.
func reachable(dir string) bool {
	for at := filepath.Dir(dir); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if at == filepath.Dir(at) {
			return true
		}
	}
}

// prepare makes the cluster, with a password for its superuser, once.
func (p *Postgres) prepare(initdb string) error {
	secret := filepath.Join(p.options.Dir, "password")
	data := filepath.Join(p.options.Dir, "data")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); errors.Is(err, fs.ErrNotExist) {
		if err := os.RemoveAll(data); err != nil { // a making that was interrupted
			return err
		}
		var random [16]byte
		rand.Read(random[:])
		if err := os.WriteFile(secret, []byte(hex.EncodeToString(random[:])), 0o600); err != nil {
			return err
		}
		if p.uid >= 0 {
			if err := os.Chown(secret, p.uid, p.gid); err != nil {
				return err
			}
		}
		cmd := exec.Command(initdb, "-D", data, "-U", "admitone", "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--locale", "C", "--no-sync")
		cmd.Dir = p.options.Dir
		if p.uid >= 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.gid)}}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("rig: initdb: %w: %s", err, strings.TrimSpace(string(out)))
		}
	}
	password, err := os.ReadFile(secret)
	if err != nil {
		return fmt.Errorf("rig: the data directory %s is not one of ours or is damaged (%w); move it away to start anew", p.options.Dir, err)
	}
	p.password = string(password)
	return p.clearStale(data)
}

// clearStale removes the lock of a postgres that is gone, and refuses one that
// is alive.
func (p *Postgres) clearStale(data string) error {
	lock := filepath.Join(data, "postmaster.pid")
	b, err := os.ReadFile(lock)
	if err != nil {
		return nil // no lock
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil && runs(pid, "postgres") {
		return fmt.Errorf("rig: a postgres (process %d) is already running on %s; stop it first: kill %d", pid, p.options.Dir, pid)
	}
	return os.Remove(lock)
}

// runs reports whether a process lives and is of this program.
func runs(pid int, program string) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.TrimSpace(string(name)) == program
}

func (p *Postgres) start(ctx context.Context) error {
	fsync := "off"
	if p.options.Durable {
		fsync = "on"
	}
	args := append([]string{
		"-D", filepath.Join(p.options.Dir, "data"), "-p", strconv.Itoa(p.options.Port), "-k", p.options.Dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=" + fsync, "-c", "full_page_writes=" + fsync,
		"-c", "max_connections=200", "-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB", "-c", "log_min_messages=warning",
	}, p.options.Args...)
	c, err := start(command{log: filepath.Join(p.options.Dir, "postgres.log"), uid: p.uid, gid: p.gid, path: p.path, args: args})
	if err != nil {
		return err
	}
	p.child = c
	return c.ready(ctx, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, p.URL())
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// URL is what a client connects to: the database postgres.
func (p *Postgres) URL() string { return p.Database("postgres") }

// Database is the URL of one of the server's databases.
func (p *Postgres) Database(name string) string {
	return fmt.Sprintf("postgres://admitone:%s@127.0.0.1:%d/%s?sslmode=disable", p.password, p.options.Port, name)
}

// Create makes a database if there is none of the name.
func (p *Postgres) Create(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return err
}

// Dir is where the data lies.
func (p *Postgres) Dir() string { return p.options.Dir }

// PID is the server's process.
func (p *Postgres) PID() int { return p.child.cmd.Process.Pid }

// Stop ends the server in order, closing connections.
func (p *Postgres) Stop(ctx context.Context) error { return p.child.stop(ctx, syscall.SIGINT) }

// Kill ends the server and its workers at once, as a crash would. The workers
// have process groups of their own, and one that lives on keeps the next server
// from starting.
func (p *Postgres) Kill() {
	pid := p.PID()
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // none once it has ended
	p.child.kill()
	for _, word := range strings.Fields(string(b)) {
		worker, err := strconv.Atoi(word)
		for err == nil && runs(worker, "postgres") {
			if syscall.Kill(worker, syscall.SIGKILL) != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// Restart starts an ended server again, on the same port and data.
func (p *Postgres) Restart(ctx context.Context) error {
	if err := p.clearStale(filepath.Join(p.options.Dir, "data")); err != nil {
		return err
	}
	return p.start(ctx)
}
