package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// TestReleaseKilledHalfway: of a release of 100,000, during which every gateway
// is killed, everybody gets one offer.
func TestReleaseKilledHalfway(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	const people, places, part = 101_000, 100_000, 10_100
	ctx := t.Context()
	binary, err := compile(ctx, t.TempDir(), "admitone")
	if err != nil {
		t.Fatal(err)
	}
	w, err := build(ctx, standalone, binaries{current: binary})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if err := w.create(ctx, "l"); err != nil {
		t.Fatal(err)
	}
	for from := 0; from < people; from += part {
		var csv strings.Builder
		csv.WriteString("email\n")
		for n := from; n < from+part; n++ {
			fmt.Fprintf(&csv, "p%06d@wait.example\n", n)
		}
		if _, err := w.gateways[0].api.ImportEntries(ctx, "l", []byte(csv.String())); err != nil {
			t.Fatal(err)
		}
	}
	l, err := w.line(ctx, "l", "none")
	if err != nil {
		t.Fatal(err)
	}
	var release client.Release
	key := gateway.NewID(time.Now()).Short()
	letIn := func() error {
		release, err = w.gateways[0].api.LetIn(ctx, "l", places, "", "", "", key)
		return err
	}
	if err := letIn(); err != nil {
		t.Fatal(err)
	}
	done := func(want int) {
		t.Helper()
		waiting, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		for release.Done < want {
			r, err := w.gateways[0].api.WaitRelease(waiting, "l", release.ID, func(r client.Release) {
				if release = r; r.Done >= want {
					cancel()
				}
			})
			if err == nil {
				release = r
			}
			if waiting.Err() != nil && release.Done < want {
				t.Fatalf("%+v, %v", release, err)
			}
		}
	}
	done(places / 10)
	for _, g := range w.gateways {
		g.program.Kill()
	}
	if release.Done >= places {
		t.Fatal("it was over before it could be killed")
	}
	for _, g := range w.gateways {
		if err := g.start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := letIn(); err != nil && !strings.Contains(err.Error(), string(gateway.IdempotencyInFlight)) { // it is the same one
		t.Fatal(err)
	}
	done(places)
	var one Round
	l.released[release.ID] = places
	if err := l.settle(ctx, rand.New(rand.NewPCG(1, 1)), false, &one); err != nil {
		t.Fatal(err)
	}
	if one.Breach() != "" || one.Offered != places {
		t.Errorf("%d offers: %s %v", one.Offered, one.Breach(), one.Notes)
	}
	v, err := w.gateways[0].api.Verify(ctx, "l")
	if err != nil || v.Drift != 0 || v.Entries != people {
		t.Errorf("%+v, %v", v, err)
	}
}
