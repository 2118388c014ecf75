package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// orphan names the directory in which a test process started by
// TestChildDiesWithParent runs its child.
const orphan = "ADMITONE_RIG_ORPHAN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(orphan); dir != "" {
		parent(dir)
	}
	Run(m)
}

// parent starts a server, tells its process id, and waits to be killed.
func parent(dir string) {
	r, err := StartRedis(context.Background(), RedisOptions{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(r.PID())
	select {}
}

func waiting(t *testing.T) context.Context {
	t.Helper()
	needsServers(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestChildDiesWithParent: a parent that is killed cannot tidy up; its server
// goes all the same.
func TestChildDiesWithParent(t *testing.T) {
	ctx := waiting(t)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), orphan+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !runs(pid, "redis-server") {
		t.Fatalf("the parent's server: %q", line)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for ; runs(pid, "redis-server"); time.Sleep(10 * time.Millisecond) {
		if ctx.Err() != nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the server outlives its parent")
		}
	}
}

// TestPostgresLock: a lock that a dead postgres left does not keep a new one
// away; that of a living one does.
func TestPostgresLock(t *testing.T) {
	ctx := waiting(t)
	dir := filepath.Join(t.TempDir(), "postgres")
	p, err := StartPostgres(ctx, PostgresOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { p.Kill() }()
	conn, err := pgx.Connect(ctx, p.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `CREATE TABLE kept AS SELECT 7 AS n`); err != nil {
		t.Fatal(err)
	}
	conn.Close(ctx)

	_, err = StartPostgres(ctx, PostgresOptions{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "already running") || !strings.Contains(err.Error(), strconv.Itoa(p.PID())) {
		t.Fatalf("a second one on the same data: %v", err)
	}
	lock := filepath.Join(p.Dir(), "data", "postmaster.pid")
	p.Kill()
	if _, err := os.Stat(lock); err != nil {
		t.Fatalf("a killed postgres leaves no lock, so this shows nothing: %v", err)
	}
	again, err := StartPostgres(ctx, PostgresOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	p = again
	if conn, err = pgx.Connect(ctx, p.URL()); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var n int
	if err := conn.QueryRow(ctx, `SELECT n FROM kept`).Scan(&n); err != nil || n != 7 {
		t.Fatalf("the data: %d, %v", n, err)
	}
}

// TestForeignLock: a lock that names a process of another kind is stale: ids
// are used again.
func TestForeignLock(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "postmaster.pid")
	if err := os.WriteFile(lock, fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Postgres{}
	if err := p.clearStale(filepath.Dir(lock)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(lock); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the lock is still there: %v", err)
	}
}

// TestRedisKeepsData: with an append-only file a killed server comes back with
// what it had, on the same port.
func TestRedisKeepsData(t *testing.T) {
	ctx := waiting(t)
	r, err := StartRedis(ctx, RedisOptions{Dir: t.TempDir(), AppendOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { r.Kill() }()
	c := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer c.Close()
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.Kill()
	if err := r.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Get(ctx, "k").Result(); err != nil || v != "v" {
		t.Fatalf("%q, %v", v, err)
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := StartRedis(t.Context(), RedisOptions{Dir: t.TempDir()})
	var missing *MissingError
	if !errors.As(err, &missing) || !strings.Contains(err.Error(), "apt-get install redis-server") {
		t.Fatalf("%v", err)
	}
	if _, err := find("no-such-program", "its-package"); err == nil || !strings.Contains(err.Error(), "apt-get install its-package") {
		t.Fatalf("%v", err)
	}
}

// TestEndsAtOnce: a server that cannot run says why, and nobody waits for it.
func TestEndsAtOnce(t *testing.T) {
	ctx := waiting(t)
	_, err := StartRedis(ctx, RedisOptions{Dir: t.TempDir(), Args: []string{"--no-such-setting", "1"}})
	if err == nil || !strings.Contains(err.Error(), "ended at once") {
		t.Fatalf("%v", err)
	}
}
