package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Mutate builds AdmitOne without each of its protections in turn, and reports
// what noticed. Nothing may go unnoticed.
func Mutate(ctx context.Context, o Options, to io.Writer) (unnoticed int, err error) {
	list := mutants
	if o.Only != "" {
		list = nil
		for name := range strings.SplitSeq(o.Only, ",") {
			i := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == name })
			if i < 0 {
				return 0, fmt.Errorf("there is no mutant %q; use %s", name, strings.Join(mutantNames(), ", "))
			}
			list = append(list, mutants[i])
		}
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "mutant\twithout\tnoticed by\t")
	for _, m := range list {
		began := time.Now()
		by, err := m.hunt(ctx, o)
		if err != nil {
			return unnoticed, fmt.Errorf("mutant %s: %w", m.name, err)
		}
		if by == "" {
			by = "NOBODY"
			unnoticed++
		}
		fmt.Fprintf(o.Progress, "%s: %s (%v)\n", m.name, by, time.Since(began).Round(time.Second))
		fmt.Fprintf(w, "%s\t%s\t%s\t\n", m.name, m.without, by)
	}
	return unnoticed, w.Flush()
}

func mutantNames() []string {
	names := make([]string, len(mutants))
	for i, m := range mutants {
		names[i] = m.name
	}
	return names
}

// hunt says what notices the mutant, "" if nothing does.
func (m mutant) hunt(ctx context.Context, o Options) (string, error) {
	if m.faults != "" {
		return m.torture(ctx, o)
	}
	dir, err := os.MkdirTemp("", "admitone-mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := overlay(dir, m.edits)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-count=1", "-timeout", "2m", "-run", "^("+m.test[1]+")$", m.test[0])
	if cmd.Dir, err = moduleRoot(ctx); err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", nil
	case !errors.As(err, &exit) || ctx.Err() != nil:
		return "", err
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		return "", fmt.Errorf("it does not compile: %s", out)
	}
	return m.test[0] + ": " + failed(string(out), m.test[1]), nil
}

// failed is the test that a run of go test says has failed.
func failed(out, fallback string) string {
	_, rest, ok := strings.Cut(out, "--- FAIL: ")
	if !ok {
		return fallback // it ran out of time, or panicked
	}
	name, _, _ := strings.Cut(rest, " ")
	return name
}

func (m mutant) torture(ctx context.Context, o Options) (string, error) {
	o.Only, o.Rounds, o.Alone, o.Edits, o.UntilBreach, o.Progress = m.faults, m.rounds, true, m.edits, true, io.Discard
	report, err := Run(ctx, o)
	if ctx.Err() != nil || report == nil {
		return "", errors.Join(err, ctx.Err())
	}
	n := len(report.Rounds)
	if err != nil {
		return fmt.Sprintf("torture, %s, round %d (seed %d): %s", m.faults, n+1, o.Seed, firstLine(err)), nil
	}
	if b := report.Rounds[n-1].Breach(); b != "" {
		return fmt.Sprintf("torture, %s, round %d (seed %d): %s", report.Rounds[n-1].Fault, n, o.Seed, b), nil
	}
	return "", nil
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
