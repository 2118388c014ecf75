package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"admitone/gateway/client"
)

// stormed runs `admitone storm` and returns what it printed and its status.
func stormed(t *testing.T, args ...string) (string, int) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	real := os.Stdout
	os.Stdout = f
	code := run(t.Context(), append([]string{"storm"}, args...))
	os.Stdout = real
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b), code
}

// TestStormUsage: what cannot be sent is refused before anything is.
func TestStormUsage(t *testing.T) {
	good := []string{"http://127.0.0.1:1", "--launch", "demo", "--code", "ABC"}
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"https":           {[]string{"https://127.0.0.1", "--launch", "demo", "--code", "ABC"}, 2},
		"no scheme":       {[]string{"127.0.0.1:80", "--launch", "demo", "--code", "ABC"}, 2},
		"no code":         {[]string{"http://127.0.0.1:1", "--launch", "demo"}, 2},
		"no launch":       {[]string{"http://127.0.0.1:1", "--code", "ABC"}, 2},
		"bad launch":      {[]string{"http://127.0.0.1:1", "--launch", "Demo/x", "--code", "ABC"}, 2},
		"bad code":        {append(good, "--code", `A"B`), 2},
		"rate":            {append(good, "--rate", "300000"), 2},
		"time":            {append(good, "--for", "2h"), 2},
		"connections":     {append(good, "--connections", "0"), 2},
		"mix":             {append(good, "--mix", "flood"), 2},
		"two outputs":     {append(good, "--json", "--csv"), 2},
		"poll, no ticket": {append(good, "--mix", "poll"), 2},
		"no exhausted":    {append(good, "--mix", "launch"), 2},
		"no file":         {append(good, "--codes-file", "/nowhere"), 1},
		"nobody there":    {good, 1},
	} {
		if out, code := stormed(t, c.args...); code != c.code || out != "" {
			t.Errorf("%s: status %d, %q", name, code, out)
		}
	}
}

// TestStorm: what it counts is what the launch tells, and answers other than
// expected make it fail.
func TestStorm(t *testing.T) {
	up := startDev(t, dataDir(t))
	if _, err := up.api.CreateCampaign(t.Context(), up.Launch, client.Campaign{Name: "link", Kind: "invite", Type: "link", MaxUses: 100_000}); err != nil {
		t.Fatal(err)
	}
	// Junk would lock this machine's address out.
	policy := "launch: demo\nname: Demo\nlimits: {failed_attempts: {per_address: off}}\n"
	if _, _, err := up.api.PutPolicy(t.Context(), up.Launch, client.YAML, []byte(policy), 0); err != nil {
		t.Fatal(err)
	}
	minted, _, err := up.api.Mint(t.Context(), up.Launch, "link", 2)
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "codes.csv")
	if err := os.WriteFile(list, []byte("code,max_uses\n"+minted[0].Code+",1\n\n"+minted[1].Code+",1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := stormed(t, up.Public, "--launch", up.Launch, "--codes-file", list, "--rate", "200", "--for", "1s", "--warmup", "200ms", "--connections", "8", "--json")
	var r struct {
		Statuses  map[string]int
		Total     int `json:"total_answered"`
		Histogram []any
		Behind    string
	}
	// On a machine that has better things to do, a storm rightly says that it
	// did not keep to its schedule.
	failed := func(code int) bool { return code != 0 && !strings.HasPrefix(r.Behind, "the generator itself") }
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if failed(code) || r.Statuses["201"] == 0 || r.Statuses["201"] != r.Total || len(r.Histogram) == 0 {
		t.Errorf("status %d: %s", code, out)
	}
	used := 0
	for _, m := range minted {
		c, err := up.api.Code(t.Context(), up.Launch, m.Code)
		if err != nil {
			t.Fatal(err)
		}
		used += c.Used
	}
	if used != r.Total {
		t.Errorf("%d uses, %d answers", used, r.Total)
	}
	out, code = stormed(t, up.Public, "--launch", up.Launch, "--code", minted[0].Code, "--mix", "validate", "--rate", "0", "--for", "200ms", "--warmup", "0s", "--csv")
	if code != 0 || !strings.HasPrefix(out, "percentile,ms,count\n") {
		t.Errorf("status %d: %s", code, out)
	}
	// A code of one use: one is admitted, the others are told that it is used up.
	one := up.freshCodes(t, 1)[0]
	out, code = stormed(t, up.Public, "--launch", up.Launch, "--code", one, "--rate", "100", "--for", "300ms", "--warmup", "0s")
	if code != 1 || !strings.Contains(out, "201: 1 ·") || !strings.Contains(out, "409, such as code_exhausted: ") || !strings.Contains(out, "generator") {
		t.Errorf("status %d: %s", code, out)
	}
	out, code = stormed(t, up.Public, "--launch", up.Launch, "--code", minted[0].Code, "--exhausted", one, "--mix", "launch", "--rate", "200", "--for", "1s", "--warmup", "0s", "--json")
	r.Behind = ""
	if err := json.Unmarshal([]byte(out), &r); err != nil || failed(code) {
		t.Errorf("status %d, %v: %s", code, err, out)
	}
	for _, status := range []int{200, 201, 409} {
		if r.Statuses[strconv.Itoa(status)] == 0 {
			t.Errorf("no %d: %s", status, out)
		}
	}
}
