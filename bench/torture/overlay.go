package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// edit replaces a text that a source file holds exactly once. It exists for one
// build only (go build -overlay): the sources stay as they are, and no switch
// for it is in any binary that is built otherwise.
type edit struct{ file, old, new string }

// overlay writes the changed files below a directory and returns the file that
// tells the go command of them.
func overlay(dir string, edits []edit) (string, error) {
	root, err := moduleRoot(context.Background())
	if err != nil {
		return "", err
	}
	changed := map[string][]byte{}
	for _, e := range edits {
		b, ok := changed[e.file]
		if !ok {
			if b, err = os.ReadFile(filepath.Join(root, e.file)); err != nil {
				return "", err
			}
		}
		if n := bytes.Count(b, []byte(e.old)); n != 1 {
			return "", fmt.Errorf("%s holds %d times what an edit replaces: %q; adapt the edit in bench/torture", e.file, n, e.old)
		}
		changed[e.file] = bytes.Replace(b, []byte(e.old), []byte(e.new), 1)
	}
	replace := map[string]string{}
	for file, b := range changed {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "--"))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(root, file)] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, b, 0o644)
}

// moduleRoot is the directory of go.mod.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
