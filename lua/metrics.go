package lua

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	scripts    *prometheus.HistogramVec
	failures   *prometheus.CounterVec
	batch      *prometheus.HistogramVec
	turnedAway *prometheus.CounterVec
	breaches   *prometheus.CounterVec
	unkept     prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
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
	if r != nil {
		r.MustRegister(m.unkept, m.scripts, m.failures, m.batch, m.turnedAway, m.breaches)
	}
	return m
}

func (m *metrics) script(name string, took time.Duration, err error) {
	m.scripts.WithLabelValues(name).Observe(took.Seconds())
	if err != nil {
		m.failures.WithLabelValues(name).Inc()
	}
}
