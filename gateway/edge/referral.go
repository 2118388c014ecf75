package edge

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// referrals answers GET /v1/launches/{l}/members/{subject}/referrals.
func (q *request) referrals() error {
	subject, err := q.openMember(gateway.ScopeServer, gateway.ScopeRead)
	if err != nil {
		return err
	}
	page, err := q.page()
	if err != nil {
		return err
	}
	depth := 1
	if s := q.ctx.QueryArgs().Peek("depth"); s != nil {
		if depth, err = strconv.Atoi(string(s)); err != nil || depth < 1 || depth > gateway.MaxReferralDepth {
			return gateway.Invalid("depth", "Use a whole number from 1 to 50.")
		}
	}
	ledger, err := q.ledger()
	if err != nil {
		return err
	}
	list, err := ledger.Referrals(q.server.running, q.launch.Name, q.server.config.Keyring.Subject(q.launch.Name, subject), depth, page)
	if err != nil {
		return err
	}
	if q.key == nil { // a member learns who came, not their addresses
		for i := range list.Data {
			list.Data[i].Subject, list.Data[i].InvitedBy = "", ""
		}
	}
	return q.json(fasthttp.StatusOK, list)
}

// leaderboard answers GET /v1/launches/{l}/leaderboard.
func (q *request) leaderboard() error {
	if err := q.openLaunch(); err != nil {
		return err
	}
	page, err := q.page()
	if err != nil {
		return err
	}
	ledger, err := q.ledger()
	if err != nil {
		return err
	}
	rows, err := ledger.Leaderboard(q.server.running, q.launch.Name, page.Limit)
	if err != nil {
		return err
	}
	if rows == nil {
		rows = []gateway.LeaderRow{}
	}
	return q.json(fasthttp.StatusOK, map[string]any{"data": rows})
}

// ledger is what remembers.
func (q *request) ledger() (Ledger, error) {
	if q.server.config.Ledger == nil {
		return nil, gateway.Refuse(gateway.Unavailable)
	}
	return q.server.config.Ledger, nil
}
