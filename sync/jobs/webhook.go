package jobs

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"admitone/gateway"
	"admitone/sync/ledger"
)

// WebhookLedger is what webhooks ask of Postgres.
type WebhookLedger interface {
	CreateWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint, secret []byte) error
	Webhook(ctx context.Context, launch string, id gateway.ID) (gateway.WebhookEndpoint, error)
	PutWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint) error
	RotateWebhook(ctx context.Context, launch string, id gateway.ID, secret []byte, until time.Time) error
	ReplayWebhook(ctx context.Context, launch string, endpoint gateway.ID, r gateway.WebhookReplay, limit int, with func(pgx.Tx, []gateway.ID) error) error
	WebhookListeners(ctx context.Context, tx pgx.Tx, launch string) ([]gateway.WebhookEndpoint, error)
	WebhookLookup(ctx context.Context, tx pgx.Tx, launch string, refs gateway.WebhookRefs) (gateway.WebhookLookup, error)
	TellWebhooks(ctx context.Context, tx pgx.Tx, launch string, list []ledger.Told) error
	Dispatch(ctx context.Context, id gateway.ID) (gateway.WebhookDispatch, error)
	Attempted(ctx context.Context, endpoint gateway.ID, d gateway.WebhookDelivery, disable string) error
	Undelivered(ctx context.Context, id gateway.ID, cause string) error
}

// webhooks turns events into deliveries: a row and a job for each endpoint that
// asks for the event, in the transaction that applies it. So each event has
// exactly one delivery to each endpoint, however often it is attempted.
type webhooks struct {
	ledger WebhookLedger
	insert func(ctx context.Context, tx pgx.Tx, deliveries []gateway.ID) error
}

// announcement is an event that somebody is told of.
type announcement struct {
	kind string
	at   time.Time
	data func(*gateway.WebhookLookup) map[string]any
	of   gateway.Event // whose rows are looked up; nil if none are
}

// Follow implements ledger.Follower.
func (w *webhooks) Follow(ctx context.Context, tx pgx.Tx, launch string, events []gateway.Placed) error {
	var list []announcement
	for _, e := range events {
		kind := gateway.WebhookType(e.Event)
		if kind == "" {
			continue
		}
		list = append(list, announcement{kind, e.At, func(l *gateway.WebhookLookup) map[string]any { return gateway.WebhookData(e.Event, l) }, e.Event})
	}
	return w.announce(ctx, tx, launch, list)
}

// announce keeps what the launch's endpoints are to be told.
func (w *webhooks) announce(ctx context.Context, tx pgx.Tx, launch string, list []announcement) error {
	if len(list) == 0 {
		return nil
	}
	listeners, err := w.ledger.WebhookListeners(ctx, tx, launch)
	if err != nil || len(listeners) == 0 {
		return err
	}
	list = slices.DeleteFunc(list, func(a announcement) bool {
		return !slices.ContainsFunc(listeners, func(e gateway.WebhookEndpoint) bool { return e.Wants(a.kind) })
	})
	if len(list) == 0 {
		return nil
	}
	var refs gateway.WebhookRefs
	for _, a := range list {
		refs.Add(a.of)
	}
	look, err := w.ledger.WebhookLookup(ctx, tx, launch, refs)
	if err != nil {
		return err
	}
	told := make([]ledger.Told, 0, len(list))
	var deliveries []gateway.ID
	for _, a := range list {
		t, err := a.told(launch, listeners, look)
		if err != nil {
			return err
		}
		for _, id := range t.To {
			deliveries = append(deliveries, id)
		}
		told = append(told, t)
	}
	if err := w.ledger.TellWebhooks(ctx, tx, launch, told); err != nil {
		return err
	}
	return w.insert(ctx, tx, deliveries)
}

// told writes the message of an announcement and says whom it goes to.
func (a *announcement) told(launch string, listeners []gateway.WebhookEndpoint, look gateway.WebhookLookup) (ledger.Told, error) {
	now := time.Now()
	t := ledger.Told{To: map[gateway.ID]gateway.ID{}, WebhookMessage: gateway.WebhookMessage{ID: gateway.NewID(now), Type: a.kind, At: a.at, Subject: gateway.WebhookSubject(a.of)}}
	reveal := false
	for _, e := range listeners {
		if e.Wants(a.kind) {
			t.To[e.ID] = gateway.NewID(now)
			reveal = reveal || e.Codes
		}
	}
	var err error
	if t.Body, err = a.body(launch, look, false); err == nil && reveal {
		t.Revealed, err = a.body(launch, look, true)
	}
	return t, err
}

func (a *announcement) body(launch string, look gateway.WebhookLookup, reveal bool) ([]byte, error) {
	look.Reveal = reveal
	data := a.data(&look)
	data["launch"] = launch
	return json.Marshal(struct {
		Type      string         `json:"type"`
		Timestamp time.Time      `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}{a.kind, a.at.UTC(), data})
}

// webhookSeal is what an endpoint's secret is sealed for.
func webhookSeal(id gateway.ID) string { return "webhook " + id.String() }

// CreateWebhook makes an endpoint of what the caller gave, and returns it with
// its secret, which is told once. Its errors are invalid_request and conflict.
func (q *Queue) CreateWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint) (gateway.WebhookEndpoint, string, error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	e.ID, e.Created = gateway.NewID(now), now
	if err := q.validWebhook(&e); err != nil {
		return e, "", err
	}
	secret := newWebhookSecret()
	return e, secret, q.hooks.CreateWebhook(ctx, launch, e, q.keyring.Seal(nil, webhookSeal(e.ID), []byte(secret)))
}

func (q *Queue) validWebhook(e *gateway.WebhookEndpoint) error {
	if err := e.Validate(); err != nil {
		return err
	}
	return q.outbound.takes("url", e.URL)
}

// PutWebhook changes an endpoint. Its errors are invalid_request and
// not_found.
func (q *Queue) PutWebhook(ctx context.Context, launch string, e gateway.WebhookEndpoint) error {
	if err := q.validWebhook(&e); err != nil {
		return err
	}
	return q.hooks.PutWebhook(ctx, launch, e)
}

// RotateWebhook gives an endpoint another secret and returns it. Until overlap
// is over, the one before signs too.
func (q *Queue) RotateWebhook(ctx context.Context, launch string, id gateway.ID, overlap time.Duration) (string, error) {
	secret := newWebhookSecret()
	return secret, q.hooks.RotateWebhook(ctx, launch, id, q.keyring.Seal(nil, webhookSeal(id), []byte(secret)), time.Now().Add(overlap))
}

// replayMost bounds one replay, in deliveries.
const replayMost = 10_000

// ReplayWebhook sends deliveries again, and returns how many: 10,000 at most.
// It returns not_found for an endpoint or a delivery that does not exist.
func (q *Queue) ReplayWebhook(ctx context.Context, launch string, endpoint gateway.ID, r gateway.WebhookReplay) (n int, err error) {
	e, err := q.hooks.Webhook(ctx, launch, endpoint)
	if err != nil {
		return 0, err
	}
	if !e.DisabledAt.IsZero() {
		return 0, &gateway.Error{Reason: gateway.Conflict, Detail: "This endpoint is disabled: enable it first."}
	}
	err = q.hooks.ReplayWebhook(ctx, launch, endpoint, r, replayMost, func(tx pgx.Tx, ids []gateway.ID) error {
		n = len(ids)
		return q.deliver(ctx, tx, ids)
	})
	if err == nil && n == 0 && r.Delivery != (gateway.ID{}) {
		return 0, &gateway.Error{Reason: gateway.NotFound, Field: "delivery", Detail: "There is no such delivery of this endpoint, or it is still on its way."}
	}
	return n, err
}

// deliver makes jobs of deliveries, in a transaction.
func (q *Queue) deliver(ctx context.Context, tx pgx.Tx, deliveries []gateway.ID) error {
	list := make([]river.JobArgs, len(deliveries))
	for i, id := range deliveries {
		list[i] = deliverArgs{id}
	}
	return q.insertManyTx(ctx, tx, list)
}
