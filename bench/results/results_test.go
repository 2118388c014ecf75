package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"admitone/bench/peers"
	"admitone/bench/storm"
)

// TestLatestFields: latest.json has the fields that it is compared by, all of
// them, also when nothing was measured.
func TestLatestFields(t *testing.T) {
	b, err := json.Marshal((&figures{}).latest())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"commit": nil, "machine": nil, "drain_events_per_s": nil, "drain_over_edge": nil, "p50_ms": nil, "p99_ms": nil, "p999_ms": nil,
		"allocs_per_redemption": nil, "aa_noise": nil, "cpu_us": {"gateway", "redis"}, "mem_mb_per_million": {"codes", "members", "entries"},
		"ratios": {"direct", "autopipeline", "pg_hot", "pg_distinct", "pg_coalesced", "nginx_lua", "echo", "polls_echo"},
	}
	for name, fields := range want {
		v, ok := got[name]
		if !ok {
			t.Errorf("%s is missing", name)
		}
		inner, _ := v.(map[string]any)
		for _, f := range fields {
			if _, ok := inner[f]; !ok {
				t.Errorf("%s.%s is missing", name, f)
			}
		}
		if len(inner) != len(fields) {
			t.Errorf("%s has %v", name, inner)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s", b)
	}
}

// sampled are figures of two turns.
func sampled() *figures {
	f := &figures{Commit: "abc", Machine: "m & <n>", Noise: 0.02, Drain: 30_000, Peers: map[string]string{"nginx": "nginx is not on this machine"}}
	for _, s := range []float64{100, 300, 200} {
		f.note(nameAside, "hot", sample{Rate: s, CPU: map[string]float64{"server": 11, "redis": 9}})
		f.note(nameAside, "distinct", sample{Rate: s * 100, CPU: map[string]float64{}})
	}
	f.note("pg", "hot", sample{Rate: 2, CPU: map[string]float64{"postgres": 600}})
	f.note("direct", "hot", sample{Rate: 50, CPU: map[string]float64{"server": 20}})
	f.Ratios = []ratio{newRatio("direct", "hot", []float64{4, 2, 3}), newRatio(nameAlong, "hot", []float64{2}), newRatio("pg", "hot", []float64{90})}
	f.Waitlist = &waitlist{
		Entries: 1_000_000, Bytes: 410, Joins: 7, Boosts: 8, Offers: 9, Exact: 2000, Moving: 50, AgeMax: 400,
		Pollers: &pollers{Pollers: 50_000, Connections: 1000, Rate: 40_000}, Streams: &streams{Streams: 10_000, Memory: 15, Back: 2.5},
	}
	f.Ceilings = []ratio{newRatio("echo", "polls", []float64{0.9, 0.8, 0.85})}
	f.Growth = []growthPoint{{"connections", 1, "hot", 10, 1, 2}, {"connections", 1000, "hot", 1000, 1, 2}, {"codes", 1000, "distinct", 900, 1, 2}, {"codes", 10_000_000, "distinct", 800, 1, 2}}
	return f
}

func TestFiguresAreMedians(t *testing.T) {
	l := sampled().latest()
	if *l.Ratios.Direct != 3 || *l.Ratios.PgHot != 90 || *l.CPU.Gateway != 11 || *l.Over != 1.5 || l.Ratios.Echo != nil || *l.Ratios.PollsEcho != 0.85 || l.P50 != nil {
		t.Errorf("%+v", l)
	}
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}} {
		if got := median(c.of); got != c.want {
			t.Errorf("the median of %v is %v", c.of, got)
		}
	}
}

// TestDocumentParts: tables and plots hold what was measured and say what was
// not, and the plots are XML.
func TestDocumentParts(t *testing.T) {
	f := sampled()
	var table, growth strings.Builder
	f.table(&table)
	f.growth(&growth)
	for _, want := range []string{"| 200 |", "3.00 (2.00–4.00)", "nginx is not on this machine", "±2.0 %", "30,000 events/s", "one of 1,000,000 ÷ fasthttp answering the same 410 bytes", "0.85 (0.80–0.90)", "7 joins, 8 boosts, 9 offers; 2000 places", "| 10,000 open streams |", "90.00 (90.00–90.00) | 45.00"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in\n%s", want, table.String())
		}
	}
	if !strings.Contains(growth.String(), "10,000,000 codes") {
		t.Error(growth.String())
	}
	for _, svg := range []string{f.bars(), f.curves()} {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Error(svg)
		}
	}
	text, err := between("a\n<!-- x -->\nold\n<!-- /x -->\nb", "x", "new\n")
	if err != nil || text != "a\n<!-- x -->\nnew\n<!-- /x -->\nb" {
		t.Errorf("%q %v", text, err)
	}
	if _, err := between("a\n<!-- x -->\nb", "x", "new"); err == nil {
		t.Error("a marker without an end is taken")
	}
}

// TestNoFigureWithoutItsRedemptions: what the stores hold must be what clients
// were told.
func TestNoFigureWithoutItsRedemptions(t *testing.T) {
	for _, c := range []struct {
		told  uint64
		holds peers.Counts
		fine  bool
	}{
		{10, peers.Counts{Uses: 10, Members: 10, Records: 10}, true},
		{10, peers.Counts{Uses: 11, Members: 10, Records: 10}, false},
		{10, peers.Counts{Uses: 10, Members: 9, Records: 10}, false},
		{10, peers.Counts{Uses: 10, Members: 10, Records: 0}, false},
	} {
		w := &world{answerable: []*contender{{name: "x", told: c.told, count: func(context.Context) (peers.Counts, error) { return c.holds, nil }}}}
		f := &figures{}
		if err := checkAll(t.Context(), w, f); (err == nil) != c.fine {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, r := range []*storm.Result{{Right: 5, Answered: 5, Lost: 1}, {Right: 4, Answered: 5, Unexpected: 1}, {}} {
		if clean(r) == nil {
			t.Errorf("%+v is a figure", r)
		}
	}
	if err := clean(&storm.Result{Right: 5, Answered: 5}); err != nil {
		t.Error(err)
	}
}

// TestABBA: the order is A B B A, and each B is divided by the A next to it.
func TestABBA(t *testing.T) {
	var order []string
	rate := 0.0
	pairs, err := inTurns(2, turn{name: "a"}, []turn{{name: "b"}, {name: "c"}}, func(t turn) (sample, error) {
		order = append(order, t.name)
		rate++
		return sample{Rate: rate}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	round := []string{"a", "b", "b", "a", "c", "c", "a"}
	if !slices.Equal(order, append(slices.Clone(round), round...)) {
		t.Errorf("%v", order)
	}
	want := [][]float64{{1. / 2, 4. / 3, 8. / 9, 11. / 10}, {4. / 5, 7. / 6, 11. / 12, 14. / 13}}
	if !reflect.DeepEqual(pairs, want) {
		t.Errorf("%v instead of %v", pairs, want)
	}
}
