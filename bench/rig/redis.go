package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// RedisOptions say how a redis-server is to run.
type RedisOptions struct {
	Dir        string   // of its data and log
	Port       int      // 0: a free one
	AppendOnly bool     // keep an append-only file
	Fsync      string   // always, everysec or no; "" is everysec
	ReplicaOf  string   // host:port of its master; "" for none
	Args       []string // more of its own options
	Env        []string // more of its environment, NAME=value
}

// Redis is a redis-server.
type Redis struct {
	options RedisOptions
	path    string
	child   *child
}

// redisServer finds the program, and makes the directory that it is to run in.
func redisServer(dir *string) (path string, err error) {
	if path, err = find("redis-server", "redis-server"); err != nil {
		return "", err
	}
	if *dir, err = filepath.Abs(*dir); err != nil {
		return "", err
	}
	return path, os.MkdirAll(*dir, 0o700)
}

// StartRedis starts a redis-server and waits until it answers. It returns a
// *MissingError where there is none.
func StartRedis(ctx context.Context, o RedisOptions) (*Redis, error) {
	path, err := redisServer(&o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Port == 0 {
		if o.Port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	r := &Redis{options: o, path: path}
	return r, r.start(ctx)
}

func (r *Redis) start(ctx context.Context) error {
	o := r.options
	appendOnly, fsync := "no", "everysec"
	if o.AppendOnly {
		appendOnly = "yes"
	}
	if o.Fsync != "" {
		fsync = o.Fsync
	}
	args := append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(o.Port), "--dir", o.Dir, "--save", "",
		"--appendonly", appendOnly, "--appendfsync", fsync, "--maxmemory-policy", "noeviction", "--daemonize", "no",
		"--repl-diskless-sync-delay", "0",
	}, o.Args...)
	if o.ReplicaOf != "" {
		host, port, err := net.SplitHostPort(o.ReplicaOf)
		if err != nil {
			return fmt.Errorf("rig: the master's address: %w", err)
		}
		args = append(args, "--replicaof", host+" "+port)
	}
	c, err := start(command{log: filepath.Join(o.Dir, "redis.log"), uid: -1, gid: -1, path: r.path, args: args, env: o.Env})
	if err != nil {
		return err
	}
	r.child = c
	client := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1})
	defer client.Close()
	return c.ready(ctx, func(ctx context.Context) error { return client.Ping(ctx).Err() })
}

// Addr is host:port.
func (r *Redis) Addr() string { return fmt.Sprintf("127.0.0.1:%d", r.options.Port) }

// URL is what a client connects to.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }

// PID is the server's process.
func (r *Redis) PID() int { return r.child.cmd.Process.Pid }

// Stop ends the server in order.
func (r *Redis) Stop(ctx context.Context) error { return r.child.stop(ctx, syscall.SIGTERM) }

// Kill ends the server at once, as a crash would.
func (r *Redis) Kill() { r.child.kill() }

// Restart starts an ended server again, on the same port and data.
func (r *Redis) Restart(ctx context.Context) error { return r.start(ctx) }

// Dir is where the data lies.
func (r *Redis) Dir() string { return r.options.Dir }

// Freeze stops the server's clock, so to speak: it neither answers nor ends.
func (r *Redis) Freeze() error { return r.child.signal(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (r *Redis) Thaw() error { return r.child.signal(syscall.SIGCONT) }
