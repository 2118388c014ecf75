package storm

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency is the longest latency that is told apart, in µs.
const maxLatency = 60_000_000

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxLatency, 3) }

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// Progress is how a run stands, about once a second.
type Progress struct {
	at       int64
	Elapsed  time.Duration
	Whole    time.Duration // warm-up and measured time
	Answered uint64        // since the run began
	Right    uint64        // of these, with a status that was expected
	Lost     uint64
	Rate     float64 // answers a second, of the last second
	P50, P99 time.Duration
}

// KindResult is what came of one kind of request, in the measured time.
type KindResult struct {
	Name       string `json:"name"`
	Answered   uint64 `json:"answered"`
	Right      uint64 `json:"right"`
	Unexpected uint64 `json:"unexpected"`
	Latency    `json:"latency_ms"`

	histogram *hdrhistogram.Histogram
}

// Latency are percentiles in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Result is what came of a run. Rate, Right, Unexpected, Latency and CPU are of
// the measured time; Statuses, Total and Lost of the whole run, so that they can
// be compared with what a server says it did.
type Result struct {
	Asked       float64           `json:"asked_per_s"` // 0: closed loop
	Connections int               `json:"connections"`
	Seconds     float64           `json:"seconds"`
	Rate        float64           `json:"rate_per_s"` // answers that were expected; 0 where Behind says why
	Behind      string            `json:"behind,omitempty"`
	Answered    uint64            `json:"answered"`
	Right       uint64            `json:"right"`
	Unexpected  uint64            `json:"unexpected"`
	Latency     Latency           `json:"latency_ms"`
	Late        Latency           `json:"late_ms"` // open loop: how late requests left, by the generator's own fault
	Kinds       []KindResult      `json:"kinds"`
	CPU         time.Duration     `json:"-"` // of this process
	CPUMicros   float64           `json:"generator_cpu_us"`
	Total       uint64            `json:"total_answered"`
	Lost        uint64            `json:"total_lost"`
	Losses      map[string]uint64 `json:"losses,omitempty"`
	Statuses    map[int]uint64    `json:"statuses"`
	Refusals    map[int]string    `json:"refusals,omitempty"` // of each status that was not expected, what the first of them said

	histogram, late *hdrhistogram.Histogram
	answers, right  uint64
	losses          uint64
	waited          uint64 // requests that waited for a free connection
	behind          int64  // ns of the schedule that were still to be sent when time was up
	statuses        [600]uint64
}

func newResult(o Options) *Result {
	r := &Result{
		Asked: o.Rate, Connections: o.Connections, Seconds: o.For.Seconds(), Statuses: map[int]uint64{}, Losses: map[string]uint64{}, Refusals: map[int]string{},
		histogram: newHistogram(), late: newHistogram(),
	}
	for _, k := range o.Mix.kinds {
		r.Kinds = append(r.Kinds, KindResult{Name: k.Name, histogram: newHistogram()})
	}
	return r
}

// answered counts an answer after so many ns; said is how a refusal begins.
func (r *Result) answered(kind uint8, status int, said []byte, ns int64, counts bool, m *Mix) {
	r.answers++
	if status < len(r.statuses) {
		r.statuses[status]++
	}
	right := slices.Contains(m.kinds[kind].Want, status)
	if right {
		r.right++
	} else if len(said) > 0 && r.Refusals[status] == "" {
		r.Refusals[status] = sentence(said)
	}
	if !counts {
		return
	}
	k := &r.Kinds[kind]
	k.Answered++
	if !right {
		k.Unexpected++
		return
	}
	k.Right++
	record(k.histogram, ns)
	record(r.histogram, ns)
}

// sentence is what a problem document says, or any other answer as it came.
func sentence(body []byte) string {
	var p struct{ Code, Field, Detail string }
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return strconv.Quote(string(body))
	}
	if p.Field != "" {
		p.Code += ": " + p.Field
	}
	return p.Code + ": " + p.Detail
}

func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(max(ns/1000, 1), maxLatency)) // within its bounds
}

func (r *Result) lost(err error) {
	r.losses++
	r.Losses[err.Error()]++
}

// note counts a request that left so many ns after its time.
func (r *Result) note(ns int64, waited bool) {
	if waited {
		r.waited++
		return
	}
	record(r.late, ns)
}

// How far from its schedule a run may be and still have a rate.
const (
	keptShare   = 0.99  // of the asked rate, answered as expected or not
	behindMost  = 0.01  // of the measured time, still to be sent at its end, and
	behindLeast = 100e6 // ns that are never too much
	lateMost    = 50.0  // ms, the 99th percentile of the generator's own delay
)

// settle computes what is told.
func (r *Result) settle() {
	for status, n := range r.statuses {
		if n > 0 {
			r.Statuses[status] = n
		}
	}
	r.Total, r.Lost = r.answers, r.losses
	for i := range r.Kinds {
		k := &r.Kinds[i]
		k.Latency = latency(k.histogram)
		r.Answered += k.Answered
		r.Right += k.Right
		r.Unexpected += k.Unexpected
	}
	r.Latency, r.Late = latency(r.histogram), latency(r.late)
	if r.Answered > 0 {
		r.CPUMicros = float64(r.CPU.Microseconds()) / float64(r.Answered)
	}
	r.Rate = float64(r.Right) / r.Seconds
	asked := r.Asked * r.Seconds
	switch {
	case r.Asked == 0:
	case float64(r.behind) > max(behindMost*r.Seconds*1e9, behindLeast) && r.waited > 0:
		r.Behind = fmt.Sprintf("the schedule was %.1f s behind at its end: no connection was free for %d requests; the server does not answer %.0f a second, or more connections are needed than %d", float64(r.behind)/1e9, r.waited, r.Asked, r.Connections)
	case float64(r.behind) > max(behindMost*r.Seconds*1e9, behindLeast):
		r.Behind = fmt.Sprintf("the generator itself was %.1f s behind its schedule: it has too little of the processor for %.0f requests a second", float64(r.behind)/1e9, r.Asked)
	case r.Late.P99 > lateMost:
		r.Behind = fmt.Sprintf("the generator itself was late by %.0f ms (99th percentile): it has too little of the processor for %.0f requests a second", r.Late.P99, r.Asked)
	case float64(r.Answered) < keptShare*asked-4*math.Sqrt(asked):
		r.Behind = fmt.Sprintf("only %d of about %.0f scheduled requests were answered in time", r.Answered, asked)
	}
	if r.Behind != "" {
		r.Rate = 0
	}
}

func latency(h *hdrhistogram.Histogram) Latency {
	at := func(p float64) float64 { return float64(h.ValueAtPercentile(p)) / 1000 }
	return Latency{at(50), at(90), at(99), at(99.9), float64(h.Max()) / 1000}
}

// JSON writes the result, and the percentiles of its histogram.
func (r *Result) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		*Result
		Histogram []Step `json:"histogram"`
	}{r, r.Steps()})
}

// Step is a point of the distribution: so many of the requests took no longer.
type Step struct {
	Percentile float64 `json:"percentile"`
	Millis     float64 `json:"ms"`
	Count      int64   `json:"count"`
}

// Steps are the distribution of the latencies, in steps that halve what is left.
func (r *Result) Steps() []Step {
	steps := []Step{}
	for _, b := range r.histogram.CumulativeDistribution() {
		steps = append(steps, Step{b.Quantile, float64(b.ValueAt) / 1000, b.Count})
	}
	return steps
}

// CSV writes the distribution, a step a line.
func (r *Result) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"percentile", "ms", "count"}}
	for _, s := range r.Steps() {
		rows = append(rows, []string{
			strconv.FormatFloat(s.Percentile, 'f', -1, 64), strconv.FormatFloat(s.Millis, 'f', -1, 64), strconv.FormatInt(s.Count, 10),
		})
	}
	if err := c.WriteAll(rows); err != nil {
		return err
	}
	return c.Error()
}
