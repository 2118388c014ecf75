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

func (s *server) events(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	list, err := s.Ledger.Changes(c.r.Context(), l.Name, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}

func (s *server) anomalies(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	open := false
	switch c.r.URL.Query().Get("state") {
	case "", "all":
	case "open":
		open = true
	default:
		return gateway.Invalid("state", "Use open or all.")
	}
	list, err := s.Ledger.Anomalies(c.r.Context(), l.Name, open, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}

func (s *server) conflicts(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	list, err := s.Ledger.Conflicts(c.r.Context(), l.Name, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}

func (s *server) parked(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	list, err := s.Ledger.Parked(c.r.Context(), l.Name, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
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
