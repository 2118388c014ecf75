package syncer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"admitone/gateway"
	"admitone/sync/journal"
	"admitone/sync/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stores are a journal and a ledger in memory, with what can go wrong.
type stores struct {
	mu      sync.Mutex
	entries []journal.Entry
	trimmed uint64

	seq, epoch uint64
	applied    []uint64 // positions, in the order in which they were committed
	parked     []uint64
	fail       func(b ledger.Batch) (before, after error) // of a commit
}

func (s *stores) write(n int, raw func(seq uint64) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		seq := uint64(len(s.entries) + 1)
		s.entries = append(s.entries, journal.Entry{Seq: seq, Raw: raw(seq)})
	}
}

func visit(seq uint64) string {
	return fmt.Sprintf("1\t%d\t5\t1800000000000\t%d\nopened\tA\t1\t1", seq, seq*100)
}

func (s *stores) Launches(context.Context) ([]string, error) { return []string{"l"}, nil }

func (s *stores) ReadJournal(_ context.Context, _ string, after uint64, most int, _ time.Duration) ([]journal.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.entries {
		if e.Seq > after {
			return s.entries[i:min(i+most, len(s.entries))], nil
		}
	}
	return nil, nil
}

func (s *stores) Trim(_ context.Context, _ string, epoch, position, _ uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if position > s.seq {
		panic("trimmed what Postgres does not hold")
	}
	s.trimmed = max(s.trimmed, position)
	return nil
}

func (s *stores) Position(context.Context, string) (gateway.StoredLaunch, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return gateway.StoredLaunch{Seq: s.seq, Epoch: s.epoch}, s.seq > 0, nil
}

func (s *stores) commit(b ledger.Batch) error {
	if b.After != s.seq || s.seq > 0 && b.Epoch != s.epoch {
		return ledger.ErrFenced
	}
	for i, r := range b.Records {
		if r.Seq != b.After+uint64(i)+1 {
			panic("a batch with a gap")
		}
	}
	s.seq, s.epoch = b.Records[len(b.Records)-1].Seq, b.Epoch
	return nil
}

func (s *stores) Apply(_ context.Context, b ledger.Batch) (ledger.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before, after error
	if s.fail != nil {
		before, after = s.fail(b)
	}
	if before != nil {
		return ledger.Result{}, before
	}
	if err := s.commit(b); err != nil {
		return ledger.Result{}, err
	}
	for _, r := range b.Records {
		s.applied = append(s.applied, r.Seq)
	}
	return ledger.Result{}, after
}

func (s *stores) Park(_ context.Context, b ledger.Batch, _ error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.commit(b); err != nil {
		return err
	}
	s.parked = append(s.parked, b.Records[0].Seq)
	return nil
}

func (s *stores) Tidy(context.Context, time.Time) error { return nil }

// lead runs a syncer; until waits for something to become true.
func lead(t *testing.T, s *stores, registry prometheus.Registerer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	y := New(Options{Source: s, Ledger: s, Registry: registry, Records: 7, Events: 5, Wait: time.Millisecond, Pause: 2 * time.Millisecond})
	var work sync.WaitGroup
	work.Go(func() { y.Lead(ctx) })
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
}

func (s *stores) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		done := ok()
		s.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen: at %d of %d, applied %v, parked %v", what, s.seq, len(s.entries), s.applied, s.parked)
		}
	}
}

// inOrder fails unless every position was committed once, in order.
func (s *stores) inOrder(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, seq := range s.applied {
		if seq != uint64(i+1) {
			t.Fatalf("position %d was committed as number %d", seq, i+1)
		}
	}
}

func TestOrder(t *testing.T) {
	s := &stores{}
	s.write(40, visit)
	lead(t, s, nil)
	s.until(t, "catching up", func() bool { return s.trimmed == 40 })
	s.write(5, visit)
	s.until(t, "going on", func() bool { return s.trimmed == 45 })
	s.inOrder(t)
}

// TestMaybe: a commit that failed may have happened; either way every record
// counts once.
func TestMaybe(t *testing.T) {
	s := &stores{}
	n := 0
	s.fail = func(ledger.Batch) (before, after error) {
		n++
		switch n % 3 {
		case 0:
			return errors.New("the connection broke"), nil
		case 1:
			return nil, errors.New("the answer to COMMIT was lost")
		}
		return nil, nil
	}
	s.write(60, visit)
	lead(t, s, nil)
	s.until(t, "catching up", func() bool { return s.trimmed == 60 })
	s.inOrder(t)
}

// poisonError is what Postgres says of a malformed value.
type poisonError struct{}

func (poisonError) Error() string    { return "invalid input syntax" }
func (poisonError) SQLState() string { return "22P02" }

// TestPoison: a record that cannot be read or applied is put aside alone.
func TestPoison(t *testing.T) {
	s := &stores{}
	s.fail = func(b ledger.Batch) (before, after error) {
		for _, r := range b.Records {
			if r.Seq == 9 {
				return poisonError{}, nil
			}
		}
		return nil, nil
	}
	s.write(20, func(seq uint64) string {
		if seq == 3 || seq == 4 {
			return "garbage"
		}
		return visit(seq)
	})
	lead(t, s, nil)
	s.until(t, "catching up", func() bool { return s.trimmed == 20 })
	if fmt.Sprint(s.parked) != "[3 4 9]" || len(s.applied) != 17 {
		t.Errorf("parked %v, applied %v", s.parked, s.applied)
	}
}

// TestStalls: a newer version and a gap are waited for, never skipped.
func TestStalls(t *testing.T) {
	for name, raw := range map[string]func(uint64) string{
		"version": func(seq uint64) string {
			if seq == 5 {
				return "2\t5\tof a newer version\nx"
			}
			return visit(seq)
		},
		"gap": visit,
	} {
		t.Run(name, func(t *testing.T) {
			s, registry := &stores{}, prometheus.NewRegistry()
			s.write(10, raw)
			if name == "gap" {
				s.entries = append(s.entries[:4], s.entries[5:]...)
			}
			lead(t, s, registry)
			stalled := func() bool {
				n, err := testutil.GatherAndCount(registry, "admitone_syncer_errors_total")
				return err == nil && n > 0 && s.seq == 4
			}
			s.until(t, "an alarm", stalled)
			if s.seq != 4 || len(s.parked) != 0 {
				t.Errorf("at %d, parked %v", s.seq, s.parked)
			}
		})
	}
}

// TestTwoWriters: two that both think they lead commit everything once.
func TestTwoWriters(t *testing.T) {
	s := &stores{}
	s.write(200, visit)
	lead(t, s, nil)
	lead(t, s, nil)
	s.until(t, "catching up", func() bool { return s.trimmed == 200 })
	s.inOrder(t)
}
