package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// document rewrites what stands between the markers of docs/performance.md, and
// the plots beside it. A quick run leaves the curves as they are.
func (f *figures) document(root string) error {
	dir := filepath.Join(root, "docs")
	path := filepath.Join(dir, "performance.md")
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var table, curves strings.Builder
	f.table(&table)
	text, err := between(string(b), "figures", table.String())
	if err != nil {
		return err
	}
	plots := map[string]string{"performance.svg": f.bars()}
	if len(f.Growth) > 0 {
		f.growth(&curves)
		if text, err = between(text, "growth", curves.String()); err != nil {
			return err
		}
		plots["growth.svg"] = f.curves()
	}
	for name, svg := range plots {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(svg), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// between replaces what stands between <!-- name --> and <!-- /name -->.
func between(text, name, with string) (string, error) {
	open, end := "<!-- "+name+" -->", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(text, open)
	_, after, ends := strings.Cut(rest, end)
	if !ok || !ends {
		return "", fmt.Errorf("the markers %s and %s are not there", open, end)
	}
	return before + open + "\n" + strings.TrimSpace(with) + "\n" + end + after, nil
}
