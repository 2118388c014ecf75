package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/client"
)

// stage is a fresh AdmitOne with servers of its own, run from its own binary.
type stage struct {
	dir     string
	root    string // of the repository
	binary  string
	program *rig.Program
	Public  string
	Private string
	Key     string `json:"admin_key"`
	admin   *client.Client
}

// open builds the binary and starts `admitone dev` with these flags besides.
func open(ctx context.Context, flags ...string) (_ *stage, err error) {
	dir, err := os.MkdirTemp("", "admitone-story-")
	if err != nil {
		return nil, err
	}
	_, file, _, _ := runtime.Caller(0)
	s := &stage{dir: dir, root: filepath.Join(filepath.Dir(file), "..", ".."), binary: filepath.Join(dir, "admitone")}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // postgres is another user
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "./cmd/admitone")
	build.Dir = s.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	ready := filepath.Join(dir, "ready.json")
	probe := func(context.Context) error {
		b, err := os.ReadFile(ready)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, s)
	}
	starting, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	args := append([]string{
		"dev", "--addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--ready-file", ready, "--per-address", "4096",
	}, flags...)
	s.program, err = rig.StartProgram(starting, filepath.Join(dir, "dev.log"), probe, s.binary, args...)
	if err != nil {
		return nil, err
	}
	s.admin = client.New(s.Public, s.Private, s.Key, client.Options{})
	return s, nil
}

func (s *stage) close() {
	if s.program != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.program.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "story:", err)
		}
	}
	os.RemoveAll(s.dir)
}

// command runs the command line as an operator would.
func (s *stage) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary, append(args, "--admin-url", s.Private)...)
	cmd.Env = append(os.Environ(), "ADMITONE_KEY="+s.Key)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("admitone %s: %w: %s", strings.Join(args, " "), err, problems.String())
	}
	return out.String(), nil
}

// ledger is what clients were told.
type ledger struct {
	mu       sync.Mutex
	asked    int
	admitted map[gateway.ID]string // redemption → code as displayed
	subjects map[string]gateway.ID // code and subject → redemption
	replayed int
	refused  map[gateway.Reason]int
	wrong    []string // what should not have been answered
}

func newLedger() *ledger {
	return &ledger{admitted: map[gateway.ID]string{}, subjects: map[string]gateway.ID{}, refused: map[gateway.Reason]int{}}
}

// note writes an answer down and checks it against the one expected: "" for an
// admission.
func (l *ledger) note(r client.Redeem, answer client.Redemption, err error, want gateway.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	got := gateway.Reason("")
	if err != nil {
		var e *gateway.Error
		if !errors.As(err, &e) {
			l.wrong = append(l.wrong, err.Error())
			return
		}
		got = e.Reason
		l.refused[got]++
	}
	if got != want {
		l.wrong = append(l.wrong, fmt.Sprintf("%s was answered %q instead of %q", r.Email, got, want))
	}
	if err != nil {
		return
	}
	if answer.Replayed {
		l.replayed++
	}
	k := answer.Code + " " + answer.Subject
	if before, ok := l.subjects[k]; ok && before != answer.ID {
		l.wrong = append(l.wrong, fmt.Sprintf("%s has two redemptions: %v and %v", r.Email, before, answer.ID))
	}
	l.subjects[k] = answer.ID
	if answer.Status == gateway.Committed || answer.Status == gateway.Held {
		l.admitted[answer.ID] = answer.Code
	}
}

// takeBack notes that a redemption ended.
func (l *ledger) takeBack(id gateway.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.admitted, id)
}
