package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// figures are everything that was measured; latest is the part that is kept in
// latest.json.
type figures struct {
	Commit   string            `json:"commit"`
	Machine  string            `json:"machine"`
	At       time.Time         `json:"at"`
	Took     string            `json:"took"`
	Quick    bool              `json:"quick"`
	Peers    map[string]string `json:"missing_peers"`
	Samples  []turnSamples     `json:"samples"`
	Ratios   []ratio           `json:"ratios"`
	Ceilings []ratio           `json:"ceilings"`
	Noise    float64           `json:"aa_noise"`
	Drain    float64           `json:"drain_events_per_s"`
	Open     *openLoop         `json:"open_loop"`
	Fairness *fairness         `json:"fairness"`
	Growth   []growthPoint     `json:"growth"`
	Waitlist *waitlist         `json:"waitlist"`
	Memory   *memory           `json:"memory_mb_per_million"`
	Allocs   *float64          `json:"allocs_per_redemption"`
	Pipe     float64           `json:"redis_benchmark_per_s"`
	Checked  int64             `json:"redemptions_checked"`
}

// turnSamples are the windows of a turn under one load.
type turnSamples struct {
	Name    string   `json:"name"`
	Load    string   `json:"load"`
	Samples []sample `json:"samples"`
}

func (f *figures) note(name, load string, s sample) {
	for i := range f.Samples {
		if f.Samples[i].Name == name && f.Samples[i].Load == load {
			f.Samples[i].Samples = append(f.Samples[i].Samples, s)
			return
		}
	}
	f.Samples = append(f.Samples, turnSamples{name, load, []sample{s}})
}

// samples are the windows of a turn; none if it was not measured.
func (f *figures) samples(name, load string) []sample {
	for _, t := range f.Samples {
		if t.Name == name && t.Load == load {
			return t.Samples
		}
	}
	return nil
}

// rate is the median of a turn, right answers a second; 0 if it was not
// measured.
func (f *figures) rate(name, load string) float64 {
	var v []float64
	for _, s := range f.samples(name, load) {
		v = append(v, s.Rate)
	}
	return median(v)
}

// cpu is the median of a process' time per right answer, in µs; 0 if it was not
// measured.
func (f *figures) cpu(name, load, process string) float64 {
	var v []float64
	for _, s := range f.samples(name, load) {
		v = append(v, s.CPU[process])
	}
	return median(v)
}

// ratio is the one of a divisor and load; nil if it was not measured.
func (f *figures) ratio(of, load string) *ratio {
	for _, list := range [][]ratio{f.Ratios, f.Ceilings} {
		for i := range list {
			if list[i].Of == of && list[i].Load == load {
				return &list[i]
			}
		}
	}
	return nil
}

// latest is what is compared from one time to the next. A figure that was not
// taken is null. Ratios are of the gateway's peak, and of one hot code where the
// name does not say otherwise.
type latest struct {
	Commit  string       `json:"commit"`
	Machine string       `json:"machine"`
	Ratios  latestRatios `json:"ratios"`
	CPU     latestCPU    `json:"cpu_us"`
	Drain   *float64     `json:"drain_events_per_s"`
	Over    *float64     `json:"drain_over_edge"`
	Memory  memory       `json:"mem_mb_per_million"`
	P50     *float64     `json:"p50_ms"`
	P99     *float64     `json:"p99_ms"`
	P999    *float64     `json:"p999_ms"`
	Allocs  *float64     `json:"allocs_per_redemption"`
	Noise   float64      `json:"aa_noise"`
}

type latestRatios struct {
	Direct       *float64 `json:"direct"`
	AutoPipeline *float64 `json:"autopipeline"`
	PgHot        *float64 `json:"pg_hot"`
	PgDistinct   *float64 `json:"pg_distinct"`
	PgCoalesced  *float64 `json:"pg_coalesced"`
	NginxLua     *float64 `json:"nginx_lua"`
	Echo         *float64 `json:"echo"`
	PollsEcho    *float64 `json:"polls_echo"`
}

type latestCPU struct {
	Gateway *float64 `json:"gateway"`
	Redis   *float64 `json:"redis"`
}

type memory struct {
	Codes   *float64 `json:"codes"`
	Members *float64 `json:"members"`
	Entries *float64 `json:"entries"`
}

// latest picks and rounds.
func (f *figures) latest() latest {
	r := func(of, load string) *float64 {
		if x := f.ratio(of, load); x != nil {
			return rounded(x.Median)
		}
		return nil
	}
	l := latest{
		Commit: f.Commit, Machine: f.Machine, Allocs: f.Allocs, Noise: *rounded(f.Noise),
		Ratios: latestRatios{
			Direct: r("direct", "hot"), AutoPipeline: r("autopipeline", "hot"), PgHot: r("pg", "hot"), PgDistinct: r("pg", "distinct"),
			PgCoalesced: r("pg-coalesced", "hot"), NginxLua: r("nginx", "hot"), Echo: r("echo", "hot"), PollsEcho: r("echo", "polls"),
		},
		CPU: latestCPU{rounded(f.cpu(nameAside, "hot", "server")), rounded(f.cpu(nameAside, "hot", "redis"))},
	}
	if f.Drain > 0 {
		l.Drain, l.Over = rounded(f.Drain), rounded(f.Drain/f.rate(nameAside, "distinct"))
	}
	if f.Open != nil {
		l.P50, l.P99, l.P999 = rounded(f.Open.P50), rounded(f.Open.P99), rounded(f.Open.P999)
	}
	if f.Memory != nil {
		l.Memory = *f.Memory
	}
	return l
}

// rounded keeps three digits behind the point of small numbers.
func rounded(v float64) *float64 {
	scale := 1000.0
	if v >= 1000 {
		scale = 1
	}
	v = float64(int64(v*scale+0.5)) / scale
	return &v
}

// write writes latest.json and details.json, and the document with docs.
func (f *figures) write(root string, docs bool) error {
	dir := filepath.Join(root, "bench", "results")
	for name, v := range map[string]any{"latest.json": f.latest(), "details.json": f} {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if !docs {
		return nil
	}
	if err := f.document(root); err != nil {
		return fmt.Errorf("docs/performance.md: %w", err)
	}
	return nil
}
