package edge

import (
	"time"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// inviteView is an invite as the API shows it.
type inviteView struct {
	Code      string    `json:"code"`
	Link      string    `json:"link"`
	Recipient string    `json:"recipient,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// invites answers GET and POST /v1/launches/{l}/members/{subject}/invites.
func (q *request) invites() error {
	if q.ctx.IsPost() {
		return q.mintInvites()
	}
	return q.listInvites()
}

// mintInvites mints invites from the member's allotment.
func (q *request) mintInvites() error {
	subject, err := q.openMember(gateway.ScopeServer)
	if err != nil {
		return err
	}
	body := struct {
		Count int    `json:"count"`
		Email string `json:"email"`
	}{Count: 1}
	if err := q.read(&body); err != nil {
		return err
	}
	if body.Count < 1 || body.Count > gateway.MaxInvites {
		return gateway.Invalid("count", "Use a whole number from 1 to 50.")
	}
	ask := gateway.Invite{Subject: subject, Count: body.Count}
	if body.Email != "" {
		if body.Count != 1 {
			return gateway.Invalid("count", "An invite that is bound to an address is one invite.")
		}
		mail, refusal := canonical(&q.launch.Policy, "email", body.Email)
		if refusal != nil {
			return refusal
		}
		if mail == subject {
			return gateway.Invalid("email", "You are in already; invite somebody else.")
		}
		ask.Recipient = mail
	}
	if ask.Proof, err = q.proof(); err != nil {
		return err
	}
	made, err := gateway.MintInvites(q.server.running, q.server.config.Store, q.server.config.Keyring, q.launch, ask)
	if err != nil {
		return err
	}
	answer := struct {
		Invites   []inviteView   `json:"invites"`
		Allotment gateway.Rounds `json:"allotment"`
	}{Allotment: made.Allotment}
	for _, c := range made.Codes {
		answer.Invites = append(answer.Invites, inviteView{c.Display, q.link(c.Code), ask.Recipient, c.ExpiresAt})
	}
	durability := gateway.DurabilityAccepted
	if q.lasts(made.Epoch, made.Position) {
		durability = gateway.DurabilityPersisted
	}
	q.ctx.Response.Header.Set("Admit-Durability", string(durability))
	status := fasthttp.StatusCreated
	if made.Replayed {
		status, q.outcome = fasthttp.StatusOK, outcomeReplayed
	}
	return q.json(status, answer)
}

// link is the path of a code's link: it counts the visit and remembers the code.
func (q *request) link(c gateway.Code) string { return "/i/" + q.launch.Name + "/" + string(c) }

// listInvites lists the codes that the member gave away.
func (q *request) listInvites() error {
	subject, err := q.openMember(gateway.ScopeServer, gateway.ScopeRead)
	if err != nil {
		return err
	}
	page, err := q.page()
	if err != nil {
		return err
	}
	ledger, err := q.ledger()
	if err != nil {
		return err
	}
	ctx, cancel := q.reading()
	defer cancel()
	list, err := ledger.Invites(ctx, q.launch.Name, q.server.config.Keyring.Subject(q.launch.Name, subject), page)
	if err != nil {
		return err
	}
	return q.json(fasthttp.StatusOK, list)
}

// revokeInvite answers DELETE /v1/launches/{l}/members/{subject}/invites/{code}.
func (q *request) revokeInvite() error {
	subject, err := q.openMember(gateway.ScopeServer)
	if err != nil {
		return err
	}
	code, ok := pathCode(lastSegment(q.ctx.RequestURI()))
	if !ok {
		return gateway.Refuse(gateway.CodeUnknown)
	}
	allotment, err := q.server.config.Store.RevokeInvite(q.server.running, q.launch.Name, subject, code)
	if err != nil {
		return err
	}
	return q.json(fasthttp.StatusOK, struct {
		Allotment gateway.Rounds `json:"allotment"`
	}{allotment})
}

// page reads limit and after.
func (q *request) page() (gateway.Page, error) {
	args := q.ctx.QueryArgs()
	return gateway.ReadPage(string(args.Peek("limit")), string(args.Peek("after")))
}
