package lua

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"admitone/gateway"
)

var validateScript = declare("validate", contract{
	keys:     "meta journal campaigns attempts0 attempts1",
	eachKeys: "code_bucket",
	args:     "epoch seen bound",
	eachArgs: "code address",
	replies: []string{
		"decided seq version persisted now each",
		"breach what",
		"each valid campaign remaining expires display",
		"each refused reason retry_ms",
	},
})

// validateCall is one validation on its way through a batch.
type validateCall struct {
	item    string
	codeKey string
	answer  gateway.Validation
	err     error
	done    chan struct{} // cap 1
}

var validateCalls = sync.Pool{New: func() any { return &validateCall{done: make(chan struct{}, 1)} }}

// Validate says whether a code could be redeemed, and does not use it. A code
// that does not exist counts as an attempt. The reasons of its errors are those
// of Redeem that speak of the code, and attempts_exceeded.
func (s *Store) Validate(ctx context.Context, name string, v gateway.Validate) (gateway.Validation, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Validation{}, err
	}
	if s.suspect(l, v.Code) {
		if err := s.guessed(l, guess{verb: "validate", code: v.Code, address: v.Address}); err != nil {
			return gateway.Validation{}, err
		}
	}
	c := validateCalls.Get().(*validateCall)
	defer validateCalls.Put(c)
	address := ""
	if v.Address.IsValid() {
		address = s.keyring.Address(name, v.Address)
	}
	c.item, c.codeKey = string(v.Code)+"\t"+address, l.code(v.Code)
	if !l.validate.add(c) {
		return gateway.Validation{}, s.turnedAway("validate")
	}
	<-c.done
	answer, err := c.answer, c.err
	if err == nil {
		answer.Display = l.snapshot.Load().Display(answer.Campaign, v.Code, answer.Display)
	}
	return answer, err
}

func (s *Store) runValidate(l *launch, batch []*validateCall) {
	s.metrics.batch.WithLabelValues("validate").Observe(float64(len(batch)))
	keys := append(make([]string, 0, 5+len(batch)), l.meta, l.journal, l.campaigns, l.attempts0, l.attempts1)
	epoch := l.epoch.Load()
	args := append(make([]any, 0, 3+len(batch)), epoch, l.seen.Load(), s.options.JournalBytes)
	for _, c := range batch {
		keys, args = append(keys, c.codeKey), append(args, c.item)
	}
	answers, _, err := s.sendBatch(l, validateScript, epoch, keys, args, len(batch))
	for i, c := range batch {
		c.answer, c.err = gateway.Validation{}, err
		if err == nil {
			c.answer, c.err = s.readValidation(l, answers[i])
		}
		c.done <- struct{}{}
	}
}

func (s *Store) readValidation(l *launch, answer string) (gateway.Validation, error) {
	w := strings.Split(answer, "\t")
	switch {
	case w[0] == "valid" && len(w) == 5:
		remaining, _ := strconv.Atoi(w[2])
		return gateway.Validation{Campaign: campaignNumber(w[1]), Remaining: remaining, ExpiresAt: millis(w[3]), Display: w[4]}, nil
	case w[0] == "refused" && len(w) == 3:
		return gateway.Validation{}, refusal(w[1], retry(w[2]))
	}
	return gateway.Validation{}, s.malformed(l, answer)
}
