package edge

import (
	"context"
	"errors"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

const redeemFields = 1<<fCode | 1<<fSubject | 1<<fEmail | 1<<fName | 1<<fSource | 1<<fMode | 1<<fIP | 1<<fChallenge

// redeem answers POST /v1/launches/{l}/redemptions.
func (q *request) redeem() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	if err := q.authorizeServer(); err != nil {
		return err
	}
	if q.launch.Policy.Subjects.NamedBy == gateway.NamedByServer && q.key == nil {
		return &gateway.Error{Reason: gateway.Unauthorized, Detail: "This launch takes redemptions from its back end only, with a server key."}
	}
	b, err := q.view(redeemFields)
	if err != nil {
		return err
	}
	durability, err := q.durability()
	if err != nil {
		return err
	}
	if err := q.readRedeem(&b); err != nil {
		if e, ok := errors.AsType[*gateway.Error](err); ok && e.Field == "code" && q.registers(gateway.Refuse(gateway.CodeUnknown)) {
			return nil
		}
		return err
	}
	r, err := q.server.config.Store.Redeem(q.server.running, q.launch.Name, &q.ask)
	if q.overflows(err) {
		return q.answerJoin(&gateway.Join{
			Email: q.ask.Email, Name: q.ask.Name, Source: q.ask.Source, Address: q.ask.Address, Proof: q.ask.Proof, Vouched: q.key != nil,
		}, durability, fasthttp.StatusAccepted)
	}
	if err != nil && q.registers(err) {
		return nil
	}
	if err != nil {
		return q.unsolved(err)
	}
	receipt, late := q.receipt(durability, r.Epoch, r.Position, r.Replayed)
	// A stranger who names the same subject and code is answered the same
	// redemption, but gets no token to speak for its subject; nor does who
	// brings another code in a member's name.
	q.token = q.token[:0]
	switch {
	case q.key != nil:
		q.token = q.server.config.Keyring.AppendMemberToken(q.token, q.launch.Name, q.ask.Subject, gateway.ID{}, q.server.now())
	case r.Proven && r.Founding:
		q.token = q.server.config.Keyring.AppendMemberToken(q.token, q.launch.Name, q.ask.Subject, r.ID, q.server.now())
	}
	q.out = q.appendRedemption(q.out[:0], &r, q.ask.Subject, text(q.token), receipt)
	if r.Replayed {
		q.outcome = outcomeReplayed
	}
	switch {
	case late:
		q.send(fasthttp.StatusAccepted)
	case r.Replayed:
		q.send(fasthttp.StatusOK)
	default:
		q.send(fasthttp.StatusCreated)
	}
	return nil
}

// overflows reports whether a refused redemption goes on the waitlist instead.
func (q *request) overflows(err error) bool {
	e, ok := err.(*gateway.Error)
	return ok && (e.Reason == gateway.CampaignFull || e.Reason == gateway.Paced) &&
		q.launch.Policy.Waitlist.Overflow == gateway.OverflowWaitlist && q.ask.Email != ""
}

// registers answers a redemption whose code cannot be used, where the policy
// takes it as a sign-up without a referral. It reports whether it did.
func (q *request) registers(err error) bool {
	e, refused := errors.AsType[*gateway.Error](err)
	if q.launch.Policy.Referrals.InvalidCode != gateway.InvalidCodeIgnore || !refused || !e.Reason.SpeaksOfCode() && e.Reason != gateway.AttemptsExceeded {
		return false
	}
	q.outcome = string(e.Reason)
	_ = q.json(fasthttp.StatusOK, struct { // two texts and a flag always marshal
		Status   string `json:"status"`
		Subject  string `json:"subject"`
		Referred bool   `json:"referred"`
		Message  string `json:"message"`
	}{"registered", q.ask.Subject, false, q.veiled(e).Sentence()})
	return true
}

// readRedeem fills q.ask.
func (q *request) readRedeem(b *body) (err error) {
	q.ask = gateway.Redeem{Name: b.value[fName], Source: b.value[fSource], Vouched: q.key != nil}
	if q.ask.Address, q.ask.Country, err = q.counted(b); err != nil {
		return err
	}
	switch b.value[fMode] {
	case "commit":
	case "hold":
		q.ask.Mode = gateway.Hold
	default:
		if b.given(fMode) {
			return gateway.Invalid("mode", `Use "commit" or "hold".`)
		}
	}
	if err := checkSource(q.ask.Source); err != nil {
		return err
	}
	if q.ask.Proof, err = q.proof(); err != nil {
		return err
	}
	who, mail, refusal := identify(&q.launch.Policy, b.value[fSubject], b.value[fEmail], b.given(fSubject), b.given(fEmail))
	if refusal != nil {
		return refusal
	}
	q.ask.Subject, q.ask.Email = who, mail
	if b.given(fCode) {
		if q.ask.Code, err = readCode(b.value[fCode]); err != nil {
			return err
		}
	} else if q.ask.Code = q.attributed(); q.ask.Code == "" {
		return gateway.Invalid("code", "Give a code, or follow an invitation link first.")
	}
	if b.given(fChallenge) {
		q.solve(b.value[fChallenge])
	}
	return nil
}

// checkSource takes a word that says where somebody comes from, or none.
func checkSource(s string) error {
	if len(s) > 50 {
		return gateway.Invalid("source", "Use at most 50 bytes.")
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return gateway.Invalid("source", "Use a–z, 0–9, _ and - only.")
		}
	}
	return nil
}

func readCode(s string) (gateway.Code, error) {
	code, err := gateway.ReadCode(s)
	if err != nil {
		return "", gateway.Invalid("code", err.Error())
	}
	return code, nil
}

// proof is the Idempotency-Key, with or without the quotes of a structured
// field; "" if there is none.
func (q *request) proof() (string, error) {
	p := q.head.proof
	if p == nil {
		return "", nil
	}
	if len(p) >= 2 && p[0] == '"' && p[len(p)-1] == '"' {
		p = p[1 : len(p)-1]
	}
	if !safe(p, "._~:+/=-") {
		return "", gateway.Invalid("Idempotency-Key", "Use 1 to 64 letters, digits and . _ ~ : + / = -.")
	}
	return string(p), nil
}

// durability is what the answer has to wait for: what the policy says, or more
// if the request asks for it, never less.
func (q *request) durability() (gateway.Durability, error) {
	wanted := gateway.DurabilityAccepted
	switch ack := q.head.ack; {
	case fold(ack, "persisted"):
		wanted = gateway.DurabilityPersisted
	case ack != nil && !fold(ack, "accepted"):
		return "", gateway.Invalid("Admit-Ack", "Use accepted or persisted.")
	}
	if q.launch.Policy.Ack == gateway.DurabilityPersisted {
		wanted = gateway.DurabilityPersisted
	}
	return wanted, nil
}

// receipt waits for the durability wanted, and tells which one was reached and
// whether the wait ran out. What was decided earlier may be in Postgres by now,
// whatever was asked for.
func (q *request) receipt(wanted gateway.Durability, epoch, position uint64, earlier bool) (r receipt, late bool) {
	r = receipt{gateway.DurabilityAccepted, position}
	if wanted == gateway.DurabilityAccepted && !earlier {
		return r, false
	}
	persisted := q.server.config.Persisted
	if !persisted.Reached(q.launch.Name, epoch, position) {
		if wanted == gateway.DurabilityAccepted {
			return r, false
		}
		ctx, cancel := context.WithTimeout(q.server.running, q.server.config.PersistWait)
		defer cancel()
		if persisted.Wait(ctx, q.launch.Name, epoch, position) != nil {
			return r, true
		}
	}
	r.durability = gateway.DurabilityPersisted
	return r, false
}
