package jobs

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/gatewaytest"
	"admitone/gateway/keyring"
	"admitone/sync/ledger"
)

func TestMain(m *testing.M) { rig.Run(m) }

// store mints in a model, counts what came to be, and fails where a test says.
type store struct {
	*gatewaytest.Model
	minted atomic.Int64
	calls  atomic.Int64
	fail   func(call int64) error
}

func (s *store) Mint(ctx context.Context, launch string, campaign uint32, codes []gateway.NewCode, by gateway.Actor) (uint64, error) {
	if err := s.fail(s.calls.Add(1)); err != nil {
		return 0, err
	}
	position, err := s.Model.Mint(ctx, launch, campaign, codes, by)
	if err == nil {
		s.minted.Add(int64(len(codes)))
	}
	return position, err
}

func secrets(t testing.TB) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New([]byte("a secret of at least thirty-two bytes"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// begin is a queue over a model with one campaign, and a job for it.
func begin(t *testing.T, count int, fail func(int64) error) (*Queue, *store, *ledger.Ledger, gateway.MintJob) {
	t.Helper()
	secret := secrets(t)
	l, err := ledger.Open(t.Context(), rig.TestPostgres(t), secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	s := &store{Model: gatewaytest.NewModel(time.Now()), fail: fail}
	if _, err := s.CreateLaunch(t.Context(), gateway.DefaultPolicy("l"), gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateCampaign(t.Context(), "l", gateway.Campaign{Name: "c", Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: 1, Format: "{random:10}"}, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	q, err := New(t.Context(), Options{Pool: l.Pool(), Store: s, Ledger: l, Keyring: secret, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return q, s, l, gateway.MintJob{ID: gateway.NewID(time.Now()), Launch: "l", Campaign: 1, Count: count, Actor: "ops"}
}

// work runs the queue until the job has ended.
func work(t *testing.T, q *Queue, l *ledger.Ledger, id gateway.ID) gateway.MintJob {
	t.Helper()
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := q.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		j, err := l.Job(t.Context(), "l", id)
		if err != nil {
			t.Fatal(err)
		}
		if !j.EndedAt.IsZero() {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not end: %+v", j)
		}
	}
}

// TestMint: a job that meets a Redis that is away comes to what was ordered.
func TestMint(t *testing.T) {
	q, s, l, order := begin(t, 3000, func(call int64) error {
		if call == 2 {
			return gateway.Refuse(gateway.NotAdmitted)
		}
		return nil
	})
	if err := q.Mint(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if j := work(t, q, l, order.ID); j.Done != 3000 || j.Error != "" || s.minted.Load() != 3000 {
		t.Errorf("%+v, %d codes", j, s.minted.Load())
	}
}

// TestMintRefused: what cannot succeed ends, and says why.
func TestMintRefused(t *testing.T) {
	q, s, l, order := begin(t, 3000, func(call int64) error {
		if call == 2 {
			return gateway.Refuse(gateway.CampaignUnknown)
		}
		return nil
	})
	if err := q.Mint(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	if j := work(t, q, l, order.ID); j.Done != 1000 || !strings.Contains(j.Error, "campaign") || s.minted.Load() != 1000 {
		t.Errorf("%+v, %d codes", j, s.minted.Load())
	}
	none := order
	none.ID, none.Campaign = gateway.NewID(time.Now()), 7
	if err := q.Mint(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	if j := work(t, q, l, none.ID); j.Error == "" {
		t.Errorf("%+v", j)
	}
}

// TestMintGivesUp: the last attempt leaves a job that has ended.
func TestMintGivesUp(t *testing.T) {
	q, s, l, order := begin(t, 1000, func(int64) error { return context.DeadlineExceeded })
	if err := q.Mint(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	m := &minter{store: s, ledger: l, keyring: secrets(t)}
	last := &river.Job[mintArgs]{JobRow: &rivertype.JobRow{Attempt: 10, MaxAttempts: 10}, Args: mintArgs{"l", order.ID}}
	if err := m.Work(t.Context(), last); err == nil {
		t.Error("no error")
	}
	if j, err := l.Job(t.Context(), "l", order.ID); err != nil || j.EndedAt.IsZero() || j.Error == "" {
		t.Errorf("%+v, %v", j, err)
	}
}
