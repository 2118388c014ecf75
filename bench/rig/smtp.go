package rig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// SMTPOptions say how a mail server is to behave. All hooks may be called at
// the same time.
type SMTPOptions struct {
	Port     int    // 0: a free one
	TLS      bool   // offer STARTTLS, with a certificate for 127.0.0.1 and localhost that CA signs
	Direct   bool   // TLS from the start instead
	User     string // who must log in, over TLS; "": nobody
	Password string
	// Recipient answers RCPT TO; an *smtp.SMTPError says with which code.
	Recipient func(to string) error
	// Answer is asked behind a message's last dot. nil takes it; ErrCut takes it
	// and breaks the connection off before the answer, ErrHungUp behind it; any
	// other error refuses.
	Answer func(l *Letter) error
	// Caught is told of each message that was taken, with all its bytes.
	Caught func(l *Letter, raw []byte)
}

// How a message is taken and the connection broken off: ErrCut leaves the
// sender in doubt, ErrHungUp does not.
var (
	ErrCut    = errors.New("rig: the connection is cut behind the last dot")
	ErrHungUp = errors.New("rig: the connection is cut behind the answer")
)

// SMTP is a mail server in this process that delivers nothing and keeps
// everything.
type SMTP struct {
	options     SMTPOptions
	certificate *tls.Certificate
	ca          []byte

	mu       sync.Mutex
	server   *smtp.Server
	letters  []*Letter
	sessions int
	open     int
	most     int // sessions at once
}

// StartSMTP starts a mail server on 127.0.0.1.
func StartSMTP(o SMTPOptions) (*SMTP, error) {
	s := &SMTP{options: o}
	if o.TLS || o.Direct {
		var err error
		if s.certificate, s.ca, err = selfSigned(); err != nil {
			return nil, err
		}
	}
	return s, s.Restart()
}

// TestSMTP is a mail server that ends with the test.
func TestSMTP(t testing.TB, o SMTPOptions) *SMTP {
	t.Helper()
	s, err := StartSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Restart starts a stopped server again, on the same port.
func (s *SMTP) Restart() error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.Port)))
	if err != nil {
		return err
	}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return s.session(c), nil }))
	server.Domain, server.MaxMessageBytes, server.MaxRecipients = "localhost", 1<<20, 10
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.ErrorLog = log.New(io.Discard, "", 0)
	if s.certificate != nil {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*s.certificate}, MinVersion: tls.VersionTLS12}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Port, s.server = l.Addr().(*net.TCPAddr).Port, server
	if s.options.Direct {
		l = tls.NewListener(l, server.TLSConfig)
	}
	go server.Serve(l) //nolint:errcheck // it ends with Stop
	return nil
}

// Stop closes the port and all connections. What was caught stays.
func (s *SMTP) Stop() {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	_ = server.Close() // closed twice is closed
}

// Addr is host:port.
func (s *SMTP) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.Port))
}

// URL is what a gateway sends to: smtp with TLS, smtps with TLS from the start,
// smtp+plain without.
func (s *SMTP) URL() string {
	scheme, user := "smtp+plain://", ""
	switch {
	case s.options.Direct:
		scheme = "smtps://"
	case s.certificate != nil:
		scheme = "smtp://"
	}
	if s.options.User != "" {
		user = s.options.User + "@"
	}
	return scheme + user + s.Addr()
}

// CA is the certificate, in PEM, that the server's own is checked with.
func (s *SMTP) CA() []byte { return s.ca }

// Letters are the messages that were taken, in order.
func (s *SMTP) Letters() []*Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Letter(nil), s.letters...)
}

// To are the messages that one address got.
func (s *SMTP) To(address string) []*Letter {
	var list []*Letter
	for _, l := range s.Letters() {
		if l.To == address {
			list = append(list, l)
		}
	}
	return list
}

// Counts is how many messages each address got. One that came twice under the
// same Message-ID counts twice.
func (s *SMTP) Counts() map[string]int {
	counts := map[string]int{}
	for _, l := range s.Letters() {
		counts[l.To]++
	}
	return counts
}

// Forget empties the mailbox.
func (s *SMTP) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = nil
}

// Sessions is how many there were, and how many at once at the most. A
// connection is one, and another after STARTTLS.
func (s *SMTP) Sessions() (made, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions, s.most
}

// selfSigned makes a certificate for this machine, which is its own authority.
func selfSigned() (*tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	var ca bytes.Buffer
	err = pem.Encode(&ca, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ca.Bytes(), err
}
