package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)

// TestLinks: what documents lead to is there, and the README leads to every
// document.
func TestLinks(t *testing.T) {
	const root = "../.."
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(documents) == 0 {
		t.Fatal(documents, err)
	}
	led := map[string]bool{}
	for _, path := range append([]string{root + "/README.md", root + "/CONTRIBUTING.md"}, documents...) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := filepath.Join(filepath.Dir(path), m[1])
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s leads to %s: %v", path, m[1], err)
			}
			if strings.HasSuffix(path, "README.md") {
				led[to] = true
			}
		}
	}
	for _, d := range documents {
		if !led[filepath.Clean(d)] {
			t.Errorf("the README does not lead to %s", d)
		}
	}
}
