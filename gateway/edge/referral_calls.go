package edge

import (
	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// The referral programme's three calls. They name people by their ids in the
// app and by display names, never by e-mail address.

// who is the member that speaks for itself, or the one whom a back end names in
// the query.
func (q *request) who(scopes ...gateway.Scope) (string, error) {
	if err := q.openLaunch(); err != nil {
		return "", err
	}
	subject, err := q.authorizeOwner(scopes...)
	if err != nil {
		return "", err
	}
	named := string(q.ctx.QueryArgs().Peek("subject"))
	if named == "" {
		if q.key != nil {
			return "", gateway.Invalid("subject", "Say in the query whose code it is.")
		}
		return subject, q.stillSpeaks(subject)
	}
	if named, err = q.subjectOf(named); err != nil {
		return "", err
	}
	if q.key == nil && named != subject {
		return "", &gateway.Error{Reason: gateway.Forbidden, Detail: "This member token speaks for another member."}
	}
	return named, q.stillSpeaks(named)
}

// referralCodeView is a member's code and where it leads.
type referralCodeView struct {
	Code          string `json:"code"`
	ShareLink     string `json:"share_link"`
	RemainingUses int    `json:"remaining_uses"`
	MaxUses       int    `json:"max_uses"`
}

func (q *request) codeOf(subject string) (referralCodeView, error) {
	config := &q.server.config
	code, err := gateway.ReferralCodeOf(q.server.running, config.Store, config.Keyring, q.launch, gateway.Invite{Subject: subject, Begin: q.key != nil})
	if err != nil {
		return referralCodeView{}, err
	}
	info, err := config.Store.Code(q.server.running, q.launch.Name, code.Code)
	if err != nil {
		return referralCodeView{}, err
	}
	link := q.link(code.Code)
	if landing := q.launch.Policy.LandingURL; landing != "" {
		link = withQuery(landing, "ref", string(code.Code))
	}
	return referralCodeView{code.Display, link, max(0, info.MaxUses-info.Used), info.MaxUses}, nil
}

// referralCode answers GET /v1/launches/{l}/referral/code.
func (q *request) referralCode() error {
	subject, err := q.who(gateway.ScopeServer)
	if err != nil {
		return err
	}
	view, err := q.codeOf(subject)
	if err != nil {
		return err
	}
	return q.json(fasthttp.StatusOK, view)
}

// referralValidate answers POST /v1/launches/{l}/referral/validate.
func (q *request) referralValidate() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	if err := q.authorizeServer(); err != nil {
		return err
	}
	b, err := q.body(validateFields)
	if err != nil {
		return err
	}
	var ask gateway.Validate
	if ask.Address, _, err = q.counted(&b); err != nil {
		return err
	}
	if !b.given(fCode) {
		return gateway.Invalid("code", "Give a code.")
	}
	type view struct {
		Valid         bool   `json:"valid"`
		Message       string `json:"message"`
		RemainingUses int    `json:"remaining_uses"`
	}
	if ask.Code, err = readCode(b.value[fCode]); err != nil {
		return q.json(fasthttp.StatusOK, view{Message: q.veiled(gateway.Refuse(gateway.CodeUnknown)).Sentence()})
	}
	v, err := q.server.config.Store.Validate(q.server.running, q.launch.Name, ask)
	if err == nil {
		return q.json(fasthttp.StatusOK, view{true, "This code is good.", v.Remaining})
	}
	e := q.explain(err)
	if !e.Reason.SpeaksOfCode() {
		return e
	}
	q.outcome = string(e.Reason)
	return q.json(fasthttp.StatusOK, view{Message: q.veiled(e).Sentence()})
}

// referralStats answers GET /v1/launches/{l}/referral/stats.
func (q *request) referralStats() error {
	subject, err := q.who(gateway.ScopeServer, gateway.ScopeRead)
	if err != nil {
		return err
	}
	ledger, err := q.ledger()
	if err != nil {
		return err
	}
	page, err := q.page()
	if err != nil {
		return err
	}
	code, err := q.codeOf(subject)
	if err != nil {
		return err
	}
	key := q.server.config.Keyring.Subject(q.launch.Name, subject)
	ctx, cancel := q.reading()
	defer cancel()
	stats, err := ledger.ReferralStats(ctx, q.launch.Name, key, page)
	if err != nil {
		return err
	}
	if q.key == nil {
		for i := range stats.Referrals {
			stats.Referrals[i].Subject = ""
		}
	}
	return q.json(fasthttp.StatusOK, struct {
		Code          string `json:"code"`
		RemainingUses int    `json:"remaining_uses"`
		MaxUses       int    `json:"max_uses"`
		gateway.ReferralStats
	}{code.Code, code.RemainingUses, code.MaxUses, stats})
}

// withQuery adds a parameter to an address.
func withQuery(address, name, value string) string {
	separator := "?"
	for i := range len(address) {
		if address[i] == '?' {
			separator = "&"
		}
		if address[i] == '#' {
			return address[:i] + separator + name + "=" + value + address[i:]
		}
	}
	return address + separator + name + "=" + value
}
