package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// mailLog is how long an e-mail that was sent, or will not be, is kept.
const mailLog = 30 * 24 * time.Hour

const mailColumns = `id, kind, recipient, status, attempts, error, created_at, tried_at, next_at, sent_at`

// mailInto lists where the columns of an e-mail go.
func mailInto(m *gateway.MailRow, tried, next, sent **time.Time) []any {
	return []any{(*[16]byte)(&m.ID), &m.Kind, &m.Recipient, &m.Status, &m.Attempts, &m.Error, &m.Created, tried, next, sent}
}

func scanMail(row pgx.CollectableRow) (m gateway.MailRow, err error) {
	var tried, next, sent *time.Time
	err = row.Scan(mailInto(&m, &tried, &next, &sent)...)
	m.Created, m.TriedAt, m.NextAt, m.SentAt = m.Created.UTC(), orZero(tried), orZero(next), orZero(sent)
	return m, err
}

// Mails lists a launch's e-mails, newest first.
func (l *Ledger) Mails(ctx context.Context, launch string, f gateway.MailFilter, p gateway.Page) (gateway.List[gateway.MailRow], error) {
	var none gateway.List[gateway.MailRow]
	before, err := idCursor(p)
	if err != nil {
		return none, err
	}
	sql, args := `SELECT `+mailColumns+` FROM mails WHERE launch = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3 = '' OR kind = $3)`, []any{launch, before, string(f.Kind), p.Limit + 1}
	// Written out, so that the partial indexes serve.
	switch f.Status {
	case gateway.MailQueued, gateway.MailSent, gateway.MailDead, gateway.MailSuppressed:
		sql += ` AND status = '` + string(f.Status) + `'`
	}
	if f.Recipient != "" {
		sql, args = sql+` AND lower(recipient) = lower($5)`, append(args, printable(f.Recipient))
	}
	rows, err := l.pool.Query(ctx, sql+` ORDER BY id DESC LIMIT $4`, args...)
	if err != nil {
		return none, err
	}
	return page(rows, p.Limit, scanMail, func(m gateway.MailRow) string { return m.ID.String() })
}

// Mail finds an e-mail. It returns not_found if there is none.
func (l *Ledger) Mail(ctx context.Context, launch string, id gateway.ID) (gateway.MailRow, error) {
	rows, err := l.pool.Query(ctx, `SELECT `+mailColumns+` FROM mails WHERE launch = $1 AND id = $2`, launch, [16]byte(id))
	if err != nil {
		return gateway.MailRow{}, err
	}
	m, err := pgx.CollectExactlyOneRow(rows, scanMail)
	if errors.Is(err, pgx.ErrNoRows) {
		return m, gateway.Refuse(gateway.NotFound)
	}
	return m, err
}

// ReplayMails queues e-mails again and hands their ids to with, in one
// transaction: at most limit of them, oldest first. One that is sent, or whose
// recipient was erased, is not among them.
func (l *Ledger) ReplayMails(ctx context.Context, launch string, r gateway.MailReplay, limit int, with func(pgx.Tx, []gateway.ID) error) error {
	return pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		var one any
		if r.ID != (gateway.ID{}) {
			one = [16]byte(r.ID)
		}
		rows, err := tx.Query(ctx, `
			UPDATE mails SET status = 'queued', round = 0, next_at = now() WHERE id IN (
				SELECT id FROM mails WHERE launch = $1 AND status IN ('dead', 'suppressed') AND recipient <> ''
				  AND CASE WHEN $2::uuid IS NULL THEN created_at >= $3 AND ($4 = '' OR kind = $4) ELSE id = $2 END
				ORDER BY id LIMIT $5 FOR UPDATE) RETURNING id`, launch, one, r.Since, string(r.Kind), limit)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, scanID)
		if err != nil {
			return err
		}
		return with(tx, ids)
	})
}

// MailDepths says how much waits to be sent, by launch.
func (l *Ledger) MailDepths(ctx context.Context) (map[string]gateway.MailDepth, error) {
	rows, err := l.pool.Query(ctx, `SELECT launch, count(*), min(created_at) FROM mails WHERE status = 'queued' GROUP BY launch`)
	if err != nil {
		return nil, err
	}
	depths := map[string]gateway.MailDepth{}
	var launch string
	var d gateway.MailDepth
	_, err = pgx.ForEachRow(rows, []any{&launch, &d.Queued, &d.Oldest}, func() error {
		depths[launch] = d
		return nil
	})
	return depths, err
}

// eraseMails takes people's addresses, codes and links out of their e-mails.
// What waited is not sent any more.
const eraseMails = `
	UPDATE mails SET recipient = '', data = '{}', error = CASE WHEN status = 'sent' THEN error ELSE 'the recipient was erased' END,
		status = CASE WHEN status = 'sent' THEN status ELSE 'suppressed' END, next_at = NULL
	WHERE launch = (SELECT name FROM launches WHERE id = $1) AND who = ANY ($2)`

// eraseInviters takes inviters' names out of invitations that are not sent yet.
// Their keys begin invitation/inviter's key/.
const eraseInviters = `
	UPDATE mails SET data = data - 'inviter'
	WHERE launch = (SELECT name FROM launches WHERE id = $1) AND kind = 'invitation' AND split_part(key, '/', 2) = ANY ($2)`

// tidyMails forgets e-mails that are old and do not wait.
func (l *Ledger) tidyMails(ctx context.Context, now time.Time) error {
	_, err := l.pool.Exec(ctx, `DELETE FROM mails WHERE status <> 'queued' AND created_at < $1`, now.Add(-mailLog))
	return err
}
