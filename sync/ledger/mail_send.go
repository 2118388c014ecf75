package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// NewMail is an e-mail as it is queued: Status is dead for one that cannot be
// sent, and Error says why.
type NewMail struct {
	gateway.Mail
	ID     gateway.ID
	Status gateway.MailStatus
	Error  string
}

// QueueMails keeps e-mails in the transaction that makes them necessary, but
// for those whose key the launch has already, and returns the ids of those that
// are to be sent. Nothing that they hold makes it fail.
func (l *Ledger) QueueMails(ctx context.Context, tx pgx.Tx, list []NewMail) ([]gateway.ID, error) {
	n := len(list)
	ids, launches, kinds, keys, recipients := make([][16]byte, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	who, data, statuses, causes := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, m := range list {
		d := m.Data
		for _, s := range []*string{&d.Name, &d.Code, &d.Link, &d.Inviter, &d.Currency} {
			*s = printable(*s)
		}
		b, err := json.Marshal(d)
		if err != nil {
			return nil, err
		}
		ids[i], launches[i], kinds[i], keys[i], recipients[i] = m.ID, printable(m.Launch), printable(string(m.Kind)), printable(m.Key), printable(m.To)
		who[i], data[i], statuses[i], causes[i] = printable(m.Who), string(b), string(m.Status), m.Error
	}
	rows, err := tx.Query(ctx, `
		WITH made AS (
			INSERT INTO mails (id, launch, kind, key, recipient, who, data, status, error, created_at, next_at)
			SELECT id, launch, kind, key, recipient, who, data::jsonb, status, error, now(), CASE status WHEN 'queued' THEN now() END
			FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
				AS new (id, launch, kind, key, recipient, who, data, status, error)
			ON CONFLICT ON CONSTRAINT mails_once DO NOTHING RETURNING id, status)
		SELECT id FROM made WHERE status = 'queued'`, ids, launches, kinds, keys, recipients, who, data, statuses, causes)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanID)
}

// ClaimMail takes an e-mail that is due, so that nobody else attempts it for as
// long as lease. Without a claim, wait is when to ask again: 0 for one that does
// not wait to be sent any more.
func (l *Ledger) ClaimMail(ctx context.Context, id gateway.ID, lease time.Duration) (m gateway.MailDispatch, claimed bool, wait time.Duration, err error) {
	var tried, next, sent *time.Time
	var data []byte
	err = l.pool.QueryRow(ctx, `
		UPDATE mails SET attempts = attempts + 1, tried_at = now(), next_at = now() + $2
		WHERE id = $1 AND status = 'queued' AND next_at <= now() + interval '1 second'
		RETURNING `+mailColumns+`, launch, data, round`, [16]byte(id), lease).
		Scan(append(mailInto(&m.MailRow, &tried, &next, &sent), &m.Launch, &data, &m.Round)...)
	if errors.Is(err, pgx.ErrNoRows) {
		var seconds float64
		err = l.pool.QueryRow(ctx, `SELECT extract(epoch FROM next_at - now())::float8 FROM mails WHERE id = $1 AND status = 'queued'`, [16]byte(id)).Scan(&seconds)
		if errors.Is(err, pgx.ErrNoRows) {
			return m, false, 0, nil
		}
		return m, false, max(time.Duration(seconds*float64(time.Second)), time.Second), err
	}
	if err != nil {
		return m, false, 0, err
	}
	m.Created = m.Created.UTC()
	return m, true, 0, json.Unmarshal(data, &m.Data)
}

// MailTried notes how an attempt ended: the status that the e-mail has now,
// why, and for one that is queued in how long it is attempted again. counted
// says that the attempt was one.
func (l *Ledger) MailTried(ctx context.Context, id gateway.ID, status gateway.MailStatus, cause string, wait time.Duration, counted bool) error {
	_, err := l.pool.Exec(ctx, `
		UPDATE mails SET status = $2, error = $3, next_at = CASE $2 WHEN 'queued' THEN now() + $4::interval END, round = round + $5,
			sent_at = CASE $2 WHEN 'sent' THEN now() END, data = CASE $2 WHEN 'sent' THEN '{}' ELSE data END
		WHERE id = $1 AND status = 'queued'`, [16]byte(id), string(status), printable(cause), wait, map[bool]int{true: 1}[counted])
	return err
}
