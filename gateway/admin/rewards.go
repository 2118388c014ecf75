package admin

import (
	"net/http"

	"admitone/gateway"
)

// listRewards lists friends' rewards.
func (s *server) listRewards(c *call, l *gateway.Launch, p gateway.Page) (list gateway.List[gateway.RewardRow], err error) {
	q := c.r.URL.Query()
	f := gateway.RewardFilter{Status: gateway.RewardStatus(q.Get("status"))}
	switch f.Status {
	case "", gateway.RewardPending, gateway.RewardApproved, gateway.RewardPaid, gateway.RewardReversed, gateway.RewardCapped, gateway.RewardRejected:
	default:
		return list, gateway.Invalid("status", "Use pending, approved, paid, reversed, capped or rejected.")
	}
	if who := q.Get("referrer"); who != "" {
		subject, err := person(l, "referrer", who)
		if err != nil {
			return list, err
		}
		m, err := s.Store.Member(c.r.Context(), l.Name, subject)
		if err != nil {
			return list, err
		}
		f.Referrer = m.SubjectKey
	}
	return s.Ledger.Rewards(c.r.Context(), l.Name, f, p)
}

// decideReward approves or rejects the reward for a friend's purchase.
func decideReward(d gateway.RewardDecision) func(*server, *call) error {
	return func(s *server, c *call) error {
		l, subject, err := s.theMember(c)
		if err != nil {
			return err
		}
		var body noteBody
		if err := c.decodeOptional(&body); err != nil {
			return err
		}
		e, err := s.Store.DecideReward(c.r.Context(), l.Name, subject, d, c.by(body.Note))
		if err != nil {
			return err
		}
		return c.answer(http.StatusOK, map[string]any{"subject": subject, "status": e.Status})
	}
}
