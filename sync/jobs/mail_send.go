package jobs

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"

	"admitone/gateway"
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

type mailArgs struct {
	Launch string     `json:"launch"`
	ID     gateway.ID `json:"id"`
}

// Kind names the job in River's table.
func (mailArgs) Kind() string { return "mail" }

// InsertOpts names the queue, and how often the job is tried.
func (mailArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: mailQueue, MaxAttempts: mailAttempts}
}

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
func (m *mailer) NextRetry(job *river.Job[mailArgs]) time.Time { return backoff(job.Attempt) }

// Work attempts an e-mail once.
func (m *mailer) Work(ctx context.Context, job *river.Job[mailArgs]) error {
	if m.smtp == nil || m.smtp.rate.Wait(ctx) != nil {
		return river.JobSnooze(time.Second)
	}
	l, err := m.store.Launch(ctx, job.Args.Launch)
	if snooze := later(err, mailPause); snooze != nil {
		return snooze
	}
	if err != nil && !errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) {
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
