package storm

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Print writes the result for people: what was asked and answered, and the
// latencies as bars.
func (r *Result) Print(w io.Writer) {
	loop := "closed loop"
	if r.Asked > 0 {
		loop = fmt.Sprintf("open loop, %.0f requests/s asked", r.Asked)
	}
	fmt.Fprintf(w, "%s, %d connections, %.0f s measured\n\n", loop, r.Connections, r.Seconds)
	if r.Behind != "" {
		fmt.Fprintf(w, "  no rate: %s\n", r.Behind)
	} else {
		fmt.Fprintf(w, "  rate       %.0f/s\n", r.Rate)
	}
	if r.Right > 0 {
		fmt.Fprintf(w, "  latency    p50 %s · p90 %s · p99 %s · p99.9 %s · max %s\n", ms(r.Latency.P50), ms(r.Latency.P90), ms(r.Latency.P99), ms(r.Latency.P999), ms(r.Latency.Max))
		if r.Asked > 0 {
			fmt.Fprintf(w, "             from the time each request was due; the generator itself was late by %s (p99)\n", ms(r.Late.P99))
		}
	}
	fmt.Fprintf(w, "  generator  %.1f µs of processor an answer\n", r.CPUMicros)
	fmt.Fprintf(w, "  answers    ")
	for i, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		if i > 0 {
			fmt.Fprint(w, " · ")
		}
		fmt.Fprintf(w, "%d: %d", status, r.Statuses[status])
	}
	fmt.Fprintln(w, " (warm-up included)")
	for _, status := range slices.Sorted(maps.Keys(r.Refusals)) {
		fmt.Fprintf(w, "  unexpected %d, such as %s\n", status, r.Refusals[status])
	}
	for _, why := range slices.Sorted(maps.Keys(r.Losses)) {
		fmt.Fprintf(w, "  lost       %d: %s\n", r.Losses[why], why)
	}
	if len(r.Kinds) > 1 {
		fmt.Fprintf(w, "\n  %-10s %10s %10s %10s %10s %10s\n", "kind", "right", "unexpected", "p50", "p99", "p99.9")
		for _, k := range r.Kinds {
			fmt.Fprintf(w, "  %-10s %10d %10d %10s %10s %10s\n", k.Name, k.Right, k.Unexpected, ms(k.P50), ms(k.P99), ms(k.P999))
		}
	}
	fmt.Fprintln(w)
	if r.Right > 0 {
		r.bars(w)
	}
}

// bars draws how many answers took how long, in steps of powers of two.
func (r *Result) bars(w io.Writer) {
	type bar struct {
		to    float64 // ms
		count int64
	}
	var bars []bar
	top := int64(0)
	to := int64(64) // µs
	current := bar{to: 0.064}
	for _, b := range r.histogram.Distribution() {
		if b.Count == 0 {
			continue
		}
		for b.To > to {
			bars = append(bars, current)
			to *= 2
			current = bar{to: float64(to) / 1000}
		}
		current.count += b.Count
	}
	bars = append(bars, current)
	for len(bars) > 1 && bars[0].count == 0 {
		bars = bars[1:]
	}
	for _, b := range bars {
		top = max(top, b.count)
	}
	const width = 50
	for _, b := range bars {
		n := int(b.count * width / max(top, 1))
		line := strings.Repeat("█", n)
		if n == 0 && b.count > 0 {
			line = "▏"
		}
		fmt.Fprintf(w, "  ≤ %9s %-*s %d\n", ms(b.to), width, line, b.count)
	}
}

// ms writes milliseconds with three digits that matter.
func ms(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.2f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	case v >= 10:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.2f ms", v)
}
