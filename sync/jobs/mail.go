package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"admitone/gateway"
	"admitone/sync/ledger"
)

// MailLedger is what e-mail asks of Postgres.
type MailLedger interface {
	QueueMails(ctx context.Context, tx pgx.Tx, list []ledger.NewMail) ([]gateway.ID, error)
	ClaimMail(ctx context.Context, id gateway.ID, lease time.Duration) (m gateway.MailDispatch, claimed bool, wait time.Duration, err error)
	MailTried(ctx context.Context, id gateway.ID, status gateway.MailStatus, cause string, wait time.Duration, counted bool) error
	Mail(ctx context.Context, launch string, id gateway.ID) (gateway.MailRow, error)
	ReplayMails(ctx context.Context, launch string, r gateway.MailReplay, limit int, with func(pgx.Tx, []gateway.ID) error) error
	MailDepths(ctx context.Context) (map[string]gateway.MailDepth, error)
}

// mailQueue has workers of its own. They wait for the rate and for connections,
// so there are more of them than of these.
const (
	mailQueue    = "mail"
	mailWorkers  = 32
	mailAttempts = 1000             // of the job; those of the e-mail are counted in its row
	mailTimeout  = 2 * time.Minute  // of one attempt, with all that is around it
	mailLease    = 3 * time.Minute  // longer than an attempt, shorter than a job is left to a dead process
	mailKey      = 200              // bytes
	mailReplays  = 10_000           // e-mails in one replay
	lastYear     = 9999             // that JSON can say
	mailHourly   = time.Hour        // between attempts, after the first ones
	mailPatience = 72 * time.Hour   // from the first attempt to the last
	mailPause    = 10 * time.Second // while the launch is not served
	mailNotes    = 8                // times that it is tried again to note what was sent, 25 s in all
)

// MailTx queues e-mails in the transaction that makes them necessary; a
// follower of the ledger calls it. Of all with one launch and key, the first is
// kept and sent. What cannot be sent, such as an address that is none, is kept
// as dead: it never undoes the transaction.
func (q *Queue) MailTx(ctx context.Context, tx pgx.Tx, mails ...gateway.Mail) error {
	if len(mails) == 0 {
		return nil
	}
	list := make([]ledger.NewMail, len(mails))
	for i, m := range mails {
		n := ledger.NewMail{Mail: m, ID: gateway.NewID(time.Now()), Status: gateway.MailQueued}
		switch {
		case !slices.Contains(gateway.MailKinds, m.Kind):
			n.Status, n.Error = gateway.MailDead, "there is no e-mail of this kind"
		case !gateway.ValidRecipient(m.To):
			n.Status, n.Error, n.To = gateway.MailDead, "the address cannot be written to", ""
		}
		if len(m.Key) > mailKey {
			sum := sha256.Sum256([]byte(m.Key))
			n.Key = hex.EncodeToString(sum[:])
		}
		if y := m.Data.ExpiresAt.Year(); y < 1 || y > lastYear {
			n.Data.ExpiresAt = time.Time{}
		}
		list[i] = n
	}
	ids, err := q.ledger.QueueMails(ctx, tx, list)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	launches := map[gateway.ID]string{}
	for _, n := range list {
		launches[n.ID] = n.Launch
	}
	return q.sendMails(ctx, tx, ids, func(id gateway.ID) string { return launches[id] })
}

// sendMails makes jobs of e-mails, in a transaction.
func (q *Queue) sendMails(ctx context.Context, tx pgx.Tx, ids []gateway.ID, launch func(gateway.ID) string) error {
	list := make([]river.JobArgs, len(ids))
	for i, id := range ids {
		list[i] = mailArgs{launch(id), id}
	}
	return q.insertManyTx(ctx, tx, list)
}

// ReplayMails sends e-mails again that are dead or suppressed, and returns how
// many: 10,000 at most. It returns not_found for one that does not exist, and
// conflict for one that is sent, on its way, or whose recipient was erased.
func (q *Queue) ReplayMails(ctx context.Context, launch string, r gateway.MailReplay) (n int, err error) {
	if r.ID != (gateway.ID{}) {
		if _, err := q.ledger.Mail(ctx, launch, r.ID); err != nil {
			return 0, err
		}
	}
	err = q.ledger.ReplayMails(ctx, launch, r, mailReplays, func(tx pgx.Tx, ids []gateway.ID) error {
		n = len(ids)
		return q.sendMails(ctx, tx, ids, func(gateway.ID) string { return launch })
	})
	if err == nil && n == 0 && r.ID != (gateway.ID{}) {
		return 0, &gateway.Error{Reason: gateway.Conflict, Detail: "This e-mail is sent, on its way, or its recipient was erased: only one that is dead or suppressed can be sent again."}
	}
	return n, err
}
