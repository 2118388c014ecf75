package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// mailWaits are how long to wait before the second, third … attempt; then it is
// an hour each time. Each comes with jitter.
var mailWaits = [...]time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute}

// mailWait is how long to wait after so many attempts; false when mailPatience
// is over. Up to a tenth is added or taken away.
func mailWait(attempts int) (time.Duration, bool) {
	wait, since := mailHourly, time.Duration(0)
	for i := range attempts {
		wait = mailHourly
		if i < len(mailWaits) {
			wait = mailWaits[i]
		}
		since += wait
	}
	return wait - wait/10 + rand.N(wait/5), since <= mailPatience
}

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
	if len(ids) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(ids))
	for i, id := range ids {
		params[i] = river.InsertManyParams{Args: mailArgs{launch(id), id}, InsertOpts: &river.InsertOpts{Queue: mailQueue, MaxAttempts: mailAttempts}}
	}
	if _, err := q.client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
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

type mailArgs struct {
	Launch string     `json:"launch"`
	ID     gateway.ID `json:"id"`
}

// Kind names the job in River's table.
func (mailArgs) Kind() string { return "mail" }

// mailer writes e-mails and hands them over. One that was handed over by a
// process which died before it could note so is handed over again under the
// same Message-ID.
type mailer struct {
	river.WorkerDefaults[mailArgs]
	store   Store
	ledger  MailLedger
	smtp    *smtpPool // nil: this process sends none
	from    string    // where a policy does not say it
	log     *slog.Logger
	metrics *mailMetrics
}

// Timeout bounds an attempt.
func (m *mailer) Timeout(*river.Job[mailArgs]) time.Duration { return mailTimeout }

// NextRetry is for what keeps the ledger from being asked: a Postgres that
// restarts.
func (m *mailer) NextRetry(job *river.Job[mailArgs]) time.Time {
	return time.Now().Add(time.Second << min(job.Attempt, 8))
}

// Work attempts an e-mail once.
func (m *mailer) Work(ctx context.Context, job *river.Job[mailArgs]) error {
	if m.smtp == nil || m.smtp.rate.Wait(ctx) != nil {
		return river.JobSnooze(time.Second)
	}
	l, err := m.store.Launch(ctx, job.Args.Launch)
	var refused *gateway.Error
	switch {
	case errors.As(err, &refused) && passes(refused):
		return river.JobSnooze(max(refused.RetryAfter, mailPause))
	case err != nil && !errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)):
		return err
	}
	d, claimed, wait, err := m.ledger.ClaimMail(ctx, job.Args.ID, mailLease)
	switch {
	case err != nil:
		return err
	case !claimed && wait > 0:
		return river.JobSnooze(wait) // a second job of the same e-mail
	case !claimed:
		return nil
	}
	var o mailOutcome
	if l == nil {
		o = mailOutcome{status: gateway.MailSuppressed, cause: "there is no launch of this name any more"}
	} else {
		o = m.attempt(ctx, l, &d)
	}
	return m.settle(ctx, &d, o)
}

// mailOutcome is what came of an attempt: MailQueued for one that is to be
// tried again.
type mailOutcome struct {
	status gateway.MailStatus
	cause  string
}

// attempt writes the e-mail and hands it over.
func (m *mailer) attempt(ctx context.Context, l *gateway.Launch, d *gateway.MailDispatch) mailOutcome {
	from := cmp.Or(l.Policy.Email.From, m.from)
	if from == "" {
		return mailOutcome{gateway.MailSuppressed, "it has no sender; set email.from in the policy, or --smtp-from, and replay it"}
	}
	if until := d.Data.ExpiresAt; !until.IsZero() && time.Now().Add(l.Ahead).After(until) {
		return mailOutcome{gateway.MailSuppressed, "what it speaks of had expired before it could be sent"}
	}
	written, err := l.Policy.RenderMail(d.Kind, l.Policy.Email.Templates.For(d.Kind), d.Data, l.Policy.Email.UnsubscribeLink(d.ID, d.Recipient))
	if err != nil {
		return mailOutcome{gateway.MailDead, quietMail("the template fails: "+err.Error(), d)}
	}
	message, err := compose(from, &l.Policy.Email, d, written)
	if err != nil {
		return mailOutcome{gateway.MailDead, quietMail("the e-mail cannot be written: "+err.Error(), d)}
	}
	switch err := m.smtp.send(ctx, message); {
	case err == nil:
		return mailOutcome{status: gateway.MailSent}
	case permanent(err):
		return mailOutcome{gateway.MailDead, quietMail(smtpCause(err), d)}
	default:
		return mailOutcome{gateway.MailQueued, quietMail(smtpCause(err), d)}
	}
}

// settle notes an outcome, and says when the next attempt is.
func (m *mailer) settle(ctx context.Context, d *gateway.MailDispatch, o mailOutcome) error {
	note := context.WithoutCancel(ctx)
	if o.status == gateway.MailQueued && errors.Is(ctx.Err(), context.Canceled) {
		// Stopped in the middle: this attempt was none.
		return errors.Join(ctx.Err(), m.ledger.MailTried(note, d.ID, gateway.MailQueued, "", time.Second, false))
	}
	wait := time.Duration(0)
	word := string(o.status)
	if o.status == gateway.MailQueued {
		var again bool
		word = "deferred"
		if wait, again = mailWait(d.Round + 1); !again {
			o.status, word = gateway.MailDead, string(gateway.MailDead)
		}
	}
	m.metrics.mails.WithLabelValues(d.Launch, string(d.Kind), word).Inc()
	if o.status == gateway.MailDead {
		m.log.Warn("an e-mail will not be tried again", "launch", d.Launch, "kind", d.Kind, "mail", d.ID)
	}
	err := m.ledger.MailTried(note, d.ID, o.status, o.cause, wait, true)
	for i := 0; err != nil && o.status == gateway.MailSent && i < mailNotes; i++ {
		// It would be sent again: better to be slow than that.
		time.Sleep(100 * time.Millisecond << i)
		err = m.ledger.MailTried(note, d.ID, o.status, o.cause, wait, true)
	}
	if err != nil || o.status != gateway.MailQueued {
		return err
	}
	return river.JobSnooze(wait)
}
