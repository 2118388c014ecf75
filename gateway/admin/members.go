package admin

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"admitone/gateway"
	"admitone/gateway/email"
	"admitone/gateway/strictjson"
)

// memberNow is a member as Redis knows it.
type memberNow struct {
	Subject   string               `json:"subject"`
	Member    bool                 `json:"member"`
	Tier      string               `json:"tier"`
	Method    gateway.UnlockMethod `json:"method"`
	Rounds    gateway.Rounds       `json:"rounds"`
	Used      int                  `json:"used_rounds"`
	Remaining gateway.Rounds       `json:"remaining_rounds"`
	Until     time.Time            `json:"unlocked_until,omitzero"`
	Allotment gateway.Rounds       `json:"allotment"`
	Invited   bool                 `json:"invited"`
	Referrals int                  `json:"referrals"`
	Private   bool                 `json:"private"`
	Joined    time.Time            `json:"joined_at,omitzero"`
	Position  uint64               `json:"position"`
}

func viewMember(l *gateway.Launch, subject string, m gateway.Member) memberNow {
	v := memberNow{
		Subject: subject, Member: m.In(), Tier: m.Tier, Method: m.Method, Rounds: m.Rounds, Used: m.Used, Remaining: m.Left, Until: m.Until,
		Allotment: m.Allotment, Invited: m.Inviter != "", Referrals: m.Referrals, Private: m.Private, Joined: m.Joined, Position: m.Position,
	}
	if v.Tier == "" {
		if v.Tier = l.Policy.Unlock.Tier; l.Campaign(m.Campaign) != nil {
			v.Tier = l.Campaign(m.Campaign).TierOr(v.Tier)
		}
	}
	return v
}

// personOf reads a recipient or issuer: an e-mail address in its canonical
// form, or an app's user id as it is.
func personOf(p *gateway.Policy) func(string) (string, error) {
	return func(s string) (string, error) {
		if !strings.Contains(s, "@") {
			if len(s) > 200 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
				return "", errors.New("use an e-mail address, or a user id of at most 200 bytes")
			}
			return s, nil
		}
		return email.Canonical(s, email.Rules{PlusTags: p.Subjects.Canonical.PlusTags, Dots: p.Subjects.Canonical.Dots})
	}
}

// person reads who is meant out of the path or a query, in its one spelling.
func person(l *gateway.Launch, field, text string) (string, error) {
	who, err := personOf(&l.Policy)(text)
	if err != nil {
		return "", gateway.Invalid(field, strictjson.Sentence(err.Error()))
	}
	return who, nil
}

func (s *server) listMembers(c *call, l *gateway.Launch, p gateway.Page) (list gateway.List[gateway.MemberRow], err error) {
	q := c.r.URL.Query()
	f := gateway.MemberFilter{Tier: q.Get("tier"), Method: gateway.UnlockMethod(q.Get("method"))}
	switch f.Method {
	case "", gateway.UnlockInvite, gateway.UnlockLicense, gateway.UnlockTrial:
	default:
		return list, gateway.Invalid("method", "Use invite_code, license_key or trial.")
	}
	if mail := q.Get("email"); mail != "" {
		if f.Email, err = person(l, "email", mail); err != nil {
			return list, err
		}
	}
	return s.Ledger.Members(c.r.Context(), l.Name, f, p)
}

// theMember reads which member the path names.
func (s *server) theMember(c *call) (*gateway.Launch, string, error) {
	l, err := c.launch(s)
	if err != nil {
		return nil, "", err
	}
	subject, err := person(l, "subject", c.r.PathValue("subject"))
	return l, subject, err
}

func (s *server) getMember(c *call) error {
	l, subject, err := s.theMember(c)
	if err != nil {
		return err
	}
	m, err := s.Store.Member(c.r.Context(), l.Name, subject)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewMember(l, subject, m))
}

func (s *server) changeMember(c *call, change gateway.ChangeMember) error {
	l, subject, err := s.theMember(c)
	if err != nil {
		return err
	}
	change.Subject = subject
	m, err := s.Store.ChangeMember(c.r.Context(), l.Name, change)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewMember(l, subject, m))
}

func (s *server) grantInvites(c *call) error {
	var body struct {
		Invites int    `json:"invites"`
		Note    string `json:"note"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if err := checkNote(body.Note); err != nil {
		return err
	}
	return s.changeMember(c, gateway.ChangeMember{Change: gateway.MemberGranted, Invites: body.Invites, By: c.by(body.Note)})
}

func (s *server) setTier(c *call) error {
	var body struct {
		Tier *string `json:"tier"`
		Note string  `json:"note"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.Tier == nil {
		return gateway.Invalid("tier", `Give a tier, or "" for the campaign's.`)
	}
	if err := checkNote(body.Note); err != nil {
		return err
	}
	return s.changeMember(c, gateway.ChangeMember{Change: gateway.MemberTier, Tier: *body.Tier, By: c.by(body.Note)})
}

func (s *server) eraseMember(c *call) error {
	var body noteBody
	if err := c.decodeOptional(&body); err != nil {
		return err
	}
	return s.changeMember(c, gateway.ChangeMember{Change: gateway.MemberErased, By: c.by(body.Note)})
}

// listReferrals lists who came by a member's invites, as deep as is asked.
func (s *server) listReferrals(c *call) error {
	l, subject, err := s.theMember(c)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	depth, err := gateway.ReadReferralDepth(c.r.URL.Query().Get("depth"))
	if err != nil {
		return err
	}
	m, err := s.Store.Member(c.r.Context(), l.Name, subject)
	if err != nil {
		return err
	}
	list, err := s.Ledger.Referrals(c.r.Context(), l.Name, m.SubjectKey, depth, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}
