package admin

import (
	"net/http"
	"time"

	"admitone/gateway"
)

// redemptionView is a redemption as Redis knows it now.
type redemptionView struct {
	ID        gateway.ID     `json:"id"`
	Status    gateway.Status `json:"status"`
	Code      string         `json:"code"`
	Campaign  string         `json:"campaign"`
	At        time.Time      `json:"created_at"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
	Position  uint64         `json:"position"`
}

func viewRedemption(l *gateway.Launch, r gateway.Redemption) redemptionView {
	name := ""
	if g := l.Campaign(r.Campaign); g != nil {
		name = g.Name
	}
	return redemptionView{r.ID, r.Status, r.Display, name, r.At, r.ExpiresAt, r.Position}
}

func (s *server) listRedemptions(c *call, l *gateway.Launch, p gateway.Page) (list gateway.List[gateway.RedemptionRow], err error) {
	q := c.r.URL.Query()
	f := gateway.RedemptionFilter{Campaign: q.Get("campaign"), Status: gateway.Status(q.Get("status"))}
	switch f.Status {
	case "", gateway.Held, gateway.Committed, gateway.Released, gateway.RolledBack:
	default:
		return list, gateway.Invalid("status", "Use held, committed, released or rolled_back.")
	}
	if subject := q.Get("subject"); subject != "" {
		if f.Subject, err = person(l, "subject", subject); err != nil {
			return list, err
		}
	}
	if code := q.Get("code"); code != "" {
		if f.Code, err = gateway.ReadCode(code); err != nil {
			return list, gateway.Invalid("code", err.Error())
		}
	}
	return s.Ledger.Redemptions(c.r.Context(), l.Name, f, p)
}

func (s *server) getRedemption(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	id, err := c.pathID("id", gateway.RedemptionUnknown)
	if err != nil {
		return err
	}
	r, err := s.Store.Redemption(c.r.Context(), l.Name, id)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewRedemption(l, r))
}

func (s *server) rollback(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	id, err := c.pathID("id", gateway.RedemptionUnknown)
	if err != nil {
		return err
	}
	var body noteBody
	if err := c.decodeOptional(&body); err != nil {
		return err
	}
	r, err := s.Store.Settle(c.r.Context(), l.Name, id, gateway.Rollback, c.by(body.Note))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewRedemption(l, r))
}
