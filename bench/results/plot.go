package main

import (
	"fmt"
	"math"
	"strings"
)

const svgHead = `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="system-ui, sans-serif" font-size="13">
<rect width="100%%" height="100%%" fill="#ffffff"/>
`

const (
	blue = "#1f6feb"
	gray = "#8c959f"
	gold = "#bf8700"
	ink  = "#1f2328"
)

// bars draws the redemptions a second of each contender, on one hot code and on
// distinct codes.
func (f *figures) bars() string {
	const width, label, bar, gap, top = 980, 440, 14, 16, 50
	type row struct {
		what          string
		hot, distinct float64
		ours          bool
	}
	var rows []row
	most := 1.0
	for _, c := range contenders {
		if f.samples(c.name, "hot") == nil {
			continue
		}
		what := strings.NewReplacer("*", "", "`", "").Replace(c.what)
		r := row{what, f.rate(c.name, "hot"), f.rate(c.name, "distinct"), strings.HasPrefix(c.name, "admitone")}
		rows = append(rows, r)
		most = max(most, r.hot, r.distinct)
	}
	var b strings.Builder
	height := top + len(rows)*(2*bar+gap) + 10
	fmt.Fprintf(&b, svgHead, width, height)
	text(&b, 10, 24, "start", "Redemptions a second, 256 connections, generator on the same cores: one hot code (solid) and distinct codes (light)")
	scale := (width - label - 90) / most
	for i, r := range rows {
		y := top + i*(2*bar+gap)
		color := gray
		if r.ours {
			color = blue
		}
		text(&b, label-8, y+bar+4, "end", r.what)
		for j, v := range []float64{r.hot, r.distinct} {
			if v == 0 {
				continue
			}
			opacity := []string{"1", "0.55"}[j]
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s" opacity="%s"/>`+"\n", label, y+j*bar, max(v*scale, 1), bar-1, color, opacity)
			text(&b, label+int(v*scale)+6, y+j*bar+11, "start", whole(v))
		}
	}
	return b.String() + "</svg>\n"
}

// curves draws throughput over connections and over codes.
func (f *figures) curves() string {
	const width, height, left, top, wide, high = 860, 320, 70, 50, 330, 210
	var b strings.Builder
	fmt.Fprintf(&b, svgHead, width, height)
	most := 1.0
	for _, p := range f.Growth {
		most = max(most, p.Rate)
	}
	most = niceAbove(most)
	for i, of := range []string{"connections", "codes"} {
		x0 := left + i*(wide+90)
		title := "By connections: hot code (blue), distinct codes (gold)"
		if of == "codes" {
			title = "Redemptions a second by codes in the launch"
		}
		text(&b, x0-40, 24, "start", title)
		for s := range 5 {
			y := top + high - high*s/4
			fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#d0d7de"/>`+"\n", x0, y, x0+wide, y)
			text(&b, x0-6, y+4, "end", whole(most*float64(s)/4))
		}
		low, up := math.Inf(1), math.Inf(-1)
		for _, p := range f.Growth {
			if p.Of == of {
				low, up = min(low, math.Log10(float64(p.N))), max(up, math.Log10(float64(p.N)))
			}
		}
		at := func(p growthPoint) (int, int) {
			share := (math.Log10(float64(p.N)) - low) / max(up-low, 1)
			return x0 + int(share*wide), top + high - int(p.Rate/most*high)
		}
		for load, color := range map[string]string{"hot": blue, "distinct": gold} {
			var line []string
			for _, p := range f.Growth {
				if p.Of != of || p.Load != load {
					continue
				}
				x, y := at(p)
				line = append(line, fmt.Sprintf("%d,%d", x, y))
				fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="3" fill="%s"/>`+"\n", x, y, color)
				if load == "distinct" {
					text(&b, x, top+high+20, "middle", whole(float64(p.N)))
				}
			}
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(line, " "), color)
		}
	}
	return b.String() + "</svg>\n"
}

// niceAbove is the next 1, 2, 4 or 8 of a power of ten.
func niceAbove(v float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 4, 8, 10} {
		if m*step >= v {
			return m * step
		}
	}
	return 10 * step
}

func text(b *strings.Builder, x, y int, anchor, s string) {
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, ink, s)
}
