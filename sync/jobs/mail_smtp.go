package jobs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
	"golang.org/x/time/rate"

	"admitone/gateway"
)

// SMTP says where e-mail is handed over.
type SMTP struct {
	// URL is smtp://[user@]host:587 (STARTTLS, always), smtps://[user@]host:465
	// (TLS from the start) or smtp+plain://127.0.0.1:25 (no TLS, this machine
	// only). "": this process sends none.
	URL         string
	Password    string
	CA          []byte // PEM certificates to check the server with besides the system's; nil: none
	From        string // of launches whose policy names no sender
	Rate        int    // e-mails a second, at least 1
	Connections int    // at once, at least 1
}

// smtpTimeout bounds a connection's making, and a message on it.
const smtpTimeout = 30 * time.Second

// smtpMessages is how many messages one connection carries.
const smtpMessages = 100

// smtpPool hands messages over on a few connections that it keeps, and not
// faster than it may.
type smtpPool struct {
	rate    *rate.Limiter
	places  chan *smtpSession // nil for one that is not connected
	host    string
	tls     *tls.Config // nil: none
	direct  bool        // TLS from the start
	options []gomail.Option
}

// smtpSession is a connection.
type smtpSession struct {
	client  *gomail.Client
	session *smtp.Client
	conn    net.Conn
	sent    int
}

var errSMTPURL = errors.New("the SMTP URL does not parse; use smtp://user@host:587 (STARTTLS), smtps://user@host:465 (TLS) or smtp+plain://127.0.0.1:25 (this machine only)")

// newSMTPPool reads the settings. It does not connect. Without a URL it is nil.
func newSMTPPool(o SMTP) (*smtpPool, error) {
	if o.From != "" && !gateway.ValidSender(o.From) {
		return nil, errors.New(`the sender of e-mail is no address; use one such as "Writer <hello@writer.example>"`)
	}
	if o.URL == "" {
		return nil, nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errSMTPURL // its own error could show a password
	}
	if _, given := u.User.Password(); given {
		return nil, errors.New("the SMTP URL holds a password, which every process could read; put it into --smtp-password-file or ADMITONE_SMTP_PASSWORD")
	}
	p := &smtpPool{rate: rate.NewLimiter(rate.Limit(max(o.Rate, 1)), 1), places: make(chan *smtpSession, max(o.Connections, 1)), host: u.Hostname()}
	for range cap(p.places) {
		p.places <- nil
	}
	port, policy := "587", gomail.TLSMandatory
	switch u.Scheme {
	case "smtp":
	case "smtps": // the connection is TLS before go-mail sees it
		port, policy, p.direct = "465", gomail.TLSOpportunistic, true
	case "smtp+plain":
		if ip := net.ParseIP(p.host); p.host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, errors.New("smtp+plain sends e-mail in the clear, so it reaches 127.0.0.1, ::1 and localhost only; use smtp or smtps")
		}
		if u.User != nil {
			return nil, errors.New("smtp+plain sends no password in the clear; leave the user out, or use smtp or smtps")
		}
		port, policy = "25", gomail.NoTLS
	default:
		return nil, errSMTPURL
	}
	if u.Port() != "" {
		port = u.Port()
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 {
		return nil, errSMTPURL
	}
	p.options = []gomail.Option{gomail.WithPort(number), gomail.WithTimeout(smtpTimeout), gomail.WithTLSPolicy(policy), gomail.WithoutSMTPUTF8()}
	if policy != gomail.NoTLS {
		if p.tls, err = smtpTLS(p.host, o.CA); err != nil {
			return nil, err
		}
		p.options = append(p.options, gomail.WithTLSConfig(p.tls))
	}
	if name := u.User.Username(); name != "" {
		if o.Password == "" {
			return nil, errors.New("the SMTP URL names a user, and there is no password: set --smtp-password-file or ADMITONE_SMTP_PASSWORD")
		}
		p.options = append(p.options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(name), gomail.WithPassword(o.Password))
	}
	p.options = slices.Clip(p.options) // shared by all that append to it
	return p, nil
}

func smtpTLS(host string, ca []byte) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if ca == nil {
		return c, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("the file of SMTP certificates holds none in PEM")
	}
	c.RootCAs = pool
	return c, nil
}

// send hands a message over. nil says that the server took it; any other error
// that it did not, or that nobody knows. Once a message is on its way it is not
// broken off but by smtpTimeout: a stop would leave doubt about it.
func (p *smtpPool) send(ctx context.Context, m *gomail.Msg) error {
	var s *smtpSession
	select {
	case s = <-p.places:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.places <- s }()
	if s != nil && s.sent >= smtpMessages {
		s = s.quit()
	}
	kept := s != nil
	for {
		if s == nil {
			var err error
			if s, err = p.connect(ctx); err != nil {
				return err
			}
		}
		err := s.client.SendWithSMTPClient(s.session, m)
		s.sent++
		var failed *gomail.SendError
		switch {
		case err == nil:
			return nil
		case m.IsDelivered(): // what failed came behind the message
			s = s.drop()
			return nil
		case kept && errors.As(err, &failed) && failed.Reason == gomail.ErrConnCheck:
			// The server closed it while nothing was sent: nothing of the message went.
			s, kept = s.drop(), false
			continue
		}
		s = s.drop()
		return err
	}
}

// connect makes a connection, with TLS and login.
func (p *smtpPool) connect(ctx context.Context) (*smtpSession, error) {
	s := &smtpSession{}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		dialer := &net.Dialer{}
		if p.direct {
			s.conn, err = (&tls.Dialer{NetDialer: dialer, Config: p.tls}).DialContext(ctx, network, address)
		} else {
			s.conn, err = dialer.DialContext(ctx, network, address)
		}
		return s.conn, err
	}
	var err error
	if s.client, err = gomail.NewClient(p.host, append(p.options, gomail.WithDialContextFunc(dial))...); err != nil {
		return nil, err
	}
	if s.session, err = s.client.DialToSMTPClientWithContext(ctx); err != nil {
		if s.conn != nil {
			s.conn.Close() // go-mail leaves it open
		}
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return s, nil
}

// drop breaks the connection off; quit ends it in order. Both return nil.
func (s *smtpSession) drop() *smtpSession {
	s.conn.Close()
	return nil
}

func (s *smtpSession) quit() *smtpSession {
	_ = s.client.CloseWithSMTPClient(s.session) // it was of no more use
	return s.drop()
}

// close ends all connections. Nothing is sent any more.
func (p *smtpPool) close() {
	for range cap(p.places) {
		if s := <-p.places; s != nil {
			s.quit()
		}
	}
}
