package main

import (
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"admitone/gateway"
)

func TestExceptions(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, e := range map[string]exceptions{
		"none: Postgres holds everything": {},
		"conflict: cap":                   {Conflicts: []gateway.ConflictRow{{Position: 7, At: at, Kind: "cap", Detail: "0 of 1 rows"}}},
		"2026-03-01T12:00:00Z  parked":    {Parked: []gateway.ParkedRow{{Position: 9, At: at, Error: "malformed record"}}},
	} {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		e.write(w)
		w.Flush()
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q lacks %q", b.String(), want)
		}
	}
}
