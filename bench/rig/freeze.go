package rig

import (
	"errors"
	"syscall"
)

// Freeze stops a postgres where it stands, its workers too: they are process
// groups of their own.
func (p *Postgres) Freeze() error { return p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen postgres go on.
func (p *Postgres) Thaw() error { return p.signal(syscall.SIGCONT) }

// signal reaches the server first, so that it makes no more workers meanwhile.
func (p *Postgres) signal(s syscall.Signal) error {
	if err := syscall.Kill(p.PID(), s); err != nil {
		return err
	}
	children, err := kinship()
	if err != nil {
		return err
	}
	for _, pid := range descendants(children, p.PID()) {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}
