package main

import (
	"context"
	"math"
	"slices"
)

// ratio is how many times as fast a is as b, in windows next to each other.
type ratio struct {
	Of     string    `json:"of"` // the divisor
	Load   string    `json:"load"`
	Pairs  []float64 `json:"pairs"`
	Median float64   `json:"median"`
	Low    float64   `json:"low"`
	High   float64   `json:"high"`
}

func newRatio(of, load string, pairs []float64) ratio {
	return ratio{of, load, pairs, median(pairs), slices.Min(pairs), slices.Max(pairs)}
}

// abba measures a against each b in turns, A B B A: what drifts slowly weighs on
// both alike. An A between two B's belongs to both. All samples are kept.
func (w *world) abba(ctx context.Context, f *figures, loadName string, l load, a turn, bs []turn) ([]ratio, error) {
	pairs, err := inTurns(w.rounds, a, bs, func(t turn) (sample, error) {
		s, err := w.window(ctx, t, l)
		if err == nil {
			f.note(t.name, loadName, s)
		}
		return s, err
	})
	if err != nil {
		return nil, err
	}
	ratios := make([]ratio, len(bs))
	for i, b := range bs {
		ratios[i] = newRatio(b.name, loadName, pairs[i])
	}
	return ratios, nil
}

// inTurns takes the samples, and returns for each b its ratios, in pairs of
// windows next to each other.
func inTurns(rounds int, a turn, bs []turn, take func(turn) (sample, error)) ([][]float64, error) {
	pairs := make([][]float64, len(bs))
	for range rounds {
		before, err := take(a)
		if err != nil {
			return nil, err
		}
		for i, b := range bs {
			first, err := take(b)
			if err != nil {
				return nil, err
			}
			second, err := take(b)
			if err != nil {
				return nil, err
			}
			after, err := take(a)
			if err != nil {
				return nil, err
			}
			pairs[i] = append(pairs[i], before.Rate/first.Rate, after.Rate/second.Rate)
			before = after
		}
	}
	return pairs, nil
}

// The names of the gateway's turns.
const (
	nameAside  = "admitone"
	nameAgain  = "admitone again"
	nameAlong  = "admitone, copying"
	nameAlways = "admitone, fsync always"
)

// takeRatios compares the gateway with itself first, which is the noise, and
// then with every peer: on one hot code, and on distinct codes.
func takeRatios(ctx context.Context, w *world, f *figures) error {
	g := w.gateway
	turns := func(names ...string) (list []turn) {
		for _, c := range w.peers {
			if slices.Contains(names, c.name) {
				list = append(list, c.asTurn())
			}
		}
		return list
	}
	onHot := []turn{g.aside(nameAgain, &g.contender), g.along(nameAlong, &g.contender)}
	onDistinct := []turn{g.along(nameAlong, &g.contender)}
	if w.quick {
		onHot = append(onHot, turns("direct", "autopipeline", "nginx", "pg", "pg-coalesced", "echo")...)
		onDistinct = append(onDistinct, turns("direct", "pg", "pg-coalesced")...)
	} else {
		onHot = append(onHot, g.always(nameAlways, &g.contender))
		onHot = append(onHot, turns("direct", "autopipeline", "own", "nginx", "pg", "pg-coalesced", "echo")...)
		onDistinct = append(onDistinct, g.always(nameAlways, &g.contender))
		onDistinct = append(onDistinct, turns("direct", "autopipeline", "own", "nginx", "pg", "pg-coalesced")...)
	}
	hotRatios, err := w.abba(ctx, f, "hot", hot, g.aside(nameAside, &g.contender), onHot)
	if err != nil {
		return err
	}
	g.drains = nil // distinct codes are what a drain is measured with
	distinctRatios, err := w.abba(ctx, f, "distinct", distinct, g.aside(nameAside, &g.contender), onDistinct)
	if err != nil {
		return err
	}
	f.Ratios = append(hotRatios, distinctRatios...)
	noise := f.ratio(nameAgain, "hot")
	f.Noise = max(math.Abs(noise.Low-1), math.Abs(noise.High-1))
	f.Drain = g.drainRate()
	return nil
}
