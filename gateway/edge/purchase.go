package edge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// purchaseView is what a purchase came to.
type purchaseView struct {
	ID     string               `json:"id"`
	Reward gateway.RewardStatus `json:"reward"`
	Known  bool                 `json:"known"` // it was said before
}

// purchases answers POST /v1/launches/{l}/purchases: what a back end knows of a
// payment.
func (q *request) purchases() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	if err := q.authorizeServer(); err != nil {
		return err
	}
	if q.key == nil {
		return gateway.Refuse(gateway.Unauthorized)
	}
	var body struct {
		ID       string        `json:"id"`
		Event    string        `json:"event"`
		Subject  string        `json:"subject"`
		Amount   int           `json:"amount"`
		Currency string        `json:"currency"`
		Refunded int           `json:"refunded"`
		Dispute  disputeOfBody `json:"dispute"`
	}
	if err := q.read(&body); err != nil {
		return err
	}
	p := gateway.Payment{
		ID: body.ID, Event: body.Event, Amount: body.Amount, Currency: strings.ToLower(body.Currency), Refunded: body.Refunded,
		Dispute: body.Dispute.ID, State: gateway.DisputeState(body.Dispute.Status),
	}
	if body.Subject != "" {
		var err error
		if p.Subject, err = q.subjectOf(body.Subject); err != nil {
			return err
		}
	}
	return q.purchase(p)
}

type disputeOfBody struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// purchase tells the store of a payment and answers what it came to.
func (q *request) purchase(p gateway.Payment) error {
	e, err := q.server.config.Store.Purchase(q.server.running, q.launch.Name, p)
	if err != nil {
		return err
	}
	// Who told of it does not tell again once it was answered: it must last.
	if !q.lasts(e.Epoch, e.Position) {
		return &gateway.Error{Reason: gateway.Unavailable, RetryAfter: time.Second, Detail: "It is not stored durably yet. Send it again: it is never counted twice."}
	}
	if !e.News {
		q.outcome = outcomeReplayed
	}
	return q.json(fasthttp.StatusOK, purchaseView{p.ID, e.Status, !e.News})
}

// lasts waits until Postgres holds what was decided, and reports whether it
// does.
func (q *request) lasts(epoch, position uint64) bool {
	ctx, cancel := context.WithTimeout(q.server.running, q.server.config.PersistWait)
	defer cancel()
	return q.server.config.Persisted.Wait(ctx, q.launch.Name, epoch, position) == nil
}

// stripeTolerance is how old a signature may be.
const stripeTolerance = 5 * time.Minute

// stripe answers POST /v1/launches/{l}/hooks/stripe: an event that Stripe
// signed over the body as it was sent. An event that says nothing here is
// answered like the others, or it would come again for days.
func (q *request) stripe() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	raw := q.ctx.PostBody()
	if err := q.stripeSigned(raw); err != nil {
		return err
	}
	var event stripeEvent
	if err := json.Unmarshal(raw, &event); err != nil || event.ID == "" {
		return gateway.Invalid("", "This is not an event of Stripe's.")
	}
	p, ok := event.payment()
	if !ok {
		return q.json(fasthttp.StatusOK, map[string]string{"ignored": "nothing to reward, or no payment_intent, without which no refund could be told of it"})
	}
	if p.Subject != "" {
		subject, err := q.subjectOf(p.Subject)
		if err != nil {
			return q.json(fasthttp.StatusOK, map[string]string{"ignored": "its customer is nobody here"})
		}
		p.Subject = subject
	}
	if err := p.Validate(); err != nil {
		return q.json(fasthttp.StatusOK, map[string]string{"ignored": "no amount was paid"})
	}
	return q.purchase(p)
}

// stripeSigned checks Stripe-Signature: t=…,v1=…[,v1=…] over t.body, with any
// of the launch's secrets.
func (q *request) stripeSigned(body []byte) error {
	refused := &gateway.Error{Reason: gateway.Unauthorized, Detail: "The Stripe-Signature does not fit the body, or is older than five minutes."}
	secrets := q.server.config.StripeSecrets[q.launch.Name]
	header := string(q.ctx.Request.Header.Peek("Stripe-Signature"))
	if len(header) > 2048 || len(secrets) == 0 {
		return refused
	}
	stamp := ""
	var signatures [][]byte
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			if b, err := hex.DecodeString(value); err == nil {
				signatures = append(signatures, b)
			}
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if age := q.server.now().Sub(time.Unix(seconds, 0)); err != nil || age > stripeTolerance || age < -stripeTolerance {
		return refused
	}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		sum := mac.Sum(nil)
		for _, s := range signatures {
			if hmac.Equal(sum, s) {
				return nil
			}
		}
	}
	return refused
}

// stripeEvent is what is read of an event.
type stripeEvent struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	Data struct {
		Object struct {
			ID              string `json:"id"`
			PaymentIntent   string `json:"payment_intent"`
			PaymentStatus   string `json:"payment_status"`
			ClientReference string `json:"client_reference_id"`
			AmountTotal     int    `json:"amount_total"`
			AmountRefunded  int    `json:"amount_refunded"`
			Currency        string `json:"currency"`
			Status          string `json:"status"`
			Metadata        struct {
				Subject string `json:"subject"`
			} `json:"metadata"`
		} `json:"object"`
	} `json:"data"`
}

// payment is what the event says of a payment; false if it says nothing. A
// session without a payment intent, a subscription's, is none: refunds and
// disputes name the intent, and would not be known to be of this session.
func (e *stripeEvent) payment() (gateway.Payment, bool) {
	o := &e.Data.Object
	p := gateway.Payment{ID: o.PaymentIntent, Event: e.ID}
	if p.ID == "" {
		return p, false
	}
	switch e.Type {
	case "checkout.session.completed", "checkout.session.async_payment_succeeded":
		p.Subject, p.Amount, p.Currency = o.ClientReference, o.AmountTotal, strings.ToLower(o.Currency)
		if p.Subject == "" {
			p.Subject = o.Metadata.Subject
		}
		return p, p.Subject != "" && o.PaymentStatus != "unpaid"
	case "charge.refunded":
		p.Refunded = o.AmountRefunded
		return p, p.Refunded > 0
	case "charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated":
		p.Dispute, p.State = o.ID, gateway.DisputeOpen
		switch o.Status {
		case "won", "warning_closed":
			p.State = gateway.DisputeWon
		case "lost":
			p.State = gateway.DisputeLost
		}
		return p, true
	}
	return p, false
}

// gumroad answers POST /v1/launches/{l}/hooks/gumroad?token=…: a licence that
// was sold becomes a code of the campaign "licenses", and one that was refunded
// or disputed is revoked. Gumroad signs nothing: the token in the address is
// what it knows of us.
func (q *request) gumroad() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	token := string(q.ctx.QueryArgs().Peek("token"))
	known := false
	for _, secret := range q.server.config.GumroadTokens[q.launch.Name] {
		a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(secret))
		known = subtle.ConstantTimeCompare(a[:], b[:]) == 1 || known
	}
	if !known {
		return &gateway.Error{Reason: gateway.Unauthorized, Detail: "The token in this address is not the launch's."}
	}
	form, err := url.ParseQuery(string(q.ctx.PostBody()))
	if err != nil {
		return gateway.Invalid("", "Send the ping as a form.")
	}
	key := form.Get("license_key")
	if key == "" {
		return q.json(fasthttp.StatusOK, map[string]string{"ignored": "no license_key"})
	}
	code, err := gateway.ReadCode(key)
	if err != nil {
		return gateway.Invalid("license_key", err.Error())
	}
	withdrawn := form.Get("refunded") == "true" || form.Get("disputed") == "true" && form.Get("dispute_won") != "true"
	state, err := gateway.License(q.server.running, q.server.config.Store, q.launch, code, key, withdrawn)
	if err != nil {
		return err
	}
	return q.json(fasthttp.StatusOK, map[string]string{"license": string(state)})
}
