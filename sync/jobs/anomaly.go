package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"admitone/gateway"
)

// AnomalyLedger is what the search for anomalies asks of Postgres.
type AnomalyLedger interface {
	launches
	CountActivity(ctx context.Context, launch string, now time.Time) error
	Activity(ctx context.Context, launch string, since time.Time) ([]gateway.Activity, error)
	BusiestAddresses(ctx context.Context, launch string, since time.Time, least int) (map[string]int, error)
	KeepAnomalies(ctx context.Context, launch string, now time.Time, list []gateway.Anomaly, quiet time.Duration, with func(tx pgx.Tx, began, ended []gateway.Anomaly) error) error
}

const (
	anomalyEvery = time.Minute
	anomalyQuiet = 15 * time.Minute // after which one that is not seen has ended
)

type anomalyArgs struct{}

// Kind names the job in River's table.
func (anomalyArgs) Kind() string { return "anomalies" }

// detective looks for what is unusual in every launch. One that it cannot look
// at now it looks at a minute later.
type detective struct {
	river.WorkerDefaults[anomalyArgs]
	store   Store
	ledger  AnomalyLedger
	hooks   *webhooks
	log     *slog.Logger
	metrics *prometheus.CounterVec
}

func newAnomalyMetrics(r prometheus.Registerer) *prometheus.CounterVec {
	m := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "admitone_anomalies_total", Help: "Anomalies that began, by kind: spike, failures, address, geography or source.",
	}, []string{"launch", "kind"})
	if r != nil {
		r.MustRegister(m)
	}
	return m
}

func (d *detective) Work(ctx context.Context, _ *river.Job[anomalyArgs]) error {
	names, err := d.ledger.Launches(ctx)
	for _, name := range names {
		l, away := d.store.Launch(ctx, name)
		if away != nil {
			continue // not admitted now, or gone
		}
		if one := d.look(ctx, l, time.Now().Add(l.Ahead)); one != nil {
			err = errors.Join(err, fmt.Errorf("jobs: anomalies of %s: %w", name, one))
		}
	}
	return err
}

// look finds what is unusual in a launch, and notes it.
func (d *detective) look(ctx context.Context, l *gateway.Launch, now time.Time) error {
	p := &l.Policy.Anomalies
	if err := d.ledger.CountActivity(ctx, l.Name, now); err != nil {
		return err
	}
	activity, err := d.ledger.Activity(ctx, l.Name, now.Add(-shiftBack))
	if err != nil {
		return err
	}
	found := detect(p, activity, now)
	if p.PerAddress.Count > 0 {
		busy, err := d.ledger.BusiestAddresses(ctx, l.Name, now.Add(-time.Duration(p.PerAddress.Window)), p.PerAddress.Count)
		if err != nil {
			return err
		}
		for _, address := range slices.Sorted(maps.Keys(busy)) {
			found = append(found, gateway.Anomaly{Kind: gateway.AnomalyAddress, Subject: address, Value: float64(busy[address]), Bound: float64(p.PerAddress.Count)})
		}
	}
	for i := range found {
		found[i].ID = gateway.NewID(now)
	}
	var began []gateway.Anomaly
	err = d.ledger.KeepAnomalies(ctx, l.Name, now, found, anomalyQuiet, func(tx pgx.Tx, fresh, ended []gateway.Anomaly) error {
		began = fresh
		return d.hooks.announce(ctx, tx, l.Name, announceAnomalies(fresh, ended))
	})
	if err != nil {
		return err
	}
	for _, a := range began {
		d.metrics.WithLabelValues(l.Name, string(a.Kind)).Inc()
		d.log.Warn("something is unusual", "launch", l.Name, "anomaly", a.Kind, "value", a.Value, "bound", a.Bound)
	}
	return nil
}

func announceAnomalies(began, ended []gateway.Anomaly) []announcement {
	var list []announcement
	for _, a := range began {
		list = append(list, announcement{kind: gateway.AnomalyBegan, at: a.BeganAt, data: func(*gateway.WebhookLookup) map[string]any { return gateway.AnomalyData(a) }})
	}
	for _, a := range ended {
		list = append(list, announcement{kind: gateway.AnomalyEnded, at: a.EndedAt, data: func(*gateway.WebhookLookup) map[string]any { return gateway.AnomalyData(a) }})
	}
	return list
}
