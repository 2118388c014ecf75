package edge

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the edge tells Prometheus. No label holds anything that a
// caller can choose.
type metrics struct {
	requests    *prometheus.CounterVec // route, outcome: ok, replayed or the true reason of the refusal
	inFlight    prometheus.Gauge
	connections prometheus.Gauge
	streams     prometheus.Gauge
	turnedAway  *prometheus.CounterVec // limit

	// The children of hot paths, so that observing allocates nothing.
	ok       [routeCount]prometheus.Counter
	duration [routeCount]prometheus.Observer
	replayed prometheus.Counter                                        // redemptions
	refused  [routeCount]atomic.Pointer[map[string]prometheus.Counter] // by reason, those met so far
}

const (
	outcomeOK       = "ok"
	outcomeReplayed = "replayed"
)

// buckets go from an answer out of memory to one that waited for Postgres.
var buckets = []float64{.00025, .0005, .001, .002, .004, .008, .016, .032, .064, .128, .25, .5, 1, 2.5, 5, 10}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_http_requests_total", Help: "Public requests by route and outcome: ok, replayed or the refusal's reason.",
		}, []string{"route", "outcome"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "admitone_http_requests_in_flight", Help: "Public requests being worked on.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "admitone_http_connections", Help: "Open connections of the public listener.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "admitone_http_streams", Help: "Open streams of places in line.",
		}),
		turnedAway: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_http_connections_refused_total", Help: "Connections refused by a limit: total or address.",
		}, []string{"limit"}),
	}
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "admitone_http_request_duration_seconds", Help: "Time from a request's last byte to its answer's first.", Buckets: buckets,
	}, []string{"route"})
	for i := range m.duration {
		name := routes[i].name
		m.duration[i] = duration.WithLabelValues(name)
		m.ok[i] = m.requests.WithLabelValues(name, outcomeOK)
	}
	m.replayed = m.requests.WithLabelValues(routes[routeRedeem].name, outcomeReplayed)
	if r != nil {
		r.MustRegister(m.requests, m.inFlight, m.connections, m.streams, m.turnedAway, duration)
	}
	return m
}

// count records a request that was answered.
func (m *metrics) count(r route, outcome string, took time.Duration) {
	m.duration[r].Observe(took.Seconds())
	switch outcome {
	case outcomeOK:
		m.ok[r].Inc()
	case outcomeReplayed:
		m.replayed.Inc()
	default:
		m.refusal(r, outcome).Inc()
	}
}

// refusal is the counter of a route's refusals for a reason. Reasons are few,
// so the map is copied when one is met for the first time.
func (m *metrics) refusal(r route, reason string) prometheus.Counter {
	for {
		known := m.refused[r].Load()
		if known != nil {
			if c := (*known)[reason]; c != nil {
				return c
			}
		}
		more := map[string]prometheus.Counter{}
		if known != nil {
			maps.Copy(more, *known)
		}
		more[reason] = m.requests.WithLabelValues(routes[r].name, reason)
		if m.refused[r].CompareAndSwap(known, &more) {
			return more[reason]
		}
	}
}
