package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"admitone/gateway"
)

// Releaser is what releases ask of Redis.
type Releaser interface {
	Launch(ctx context.Context, name string) (*gateway.Launch, error)
	CreateCampaign(ctx context.Context, launch string, c gateway.Campaign, by gateway.Actor) (*gateway.Campaign, error)
	Release(ctx context.Context, launch, id string) (gateway.Cohort, error)
	Front(ctx context.Context, launch string, n int) ([]string, error)
	WalkQueue(ctx context.Context, launch string, tell func(key string, arrival uint64)) error
	Offer(ctx context.Context, launch, release string, campaign *gateway.Campaign, list []gateway.Offered) (made, left int, err error)
}

type releaseArgs struct {
	Launch string `json:"launch"`
	ID     string `json:"id"`
}

// Kind names the job in River's table.
func (releaseArgs) Kind() string { return "release" }

// releaseQueue keeps releases from waiting behind long mintings.
const releaseQueue = "releases"

// InsertOpts names the queue.
func (releaseArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: releaseQueue} }

// releases makes a job of every release, and of every place that a release has
// to give again.
type releases struct {
	insert func(ctx context.Context, tx pgx.Tx, args river.JobArgs) error
}

// Follow implements ledger.Follower.
func (f *releases) Follow(ctx context.Context, tx pgx.Tx, launch string, events []gateway.Placed) error {
	met := map[string]bool{}
	for _, p := range events {
		id := ""
		switch e := p.Event.(type) {
		case gateway.ReleasePut:
			id = e.ID
		case gateway.EntryMoved:
			id = e.Refill
		}
		if id == "" || met[id] {
			continue
		}
		met[id] = true
		if err := f.insert(ctx, tx, releaseArgs{launch, id}); err != nil {
			return err
		}
	}
	return nil
}

// releaseStep is how many offers one step of a release makes.
const releaseStep = 200

// releaser makes the offers of a release, step by step. How far it has come
// stands in Redis, so a job that is cut off, or two that work on one release,
// make no offer twice.
type releaser struct {
	river.WorkerDefaults[releaseArgs]
	store   Releaser
	checker gateway.Checker
}

// Timeout is long: a release of a million takes its time.
func (*releaser) Timeout(*river.Job[releaseArgs]) time.Duration { return time.Hour }

func (w *releaser) Work(ctx context.Context, job *river.Job[releaseArgs]) error {
	err := w.work(ctx, job.Args)
	if snooze := later(err, time.Second); snooze != nil {
		return snooze
	}
	if refused, ok := errors.AsType[*gateway.Error](err); ok {
		switch refused.Reason {
		case gateway.SchedulePaused:
			return river.JobSnooze(pausedFor)
		case gateway.ReleaseUnknown, gateway.LaunchUnknown:
			return river.JobCancel(err) // a history that was given up had it
		}
	}
	return err
}

// pausedFor is how long a release waits before it looks whether it may go on.
const pausedFor = 2 * time.Second

func (w *releaser) work(ctx context.Context, args releaseArgs) error {
	release, err := w.store.Release(ctx, args.Launch, args.ID)
	if err != nil || release.Ended {
		return err
	}
	l, err := w.store.Launch(ctx, args.Launch)
	if err != nil {
		return err
	}
	campaign, err := w.campaign(ctx, l)
	if err != nil {
		return err
	}
	template, err := gateway.ParseTemplate(campaign.Format)
	if err != nil {
		return err
	}
	next, err := w.candidates(ctx, l.Name, release)
	if err != nil {
		return err
	}
	for {
		keys, err := next(ctx)
		if err != nil {
			return err
		}
		list := make([]gateway.Offered, len(keys))
		met := make(map[gateway.Code]bool, len(keys))
		for i, key := range keys {
			code := template.Generate(w.checker, l.Name)
			for met[code] {
				code = template.Generate(w.checker, l.Name)
			}
			met[code] = true
			list[i] = gateway.Offered{Key: key, Code: code, Recipient: l.Policy.Waitlist.Release.BindEmail}
		}
		_, left, err := w.store.Offer(ctx, l.Name, release.ID, campaign, list)
		if err != nil || left == 0 {
			return err
		}
	}
}

// campaign is the one whose codes offers get; the first release makes it.
func (w *releaser) campaign(ctx context.Context, l *gateway.Launch) (*gateway.Campaign, error) {
	if c := l.FindCampaign(gateway.WaitlistCampaign); c != nil {
		return c, nil
	}
	d := l.Policy.CodesFor(gateway.TypeWaitlist)
	f, err := gateway.ParseFormat(d.Format)
	if err != nil {
		return nil, err
	}
	t, err := f.Bind(gateway.FormatValues{Prefix: "WAIT", Period: "0", Campaign: gateway.WaitlistCampaign})
	if err != nil {
		return nil, err
	}
	c, err := w.store.CreateCampaign(ctx, l.Name, gateway.Campaign{
		Name: gateway.WaitlistCampaign, Kind: gateway.KindInvite, Type: gateway.TypeWaitlist, Channel: "waitlist", MaxUses: d.Uses,
		Expires: d.Expires, Format: t.String(),
	}, gateway.Actor{Name: "system", Note: "the codes of offers"})
	if errors.Is(err, gateway.Refuse(gateway.CampaignExists)) { // another release was faster
		return nil, &gateway.Error{Reason: gateway.Unavailable, RetryAfter: time.Second}
	}
	return c, err
}

// candidates tells, at each call, who is to be let in next; nobody ends a
// release.
func (w *releaser) candidates(ctx context.Context, launch string, r gateway.Cohort) (func(context.Context) ([]string, error), error) {
	if r.Order != gateway.ByLottery {
		return func(ctx context.Context) ([]string, error) { return w.store.Front(ctx, launch, releaseStep) }, nil
	}
	var drawn []string
	err := w.store.WalkQueue(ctx, launch, func(key string, arrival uint64) {
		if arrival <= r.Upto {
			drawn = append(drawn, key)
		}
	})
	Draw(r.Seed, drawn)
	drawn = slices.Compact(drawn) // who moved during the walk may be there twice
	return func(context.Context) ([]string, error) {
		n := min(len(drawn), releaseStep)
		step := drawn[:n]
		drawn = drawn[n:]
		return step, nil
	}, err
}

// Draw puts keys in the order of a lottery: by the SHA-256 of the seed and the
// key. Whoever knows both can repeat it.
func Draw(seed string, keys []string) {
	type lot struct {
		sum [sha256.Size]byte
		key string
	}
	lots := make([]lot, len(keys))
	for i, key := range keys {
		lots[i] = lot{sha256.Sum256([]byte(seed + ":" + key)), key}
	}
	slices.SortFunc(lots, func(a, b lot) int { return cmp.Or(slices.Compare(a.sum[:], b.sum[:]), cmp.Compare(a.key, b.key)) })
	for i, l := range lots {
		keys[i] = l.key
	}
}
