package jobs

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"admitone/gateway"
)

// refillWorld is a launch with one member, and what its refills wrote.
type refillWorld struct {
	Members
	now    time.Time
	every  time.Duration
	joined time.Time
	served time.Time
	filled []time.Time // when the member was topped up
}

func (w *refillWorld) Launch(context.Context, string) (*gateway.Launch, error) {
	l := &gateway.Launch{Open: true}
	refill := &l.Policy.Codes.Personal.Refill
	refill.To, refill.Every = 5, gateway.Duration(w.every)
	return l, nil
}

func (w *refillWorld) Now(context.Context, string) (time.Time, error) { return w.now, nil }

func (w *refillWorld) Refill(_ context.Context, _ string, subjects []string) (int, error) {
	w.filled = append(w.filled, w.now)
	return len(subjects), nil
}

func (w *refillWorld) Launches(context.Context) ([]string, error) { return []string{"l"}, nil }

func (w *refillWorld) Refillable(_ context.Context, _ string, _ int, joined time.Time, after string, _ int) ([]string, error) {
	if after != "" || !w.joined.Before(joined) {
		return nil, nil
	}
	return []string{"ann"}, nil
}

func (w *refillWorld) LastRefill(context.Context, string) (time.Time, error) { return w.served, nil }

func (w *refillWorld) Refilled(_ context.Context, _ string, slot time.Time) error {
	w.served = slot
	return nil
}

// TestRefillSlots: a member is topped up once in each slot that begins after it
// joined, however often the schedule is looked at, also where slots were missed
// or the policy's period changes.
func TestRefillSlots(t *testing.T) {
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	at := func(hours float64) time.Time { return day.Add(time.Duration(hours * float64(time.Hour))) }
	w := &refillWorld{every: 24 * time.Hour, joined: at(8)}
	r := refiller{members: w, ledger: w, log: slog.New(slog.DiscardHandler)}
	var want []time.Time
	for _, step := range []struct {
		hours float64
		every time.Duration
		fills bool
	}{
		{9, 24 * time.Hour, false}, // joined within this slot
		{24.5, 24 * time.Hour, true},
		{25, 24 * time.Hour, false},
		{73, 24 * time.Hour, true}, // a slot missed is not made up
		{74, time.Hour, true},
		{74.5, time.Hour, false},
		{75, 24 * time.Hour, false}, // its slot began before the last that was served
		{97, 24 * time.Hour, true},
	} {
		w.now, w.every = at(step.hours), step.every
		if err := r.Work(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if step.fills {
			want = append(want, w.now)
		}
		if !slices.Equal(w.filled, want) {
			t.Fatalf("at hour %v: topped up at %v, want %v", step.hours, w.filled, want)
		}
	}
}
