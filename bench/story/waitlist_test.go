package main

import (
	"strings"
	"testing"
)

func TestWaitlist(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	var out strings.Builder
	if err := Waitlist(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.HasSuffix(out.String(), "Redis and Postgres agree.\n") {
		t.Fatal(out.String())
	}
}
