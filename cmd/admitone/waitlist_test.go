package main

import (
	"fmt"
	"strings"
	"testing"

	"admitone/gateway"
)

// TestImportParts: a long file is cut into what one call takes, each part with
// the header; a short or broken one goes as it is.
func TestImportParts(t *testing.T) {
	for _, whole := range []string{"email\nann@x.example\n", "email\n\"broken"} {
		if parts, err := importParts([]byte(whole)); err != nil || len(parts) != 1 || string(parts[0]) != whole {
			t.Errorf("%q, %v", parts, err)
		}
	}
	var file strings.Builder
	file.WriteString("email,name\n")
	for n := range gateway.MaxEntryImport + 3 {
		fmt.Fprintf(&file, "p%d@x.example,\"Line 1\nLine 2, of %d\"\n", n, n)
	}
	parts, err := importParts([]byte(file.String()))
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	all := 0
	for _, part := range parts {
		read, err := gateway.ReadEntries(strings.NewReader(strings.ReplaceAll(string(part), "Line 1\n", "")), func(s string) (string, error) { return s, nil })
		if err != nil || read.Problems != nil {
			t.Fatalf("%v, %v", read.Problems, err)
		}
		for _, j := range read.Joins {
			if j.Email != fmt.Sprintf("p%d@x.example", all) {
				t.Fatalf("%s is number %d", j.Email, all)
			}
			all++
		}
	}
	if all != gateway.MaxEntryImport+3 {
		t.Errorf("%d entries", all)
	}
}
