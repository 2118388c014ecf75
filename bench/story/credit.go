package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

const stripeSecret = "whsec_of_this_story_only"

// ReferralCredit plays the referral programme of an AI gateway: ten dollars to
// both sides on the friend's first purchase of ten dollars.
func ReferralCredit(ctx context.Context, out io.Writer) error {
	return playReferralCredit(ctx, out, floodPurchases)
}

func playReferralCredit(ctx context.Context, out io.Writer, purchases int) error {
	secrets, remove, err := secretFile("referral-credit " + stripeSecret)
	if err != nil {
		return err
	}
	defer remove()
	c := &referralCredit{purchases: purchases}
	return tell(ctx, out, "referral-credit", "referral-credit.yaml", []string{"--stripe-secrets-file", secrets},
		c.code, c.register, c.purchase, c.deliveries, c.refunds, c.stats, c.behind, c.flood, c.reports)
}

type referralCredit struct {
	purchases int // of the flood
	mine      client.ReferralCode
}

func (c *referralCredit) code(t *tale, ctx context.Context) (err error) {
	if c.mine, err = t.server.ReferralCode(ctx, t.launch, "ann"); err != nil {
		return err
	}
	again, err := t.server.ReferralCode(ctx, t.launch, "ann")
	if err := errors.Join(err, want("the code when asked again", again.Code, c.mine.Code)); err != nil {
		return err
	}
	v, err := t.server.As("").ValidateReferral(ctx, t.launch, strings.ToLower(c.mine.Code))
	if err := errors.Join(err, want("validated", fmt.Sprint(v.Valid, v.RemainingUses), "true 10")); err != nil {
		return err
	}
	if strings.Contains(v.Message, "@") {
		return errors.New("a validation names the referrer")
	}
	t.fact("referral code", "%d characters, %d uses, one per user, made on demand; share link …/signup?ref=CODE: %v", len(c.mine.Code), c.mine.MaxUses,
		strings.HasSuffix(c.mine.ShareLink, "/signup?ref="+c.mine.Code))
	return want("length, uses and link", fmt.Sprint(len(c.mine.Code), c.mine.MaxUses, strings.HasSuffix(c.mine.ShareLink, "/signup?ref="+c.mine.Code)), "8 10 true")
}

func (c *referralCredit) register(t *tale, ctx context.Context) error {
	for i := range 10 {
		r, err := t.redeem(ctx, c.mine.Code, fmt.Sprint("friend", i))
		if err := errors.Join(err, want("referred", r.Referred, true)); err != nil {
			return err
		}
	}
	for _, code := range []string{c.mine.Code, "WRONG123", "!!"} {
		r, err := t.redeem(ctx, code, "stranger "+code)
		if err := errors.Join(err, want("registered without a referral", fmt.Sprintln(r.Status, r.Referred), "registered false\n")); err != nil {
			return err
		}
	}
	r, err := t.redeem(ctx, c.mine.Code, "ann")
	if err := errors.Join(err, want("one's own code", string(r.Status), "registered")); err != nil {
		return err
	}
	t.fact("registration", "10 friends by one code; the 11th, a wrong code and one's own: registered, no referral")
	return nil
}

// event is what Stripe would send, signed at a time.
func event(id, kind string, at time.Time, secret string, object map[string]any) (body []byte, signature string) {
	body = eventBody(id, kind, object)
	return body, sign(body, at, secret)
}

func eventBody(id, kind string, object map[string]any) []byte {
	body, _ := json.Marshal(map[string]any{"id": id, "type": kind, "data": map[string]any{"object": object}}) // words and numbers
	return body
}

// sign makes a Stripe-Signature.
func sign(body []byte, at time.Time, secret string) string {
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (c *referralCredit) stripe(t *tale, ctx context.Context, id, kind string, object map[string]any) (client.Purchased, error) {
	body, signature := event(id, kind, time.Now(), stripeSecret, object)
	return t.server.As("").Stripe(ctx, t.launch, body, signature)
}

func paid(payment, subject string, cents int) map[string]any {
	return map[string]any{"id": "cs_" + payment, "payment_intent": payment, "payment_status": "paid", "client_reference_id": subject, "amount_total": cents, "currency": "usd"}
}

// balance is what somebody has, in cents.
func balance(t *tale, ctx context.Context, subject string) (int, error) {
	if err := t.settled(ctx); err != nil {
		return 0, err
	}
	s, err := t.server.ReferralStats(ctx, t.launch, subject)
	sum := 0
	for _, m := range s.CurrentBalance {
		sum += m.Amount
	}
	return sum, err
}

func (t *tale) has(ctx context.Context, subject string, cents int) error {
	n, err := balance(t, ctx, subject)
	return errors.Join(err, want("cents of "+subject, n, cents))
}

func (c *referralCredit) purchase(t *tale, ctx context.Context) error {
	p, err := c.stripe(t, ctx, "evt_1", "checkout.session.completed", paid("pi_1", "friend0", 999))
	if err := errors.Join(err, want("$9.99", p.Reward, gateway.RewardNone)); err != nil {
		return err
	}
	p, err = c.stripe(t, ctx, "evt_2", "checkout.session.completed", paid("pi_2", "friend0", 1000))
	if err := errors.Join(err, want("$10.00", p.Reward, gateway.RewardPaid)); err != nil {
		return err
	}
	p, err = c.stripe(t, ctx, "evt_3", "checkout.session.completed", paid("pi_3", "friend0", 5000))
	if err := errors.Join(err, want("a second purchase", p.Reward, gateway.RewardPaid)); err != nil {
		return err
	}
	if err := errors.Join(t.has(ctx, "ann", 1000), t.has(ctx, "friend0", 1000)); err != nil {
		return err
	}
	p, err = c.stripe(t, ctx, "evt_4", "checkout.session.completed", paid("pi_4", "stranger WRONG123", 1000))
	if err := errors.Join(err, want("somebody whom nobody referred", p.Reward, gateway.RewardNone)); err != nil {
		return err
	}
	t.fact("rewards", "$9.99: none, the first that qualifies is still to come; $10.00: $10.00 to both sides; a second purchase: no more")
	return nil
}

func (c *referralCredit) deliveries(t *tale, ctx context.Context) error {
	var crowd sync.WaitGroup
	var mu sync.Mutex
	var failed error
	news := 0
	for i := range 25 { // five events of five friends, five times each, at once
		crowd.Go(func() {
			p, err := c.stripe(t, ctx, fmt.Sprint("evt_f", i%5), "checkout.session.completed", paid(fmt.Sprint("pi_f", i%5), fmt.Sprint("friend", 1+i%5), 1500))
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			if !p.Known {
				news++
			}
		})
	}
	crowd.Wait()
	if err := errors.Join(failed, want("purchases that were news", news, 5), t.has(ctx, "ann", 6000)); err != nil {
		return err
	}
	// Whoever does not know the secret, or repeats an old delivery, says nothing.
	body, signature := event("evt_x", "checkout.session.completed", time.Now(), "whsec_guessed", paid("pi_x", "friend6", 9000))
	_, forged := t.server.As("").Stripe(ctx, t.launch, body, signature)
	body, signature = event("evt_y", "checkout.session.completed", time.Now().Add(-301*time.Second), stripeSecret, paid("pi_y", "friend6", 9000))
	_, old := t.server.As("").Stripe(ctx, t.launch, body, signature)
	_, unkeyed := t.server.As("").Purchase(ctx, t.launch, client.Purchase{ID: "z", Subject: "friend6", Amount: 9000, Currency: "usd"})
	if err := errors.Join(refused("a forged signature", forged, gateway.Unauthorized), refused("a signature of 301 s ago", old, gateway.Unauthorized),
		refused("a purchase without a key", unkeyed, gateway.Unauthorized), t.has(ctx, "friend6", 0)); err != nil {
		return err
	}
	t.fact("deliveries", "5 events delivered 5 times each at once: 5 rewards; forged, 301 s old or without a key: unauthorized")
	return nil
}

func (c *referralCredit) refunds(t *tale, ctx context.Context) error {
	// friend6: the refund arrives before the purchase.
	if _, err := c.stripe(t, ctx, "evt_r6", "charge.refunded", map[string]any{"id": "ch_6", "payment_intent": "pi_6", "amount_refunded": 2000}); err != nil {
		return err
	}
	p, err := c.stripe(t, ctx, "evt_p6", "checkout.session.completed", paid("pi_6", "friend6", 2000))
	if err := errors.Join(err, want("refunded before it was bought", p.Reward, gateway.RewardNone)); err != nil {
		return err
	}
	// friend1: refunded after the reward.
	p, err = c.stripe(t, ctx, "evt_r1", "charge.refunded", map[string]any{"id": "ch_1", "payment_intent": "pi_f0", "amount_refunded": 1500})
	if err := errors.Join(err, want("a refund", p.Reward, gateway.RewardReversed), t.has(ctx, "ann", 5000), t.has(ctx, "friend1", 0)); err != nil {
		return err
	}
	// friend2: disputed, and the dispute is won.
	dispute := map[string]any{"id": "dp_2", "payment_intent": "pi_f1", "status": "needs_response"}
	p, err = c.stripe(t, ctx, "evt_d2", "charge.dispute.created", dispute)
	if err := errors.Join(err, want("a dispute", p.Reward, gateway.RewardReversed), t.has(ctx, "ann", 4000)); err != nil {
		return err
	}
	dispute["status"] = "won"
	p, err = c.stripe(t, ctx, "evt_d2e", "charge.dispute.closed", dispute)
	if err := errors.Join(err, want("a dispute that is won", p.Reward, gateway.RewardPaid), t.has(ctx, "ann", 5000), t.has(ctx, "friend2", 1000)); err != nil {
		return err
	}
	t.fact("clawback", "refund: −$10.00 on both sides; dispute: −$10.00, won: +$10.00; a refund before its purchase: nothing")
	return nil
}

func (c *referralCredit) stats(t *tale, ctx context.Context) error {
	if err := t.settled(ctx); err != nil {
		return err
	}
	s, err := t.server.ReferralStats(ctx, t.launch, "ann")
	if err != nil {
		return err
	}
	friend, err := t.server.ReferralStats(ctx, t.launch, "friend0")
	if err := errors.Join(err, want("referred by", friend.ReferredByCode, c.mine.Code)); err != nil {
		return err
	}
	t.fact("stats", "%d referrals, %d of %d uses left, earned %v, balance %v, %d friends listed", s.TotalReferrals, s.RemainingUses, s.MaxUses, s.TotalEarned, s.CurrentBalance, len(s.Referrals))
	return want("stats", fmt.Sprint(s.TotalReferrals, s.RemainingUses, s.CurrentBalance, len(s.Referrals)), "10 0 [{5000 usd}] 10")
}
