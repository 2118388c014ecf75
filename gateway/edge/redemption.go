package edge

import (
	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// redemption answers GET /v1/launches/{l}/redemptions/{id}.
func (q *request) redemption() error {
	id, subject, err := q.findRedemption(gateway.ScopeServer, gateway.ScopeRead)
	if err != nil {
		return err
	}
	r, err := q.ownRedemption(id, subject)
	if err != nil {
		return err
	}
	receipt, _ := q.receipt(gateway.DurabilityAccepted, r.Epoch, r.Position, true)
	q.out = q.appendRedemption(q.out[:0], &r, subject, "", receipt)
	q.send(fasthttp.StatusOK)
	return nil
}

// confirm answers POST /v1/launches/{l}/redemptions/{id}/confirm.
func (q *request) confirm() error { return q.settle(gateway.Confirm) }

// release answers POST /v1/launches/{l}/redemptions/{id}/release.
func (q *request) release() error { return q.settle(gateway.Release) }

// settle ends a hold. It takes no body, or an empty object.
func (q *request) settle(s gateway.Settlement) error {
	id, subject, err := q.findRedemption(gateway.ScopeServer)
	if err != nil {
		return err
	}
	if len(q.ctx.PostBody()) > 0 {
		if _, err := q.body(0); err != nil {
			return err
		}
	}
	durability, err := q.durability()
	if err != nil {
		return err
	}
	by := gateway.Actor{Name: "member"}
	if q.key != nil {
		by.Name = q.key.Name
	} else if _, err := q.ownRedemption(id, subject); err != nil {
		return err
	}
	r, err := q.server.config.Store.Settle(q.server.running, q.launch.Name, id, s, by)
	if err != nil {
		return err
	}
	receipt, late := q.receipt(durability, r.Epoch, r.Position, false)
	q.out = q.appendRedemption(q.out[:0], &r, subject, "", receipt)
	if late {
		q.send(fasthttp.StatusAccepted)
	} else {
		q.send(fasthttp.StatusOK)
	}
	return nil
}

// findRedemption reads which redemption is meant, and who asks: a back end
// (subject is "" then) or a member.
func (q *request) findRedemption(scopes ...gateway.Scope) (id gateway.ID, subject string, err error) {
	if err := q.openLaunch(); err != nil {
		return id, "", err
	}
	if subject, err = q.authorizeOwner(scopes...); err != nil {
		return id, "", err
	}
	if id, err = gateway.ParseID(text(q.param)); err != nil {
		return id, "", gateway.Refuse(gateway.RedemptionUnknown)
	}
	return id, subject, nil
}

// ownRedemption is a redemption that the caller may see. Another member's does
// not exist. The one that a member token was given for may be seen with it
// whatever became of it.
func (q *request) ownRedemption(id gateway.ID, subject string) (gateway.Redemption, error) {
	if q.through != id {
		if err := q.stillSpeaks(subject); err != nil {
			return gateway.Redemption{}, err
		}
	}
	r, err := q.server.config.Store.Redemption(q.server.running, q.launch.Name, id)
	if err == nil && q.key == nil && r.SubjectKey != q.server.config.Keyring.Subject(q.launch.Name, subject) {
		return gateway.Redemption{}, gateway.Refuse(gateway.RedemptionUnknown)
	}
	return r, err
}
