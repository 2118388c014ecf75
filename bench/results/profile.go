package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// profileFor is how long is looked at.
const profileFor = 8 * time.Second

// takeProfile writes where the time goes at the peak: the gateway's processor
// profile, what Redis' commands took, and Redis' own samples where perf is there.
func takeProfile(ctx context.Context, w *world, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	g := w.gateway
	if err := g.commands.ConfigResetStat(ctx).Err(); err != nil {
		return err
	}
	w.plan.window = profileFor + 2*time.Second
	done := make(chan error, 2)
	go func() {
		time.Sleep(w.warm + time.Second) // the peak, not the way to it
		go func() { done <- w.perf(ctx, filepath.Join(dir, "redis.perf")) }()
		done <- g.pprof(ctx, filepath.Join(dir, "gateway.pprof"))
	}()
	s, err := w.window(ctx, g.aside(nameAside, &g.contender), hot)
	err = errors.Join(err, <-done, <-done)
	if err != nil {
		return err
	}
	stats, err := g.commands.Info(ctx, "commandstats").Result()
	if err != nil {
		return err
	}
	note("profiles are in %s: %.0f redemptions/s, go tool pprof -top %s", dir, s.Rate, filepath.Join(dir, "gateway.pprof"))
	return os.WriteFile(filepath.Join(dir, "redis-commandstats.txt"), []byte(stats), 0o644)
}

// pprof asks the private listener.
func (g *gatewaySide) pprof(ctx context.Context, to string) error {
	url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%.0f", g.private, profileFor.Seconds())
	b, err := getBody(ctx, url, g.key)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// perf samples Redis, where it may.
func (w *world) perf(ctx context.Context, to string) error {
	path, err := exec.LookPath("perf")
	if err != nil {
		note("perf is not on this machine: no samples of Redis")
		return nil
	}
	out, err := exec.CommandContext(ctx, path, "record", "-q", "-F", "2000", "-p", strconv.Itoa(w.gateway.redis.PID()), "-o", to, "--", "sleep", "5").CombinedOutput()
	if err != nil {
		note("perf may not sample Redis: %s", out)
	}
	return nil
}
