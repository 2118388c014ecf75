package main

import (
	"fmt"
	"io"
	"strings"
)

// contenders are the rows of the table: what each is, by its turn's name.
var contenders = []struct{ name, what string }{
	{nameAside, "**AdmitOne at its peak**: the journal is copied to Postgres afterwards"},
	{nameAlong, "AdmitOne sustained: copied meanwhile, Postgres on the same cores"},
	{nameAlways, "AdmitOne at its peak, `appendfsync always`"},
	{"direct", "go-redis, one `EVALSHA` a request"},
	{"autopipeline", "go-redis with AutoPipeline"},
	{"own", "AdmitOne's own store, group commit off"},
	{"nginx", "nginx + Lua + Redis"},
	{"pg", "Postgres, `SELECT … FOR UPDATE`"},
	{"pg-coalesced", "Postgres, coalesced set-based batches"},
	{"echo", "fasthttp answering the same bytes"},
}

// table writes the figures for people, in Markdown.
func (f *figures) table(w io.Writer) {
	fmt.Fprintf(w, "%s, commit %s, %s UTC, in %s. The gateway against itself: ±%.1f %% (A/A); a ratio closer to 1 than that says nothing. ",
		f.Machine, f.Commit, f.At.Format("2006-01-02 15:04"), f.Took, 100*f.Noise)
	fmt.Fprintf(w, "%d redemptions were told and found again in the stores.\n\n", f.Checked)
	fmt.Fprintln(w, "| | hot code, /s | peak ÷ it | sustained ÷ it | distinct codes, /s | peak ÷ it | sustained ÷ it | µs of server, Redis, Postgres | generator |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	for _, c := range contenders {
		if f.samples(c.name, "hot") == nil {
			if why := f.Peers[c.name]; why != "" {
				fmt.Fprintf(w, "| %s | not measured: %s | | | | | | | |\n", c.what, why)
			}
			continue
		}
		cells := []string{c.what, whole(f.rate(c.name, "hot")), f.spread(c.name, "hot"), f.copying(c.name, "hot"), whole(f.rate(c.name, "distinct")), f.spread(c.name, "distinct"), f.copying(c.name, "distinct"), f.costs(c.name), tenth(f.cpu(c.name, "hot", "generator"))}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	fmt.Fprintln(w, "\nMedians of windows; ratios are medians of pairs next to each other, with their lowest and highest. Processor times are of one hot code, per redemption.")
	f.rest(w)
}

// rest are the figures beside the table.
func (f *figures) rest(w io.Writer) {
	fmt.Fprintln(w, "\n| figure | |\n|---|---|")
	line := func(what, value string) { fmt.Fprintf(w, "| %s | %s |\n", what, value) }
	if r := f.ratio(nameAlways, "hot"); r != nil {
		line("`appendfsync always` ÷ `everysec`, hot code", fmt.Sprintf("%.2f", 1/r.Median))
	}
	for _, c := range []struct{ load, what string }{{"validate", "validations"}, {"junk", "codes that are none"}} {
		if r := f.ratio("echo", c.load); r != nil {
			line(c.what+" ÷ fasthttp answering the same bytes as a redemption", fmt.Sprintf("%.2f (%.2f–%.2f), %s/s, server %s µs", r.Median, r.Low, r.High, whole(f.rate(nameAside, c.load)), tenth(f.cpu(nameAside, c.load, "server"))))
		}
	}
	if f.Waitlist != nil {
		f.watching(line)
	}
	if f.Pipe > 0 {
		line("redis-benchmark, the single-call script pipelined by 16: Redis' own ceiling without group commit", whole(f.Pipe)+"/s")
	}
	if f.Drain > 0 {
		line("the syncer with the edge idle, distinct codes", fmt.Sprintf("%s events/s, %.2f of what the edge produces alone", whole(f.Drain), f.Drain/f.rate(nameAside, "distinct")))
	}
	if o := f.Open; o != nil {
		line(fmt.Sprintf("open loop at half of the sustained peak, %s/s: p50, p99, p99.9", whole(o.Asked)), fmt.Sprintf("%.2f, %.2f, %.2f ms (the generator itself late by %.2f ms at p99)", o.P50, o.P99, o.P999, o.LateP99))
	}
	if s := f.Fairness; s != nil {
		line(fmt.Sprintf("%d launches at once, %s/s: the least and the most of an equal share", s.Launches, whole(s.Rate)), fmt.Sprintf("%.2f, %.2f", s.Least, s.Most))
	}
	if m := f.Memory; m != nil {
		for _, t := range []struct {
			what string
			mb   *float64
		}{{"a million codes, not redeemed", m.Codes}, {"a million members, their redemption and their code's use included", m.Members}, {"a million waitlist entries", m.Entries}} {
			if t.mb != nil {
				line(t.what+", in Redis", fmt.Sprintf("%.0f MB", *t.mb))
			}
		}
	}
	if f.Allocs != nil {
		line("allocations of a redemption in the edge's own code", fmt.Sprintf("%.0f", *f.Allocs))
	}
}

// watching are the figures of a waitlist.
func (f *figures) watching(line func(what, value string)) {
	l := f.Waitlist
	if r := f.ratio("echo", "polls"); r != nil {
		line(fmt.Sprintf("polls of a place, one of %s ÷ fasthttp answering the same %d bytes, beside the same writes", whole(float64(l.Entries)), l.Bytes),
			fmt.Sprintf("%.2f (%.2f–%.2f), %s/s, server %s µs", r.Median, r.Low, r.High, whole(f.rate(nameAside, "polls")), tenth(f.cpu(nameAside, "polls", "server"))))
	}
	line("meanwhile", fmt.Sprintf("%d joins, %d boosts, %d offers; %d places compared with `ZRANK` in between, all equal, and %d while all moved; none older than %.0f ms",
		l.Joins, l.Boosts, l.Offers, l.Exact, l.Moving, l.AgeMax))
	if p := l.Pollers; p != nil {
		line(fmt.Sprintf("%s pollers over %s connections, as fast as they are answered", whole(float64(p.Pollers)), whole(float64(p.Connections))),
			fmt.Sprintf("%s/s, p50 %.2f, p99 %.2f ms; Redis runs %s commands/s, without a poll %s/s", whole(p.Rate), p.P50, p.P99, whole(p.Polled), whole(p.Idle)))
		line(fmt.Sprintf("the same, each every 5 s: %s/s", whole(p.Asked)), fmt.Sprintf("p50 %.2f, p99 %.2f ms", p.OpenP50, p.OpenP99))
	}
	if s := l.Streams; s != nil {
		line(fmt.Sprintf("%s open streams", whole(float64(s.Streams))), fmt.Sprintf("%.0f KiB of the gateway each, %s heartbeats; all back %.1f s after a restart began, %.1f commands of Redis each, %d told what they knew; a change reaches the last in %.1f s",
			s.Memory, whole(float64(s.Heartbeats)), s.Back, s.Commands, s.Twice, s.Told))
	}
}

// growth writes the curves as a table.
func (f *figures) growth(w io.Writer) {
	fmt.Fprintln(w, "| | redemptions/s | p50 | p99 (closed loop) |\n|---|---|---|---|")
	for _, p := range f.Growth {
		what := fmt.Sprintf("%s connections, %s", whole(float64(p.N)), p.Load)
		if p.Of == "codes" {
			what = fmt.Sprintf("%s codes, %d connections", whole(float64(p.N)), connections)
		}
		fmt.Fprintf(w, "| %s | %s | %.2f ms | %.2f ms |\n", what, whole(p.Rate), p.P50, p.P99)
	}
}

// spread is a ratio with its lowest and highest pair.
func (f *figures) spread(of, load string) string {
	r := f.ratio(of, load)
	if r == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", r.Median, r.Low, r.High)
}

// copying is the ratio of the gateway that copies to Postgres meanwhile.
func (f *figures) copying(of, load string) string {
	r, along := f.ratio(of, load), f.ratio(nameAlong, load)
	if r == nil || along == nil || of == nameAlong || of == nameAlways {
		return "–"
	}
	return fmt.Sprintf("%.2f", r.Median/along.Median)
}

// costs are the µs of each process for a redemption of the hot code.
func (f *figures) costs(name string) string {
	var cells []string
	for _, process := range []string{"server", "redis", "postgres"} {
		v := f.cpu(name, "hot", process)
		if v < 0.05 {
			cells = append(cells, "–")
			continue
		}
		cells = append(cells, tenth(v))
	}
	return strings.Join(cells, " · ")
}

func tenth(v float64) string { return fmt.Sprintf("%.1f", v) }

// whole writes a number with commas, "–" for none.
func whole(v float64) string {
	if v == 0 {
		return "–"
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
