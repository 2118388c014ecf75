package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
)

// TestTorture is the short selection: a history that is lost, one that is old,
// answers that get lost, everybody at once, a Sentinel, a Cluster.
func TestTorture(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	report, err := Run(t.Context(), Options{
		Seed: 1, Rounds: 7, Only: "power-cut,empty-server,stale-replica,replies-lost,redis-and-gateways,sentinel-promotion,cluster-reshard",
		Clients: 16, Progress: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	report.Print(&table)
	t.Log("\n" + table.String())
	if report.Breaches() > 0 {
		t.Fatal("a promise did not hold")
	}
	for _, one := range report.Rounds {
		if one.Admitted == 0 || one.Persisted == 0 {
			t.Errorf("%s: nobody was admitted, which proves nothing", one.Fault)
		}
		if one.Joined == 0 || one.Offered == 0 {
			t.Errorf("%s: %d joined and %d were offered a place, which proves nothing", one.Fault, one.Joined, one.Offered)
		}
		if one.Invited == 0 || one.Rewarded == 0 {
			t.Errorf("%s: %d invites, %d rewards, which proves nothing", one.Fault, one.Invited, one.Rewarded)
		}
	}
}

func TestChosen(t *testing.T) {
	if list, err := chosen(""); err != nil || len(list) != len(faults)+1 {
		t.Errorf("%d faults, %v", len(list), err)
	}
	if _, err := chosen("redis-kill,earthquake"); err == nil || !strings.Contains(err.Error(), "redis-kill") {
		t.Errorf("an unknown fault: %v", err)
	}
}

// TestBreaches: every promise that can break is told as a breach.
func TestBreaches(t *testing.T) {
	for name, c := range map[string]struct {
		round Round
		want  string
	}{
		"nothing":                     {Round{Asked: 1, Admitted: 1}, ""},
		"an accepted one is lost":     {Round{Lost: 1}, "an accepted redemption is lost"},
		"where it may be":             {Round{Lost: 1, Conflicts: 1, Excused: true}, ""},
		"a persisted one is lost":     {Round{Lost: 1, LostSafe: 1, Excused: true}, "a persisted redemption is lost"},
		"over":                        {Round{Over: 1, Excused: true}, "a code is above its uses"},
		"drift":                       {Round{Drift: 1, Excused: true}, "Redis and Postgres differ"},
		"a history":                   {Round{Crooked: 1}, "a code's history is not linearizable"},
		"no fence":                    {Round{Unfenced: true}, "a broken history was served"},
		"a conflict without a reason": {Round{Conflicts: 1}, "a conflict without a loss that explains"},
		"an accepted join is lost":    {Round{JoinsLost: 1}, "an accepted join is lost"},
		"where a join may be":         {Round{JoinsLost: 1, Denied: 1, Misled: 1, Excused: true}, ""},
		"a persisted join is lost":    {Round{JoinsLost: 1, JoinsLostSafe: 1, Excused: true}, "a persisted join is lost"},
		"somebody is not known":       {Round{Denied: 1}, "an accepted join is lost"},
		"a taken back leave":          {Round{Misled: 1}, "who waits was told what is not so"},
		"a place":                     {Round{Misplaced: 1, Excused: true}, "the line is not what Postgres says"},
		"a release":                   {Round{OverOffered: 1, Excused: true}, "a release gave more places than it had"},
		"an invite":                   {Round{InvitesLost: 1, Excused: true}, "an invite is lost"},
		"a cent":                      {Round{Unpaid: 1, Excused: true}, "an account is not right to the cent"},
	} {
		if got := c.round.Breach(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if report := (Report{Rounds: []Round{c.round}}); report.Breaches() != min(1, len(c.want)) {
			t.Errorf("%s: %d breaches", name, report.Breaches())
		}
	}
}

// TestMutantsApply: each mutant, and the next release, still finds the text
// that it changes, and names what can notice it.
func TestMutantsApply(t *testing.T) {
	if _, err := overlay(t.TempDir(), nextRelease); err != nil {
		t.Errorf("the next release: %v", err)
	}
	for _, m := range mutants {
		if _, err := overlay(t.TempDir(), m.edits); err != nil {
			t.Errorf("mutant %s: %v", m.name, err)
		}
		if (m.test[0] == "") == (m.faults == "") {
			t.Errorf("mutant %s is hunted by a test or by faults", m.name)
		}
		if _, err := chosen(m.faults); err != nil {
			t.Errorf("mutant %s: %v", m.name, err)
		}
	}
	if _, err := overlay(t.TempDir(), []edit{{"go.mod", "no such text", ""}}); err == nil {
		t.Error("an edit that fits nowhere is taken")
	}
}

// TestShim: the shim moves the server's clock, and knows what was on the disk.
func TestShim(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	dir := t.TempDir()
	s, err := buildShim(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rig.StartRedis(t.Context(), rig.RedisOptions{Dir: filepath.Join(dir, "redis"), AppendOnly: true, Fsync: "no", Env: s.env()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { r.Kill() }()
	c := redis.NewClient(&redis.Options{Addr: r.Addr()})
	defer c.Close()
	now := func() time.Duration {
		at, err := c.Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		return time.Until(at).Round(time.Hour)
	}
	if d := now(); d != 0 {
		t.Errorf("ahead by %v from the start", d)
	}
	for _, ahead := range []time.Duration{24 * time.Hour, -24 * time.Hour, 0} {
		if err := s.setAhead(ahead); err != nil {
			t.Fatal(err)
		}
		if d := now(); d != ahead {
			t.Errorf("ahead by %v, want %v", d, ahead)
		}
	}

	set := func(key string) {
		if err := c.Set(t.Context(), key, strings.Repeat("x", 1000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.ConfigSet(t.Context(), "appendfsync", "always").Err(); err != nil {
		t.Fatal(err)
	}
	set("on the disk")
	if err := c.ConfigSet(t.Context(), "appendfsync", "no").Err(); err != nil {
		t.Fatal(err)
	}
	set("in the page cache")
	r.Kill()
	taken, err := s.cutPower(r.Dir())
	if err != nil || taken < 1000 || taken > 1200 {
		t.Fatalf("the power cut took %d bytes, %v", taken, err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, err := c.Keys(t.Context(), "*").Result()
	if err != nil || len(kept) != 1 || kept[0] != "on the disk" {
		t.Fatalf("kept %v, %v", kept, err)
	}
	if _, err := os.Stat(s.object); err != nil {
		t.Error(err)
	}
}
