// Command torture breaks a whole AdmitOne on purpose, round after round, while
// clients redeem and keep a ledger of what they were told: real redis-server,
// real postgres, several `admitone serve`. After every round what clients were
// told, what Redis says and what Postgres says must agree.
//
//	go run ./bench/torture -seed 1 -rounds 20 [-only redis-kill,power-cut]
//
// It prints a table and ends with status 1 on any breach. The same seed makes
// the same faults.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the faults and of what clients ask")
	rounds := flag.Int("rounds", 20, "how many")
	only := flag.String("only", "", "faults to choose from, separated by commas: "+strings.Join(faultNames(), ", "))
	clients := flag.Int("clients", 24, "at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := Run(ctx, Options{Seed: *seed, Rounds: *rounds, Only: *only, Clients: *clients, Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
	report.Print(os.Stdout)
	if report.Breaches() > 0 {
		os.Exit(1)
	}
}

// fault is something that breaks, and mends again before it returns.
type fault struct {
	name string
	do   func(ctx context.Context, w *world, rng *rand.Rand) error
}

func faultNames() []string {
	names := make([]string, len(faults))
	for i, f := range faults {
		names[i] = f.name
	}
	return names
}

// chosen are the faults that the names list; all of them for "".
func chosen(only string) ([]fault, error) {
	if only == "" {
		return faults, nil
	}
	var list []fault
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no fault %q; use %s", name, strings.Join(faultNames(), ", "))
		}
		list = append(list, faults[i])
	}
	return list, nil
}
