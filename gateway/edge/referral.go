package edge

import (
	"context"
	"sync"
	"time"

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
	depth, err := gateway.ReadReferralDepth(string(q.ctx.QueryArgs().Peek("depth")))
	if err != nil {
		return err
	}
	ledger, err := q.ledger()
	if err != nil {
		return err
	}
	ctx, cancel := q.reading()
	defer cancel()
	list, err := ledger.Referrals(ctx, q.launch.Name, q.server.config.Keyring.Subject(q.launch.Name, subject), depth, page)
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
	rows, err := q.server.leaders.of(q.server, ledger, q.launch.Name)
	if err != nil {
		return err
	}
	return q.json(fasthttp.StatusOK, map[string]any{"data": rows[:min(len(rows), page.Limit)]})
}

// How long a leaderboard is shown, and how long is waited for one.
const (
	leadersFresh = 5 * time.Second
	leadersAgain = time.Second // before Postgres is asked again after an error
	leadersWait  = 2 * time.Second
	leadersMost  = 100
)

// leaders remembers the launches' leaderboards for a moment. Anybody may ask
// for one, and one costs Postgres a look at every member who referred somebody:
// it is asked once at a time.
type leaders struct {
	mu     sync.Mutex
	boards map[string]*board
}

// board is one launch's leaderboard, or why there is none.
type board struct {
	mu   sync.Mutex
	next time.Time // not to be asked for before
	rows []gateway.LeaderRow
	err  error
}

func (l *leaders) of(s *Server, from Ledger, launch string) ([]gateway.LeaderRow, error) {
	l.mu.Lock()
	b := l.boards[launch]
	if b == nil {
		if l.boards == nil {
			l.boards = map[string]*board{}
		}
		b = &board{}
		l.boards[launch] = b
	}
	l.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.now().Before(b.next) {
		return b.rows, b.err
	}
	ctx, cancel := context.WithTimeout(s.running, leadersWait)
	defer cancel()
	rows, err := from.Leaderboard(ctx, launch, leadersMost)
	if rows == nil {
		rows = []gateway.LeaderRow{}
	}
	b.rows, b.err, b.next = rows, err, s.now().Add(leadersFresh)
	if err != nil {
		b.next = s.now().Add(leadersAgain)
	}
	return b.rows, b.err
}

// readingWait bounds what one caller's question may cost Postgres: a tree of
// referrals is as large as its root made it.
const readingWait = 5 * time.Second

// reading is the context of a question to Postgres.
func (q *request) reading() (context.Context, context.CancelFunc) {
	return context.WithTimeout(q.server.running, readingWait)
}

// ledger is what remembers.
func (q *request) ledger() (Ledger, error) {
	if q.server.config.Ledger == nil {
		return nil, gateway.Refuse(gateway.Unavailable)
	}
	return q.server.config.Ledger, nil
}
