package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"admitone/gateway"
	"admitone/sync/ledger"
)

// Store is what jobs ask of Redis.
type Store interface {
	gateway.Minter
	Releaser
}

// Ledger is what jobs ask of Postgres.
type Ledger interface {
	CreateJob(ctx context.Context, j gateway.MintJob, with func(pgx.Tx) error) error
	Job(ctx context.Context, launch string, id gateway.ID) (gateway.MintJob, error)
	JobDone(ctx context.Context, j gateway.MintJob, done int, cause string) error
	WebhookLedger
	MailLedger
	AnomalyLedger
	RefillLedger
	ReleaseLedger
	WaitlistMailLedger
	MemberMailLedger
	RewardLedger
}

// Queue takes jobs and works on them. Every gateway has one; they share the
// work.
type Queue struct {
	ledger    Ledger
	client    *river.Client[pgx.Tx]
	followers []ledger.Follower // whoever makes jobs of what the journal says
	hooks     WebhookLedger
	keyring   Keyring
	outbound  *outbound
	smtp      *smtpPool // nil: this process sends no e-mail
}

// Keyring makes the check characters of codes, and the secret that a job's
// codes are derived from: its id is no secret. It seals what jobs keep.
type Keyring interface {
	gateway.Checker
	Ticketer
	MintKey(launch, job string) []byte
	Seal(dst []byte, bound string, plain []byte) []byte
	Open(bound string, sealed []byte) ([]byte, error)
}

// Options are what a Queue needs.
type Options struct {
	Pool    *pgxpool.Pool
	Store   Store
	Ledger  Ledger
	Members Members // nil: nobody is refilled
	Keyring Keyring
	Logger  *slog.Logger
	// WebhookAllow are private networks that webhooks may be sent to, by http
	// too. Without any, only public addresses and https are.
	WebhookAllow []netip.Prefix
	SMTP         SMTP
	// PublicURL is where people reach the public listener, for links in e-mails;
	// "" where nobody said. It may be nil.
	PublicURL func() string
	Registry  prometheus.Registerer // nil: none
}

// New brings River's tables up to date and makes a queue. It does not work
// yet.
func New(ctx context.Context, o Options) (*Queue, error) {
	pool, err := newSMTPPool(o.SMTP)
	if err != nil {
		return nil, err
	}
	driver := riverpgxv5.New(o.Pool)
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	if err := migrate(ctx, o.Pool, migrator); err != nil {
		return nil, fmt.Errorf("jobs: bringing River's tables up to date: %w", err)
	}
	q := &Queue{ledger: o.Ledger, hooks: o.Ledger, keyring: o.Keyring, outbound: newOutbound(o.WebhookAllow), smtp: pool}
	hooks := &webhooks{o.Ledger, q.deliver}
	base := o.PublicURL
	if base == nil {
		base = func() string { return "" }
	}
	q.followers = []ledger.Follower{hooks, &releases{q.insertTx}, &waitlistMails{o.Ledger, o.Keyring, base, q.MailTx}, &memberMails{o.Ledger, base, q.MailTx}}
	workers := river.NewWorkers()
	river.AddWorker(workers, &minter{store: o.Store, ledger: o.Ledger, keyring: o.Keyring})
	river.AddWorker(workers, &releaser{store: o.Store, checker: o.Keyring})
	river.AddWorker(workers, &releaseSweeper{pool: o.Pool, ledger: o.Ledger, insert: q.insertTx, seen: map[releaseArgs]int{}})
	river.AddWorker(workers, &deliverer{
		ledger: o.Ledger, keyring: o.Keyring, outbound: q.outbound, log: o.Logger, metrics: newWebhookMetrics(o.Registry), inFlight: map[gateway.ID]int{},
	})
	river.AddWorker(workers, &detective{store: o.Store, ledger: o.Ledger, hooks: hooks, log: o.Logger, metrics: newAnomalyMetrics(o.Registry)})
	river.AddWorker(workers, &refiller{members: o.Members, ledger: o.Ledger, log: o.Logger})
	river.AddWorker(workers, &payer{members: o.Members, ledger: o.Ledger, log: o.Logger})
	river.AddWorker(workers, &mailer{
		store: o.Store, ledger: o.Ledger, smtp: pool, from: o.SMTP.From, log: o.Logger, metrics: newMailMetrics(o.Registry, o.Ledger),
	})
	queues := map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2}, webhookQueue: {MaxWorkers: webhookWorkers}, releaseQueue: {MaxWorkers: 4}}
	if pool != nil {
		queues[mailQueue] = river.QueueConfig{MaxWorkers: mailWorkers}
	}
	q.client, err = river.NewClient(driver, &river.Config{
		Queues: queues, Workers: workers,
		CompletedJobRetentionPeriod: time.Hour, // what they did is noted elsewhere
		PeriodicJobs:                []*river.PeriodicJob{every(anomalyEvery, anomalyArgs{}), every(refillLook, refillArgs{}), every(rewardLook, rewardArgs{}), releaseSweepJob()},
		// A job of a process that was killed is another's after this; one without
		// a timeout would never be.
		JobTimeout: jobTimeout, RescueStuckJobsAfter: jobTimeout, MaxAttempts: 10,
		Logger: slog.New(warnings{o.Logger.Handler()}),
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return q, nil
}

// insertTx adds a job within a transaction.
func (q *Queue) insertTx(ctx context.Context, tx pgx.Tx, args river.JobArgs) error {
	_, err := q.client.InsertTx(ctx, tx, args, nil)
	return err
}

// insertManyTx adds many.
func (q *Queue) insertManyTx(ctx context.Context, tx pgx.Tx, list []river.JobArgs) error {
	if len(list) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(list))
	for i, args := range list {
		params[i].Args = args
	}
	if _, err := q.client.InsertManyFastTx(ctx, tx, params); err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// jobTimeout bounds a job that does not say itself how long it may take.
const jobTimeout = 5 * time.Minute

// Follow asks each kind of side effect what the events make necessary: it
// implements ledger.Follower.
func (q *Queue) Follow(ctx context.Context, tx pgx.Tx, launch string, events []gateway.Placed) error {
	for _, f := range q.followers {
		if err := f.Follow(ctx, tx, launch, events); err != nil {
			return err
		}
	}
	return nil
}

// migrate lets one process at a time run River's migrations.
func migrate(ctx context.Context, pool *pgxpool.Pool, m *rivermigrate.Migrator[pgx.Tx]) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtext('admitone river'))`); err != nil {
		return err
	}
	_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	_, unlock := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext('admitone river'))`)
	return errors.Join(err, unlock)
}

// warnings passes on what an operator should see of River's log.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

// Handle leaves out what River says of being stopped.
func (w warnings) Handle(ctx context.Context, r slog.Record) error {
	stopped := false
	r.Attrs(func(a slog.Attr) bool {
		stopped = a.Key == "error" && a.Value.String() == context.Canceled.Error()
		return !stopped
	})
	if stopped {
		return nil
	}
	return w.Handler.Handle(ctx, r)
}

// Start begins to work. Stop lets what is in hand finish, until the context is
// over: what it did not finish goes on elsewhere, or at the next start.
func (q *Queue) Start(ctx context.Context) error { return q.client.Start(ctx) }

// Stop ends the work.
func (q *Queue) Stop(ctx context.Context) error {
	err := q.client.StopAndCancel(ctx)
	if err == nil && q.smtp != nil {
		q.smtp.close()
	}
	return err
}
