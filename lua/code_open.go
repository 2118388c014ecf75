package lua

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

var codeOpen = declare("code_open", contract{
	keys:     "meta journal",
	eachKeys: "code_bucket",
	args:     "epoch seen bound",
	eachArgs: "code count",
	replies:  []string{"opened seq version", "breach what"},
})

// Visits become one record of the journal for each of these intervals, however
// many come: nobody fills Postgres by following a link.
const (
	openEvery = 100 * time.Millisecond
	openMost  = 4096 // visits a record
)

// openCall is one visit of a code's link.
type openCall struct{ code gateway.Code }

// Open counts a visit of a code's link, soon and together with others. Visits
// are statistics: the visitor does not wait, and when too many wait to be
// counted the rest are not.
func (s *Store) Open(ctx context.Context, name string, code gateway.Code) error {
	l, err := s.launch(ctx, name)
	if err != nil {
		return err
	}
	if !l.open.add(&openCall{gateway.Code(strings.Clone(string(code)))}) {
		s.metrics.turnedAway.WithLabelValues("open").Inc()
	}
	return nil
}

func (s *Store) runOpen(l *launch, batch []*openCall) {
	defer time.Sleep(openEvery)
	s.metrics.batch.WithLabelValues("open").Observe(float64(len(batch)))
	visits := make(map[gateway.Code]int, len(batch))
	for _, c := range batch {
		visits[c.code]++
	}
	keys := []string{l.meta, l.journal}
	epoch := l.epoch.Load()
	args := []any{epoch, l.seen.Load(), s.options.JournalBytes}
	for code, n := range visits {
		keys, args = append(keys, l.code(code)), append(args, string(code)+"\t"+strconv.Itoa(n))
	}
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	r, err := s.send(ctx, codeOpen, s.introduce(l), keys, args)
	switch {
	case errors.Is(err, errStranger):
		s.breached(l, epoch, "identity")
	case err != nil: // logged; these visits are not counted
	case r.word(0) == "breach":
		s.breached(l, epoch, r.word(1))
	default:
		s.note(l, r, 1)
	}
}
