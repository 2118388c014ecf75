package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var metricName = regexp.MustCompile(`\badmitone_[a-z_]+[a-z]\b`)

// told are the metrics that the code names outside its tests.
func told(t *testing.T) map[string]bool {
	t.Helper()
	quoted := regexp.MustCompile(`"(admitone_[a-z_]+)"`)
	names := map[string]bool{}
	for _, dir := range []string{"cmd", "gateway", "lua", "sync"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range quoted.FindAllStringSubmatch(string(source), -1) {
				names[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// TestAlertsName: every metric that an alert or the operations page names is
// one that gateways tell.
func TestAlertsName(t *testing.T) {
	names := told(t)
	for _, file := range []string{"deploy/alerts.yaml", "docs/operations.md"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		found := metricName.FindAllString(string(text), -1)
		if len(found) < 10 {
			t.Errorf("%s names %d metrics", file, len(found))
		}
		for _, name := range found {
			if !names[name] {
				t.Errorf("%s names %s, which no gateway tells", file, name)
			}
		}
	}
}

// TestAlertsParse: Prometheus takes the rules.
func TestAlertsParse(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("needs promtool; make deps installs it")
	}
	if out, err := exec.Command(promtool, "check", "rules", filepath.Join(root, "deploy/alerts.yaml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
