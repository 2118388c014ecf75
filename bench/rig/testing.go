package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// shared are the servers that the tests of one package use together.
type shared struct {
	mu        sync.Mutex
	dir       string
	redis     *Redis
	postgres  *Postgres
	databases int
}

var forTests shared

// startTimeout is how long a server may take to be ready on a busy machine.
const startTimeout = time.Minute

// Run is TestMain for packages whose tests use servers: it stops them at the
// end.
func Run(m *testing.M) {
	code := m.Run()
	forTests.mu.Lock()
	defer forTests.mu.Unlock()
	if forTests.redis != nil {
		forTests.redis.Kill()
	}
	if forTests.postgres != nil {
		forTests.postgres.Kill()
	}
	if forTests.dir != "" {
		os.RemoveAll(forTests.dir)
	}
	os.Exit(code)
}

func (s *shared) tempDir(t testing.TB) string {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "admitone-test-")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { // postgres runs as another user
			t.Fatal(err)
		}
		s.dir = dir
	}
	return s.dir
}

// TestRedis is the package's redis-server, emptied. With -short the test is
// skipped.
func TestRedis(t testing.TB) *Redis {
	t.Helper()
	needsServers(t)
	forTests.mu.Lock()
	defer forTests.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if forTests.redis == nil {
		r, err := StartRedis(ctx, RedisOptions{Dir: filepath.Join(forTests.tempDir(t), "redis"), AppendOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		forTests.redis = r
	}
	client := redis.NewClient(&redis.Options{Addr: forTests.redis.Addr()})
	defer client.Close()
	if err := client.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	return forTests.redis
}

// TestPostgres is the URL of a fresh database on the package's postgres. With
// -short the test is skipped.
func TestPostgres(t testing.TB) string {
	t.Helper()
	needsServers(t)
	forTests.mu.Lock()
	defer forTests.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if forTests.postgres == nil {
		p, err := StartPostgres(ctx, PostgresOptions{Dir: filepath.Join(forTests.tempDir(t), "postgres")})
		if err != nil {
			t.Fatal(err)
		}
		forTests.postgres = p
	}
	forTests.databases++
	name := fmt.Sprintf("test_%d", forTests.databases)
	if err := forTests.postgres.Create(ctx, name); err != nil {
		t.Fatal(err)
	}
	return forTests.postgres.Database(name)
}

func needsServers(t testing.TB) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
}
