package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/gatewaytest"
	"admitone/sync/ledger"
)

// post is a queue that sends to a mail server of the test's own.
type post struct {
	testing.TB
	*Queue
	ledger   *ledger.Ledger
	pool     *pgxpool.Pool
	store    *store
	smtp     *rig.SMTP
	tls      *rig.SMTP // another one, of some tests
	registry *prometheus.Registry
	logs     *logs
}

// logs is what everything has logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// beginPost makes the launch "l", named Writer; change may alter what the queue
// sends to.
func beginPost(t *testing.T, o rig.SMTPOptions, change func(*Options)) *post {
	t.Helper()
	l, err := ledger.Open(t.Context(), rig.TestPostgres(t), secrets(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	p := &post{TB: t, ledger: l, pool: l.Pool(), store: &store{Model: gatewaytest.NewModel(time.Now())}, smtp: rig.TestSMTP(t, o), registry: prometheus.NewRegistry(), logs: &logs{}}
	policy := gateway.DefaultPolicy("l")
	policy.Name = "Writer"
	policy.Email.From, policy.Email.ReplyTo, policy.Email.UnsubscribeURL = "Wröter Team <hello@writer.example>", "help@writer.example", "https://writer.example/u?m={mail}"
	if _, err := p.store.CreateLaunch(t.Context(), policy, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	p.Queue = p.process(change)
	// Whatever happened, no log names a person or a code.
	t.Cleanup(func() {
		for _, secret := range []string{"@people.example", "CODE-", "secret of the login"} {
			if strings.Contains(p.logs.String(), secret) {
				t.Errorf("the log holds %q:\n%s", secret, p.logs)
			}
		}
	})
	return p
}

// process is a queue as another process has it.
func (p *post) process(change func(*Options)) *Queue {
	p.Helper()
	o := Options{
		Pool: p.pool, Store: p.store, Ledger: p.ledger, Keyring: secrets(p.TB.(*testing.T)), Registry: p.registry,
		Logger: slog.New(slog.NewTextHandler(p.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		SMTP:   SMTP{URL: p.smtp.URL(), CA: p.smtp.CA(), Rate: 1000, Connections: 2},
	}
	if change != nil {
		change(&o)
	}
	q, err := New(context.Background(), o)
	if err != nil {
		p.Fatal(err)
	}
	return q
}

func (p *post) work() {
	p.Helper()
	if err := p.Start(context.Background()); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			p.Error(err)
		}
	})
}

// offer is an offer to somebody.
func offer(who string) gateway.Mail {
	return gateway.Mail{
		Launch: "l", Kind: gateway.MailOffer, Key: "offer/" + who, To: who + "@people.example", Who: "key-" + who,
		Data: gateway.MailData{Name: "Ann", Code: "CODE-" + who, Link: "https://writer.example/i/l/CODE-" + who, ExpiresAt: time.Now().Add(time.Hour)},
	}
}

// queue queues e-mails in a transaction that ends with err.
func (p *post) queue(err error, mails ...gateway.Mail) {
	p.Helper()
	got := pgx.BeginFunc(context.Background(), p.pool, func(tx pgx.Tx) error {
		if err := p.MailTx(context.Background(), tx, mails...); err != nil {
			p.Fatal(err)
		}
		return err
	})
	if !errors.Is(got, err) {
		p.Fatal(got)
	}
}

// until waits for the e-mails to be as wanted; the newest is first.
func (p *post) until(ok func([]gateway.MailRow) bool) []gateway.MailRow {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		list, err := p.ledger.Mails(context.Background(), "l", gateway.MailFilter{}, gateway.Page{Limit: 100})
		if err != nil {
			p.Fatal(err)
		}
		if ok(list.Data) {
			return list.Data
		}
		if time.Now().After(deadline) {
			p.Fatalf("the e-mails stay %+v\n%s", list.Data, p.logs)
		}
	}
}

// all waits for all e-mails to have a status.
func (p *post) all(status gateway.MailStatus) []gateway.MailRow {
	p.Helper()
	return p.until(func(list []gateway.MailRow) bool {
		for _, m := range list {
			if m.Status != status {
				return false
			}
		}
		return true
	})
}

// tried waits for all e-mails to have been attempted so often, and to wait for
// the next time.
func (p *post) tried(attempts int) []gateway.MailRow {
	p.Helper()
	return p.until(func(list []gateway.MailRow) bool {
		for _, m := range list {
			if m.Attempts != attempts || m.Error == "" || m.Status != gateway.MailQueued {
				return false
			}
		}
		return len(list) > 0
	})
}

// soon makes all that wait due now.
func (p *post) soon() {
	p.Helper()
	n := len(p.tried(p.until(func([]gateway.MailRow) bool { return true })[0].Attempts))
	if _, err := p.pool.Exec(context.Background(), `UPDATE mails SET next_at = now(), error = '' WHERE status = 'queued'`); err != nil {
		p.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); n > 0; time.Sleep(10 * time.Millisecond) {
		tag, err := p.pool.Exec(context.Background(), `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE kind = 'mail' AND (state = 'scheduled' OR state = 'available' AND scheduled_at > now())`)
		if err != nil {
			p.Fatal(err)
		}
		n -= int(tag.RowsAffected())
		if time.Now().After(deadline) {
			p.Fatal("no job waits")
		}
	}
}

func (p *post) counted(status string) int {
	var n float64
	m, err := p.registry.Gather()
	if err != nil {
		p.Fatal(err)
	}
	for _, f := range m {
		for _, each := range f.GetMetric() {
			for _, l := range each.GetLabel() {
				if f.GetName() == "admitone_mails_total" && l.GetName() == "status" && l.GetValue() == status {
					n += each.GetCounter().GetValue()
				}
			}
		}
	}
	return int(n)
}

// TestMail: what a transaction queues is sent once, with TLS and a login, and
// what it undoes never.
func TestMail(t *testing.T) {
	for name, direct := range map[string]bool{"STARTTLS": false, "TLS": true} {
		t.Run(name, func(t *testing.T) { testMail(t, direct) })
	}
}

func testMail(t *testing.T, direct bool) {
	p := beginPost(t, rig.SMTPOptions{TLS: true, Direct: direct, User: "gateway", Password: "the secret of the login"}, func(o *Options) { o.SMTP.Password = "the secret of the login" })
	p.queue(errors.New("undone"), offer("nobody"))
	p.queue(nil, offer("ann"), offer("bob"), offer("ann"))
	p.queue(nil, offer("ann"))
	if n := testutil.CollectAndCount(p.registry, "admitone_mails_queued"); n != 1 {
		t.Errorf("%d launches have something queued", n)
	}
	p.work()
	list := p.all(gateway.MailSent)
	if len(list) != 2 || list[0].Attempts != 1 || list[0].Error != "" || list[0].SentAt.IsZero() || !list[0].NextAt.IsZero() {
		t.Errorf("%+v", list)
	}
	letters := p.smtp.To("ann@people.example")
	if len(letters) != 1 || len(p.smtp.Letters()) != 2 {
		t.Fatalf("%v", p.smtp.Counts())
	}
	l, id := letters[0], list[0].ID.String()
	if list[0].Recipient != l.To {
		id = list[1].ID.String()
	}
	for name, want := range map[string]string{
		"Message-Id": "<" + id + "@writer.example>", "Reply-To": "<help@writer.example>", "To": "<ann@people.example>", "Auto-Submitted": "auto-generated",
		"List-Unsubscribe": "<https://writer.example/u?m=" + id + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Mime-Version": "1.0",
	} {
		if got := l.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	from, err := l.Header.AddressList("From")
	if err != nil || from[0].Name != "Wröter Team" || l.From != "hello@writer.example" || l.Subject != "Your place in Writer is ready" {
		t.Errorf("%v, %v, %q, %q", from, err, l.From, l.Subject)
	}
	if d, err := l.Header.Date(); err != nil || time.Since(d).Abs() > time.Hour {
		t.Errorf("the date is %v, %v", d, err)
	}
	if !strings.Contains(l.Text, "CODE-ann") || !strings.Contains(l.HTML, "CODE-ann") || !strings.Contains(l.Text, "https://writer.example/i/l/CODE-ann\n") {
		t.Errorf("it says\n%s\n%s", l.Text, l.HTML)
	}
	var left int
	if err := p.pool.QueryRow(t.Context(), `SELECT count(*) FROM mails WHERE data <> '{}'`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d e-mails that were sent keep their codes, %v", left, err)
	}
	if p.counted("sent") != 2 {
		t.Errorf("%d are counted as sent", p.counted("sent"))
	}
}

// TestMailDeferred: a server that is not well gets the e-mail again, once it
// is well exactly once.
func TestMailDeferred(t *testing.T) {
	var calls atomic.Int64
	p := beginPost(t, rig.SMTPOptions{Answer: func(*rig.Letter) error {
		if calls.Add(1) < 3 {
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "ann@people.example: come back with CODE-ann"}
		}
		return nil
	}}, nil)
	p.queue(nil, offer("ann"))
	p.work()
	m := p.tried(1)[0]
	if wait := time.Until(m.NextAt); wait < time.Second || wait > 12*time.Second || !strings.Contains(m.Error, "DATA: 451 4.3.0 …: come back with …") {
		t.Errorf("after one attempt: %+v", m)
	}
	p.soon()
	p.tried(2)
	p.soon()
	if m := p.all(gateway.MailSent)[0]; m.Attempts != 3 || m.Error != "" {
		t.Errorf("%+v", m)
	}
	if got := p.smtp.Counts(); len(got) != 1 || got["ann@people.example"] != 1 {
		t.Errorf("%v", got)
	}
	if p.counted("deferred") != 2 || p.counted("sent") != 1 {
		t.Errorf("counted are %d deferred, %d sent", p.counted("deferred"), p.counted("sent"))
	}
}

// TestMailInDoubt: an e-mail whose answer was lost is sent again as the same
// one.
func TestMailInDoubt(t *testing.T) {
	var calls atomic.Int64
	p := beginPost(t, rig.SMTPOptions{Answer: func(*rig.Letter) error {
		if calls.Add(1) == 1 {
			return rig.ErrCut
		}
		return nil
	}}, nil)
	p.queue(nil, offer("ann"))
	p.work()
	p.tried(1)
	p.soon()
	p.all(gateway.MailSent)
	l := p.smtp.Letters()
	if len(l) != 2 || l[0].MessageID == "" || l[0].MessageID != l[1].MessageID || l[0].Header.Get("Date") != l[1].Header.Get("Date") || l[0].Text != l[1].Text {
		t.Errorf("%d letters: %+v", len(l), l)
	}
}

// TestMailHungUp: a server that took an e-mail and then breaks the connection
// off, or does so while there is nothing to send, costs no second e-mail and no
// attempt.
func TestMailHungUp(t *testing.T) {
	var hangUp atomic.Bool
	p := beginPost(t, rig.SMTPOptions{Answer: func(*rig.Letter) error {
		if hangUp.Load() {
			return rig.ErrHungUp
		}
		return nil
	}}, func(o *Options) { o.SMTP.Connections = 1 })
	hangUp.Store(true)
	p.queue(nil, offer("ann"), offer("bob"))
	p.work()
	p.all(gateway.MailSent)
	hangUp.Store(false)
	p.queue(nil, offer("cid"))
	p.all(gateway.MailSent)
	p.smtp.Stop()
	if err := p.smtp.Restart(); err != nil {
		t.Fatal(err)
	}
	p.queue(nil, offer("dan"))
	for _, m := range p.all(gateway.MailSent) {
		if m.Attempts != 1 || m.Error != "" {
			t.Errorf("%+v", m)
		}
	}
	if got := p.smtp.Counts(); len(got) != 4 || len(p.smtp.Letters()) != 4 {
		t.Errorf("%v", got)
	}
}

// TestMailDead: what is refused for good is not tried again, until somebody
// says so.
func TestMailDead(t *testing.T) {
	var mended atomic.Bool
	p := beginPost(t, rig.SMTPOptions{Recipient: func(to string) error {
		if strings.HasPrefix(to, "gone") && !mended.Load() {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + to + ">: no such user"}
		}
		return nil
	}}, nil)
	p.queue(nil, offer("gone"))
	p.work()
	m := p.all(gateway.MailDead)[0]
	if m.Attempts != 1 || !strings.Contains(m.Error, "RCPT TO: 550 5.1.1 <…>: no such user") || !m.NextAt.IsZero() || p.counted("dead") != 1 {
		t.Errorf("%+v", m)
	}
	mended.Store(true)
	if n, err := p.ReplayMails(t.Context(), "l", gateway.MailReplay{Since: time.Now().Add(time.Hour)}); n != 0 || err != nil {
		t.Errorf("%d of the future are sent again, %v", n, err)
	}
	if n, err := p.ReplayMails(t.Context(), "l", gateway.MailReplay{Kind: gateway.MailReward, Since: time.Unix(0, 0)}); n != 0 || err != nil {
		t.Errorf("%d of another kind are sent again, %v", n, err)
	}
	if n, err := p.ReplayMails(t.Context(), "l", gateway.MailReplay{ID: m.ID}); n != 1 || err != nil {
		t.Errorf("%d are sent again, %v", n, err)
	}
	if m = p.all(gateway.MailSent)[0]; m.Attempts != 2 || len(p.smtp.Letters()) != 1 {
		t.Errorf("%+v", m)
	}
	if _, err := p.ReplayMails(t.Context(), "l", gateway.MailReplay{ID: m.ID}); !errors.Is(err, gateway.Refuse(gateway.Conflict)) {
		t.Errorf("what was sent is sent again: %v", err)
	}
	if _, err := p.ReplayMails(t.Context(), "other", gateway.MailReplay{ID: m.ID}); !errors.Is(err, gateway.Refuse(gateway.NotFound)) {
		t.Errorf("another launch's is sent again: %v", err)
	}
}

// TestMailOutage: a server that is away for a day costs nothing: when it is
// back, each e-mail comes once.
func TestMailOutage(t *testing.T) {
	p := beginPost(t, rig.SMTPOptions{}, nil)
	p.smtp.Stop()
	p.queue(nil, offer("ann"), offer("bob"), offer("cid"))
	p.work()
	if m := p.tried(1)[0]; !strings.Contains(m.Error, "connecting") {
		t.Errorf("%+v", m)
	}
	// As many attempts as a day holds are noted, as if time had passed.
	rounds := 0
	for total := time.Duration(0); total < 24*time.Hour; rounds++ {
		wait, again := mailWait(rounds + 1)
		if total += wait; !again {
			t.Fatal("the attempts end within a day")
		}
	}
	if _, err := p.pool.Exec(t.Context(), `UPDATE mails SET round = $1`, rounds); err != nil {
		t.Fatal(err)
	}
	p.soon()
	if m := p.tried(2)[0]; time.Until(m.NextAt) > 70*time.Minute {
		t.Errorf("after a day it waits until %v", m.NextAt)
	}
	if err := p.smtp.Restart(); err != nil {
		t.Fatal(err)
	}
	p.soon()
	p.all(gateway.MailSent)
	if got := p.smtp.Counts(); len(got) != 3 || got["ann@people.example"] != 1 || got["bob@people.example"] != 1 || got["cid@people.example"] != 1 {
		t.Errorf("%v", got)
	}
}

// TestMailSchedule: the last attempt is three days after the first.
func TestMailSchedule(t *testing.T) {
	total := time.Duration(0)
	for attempts := 1; ; attempts++ {
		wait, again := mailWait(attempts)
		if !again {
			break
		}
		if wait > 66*time.Minute {
			t.Errorf("wait %d is %v", attempts, wait)
		}
		total += wait
	}
	if total < 64*time.Hour || total > 80*time.Hour {
		t.Errorf("the attempts end after %v", total)
	}
	m := &mailer{ledger: failing{}, metrics: newMailMetrics(nil, nil), log: slog.New(slog.DiscardHandler)}
	d := &gateway.MailDispatch{Round: 1000}
	if err := m.settle(t.Context(), d, mailOutcome{status: gateway.MailQueued, cause: "away"}); err != nil {
		t.Errorf("the last attempt is followed by %v", err)
	}
}

// failing is a ledger that takes what is dead.
type failing struct{ MailLedger }

func (failing) MailTried(_ context.Context, _ gateway.ID, status gateway.MailStatus, cause string, _ time.Duration, counted bool) error {
	if status != gateway.MailDead || cause == "" || !counted {
		return fmt.Errorf("it is noted as %s, %q, %v", status, cause, counted)
	}
	return nil
}

// TestMailBounded: however many there are, they leave on few connections, and
// not faster than said.
func TestMailBounded(t *testing.T) {
	const n, a = 60, 100
	var mu sync.Mutex
	var first, last time.Time
	p := beginPost(t, rig.SMTPOptions{Caught: func(*rig.Letter, []byte) {
		mu.Lock()
		defer mu.Unlock()
		if last = time.Now(); first.IsZero() {
			first = last
		}
	}}, func(o *Options) { o.SMTP.Rate, o.SMTP.Connections = a, 2 })
	var mails []gateway.Mail
	for i := range n {
		mails = append(mails, offer(fmt.Sprint("p", i)))
	}
	p.queue(nil, mails...)
	p.work()
	p.all(gateway.MailSent)
	if got := p.smtp.Counts(); len(got) != n {
		t.Errorf("%d people got something", len(got))
	}
	if made, most := p.smtp.Sessions(); most > 2 || made > 4 {
		t.Errorf("%d connections, %d at once", made, most)
	}
	// A lower bound: two may be on their way when the first has come.
	if took := last.Sub(first); took < (n-4)*time.Second/a {
		t.Errorf("%d e-mails took %v", n, took)
	}
}

// TestMailSuppressed: what nobody could want is not sent, and can be later.
func TestMailSuppressed(t *testing.T) {
	p := beginPost(t, rig.SMTPOptions{}, nil)
	late, elsewhere := offer("late"), offer("ann")
	late.Data.ExpiresAt = time.Now().Add(-time.Minute)
	elsewhere.Launch = "m"
	policy := gateway.DefaultPolicy("m")
	if _, err := p.store.CreateLaunch(t.Context(), policy, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	nowhere := offer("nobody")
	nowhere.Launch = "nowhere"
	p.queue(nil, late, elsewhere, nowhere)
	p.work()
	if m := p.all(gateway.MailSuppressed)[0]; !strings.Contains(m.Error, "expired") {
		t.Errorf("%+v", m)
	}
	for launch, want := range map[string]string{"m": "no sender", "nowhere": "no launch"} {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			list, err := p.ledger.Mails(t.Context(), launch, gateway.MailFilter{Status: gateway.MailSuppressed, Kind: gateway.MailOffer}, gateway.Page{Limit: 1})
			if err != nil || time.Now().After(deadline) {
				t.Fatal(list, err)
			}
			if len(list.Data) == 1 {
				if !strings.Contains(list.Data[0].Error, want) {
					t.Errorf("%+v", list.Data)
				}
				break
			}
		}
	}
	if len(p.smtp.Letters()) != 0 {
		t.Errorf("%v", p.smtp.Counts())
	}
	policy.Email.From = "hello@m.example"
	if _, err := p.store.PutPolicy(t.Context(), policy, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if n, err := p.ReplayMails(t.Context(), "m", gateway.MailReplay{Since: time.Unix(0, 0)}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for deadline := time.Now().Add(time.Minute); len(p.smtp.Letters()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing comes")
		}
	}
}

// TestMailUnsendable: nothing that a caller hands over undoes its transaction.
func TestMailUnsendable(t *testing.T) {
	p := beginPost(t, rig.SMTPOptions{}, nil)
	odd := offer("odd")
	odd.Key, odd.Who = strings.Repeat("k", 5000)+"\x00", "\xff\x00"
	odd.Data = gateway.MailData{Name: "\x00\xff", Code: "A\x00", Link: "\xff", ExpiresAt: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), Position: -1, Amount: -1 << 63, Currency: "\x00"}
	kind, address, crlf := offer("kind"), offer("address"), offer("crlf")
	kind.Kind, address.To, crlf.To = "post\x00card", "not an address\x00", "ann@people.example\r\nRCPT TO:<all@people.example>"
	p.queue(nil, odd, kind, address, crlf)
	p.work()
	p.until(func(list []gateway.MailRow) bool {
		dead, sent := 0, 0
		for _, m := range list {
			if m.Status == gateway.MailDead && m.Attempts == 0 && m.Error != "" {
				dead++
			}
			if m.Status == gateway.MailSent {
				sent++
			}
		}
		return dead == 3 && sent == 1
	})
	if got := p.smtp.Counts(); len(got) != 1 || got["odd@people.example"] != 1 {
		t.Errorf("%v", got)
	}
}

// TestMailLater: without a server e-mail waits, for a process that has one.
func TestMailLater(t *testing.T) {
	p := beginPost(t, rig.SMTPOptions{}, func(o *Options) { o.SMTP, o.Registry = SMTP{}, nil })
	p.work()
	p.queue(nil, offer("ann"))
	q := p.process(nil)
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := q.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if m := p.all(gateway.MailSent)[0]; m.Attempts != 1 {
		t.Errorf("%+v", m)
	}
}

// forgetful is a ledger that does not take a note the first times.
type forgetful struct {
	MailLedger
	times int
}

func (f *forgetful) MailTried(ctx context.Context, id gateway.ID, status gateway.MailStatus, cause string, wait time.Duration, counted bool) error {
	if f.times--; f.times >= 0 {
		return errors.New("postgres is away")
	}
	return f.MailLedger.MailTried(ctx, id, status, cause, wait, counted)
}

// TestMailStopped: a stop waits for what is on its way, and a ledger that is
// away for a moment is waited for, so that nothing is sent twice.
func TestMailStopped(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	p := beginPost(t, rig.SMTPOptions{Answer: func(*rig.Letter) error {
		stop()
		return nil
	}}, nil)
	p.queue(nil, offer("ann"))
	m := &mailer{store: p.store, ledger: &forgetful{p.ledger, 2}, smtp: p.Queue.smtp, log: slog.New(slog.DiscardHandler), metrics: newMailMetrics(nil, p.ledger)}
	job := &river.Job[mailArgs]{JobRow: &rivertype.JobRow{}, Args: mailArgs{"l", p.all(gateway.MailQueued)[0].ID}}
	if err := m.Work(stopped, job); err != nil {
		t.Fatal(err)
	}
	if m := p.all(gateway.MailSent)[0]; m.Attempts != 1 || len(p.smtp.Letters()) != 1 {
		t.Errorf("%+v", m)
	}
	if err := m.Work(t.Context(), job); err != nil || len(p.smtp.Letters()) != 1 {
		t.Errorf("a second job of it sends it again: %v", err)
	}
	// Stopped before anything was said to the server: no attempt.
	p.smtp.Stop()
	p.queue(nil, offer("bob"))
	job.Args.ID = p.until(func(list []gateway.MailRow) bool { return len(list) == 2 })[0].ID
	d, _, _, err := p.ledger.ClaimMail(t.Context(), job.Args.ID, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.settle(stopped, &d, mailOutcome{status: gateway.MailQueued, cause: "away"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := p.pool.QueryRow(t.Context(), `SELECT round FROM mails WHERE id = $1 AND status = 'queued' AND next_at < now() + interval '2 seconds'`, [16]byte(d.ID)).Scan(&d.Round); err != nil || d.Round != 0 {
		t.Errorf("an attempt that was none counts: %d, %v", d.Round, err)
	}
}

// TestMailTLS: a password and an e-mail go to nobody but the server that the
// deployment named.
func TestMailTLS(t *testing.T) {
	for name, change := range map[string]func(p *post, o *Options){
		"a server without STARTTLS": func(p *post, o *Options) { o.SMTP.URL = "smtp://" + p.smtp.Addr() },
		"a certificate of nobody's": func(p *post, o *Options) { o.SMTP.URL = "smtp://" + p.tls.Addr() },
		"a wrong password": func(p *post, o *Options) {
			o.SMTP.URL, o.SMTP.CA, o.SMTP.Password = p.tls.URL(), p.tls.CA(), "the secret of the login, mistyped"
		},
		"no login": func(p *post, o *Options) { o.SMTP.URL, o.SMTP.CA = "smtp://"+p.tls.Addr(), p.tls.CA() },
	} {
		t.Run(name, func(t *testing.T) {
			p := beginPost(t, rig.SMTPOptions{}, nil)
			p.tls = rig.TestSMTP(t, rig.SMTPOptions{TLS: true, User: "gateway", Password: "the secret of the login"})
			p.registry = prometheus.NewRegistry()
			p.Queue = p.process(func(o *Options) { o.SMTP.CA = nil; change(p, o) })
			p.queue(nil, offer("ann"))
			p.work()
			if m := p.tried(1)[0]; len(p.smtp.Letters())+len(p.tls.Letters()) != 0 {
				t.Errorf("it is sent: %+v", m)
			} else {
				t.Log(m.Error)
			}
		})
	}
}

func TestSMTPURL(t *testing.T) {
	for url, want := range map[string]string{
		"mail.example": "does not parse", "http://mail.example": "does not parse", "smtp://": "does not parse", "smtp://mail.example/x": "does not parse",
		"smtp://mail.example:0": "does not parse", "smtp://mail.example:587?tls=no": "does not parse", "smtp://%zz:pass@x": "does not parse",
		"smtp://ann:pass@mail.example": "--smtp-password-file", "smtp://ann@mail.example": "no password",
		"smtp+plain://mail.example": "in the clear", "smtp+plain://10.0.0.1:25": "in the clear", "smtp+plain://ann@127.0.0.1": "in the clear",
	} {
		if _, err := newSMTPPool(SMTP{URL: url}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pass@") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "smtp://mail.example", "smtps://mail.example", "smtp+plain://localhost:1025", "smtp+plain://[::1]:1025", "smtp+plain://127.0.0.1"} {
		if _, err := newSMTPPool(SMTP{URL: url, From: "AdmitOne <a@b.example>"}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := newSMTPPool(SMTP{From: "nobody"}); err == nil {
		t.Error("a sender that is none is taken")
	}
	if _, err := newSMTPPool(SMTP{URL: "smtp://mail.example", CA: []byte("none")}); err == nil {
		t.Error("certificates that are none are taken")
	}
}
