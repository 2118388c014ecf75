package main

import (
	"strings"
	"testing"
)

func TestLapse(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	var out strings.Builder
	if err := Lapse(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.HasSuffix(out.String(), "All three agree.\n") {
		t.Fatal(out.String())
	}
}
