package rig

import (
	"errors"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

func (s *SMTP) session(c *smtp.Conn) *smtpSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
	s.open++
	s.most = max(s.most, s.open)
	return &smtpSession{server: s, conn: c, trusted: s.options.User == ""}
}

// smtpSession is one connection.
type smtpSession struct {
	server   *SMTP
	conn     *smtp.Conn
	trusted  bool
	from, to string
	hangUp   bool
	ended    bool
}

// AuthMechanisms and Auth are PLAIN, over TLS only.
func (c *smtpSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *smtpSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if o := c.server.options; user != o.User || password != o.Password {
			return smtp.ErrAuthFailed
		}
		c.trusted = true
		return nil
	}), nil
}

func (c *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if !c.trusted {
		return smtp.ErrAuthRequired
	}
	c.from = from
	return nil
}

func (c *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.to = to
	if ask := c.server.options.Recipient; ask != nil {
		return ask(to)
	}
	return nil
}

func (c *smtpSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l, err := readLetter(c.from, c.to, raw)
	if err != nil {
		return err
	}
	if ask := c.server.options.Answer; ask != nil {
		err = ask(l)
	}
	if c.hangUp = errors.Is(err, ErrHungUp); c.hangUp {
		err = nil
	}
	if err != nil && !errors.Is(err, ErrCut) {
		return err
	}
	c.server.mu.Lock()
	c.server.letters = append(c.server.letters, l)
	c.server.mu.Unlock()
	if told := c.server.options.Caught; told != nil {
		told(l, raw)
	}
	if err != nil {
		_ = c.conn.Conn().Close()
	}
	return err
}

// Reset is called when the answer to a message is out, too.
func (c *smtpSession) Reset() {
	c.from, c.to = "", ""
	if c.hangUp {
		_ = c.conn.Conn().Close()
	}
}

func (c *smtpSession) Logout() error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if !c.ended {
		c.ended = true
		c.server.open--
	}
	return nil
}
