package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"admitone/bench/peers"
	"admitone/bench/storm"
)

// takeCeilings compares what needs little deciding with answering alone, and
// asks redis-benchmark how often Redis could run the script of a single
// redemption if nobody stood in front of it.
func takeCeilings(ctx context.Context, w *world, f *figures) error {
	// Junk locks the generator's address out of its launch after three guesses,
	// as the default policy says; the others are asked in a launch of their own.
	day, err := w.another(ctx, "day", "", 1)
	if err != nil {
		return err
	}
	junk, err := w.another(ctx, "junk", "", 1)
	if err != nil {
		return err
	}
	if err := w.redisBenchmark(ctx, f); err != nil {
		return fmt.Errorf("redis-benchmark: %w", err)
	}
	loads := map[string]load{
		"validate": func(c *contender, _ string) *storm.Mix {
			return storm.One("validate", storm.Validate(c.target, c.launch, []string{c.hot}), 200)
		},
		"junk": func(c *contender, prefix string) *storm.Mix {
			return storm.One("junk", storm.Junk(c.target, c.launch, len(c.hot), storm.People{Prefix: prefix}), 404, 429)
		},
	}
	names, asked := []string{"validate", "junk"}, map[string]*contender{"validate": day, "junk": junk}
	for _, c := range w.peers {
		if c.name != "echo" {
			continue
		}
		for _, name := range names {
			ratios, err := w.abba(ctx, f, name, func(of *contender, prefix string) *storm.Mix {
				if of == c {
					return hot(of, prefix)
				}
				return loads[name](of, prefix)
			}, w.gateway.along(nameAside, asked[name]), []turn{c.asTurn()})
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			f.Ceilings = append(f.Ceilings, ratios...)
		}
	}
	return nil
}

// redisBenchmark runs the peers' script by redis-benchmark, pipelined.
func (w *world) redisBenchmark(ctx context.Context, f *figures) error {
	path, err := exec.LookPath("redis-benchmark")
	if err != nil {
		f.Peers["redis-benchmark"] = "redis-benchmark is not on this machine; install it: apt-get install redis-tools (or make deps)"
		note("no figures of redis-benchmark: %s", f.Peers["redis-benchmark"])
		return nil
	}
	r, err := w.startRedis(ctx, "benchmark")
	if err != nil {
		return err
	}
	defer r.Kill()
	client := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer client.Close()
	sha, err := peers.SeedRedis(ctx, client, seeds(0))
	if err != nil {
		return err
	}
	n := 150_000
	if !w.quick {
		n = 600_000
	}
	hot, _ := codesOf(0)
	_, port, _ := strings.Cut(r.Addr(), ":")
	args := append([]string{"-h", "127.0.0.1", "-p", port, "-n", strconv.Itoa(n), "-c", "64", "-P", "16", "-r", "2000000000", "--csv"}, peers.BenchmarkArguments(sha, hot)...)
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[1]) < 2 {
		return fmt.Errorf("it prints %q: %v", out, err)
	}
	rate, err := strconv.ParseFloat(rows[1][1], 64)
	if err != nil {
		return err
	}
	counts, err := peers.CountRedis(ctx, client)
	if err != nil {
		return err
	}
	if counts.Uses != counts.Members || counts.Uses != counts.Records || counts.Uses < int64(n)*9/10 {
		return fmt.Errorf("%d calls made %+v", n, counts)
	}
	f.Pipe = rate * float64(counts.Uses) / float64(n)
	return nil
}
