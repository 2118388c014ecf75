// Command torture breaks a whole AdmitOne on purpose, round after round, while
// clients redeem and keep a ledger of what they were told: real redis-server
// (alone, under a Sentinel, as a Cluster), real postgres, several `admitone
// serve`. After every round what clients were told, what Redis says and what
// Postgres says must agree, and each code's history must be linearizable.
//
//	go run ./bench/torture -seed 1 -rounds 20 [-only redis-kill,power-cut]
//	go run ./bench/torture -mutants [-only witness,trim]
//	go run ./bench/torture -soak 20m
//
// It prints a table and ends with status 1 on any breach. The same seed makes
// the same faults.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the faults and of what clients ask")
	rounds := flag.Int("rounds", 20, "how many")
	only := flag.String("only", "", "faults to choose from, separated by commas: "+strings.Join(faultNames(), ", "))
	clients := flag.Int("clients", 24, "at once")
	alone := flag.Bool("alone", false, "never mix two faults in a round")
	soak := flag.Duration("soak", 0, "play small faults for so long, and see whether memory, files or goroutines grow")
	mutate := flag.Bool("mutants", false, "switch each protection off in turn (-only: "+strings.Join(mutantNames(), ", ")+") and see what notices")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Fprintf(os.Stderr, "seed %d\n", *seed)
	o := Options{Seed: *seed, Rounds: *rounds, Only: *only, Alone: *alone, Clients: *clients, Progress: os.Stderr}
	if *mutate {
		unnoticed, err := Mutate(ctx, o, os.Stdout)
		if err != nil {
			fmt.Fprintln(os.Stderr, "torture:", err)
		}
		if err != nil || unnoticed > 0 {
			os.Exit(1)
		}
		return
	}
	if *soak > 0 {
		grows, err := Soak(ctx, o, *soak, os.Stdout)
		for _, what := range grows {
			fmt.Println("breach:", what)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "torture:", err)
		}
		if err != nil || len(grows) > 0 {
			os.Exit(1)
		}
		return
	}
	report, err := Run(ctx, o)
	if report != nil {
		report.Print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
	if report.Breaches() > 0 {
		os.Exit(1)
	}
}
