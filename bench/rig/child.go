package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MissingError says that a server is not on this machine, and how to get it.
type MissingError struct{ Binary, Package string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not on this machine; install it: apt-get install %s (or make deps)", e.Binary, e.Package)
}

// find looks for a program on the PATH and where Debian keeps PostgreSQL's.
func find(binary, pkg string) (string, error) {
	if path, err := exec.LookPath(binary); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + binary)
	if len(found) == 0 {
		return "", &MissingError{binary, pkg}
	}
	return slices.Max(found), nil
}

// FreePort is a TCP port of 127.0.0.1 on which nothing listened a moment ago.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// child is a running server.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it has ended
	log  string        // path of what it printed
}

// starter starts every child from one thread that lives as long as the
// process: Linux kills a child (Pdeathsig) when the thread that made it ends,
// and Go ends threads as it likes.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// command is what a child runs.
type command struct {
	log      string // file for what it prints; it runs in the file's directory
	uid, gid int    // to run as; negative keeps ours
	path     string
	args     []string
	env      []string // added to ours
}

// start runs a command in a process group of its own, so that Ctrl-C reaches
// the parent alone.
func start(o command) (*child, error) {
	log, err := os.OpenFile(o.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(o.path, o.args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, filepath.Dir(o.log)
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), o.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if o.uid >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
	}
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, done: make(chan struct{}), log: o.log}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(c.done)
	}()
	return c, nil
}

// stop asks the child to end and waits; after the context it is killed.
func (c *child) stop(ctx context.Context, s syscall.Signal) error {
	_ = c.cmd.Process.Signal(s) // it may have ended already
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		c.kill()
		return fmt.Errorf("rig: %s did not end by itself: %w", filepath.Base(c.cmd.Path), ctx.Err())
	}
}

// kill ends the child and everything it started, at once.
func (c *child) kill() {
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.done
}

// signal reaches the child and everything it started.
func (c *child) signal(s syscall.Signal) error { return syscall.Kill(-c.cmd.Process.Pid, s) }

// ready waits until probe succeeds, the child ends, or the context is over.
func (c *child) ready(ctx context.Context, probe func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := probe(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("rig: %s ended at once: %s", filepath.Base(c.cmd.Path), lastLine(c.log))
		case <-ctx.Done():
			c.kill()
			return fmt.Errorf("rig: %s is not ready: %w (%s)", filepath.Base(c.cmd.Path), errors.Join(ctx.Err(), err), lastLine(c.log))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func lastLine(path string) string {
	b, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
