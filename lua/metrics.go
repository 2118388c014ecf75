package lua

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"admitone/gateway"
)

type metrics struct {
	scripts    *prometheus.HistogramVec
	failures   *prometheus.CounterVec
	batch      *prometheus.HistogramVec
	turnedAway *prometheus.CounterVec
	breaches   *prometheus.CounterVec
	unkept     prometheus.Counter
	behind     *prometheus.GaugeVec
	bytes      *prometheus.GaugeVec
	kept       *prometheus.GaugeVec
}

func newMetrics(r prometheus.Registerer, journalBytes uint64) *metrics {
	m := &metrics{
		scripts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "admitone_script_duration_seconds", Help: "Time of a script call, the network included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}, []string{"script"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_script_failures_total", Help: "Script calls that Redis did not answer or answered with an error.",
		}, []string{"script"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "admitone_batch_items", Help: "Items that left together in one script call.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}, []string{"verb"}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_queue_refused_total", Help: "Items refused because too many waited for a script call.",
		}, []string{"verb"}),
		breaches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_fence_breaches_total", Help: "Times that Redis did not hold the admitted history of a launch.",
		}, []string{"breach"}),
	}
	m.unkept = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "admitone_witness_unkept_total", Help: "Answers that Redis lost and could not take again.",
	})
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"launch"})
	}
	m.behind = gauge("admitone_journal_behind_seconds", "For how long Redis has been ahead of Postgres, whoever copies; 0 when it is not.")
	m.bytes = gauge("admitone_journal_behind_bytes", "Bytes of journal that Postgres does not hold.")
	m.kept = gauge("admitone_witness_answers", "Answers of this process that Postgres may not hold.")
	if r != nil {
		most := prometheus.NewGauge(prometheus.GaugeOpts{Name: "admitone_journal_behind_bytes_most", Help: "Bytes of journal that Postgres may lack before new work is refused."})
		most.Set(float64(journalBytes))
		r.MustRegister(most, m.behind, m.bytes, m.kept, m.unkept, m.scripts, m.failures, m.batch, m.turnedAway, m.breaches)
	}
	return m
}

func (m *metrics) script(name string, took time.Duration, err error) {
	m.scripts.WithLabelValues(name).Observe(took.Seconds())
	if err != nil {
		m.failures.WithLabelValues(name).Inc()
	}
}

// backlog notes how far Postgres is behind a launch's journal.
func (m *metrics) backlog(l *launch, at gateway.Position, now time.Time) {
	l.mark.Lock()
	defer l.mark.Unlock()
	if at.Persisted >= l.mark.position {
		l.mark.position, l.mark.at = at.Seq, now
	}
	behind := time.Duration(0)
	if at.Entries > 0 {
		behind = now.Sub(l.mark.at)
	}
	m.behind.WithLabelValues(l.name).Set(behind.Seconds())
	m.bytes.WithLabelValues(l.name).Set(float64(at.Bytes))
	m.kept.WithLabelValues(l.name).Set(float64(l.witness.size.Load()))
}

// mark is a position that the journal had reached at a time, and that Postgres
// did not hold when it was last looked at.
type mark struct {
	sync.Mutex
	position uint64
	at       time.Time
}
