package jobs

import (
	"errors"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"admitone/gateway"
)

// compose makes the message. Two of the same e-mail have the same Message-ID,
// date and boundaries.
func compose(from string, p *gateway.EmailPolicy, d *gateway.MailDispatch, w gateway.RenderedMail) (*gomail.Msg, error) {
	sender, err := netmail.ParseAddress(from)
	if err != nil {
		return nil, errors.New("the sender is no address")
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("admitone-"+d.ID.String()))
	m.FromMailAddress(sender)
	m.AddToMailAddress(&netmail.Address{Address: d.Recipient})
	if p.ReplyTo != "" {
		if err := m.ReplyTo(p.ReplyTo); err != nil {
			return nil, errors.New("email.reply_to is no address")
		}
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	m.SetMessageIDWithValue(d.ID.String() + "@" + domain)
	m.SetDateWithValue(d.Created)
	m.Subject(w.Subject)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	if link := p.UnsubscribeLink(d.ID, d.Recipient); link != "" {
		m.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribe, "<"+link+">")
		if strings.HasPrefix(link, "https:") {
			m.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
		}
	}
	m.SetBodyString(gomail.TypeTextPlain, w.Text)
	if w.HTML != "" {
		m.AddAlternativeString(gomail.TypeTextHTML, w.HTML)
	}
	return m, nil
}

// permanent reports an answer that would be the same next time: the server
// refuses this recipient or this message for good. A sender or a login that is
// refused is the deployment's fault, and mended.
func permanent(err error) bool {
	var e *gomail.SendError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		return e.ErrorCode() >= 500 && e.ErrorCode() != 530
	}
	return false
}

// smtpCause says why a message was not taken: at which command, and what the
// server said.
func smtpCause(err error) string {
	var e *gomail.SendError
	if !errors.As(err, &e) {
		return err.Error()
	}
	said, _, _ := strings.Cut(strings.TrimPrefix(e.Error(), e.Reason.String()+": "), ", affected ")
	at := "sending"
	switch e.Reason {
	case gomail.ErrSMTPMailFrom:
		at = "MAIL FROM"
	case gomail.ErrSMTPRcptTo:
		at = "RCPT TO"
	case gomail.ErrSMTPData, gomail.ErrWriteContent, gomail.ErrSMTPDataClose:
		at = "DATA"
	}
	return at + ": " + strings.ReplaceAll(said, `"`, "")
}

var anyAddress = regexp.MustCompile(`[^\s<>]*@[^\s<>]*`)

// quietMail takes whom an e-mail is for, and what it hands out, out of what is
// kept and shown about it.
func quietMail(s string, d *gateway.MailDispatch) string {
	for _, secret := range []string{d.Recipient, d.Data.Code, d.Data.Link} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "…")
		}
	}
	s = anyAddress.ReplaceAllString(strings.Join(strings.Fields(s), " "), "…")
	const most = 300
	for len(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
