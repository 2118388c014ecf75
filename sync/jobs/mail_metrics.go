package jobs

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mailMetrics are what is counted of e-mail, and what waits.
type mailMetrics struct {
	mails  *prometheus.CounterVec
	ledger MailLedger
	queued *prometheus.Desc
	oldest *prometheus.Desc
}

func newMailMetrics(r prometheus.Registerer, l MailLedger) *mailMetrics {
	m := &mailMetrics{
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_mails_total", Help: "Attempts to send an e-mail by what became of it: sent, deferred (tried again), dead or suppressed.",
		}, []string{"launch", "kind", "status"}),
		ledger: l,
		queued: prometheus.NewDesc("admitone_mails_queued", "E-mails that wait to be sent, in all gateways.", []string{"launch"}, nil),
		oldest: prometheus.NewDesc("admitone_mails_oldest_seconds", "How long the e-mail that waits longest has waited.", []string{"launch"}, nil),
	}
	if r != nil {
		r.MustRegister(m.mails, m)
	}
	return m
}

// Describe is prometheus.Collector's.
func (m *mailMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.queued; to <- m.oldest }

// Collect asks Postgres, once a scrape. It tells nothing when that does not
// answer.
func (m *mailMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	depths, err := m.ledger.MailDepths(ctx)
	if err != nil {
		return
	}
	for launch, d := range depths {
		to <- prometheus.MustNewConstMetric(m.queued, prometheus.GaugeValue, float64(d.Queued), launch)
		to <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, max(time.Since(d.Oldest).Seconds(), 0), launch)
	}
}
