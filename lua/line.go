package lua

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/gateway"
	"admitone/sync/journal"
)

// lines are the copies of waitlists that this process keeps, fed as long as
// KeepLines runs.
type lines struct {
	mu      sync.Mutex
	keeping context.Context // nil: no copies are kept
	fed     map[string]bool
}

// KeepLines feeds the copies of the waitlists that are asked for, until the
// context is over.
func (s *Store) KeepLines(ctx context.Context) {
	s.lines.mu.Lock()
	s.lines.keeping, s.lines.fed = ctx, map[string]bool{}
	s.lines.mu.Unlock()
	<-ctx.Done()
	s.lines.mu.Lock()
	s.lines.keeping = nil
	s.lines.mu.Unlock()
}

// Line is this process' copy of a launch's waitlist; nil while there is none
// yet. The first call begins to make it.
func (s *Store) Line(name string) *gateway.Line {
	s.mu.RLock()
	l := s.launches[name]
	s.mu.RUnlock()
	if l == nil {
		return nil
	}
	if line := l.line.Load(); line != nil {
		return line
	}
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	if ctx := s.lines.keeping; ctx != nil && !s.lines.fed[name] {
		s.lines.fed[name] = true
		go s.feed(ctx, l)
	}
	return nil
}

const (
	lineWait  = 400 * time.Millisecond // for a record; a copy is that old at the most
	linePause = 200 * time.Millisecond // before a copy that broke off is made anew
	lineNewer = 10 * time.Second       // and when only a newer gateway can read what it met
	lineBatch = 1000                   // records read at once
	lineStep  = 1024                   // buckets read at once
	lineAsked = 32                     // of them by one command whether they exist
)

// feed keeps a copy current; one that missed something is made anew beside it.
func (s *Store) feed(ctx context.Context, l *launch) {
	for ctx.Err() == nil {
		err := s.feedOnce(ctx, l)
		if ctx.Err() == nil && !errors.Is(err, errOtherHistory) {
			s.log.Warn("the copy of a waitlist is made anew", "launch", l.name, "error", err)
		}
		wait := linePause
		if errors.Is(err, journal.ErrVersion) {
			wait = lineNewer
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

var (
	errOtherHistory = errors.New("lua: another history is served now")
	errGap          = errors.New("lua: the journal was trimmed before it was read")
)

// feedOnce makes a copy and follows the journal until it cannot go on.
func (s *Store) feedOnce(ctx context.Context, l *launch) error {
	if _, err := s.launch(ctx, l.name); err != nil {
		return errOtherHistory // whoever asks for the launch is told
	}
	epoch := l.epoch.Load()
	releases, _, err := s.Releases(ctx, l.name)
	if err != nil {
		return err
	}
	begin, err := s.Position(ctx, l.name)
	if err != nil || begin.Epoch != epoch {
		return errors.Join(err, errOtherHistory)
	}
	// The journal is read while the entries are, or a long load would find its
	// beginning trimmed away.
	t := &tail{store: s, launch: l, epoch: epoch, after: begin.Seq}
	loading, loaded := context.WithCancel(ctx)
	var reading sync.WaitGroup
	var missed error
	reading.Go(func() { missed = t.buffer(loading) })
	line := gateway.NewLine()
	line.LoadReleases(releases)
	err = s.loadLine(ctx, l, line)
	end, err2 := s.Position(ctx, l.name)
	loaded()
	reading.Wait()
	if err := errors.Join(err, err2, missed); err != nil {
		return err
	}
	for _, r := range t.records {
		line.Apply(r)
	}
	t.records = nil
	for shown := false; ; {
		asOf := time.Now().Add(l.snapshot.Load().Ahead)
		records, err := t.read(ctx, lineWait)
		if err != nil {
			return err
		}
		for _, r := range records {
			line.Apply(r)
		}
		if len(records) < lineBatch && t.after >= end.Seq {
			line.Current(asOf)
			if !shown {
				shown = true
				if old := l.line.Swap(line); old != nil {
					old.Retire()
				}
			}
		}
	}
}

// loadLine reads all entries.
func (s *Store) loadLine(ctx context.Context, l *launch, line *gateway.Line) error {
	for first := 0; first < 1<<16; first += lineStep {
		entries, err := s.loadEntries(ctx, l, first)
		if err != nil {
			return fmt.Errorf("lua: load line: %w", err)
		}
		line.Load(entries)
	}
	return nil
}

// loadEntries reads the entries of lineStep buckets. Most buckets of a short
// line do not exist: they are asked for many at once first.
func (s *Store) loadEntries(ctx context.Context, l *launch, first int) (entries []gateway.Entry, err error) {
	keys := make([]string, lineStep)
	for i := range keys {
		keys[i] = l.entryPrefix + hex16(uint16(first+i))
	}
	var exist []*redis.IntCmd
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for some := range slices.Chunk(keys, lineAsked) {
			exist = append(exist, p.Exists(ctx, some...))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []*redis.MapStringStringCmd
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, n := range exist {
			if n.Val() == 0 {
				continue
			}
			for _, key := range keys[i*lineAsked : (i+1)*lineAsked] {
				found = append(found, p.HGetAll(ctx, key))
			}
		}
		return nil
	})
	for _, bucket := range found {
		for key, packed := range bucket.Val() {
			entries = append(entries, readEntry(key, packed))
		}
	}
	return entries, err
}

// tail reads a launch's journal in order, without a gap.
type tail struct {
	store   *Store
	launch  *launch
	epoch   uint64
	after   uint64
	records []*gateway.Record // buffered
}

// buffer reads until the context is over.
func (t *tail) buffer(ctx context.Context) error {
	for {
		records, err := t.read(ctx, 20*time.Millisecond)
		t.records = append(t.records, records...)
		if ctx.Err() != nil {
			return nil // what was not read yet is read next
		}
		if err != nil {
			return err
		}
	}
}

func (t *tail) read(ctx context.Context, wait time.Duration) ([]*gateway.Record, error) {
	if t.launch.epoch.Load() != t.epoch {
		return nil, errOtherHistory
	}
	list, err := t.store.ReadJournal(ctx, t.launch.name, t.after, lineBatch, wait)
	if err != nil {
		return nil, err
	}
	records := make([]*gateway.Record, 0, len(list))
	for _, e := range list {
		if e.Seq != t.after+1 {
			return nil, errGap
		}
		r, err := journal.Parse(t.launch.name, e.Raw)
		if errors.Is(err, journal.ErrVersion) {
			return nil, err
		}
		if err == nil && r.Epoch != t.epoch {
			return nil, errOtherHistory
		}
		if t.after = e.Seq; err == nil { // the syncer parks and reports what cannot be read
			records = append(records, &r)
		}
	}
	return records, nil
}
