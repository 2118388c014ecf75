package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"admitone/bench/rig"
)

//go:embed shim/shim.c
var shimSource []byte

// shim is what is preloaded into redis-server: it writes down how long each
// file was when it was last on the disk, and moves the clock.
type shim struct{ object, synced, clock string }

// buildShim compiles the shim. It returns a *rig.MissingError where there is no
// C compiler.
func buildShim(ctx context.Context, dir string) (*shim, error) {
	s := &shim{filepath.Join(dir, "shim.so"), filepath.Join(dir, "shim.synced"), filepath.Join(dir, "shim.clock")}
	cc, err := exec.LookPath("cc")
	if err != nil {
		return nil, &rig.MissingError{Binary: "cc", Package: "gcc libc6-dev"}
	}
	source := filepath.Join(dir, "shim.c")
	if err := os.WriteFile(source, shimSource, 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.CommandContext(ctx, cc, "-shared", "-fPIC", "-O2", "-o", s.object, source, "-ldl").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cc: %w: %s", err, out)
	}
	return s, s.setAhead(0)
}

func (s *shim) env() []string {
	return []string{"LD_PRELOAD=" + s.object, "ADMITONE_SHIM_SYNCED=" + s.synced, "ADMITONE_SHIM_CLOCK=" + s.clock}
}

// setAhead moves the server's clock ahead of the machine's, or behind it.
func (s *shim) setAhead(d time.Duration) error {
	f, err := os.OpenFile(s.clock, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(binary.NativeEndian.AppendUint64(nil, uint64(int64(d/time.Second))))
	return err
}

// cutPower leaves of a dead server's append-only files what was on the disk,
// and tells how many bytes that took away.
func (s *shim) cutPower(dir string) (taken int64, err error) {
	b, err := os.ReadFile(s.synced)
	if err != nil {
		return 0, err
	}
	onDisk := map[uint64]int64{}
	for ; len(b) >= 16; b = b[16:] {
		onDisk[binary.NativeEndian.Uint64(b)] = int64(binary.NativeEndian.Uint64(b[8:]))
	}
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil {
		return 0, err
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return taken, err
		}
		length := onDisk[info.Sys().(*syscall.Stat_t).Ino]
		if length >= info.Size() {
			continue
		}
		taken += info.Size() - length
		if err := os.Truncate(path, length); err != nil {
			return taken, err
		}
	}
	return taken, nil
}
