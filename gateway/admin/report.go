package admin

import (
	"net/http"

	"admitone/gateway"
)

func (s *server) stats(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	stats, err := s.Ledger.Stats(c.r.Context(), l.Name)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, stats)
}

func (s *server) events(c *call, l *gateway.Launch, p gateway.Page) (gateway.List[gateway.AuditEvent], error) {
	return s.Ledger.Changes(c.r.Context(), l.Name, p)
}

func (s *server) anomalies(c *call, l *gateway.Launch, p gateway.Page) (list gateway.List[gateway.Anomaly], err error) {
	open := false
	switch c.r.URL.Query().Get("state") {
	case "", "all":
	case "open":
		open = true
	default:
		return list, gateway.Invalid("state", "Use open or all.")
	}
	return s.Ledger.Anomalies(c.r.Context(), l.Name, open, p)
}

func (s *server) conflicts(c *call, l *gateway.Launch, p gateway.Page) (gateway.List[gateway.ConflictRow], error) {
	return s.Ledger.Conflicts(c.r.Context(), l.Name, p)
}

func (s *server) parked(c *call, l *gateway.Launch, p gateway.Page) (gateway.List[gateway.ParkedRow], error) {
	return s.Ledger.Parked(c.r.Context(), l.Name, p)
}

func (s *server) position(c *call) error {
	p, err := s.Store.Position(c.r.Context(), c.r.PathValue("launch"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, p)
}

func (s *server) verify(c *call) error {
	report, err := s.Verifier.Verify(c.r.Context(), c.r.PathValue("launch"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, report)
}
