package syncer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"admitone/gateway"
	"admitone/sync/ledger"
)

type metrics struct {
	leader     prometheus.Gauge
	lagRecords *prometheus.GaugeVec
	lagSeconds *prometheus.GaugeVec
	stalled    *prometheus.GaugeVec
	position   *prometheus.GaugeVec
	events     *prometheus.CounterVec
	conflicts  *prometheus.CounterVec
	parked     *prometheus.CounterVec
	errors     *prometheus.CounterVec
	batch      prometheus.Histogram
	records    prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"launch"})
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"launch"}, labels...))
	}
	m := &metrics{
		leader:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "admitone_syncer_leader", Help: "1 while this process copies the journals."}),
		lagRecords: gauge("admitone_journal_lag_records", "Records read and not yet in Postgres."),
		lagSeconds: gauge("admitone_journal_lag_seconds", "Age of the newest record in Postgres when it came there; 0 when nothing waits."),
		stalled:    gauge("admitone_syncer_stalled", "1 while a launch's journal cannot be copied."),
		position:   gauge("admitone_journal_position", "Position of the launch's journal in Postgres."),
		events:     counter("admitone_syncer_events_total", "Events written to Postgres.", "kind"),
		conflicts:  counter("admitone_syncer_conflicts_total", "Events that the constraints of Postgres refused."),
		parked:     counter("admitone_syncer_parked_total", "Records put aside because they could not be read or applied."),
		errors:     counter("admitone_syncer_errors_total", "Times that copying a journal failed and began again.", "reason"),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "admitone_syncer_batch_duration_seconds", Help: "Time of a transaction.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		records: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "admitone_syncer_batch_records", Help: "Records in a transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
	}
	if r != nil {
		r.MustRegister(m.leader, m.lagRecords, m.lagSeconds, m.stalled, m.position, m.events, m.conflicts, m.parked, m.errors, m.batch, m.records)
	}
	return m
}

func (m *metrics) applied(launch string, records []gateway.Record, result ledger.Result, took time.Duration) {
	kinds := map[string]int{}
	for _, r := range records {
		for _, e := range r.Events {
			kinds[e.Kind()]++
		}
	}
	for kind, n := range kinds {
		m.events.WithLabelValues(launch, kind).Add(float64(n))
	}
	m.conflicts.WithLabelValues(launch).Add(float64(result.Conflicts))
	m.batch.Observe(took.Seconds())
	m.records.Observe(float64(len(records)))
	m.position.WithLabelValues(launch).Set(float64(records[len(records)-1].Seq))
}

func (m *metrics) lag(launch string, records int, age time.Duration) {
	m.lagRecords.WithLabelValues(launch).Set(float64(records))
	m.lagSeconds.WithLabelValues(launch).Set(age.Seconds())
}

// forget drops the gauges of a launch that this process copies no more.
func (m *metrics) forget(launch string) {
	for _, g := range []*prometheus.GaugeVec{m.lagRecords, m.lagSeconds, m.stalled, m.position} {
		g.DeleteLabelValues(launch)
	}
}
