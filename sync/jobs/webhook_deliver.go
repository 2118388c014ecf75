package jobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"admitone/gateway"
)

// webhookQueue has workers of its own, so that an endpoint which is slow never
// delays a minting.
const (
	webhookQueue    = "webhooks"
	webhookWorkers  = 48
	webhookEach     = 12   // attempts in flight to one endpoint, in this process
	deliverAttempts = 1000 // of the job; those of the delivery are counted in its row
	excerpt         = 1024 // bytes of an answer that are kept
)

// webhookWaits are how long to wait before the second, third … attempt; the
// last one is 3 days after the first. Each comes with jitter.
var webhookWaits = [...]time.Duration{
	5 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 20 * time.Hour,
}

// webhookWait is how long to wait after so many attempts; false when there is
// no further one. Up to a tenth is added or taken away.
func webhookWait(attempts int) (time.Duration, bool) {
	if attempts < 1 || attempts > len(webhookWaits) {
		return 0, false
	}
	wait := webhookWaits[attempts-1]
	return wait - wait/10 + rand.N(wait/5), true
}

type deliverArgs struct {
	ID gateway.ID `json:"id"`
}

// Kind names the job in River's table.
func (deliverArgs) Kind() string { return "webhook" }

// InsertOpts names the queue, and how often the job is tried.
func (deliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: webhookQueue, MaxAttempts: deliverAttempts}
}

// deliverer attempts deliveries. A process that is killed between an answer
// and the row that notes it attempts the same delivery again, under the same
// webhook-id.
type deliverer struct {
	river.WorkerDefaults[deliverArgs]
	ledger   WebhookLedger
	keyring  Keyring
	outbound *outbound
	log      *slog.Logger
	metrics  *webhookMetrics

	mu       sync.Mutex
	inFlight map[gateway.ID]int // attempts, by endpoint
}

// Timeout bounds an attempt with all that is around it.
func (d *deliverer) Timeout(*river.Job[deliverArgs]) time.Duration {
	return outboundTimeout + 15*time.Second
}

// NextRetry is for what keeps the ledger from being asked: a Postgres that
// restarts.
func (d *deliverer) NextRetry(job *river.Job[deliverArgs]) time.Time { return backoff(job.Attempt) }

func (d *deliverer) Work(ctx context.Context, job *river.Job[deliverArgs]) error {
	w, err := d.ledger.Dispatch(ctx, job.Args.ID)
	switch {
	case errors.Is(err, gateway.Refuse(gateway.NotFound)):
		return nil // the endpoint was deleted
	case err != nil:
		return err
	case w.Delivery.State != gateway.WebhookPending:
		return nil
	case !w.Endpoint.DisabledAt.IsZero():
		return d.ledger.Undelivered(ctx, w.Delivery.ID, "the endpoint is disabled")
	}
	if wait := time.Until(w.Delivery.NextAt); wait > time.Second {
		return river.JobSnooze(wait) // a second job of the same delivery
	}
	if !d.begin(w.Endpoint.ID) {
		return river.JobSnooze(time.Second + rand.N(time.Second))
	}
	defer d.end(w.Endpoint.ID)

	secrets, err := d.secrets(&w)
	if err != nil {
		return d.ledger.Undelivered(ctx, w.Delivery.ID, "the endpoint's secret does not open; rotate it")
	}
	outcome := d.attempt(ctx, &w, secrets)
	if ctx.Err() != nil {
		return ctx.Err() // stopped in the middle: this attempt was none
	}
	wait, disable := settleAttempt(&w, outcome)
	if disable != "" {
		d.log.Warn("a webhook endpoint is disabled", "endpoint", w.Endpoint.ID, "reason", disable)
		d.metrics.disabled.WithLabelValues(disable).Inc()
	}
	d.metrics.attempts.WithLabelValues(outcome.word).Inc()
	d.metrics.duration.Observe(outcome.took.Seconds())
	if err := d.ledger.Attempted(context.WithoutCancel(ctx), w.Endpoint.ID, w.Delivery, disable); err != nil || w.Delivery.State != gateway.WebhookPending {
		return err
	}
	return river.JobSnooze(wait)
}

// begin takes one of the endpoint's places; false when all are taken.
func (d *deliverer) begin(endpoint gateway.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inFlight[endpoint] >= webhookEach {
		return false
	}
	d.inFlight[endpoint]++
	return true
}

func (d *deliverer) end(endpoint gateway.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inFlight[endpoint]--; d.inFlight[endpoint] == 0 {
		delete(d.inFlight, endpoint)
	}
}

// secrets are the endpoint's, the newest first.
func (d *deliverer) secrets(w *gateway.WebhookDispatch) ([]string, error) {
	var list []string
	for _, sealed := range []string{w.Secret, w.Previous} {
		if sealed == "" {
			continue
		}
		secret, err := d.keyring.Open(webhookSeal(w.Endpoint.ID), []byte(sealed))
		if err != nil {
			return nil, err
		}
		list = append(list, string(secret))
	}
	return list, nil
}

// outcome is what came of one attempt.
type outcome struct {
	word     string // delivered, refused, gone, redirect or unreachable: the metric's label
	status   int
	err      string
	after    time.Duration // what the receiver asked to wait
	response string
	took     time.Duration
}

// attempt sends the message once.
func (d *deliverer) attempt(ctx context.Context, w *gateway.WebhookDispatch, secrets []string) outcome {
	began := time.Now()
	id := w.Delivery.Message.String()
	signature, err := sign(id, began, w.Body, secrets...)
	if err != nil {
		return outcome{word: "unreachable", err: "the endpoint's secret cannot sign; rotate it"}
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Endpoint.URL, bytes.NewReader(w.Body))
	if err != nil {
		return outcome{word: "unreachable", err: "the URL is not valid"}
	}
	q.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"AdmitOne-Webhooks"},
		"Webhook-Id": {id}, "Webhook-Timestamp": {strconv.FormatInt(began.Unix(), 10)}, "Webhook-Signature": {signature},
	}
	response, err := d.outbound.client.Do(q)
	if err != nil {
		return outcome{word: "unreachable", err: why(err), took: time.Since(began)}
	}
	defer response.Body.Close()
	// What cannot be read of the answer does not matter: its status is known.
	body, _ := io.ReadAll(io.LimitReader(response.Body, excerpt))
	o := outcome{word: "refused", status: response.StatusCode, response: string(body), took: time.Since(began)}
	switch s := response.StatusCode; {
	case s >= 200 && s < 300:
		o.word = "delivered"
	case s == http.StatusGone:
		o.word, o.err = "gone", "the endpoint says that it is gone"
	case s >= 300 && s < 400:
		o.word, o.err = "redirect", "redirects are not followed"
	default:
		o.err = "the endpoint answered " + strconv.Itoa(s)
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			o.after = min(time.Duration(seconds)*time.Second, 24*time.Hour)
		}
	}
	return o
}

// settleAttempt writes an outcome into the delivery, and says when the next
// attempt is and why the endpoint is disabled.
func settleAttempt(w *gateway.WebhookDispatch, o outcome) (wait time.Duration, disable string) {
	d := &w.Delivery
	d.Status, d.Error, d.Response, d.Millis, d.NextAt = o.status, o.err, o.response, int(o.took.Milliseconds()), time.Time{}
	if o.word == "delivered" {
		d.State = gateway.WebhookDelivered
		return 0, ""
	}
	wait, again := webhookWait(w.Round + 1)
	switch {
	case o.word == "gone":
		d.State = gateway.WebhookFailed
		return 0, gateway.WebhookGone
	case !w.Endpoint.Failing.IsZero() && time.Since(w.Endpoint.Failing) > gateway.WebhookFailingFor:
		d.State = gateway.WebhookFailed
		return 0, gateway.WebhookFailing
	case !again:
		d.State = gateway.WebhookFailed
		return 0, ""
	}
	wait = max(wait, o.after)
	d.NextAt = time.Now().Add(wait)
	return wait, ""
}

type webhookMetrics struct {
	attempts *prometheus.CounterVec
	disabled *prometheus.CounterVec
	duration prometheus.Histogram
}

func newWebhookMetrics(r prometheus.Registerer) *webhookMetrics {
	m := &webhookMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_webhook_attempts_total", Help: "Attempts to deliver a webhook by outcome: delivered, refused, gone, redirect or unreachable.",
		}, []string{"outcome"}),
		disabled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "admitone_webhook_endpoints_disabled_total", Help: "Webhook endpoints that were disabled, by reason: gone or failing.",
		}, []string{"reason"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "admitone_webhook_duration_seconds", Help: "Time of an attempt to deliver a webhook.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
	}
	if r != nil {
		r.MustRegister(m.attempts, m.disabled, m.duration)
	}
	return m
}
