package edge

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
	"admitone/gateway/email"
	"admitone/gateway/strictjson"
)

// memberView is a member as the API shows it.
type memberView struct {
	Subject     string         `json:"subject"`
	Member      bool           `json:"member"` // let in by a code, and not taken back
	Tier        string         `json:"tier"`
	Unlock      unlockView     `json:"unlock"`
	Allotment   gateway.Rounds `json:"allotment"`
	Invited     bool           `json:"invited"` // by a member
	Referrals   int            `json:"referrals"`
	Leaderboard bool           `json:"leaderboard"`
	JoinedAt    time.Time      `json:"joined_at,omitzero"`
	// Credit is the balance, one a currency, as Postgres knows it.
	Credit []gateway.Money `json:"credit,omitempty"`
}

type unlockView struct {
	Method    gateway.UnlockMethod `json:"method"`
	Rounds    gateway.Rounds       `json:"rounds"`
	Used      int                  `json:"used"`
	Remaining gateway.Rounds       `json:"remaining"`
	ExpiresAt time.Time            `json:"expires_at,omitzero"`
}

// member answers GET /v1/launches/{l}/members/{subject}.
func (q *request) member() error {
	subject, err := q.openMember(gateway.ScopeServer, gateway.ScopeRead)
	if err != nil {
		return err
	}
	m, err := q.server.config.Store.Member(q.server.running, q.launch.Name, subject)
	if err != nil {
		return err
	}
	v := q.viewMember(subject, &m)
	if ledger, err := q.ledger(); err == nil {
		ctx, cancel := q.reading()
		defer cancel()
		account, err := ledger.Account(ctx, q.launch.Name, q.server.config.Keyring.Subject(q.launch.Name, subject))
		if err != nil {
			return err
		}
		v.Credit = account.Balance
	}
	return q.json(fasthttp.StatusOK, v)
}

func (q *request) viewMember(subject string, m *gateway.Member) memberView {
	v := memberView{
		Subject: subject, Member: m.In(), Tier: m.Tier, Allotment: m.Allotment, Invited: m.Inviter != "", Referrals: m.Referrals,
		Leaderboard: !m.Private, JoinedAt: m.Joined,
		Unlock: unlockView{Method: m.Method, Rounds: m.Rounds, Used: m.Used, Remaining: m.Left, ExpiresAt: m.Until},
	}
	if v.Tier == "" {
		l, c := q.campaign(m.Campaign)
		if v.Tier = l.Policy.Unlock.Tier; c != nil {
			v.Tier = c.TierOr(v.Tier)
		}
	}
	if v.JoinedAt.IsZero() && m.In() && m.Made != (gateway.ID{}) {
		v.JoinedAt = m.Made.Time()
	}
	return v
}

// usage answers POST /v1/launches/{l}/members/{subject}/usage.
func (q *request) usage() error {
	subject, err := q.openMember(gateway.ScopeServer)
	if err != nil {
		return err
	}
	var body struct {
		Rounds int `json:"rounds"`
	}
	body.Rounds = 1
	if err := q.read(&body); err != nil {
		return err
	}
	if body.Rounds < 1 || body.Rounds > gateway.MaxRounds {
		return gateway.Invalid("rounds", "Use a whole number from 1 to 1000000.")
	}
	use := gateway.Use{Subject: subject, Rounds: body.Rounds, Begin: q.key != nil}
	if looksLikeEmail(subject) {
		use.Email = subject
		// A trial is not for who may not redeem.
		if _, refusal := canonical(&q.launch.Policy, "subject", subject); refusal != nil && use.Begin {
			return refusal
		}
	}
	if use.Proof, err = q.proof(); err != nil {
		return err
	}
	left, err := q.server.config.Store.UseRounds(q.server.running, q.launch.Name, use)
	if err != nil {
		return err
	}
	return q.json(fasthttp.StatusOK, struct {
		Remaining gateway.Rounds `json:"remaining"`
		Unlimited bool           `json:"unlimited"`
	}{left, left == gateway.Unlimited})
}

// activity answers POST /v1/launches/{l}/members/{subject}/activity.
func (q *request) activity() error {
	subject, err := q.openMember(gateway.ScopeServer)
	if err != nil {
		return err
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := q.read(&body); err != nil {
		return err
	}
	if len(body.Name) < 1 || len(body.Name) > 40 || strings.Trim(body.Name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return gateway.Invalid("name", `Use 1 to 40 of a–z, 0–9, _ and -, such as "activated".`)
	}
	act := gateway.Act{Subject: subject, Name: body.Name, Own: q.key == nil}
	if act.Own && (act.Name == gateway.ActActivated || act.Name == gateway.ActPaid) {
		return &gateway.Error{Reason: gateway.Forbidden, Field: "name", Detail: "Only a back end with a server key says so of a member."}
	}
	if err := q.server.config.Store.Active(q.server.running, q.launch.Name, act); err != nil {
		return err
	}
	q.headers("application/json")
	q.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// preferences answers PUT /v1/launches/{l}/members/{subject}/preferences.
func (q *request) preferences() error {
	subject, err := q.openMember(gateway.ScopeServer)
	if err != nil {
		return err
	}
	var body struct {
		Leaderboard *bool `json:"leaderboard"`
	}
	if err := q.read(&body); err != nil {
		return err
	}
	if body.Leaderboard == nil {
		return gateway.Invalid("leaderboard", "Use true to be shown on the leaderboard, false not to be.")
	}
	m, err := q.server.config.Store.ChangeMember(q.server.running, q.launch.Name, gateway.ChangeMember{
		Subject: subject, Change: gateway.MemberPrivate, Private: !*body.Leaderboard, Own: q.key == nil,
	})
	if err != nil {
		return err
	}
	return q.json(fasthttp.StatusOK, q.viewMember(subject, &m))
}

// openMember reads which member is meant, and lets in the member itself or a
// key with one of the scopes.
func (q *request) openMember(scopes ...gateway.Scope) (string, error) {
	if err := q.openLaunch(); err != nil {
		return "", err
	}
	who, err := q.authorizeOwner(scopes...)
	if err != nil {
		return "", err
	}
	subject, err := q.pathSubject()
	if err != nil {
		return "", err
	}
	if q.key == nil && who != subject {
		return "", &gateway.Error{Reason: gateway.Forbidden, Detail: "This member token speaks for another member."}
	}
	return subject, q.stillSpeaks(subject)
}

// pathSubject reads a subject out of the path, in its one spelling.
func (q *request) pathSubject() (string, error) {
	wrong := gateway.Invalid("subject", "Use 1 to 200 bytes of UTF-8 without control characters, percent-encoded in the path.")
	plain, ok := unescape(q.param, 3*maxBytes[fSubject])
	if !ok || checkField(fSubject, plain) != nil || !utf8.Valid(plain) {
		return "", wrong
	}
	return q.subjectOf(string(plain))
}

// subjectOf is the one spelling of a subject that somebody names.
func (q *request) subjectOf(subject string) (string, error) {
	if subject == "" || len(subject) > maxBytes[fSubject] || strings.TrimSpace(subject) != subject || checkField(fSubject, []byte(subject)) != nil {
		return "", gateway.Invalid("subject", "Use 1 to 200 bytes of text, with no control characters and no space at either end.")
	}
	if !looksLikeEmail(subject) {
		return subject, nil
	}
	rules := q.launch.Policy.Subjects.Canonical
	mail, err := email.Canonical(subject, email.Rules{PlusTags: rules.PlusTags, Dots: rules.Dots})
	if err != nil {
		return "", gateway.Invalid("subject", err.Error())
	}
	return mail, nil
}

// read reads a body of a call that is not hot.
func (q *request) read(into any) error {
	b, err := q.jsonBody()
	if err != nil {
		return err
	}
	return strictjson.Decode(b, into)
}

// json answers a call that is not hot.
func (q *request) json(status int, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	q.out = append(q.out[:0], b...)
	q.send(status)
	return nil
}
