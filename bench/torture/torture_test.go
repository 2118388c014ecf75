package main

import (
	"io"
	"strings"
	"testing"
)

// TestTorture is the short selection: each fault that breaks a history once.
func TestTorture(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	report, err := Run(t.Context(), Options{
		Seed: 1, Rounds: 6, Only: "power-cut,empty-server,flushall,redis-kill,gateway-kill,redis-and-postgres", Clients: 16, Progress: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	report.Print(&table)
	t.Log("\n" + table.String())
	if report.Breaches() > 0 {
		t.Fatal("a promise did not hold")
	}
	for _, one := range report.Rounds {
		if one.Admitted == 0 || one.Persisted == 0 {
			t.Errorf("%s: nobody was admitted, which proves nothing", one.Fault)
		}
	}
}

func TestChosen(t *testing.T) {
	if list, err := chosen(""); err != nil || len(list) != len(faults) {
		t.Errorf("%d faults, %v", len(list), err)
	}
	if _, err := chosen("redis-kill,earthquake"); err == nil || !strings.Contains(err.Error(), "redis-kill") {
		t.Errorf("an unknown fault: %v", err)
	}
}
