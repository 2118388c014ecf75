package rig

import (
	"context"
	"syscall"
)

// Program is any other program run as a child.
type Program struct{ child *child }

// StartProgram starts a program and waits until probe succeeds. What it prints
// goes to the log file.
func StartProgram(ctx context.Context, log string, probe func(context.Context) error, path string, args ...string) (*Program, error) {
	c, err := start(command{log: log, uid: -1, gid: -1, path: path, args: args})
	if err != nil {
		return nil, err
	}
	return &Program{c}, c.ready(ctx, probe)
}

// PID is the program's process.
func (p *Program) PID() int { return p.child.cmd.Process.Pid }

// Stop asks the program to end, and waits.
func (p *Program) Stop(ctx context.Context) error { return p.child.stop(ctx, syscall.SIGTERM) }

// Kill ends the program at once.
func (p *Program) Kill() { p.child.kill() }

// Freeze stops the program where it stands.
func (p *Program) Freeze() error { return p.child.signal(syscall.SIGSTOP) }

// Thaw lets a frozen program go on.
func (p *Program) Thaw() error { return p.child.signal(syscall.SIGCONT) }
