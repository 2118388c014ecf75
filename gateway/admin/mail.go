package admin

import (
	"errors"
	"net/http"
	"time"

	"admitone/gateway"
	"admitone/gateway/strictjson"
)

func (s *server) listMails(c *call, l *gateway.Launch, p gateway.Page) (list gateway.List[gateway.MailRow], err error) {
	q := c.r.URL.Query()
	f := gateway.MailFilter{Status: gateway.MailStatus(q.Get("status")), Kind: gateway.MailKind(q.Get("kind")), Recipient: q.Get("recipient")}
	if err := f.Validate(); err != nil {
		return list, err
	}
	named := c.seesPeople(l.Name)
	if f.Recipient != "" && !named {
		return list, &gateway.Error{Reason: gateway.Forbidden, Field: "recipient", Detail: "Finding e-mails by their recipient needs a key with the admin scope."}
	}
	if list, err = s.Ledger.Mails(c.r.Context(), l.Name, f, p); !named {
		for i := range list.Data {
			list.Data[i].Recipient = ""
		}
	}
	return list, err
}

// seesPeople reports whether the caller may read whom e-mails went to.
func (c *call) seesPeople(launch string) bool {
	return c.key.Allows(gateway.ScopeAdmin, launch, time.Now())
}

func (s *server) getMail(c *call) error {
	l, id, err := c.mail(s)
	if err != nil {
		return err
	}
	m, err := s.Ledger.Mail(c.r.Context(), l.Name, id)
	if err != nil {
		return err
	}
	if !c.seesPeople(l.Name) {
		m.Recipient = ""
	}
	return c.answer(http.StatusOK, m)
}

// mail reads which e-mail the path names.
func (c *call) mail(s *server) (*gateway.Launch, gateway.ID, error) {
	l, err := c.launch(s)
	if err != nil {
		return nil, gateway.ID{}, err
	}
	id, err := c.pathID("id", gateway.NotFound)
	return l, id, err
}

func (s *server) replayMail(c *call) error {
	l, id, err := c.mail(s)
	if err != nil {
		return err
	}
	if _, err := s.Queue.ReplayMails(c.r.Context(), l.Name, gateway.MailReplay{ID: id}); err != nil {
		return err
	}
	return s.getMail(c)
}

func (s *server) replayMails(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	var b struct {
		Kind  gateway.MailKind `json:"kind"`
		Since time.Time        `json:"since"`
	}
	if err := c.decode(&b); err != nil {
		return err
	}
	if b.Since.IsZero() {
		return gateway.Invalid("since", `Give the time since when e-mails that are dead or suppressed are sent again, such as "2027-01-31T12:00:00Z".`)
	}
	if err := (gateway.MailFilter{Kind: b.Kind}).Validate(); err != nil {
		return err
	}
	n, err := s.Queue.ReplayMails(c.r.Context(), l.Name, gateway.MailReplay{Kind: b.Kind, Since: b.Since})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"replayed": n})
}

// templateBody is a template to try.
type templateBody gateway.MailTemplate

// UnmarshalJSON reads it as strictly as a body.
func (t *templateBody) UnmarshalJSON(b []byte) error {
	var fields struct {
		Subject string `json:"subject"`
		Text    string `json:"text"`
		HTML    string `json:"html"`
	}
	if err := strictjson.Object(b, &fields); err != nil {
		return err
	}
	*t = templateBody(fields)
	return nil
}

func (s *server) previewMail(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	var b struct {
		Kind     gateway.MailKind `json:"kind"`
		Template *templateBody    `json:"template"`
	}
	if err := c.decode(&b); err != nil {
		return err
	}
	if b.Kind == "" {
		return gateway.Invalid("kind", "Name the kind of e-mail to show.")
	}
	if err := (gateway.MailFilter{Kind: b.Kind}).Validate(); err != nil {
		return err
	}
	own := l.Policy.Email.Templates.For(b.Kind)
	if b.Template != nil {
		own = gateway.MailTemplate(*b.Template)
	}
	m, err := l.Policy.RenderMail(b.Kind, own, gateway.MailSample(time.Now()), l.Policy.Email.UnsubscribeLink(gateway.NewID(time.Now()), "ann@example.com"))
	var wrong *gateway.PolicyError
	if errors.As(err, &wrong) {
		for i := range wrong.Problems {
			wrong.Problems[i].Path = "template." + wrong.Problems[i].Path
		}
	}
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, m)
}
