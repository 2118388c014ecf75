package lua

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"admitone/gateway"
)

var redeemScript = declare("redeem", contract{
	keys:     "meta journal campaigns holds members attempts0 attempts1 dedup0 dedup1 queue offers",
	eachKeys: "code_bucket subject_bucket entry_bucket",
	args:     "epoch seen bound purpose",
	eachArgs: "id mode code subject address email entry proof sealed",
	replies: []string{
		"decided seq version persisted now",
		"breach what",
		"each admitted status campaign expires founding allotment referred display",
		"each again id status campaign expires proven founding allotment referred display",
		"each refused reason retry_ms",
		"each failed why",
	},
})

// redeemCall is one redemption on its way through a batch.
type redeemCall struct {
	item                string
	codeKey, subjectKey string
	entryKey            string
	id                  gateway.ID
	answer              gateway.Redemption
	err                 error
	done                chan struct{} // cap 1
}

var redeemCalls = sync.Pool{New: func() any { return &redeemCall{done: make(chan struct{}, 1)} }}

// Redeem uses a code once for a subject, together with whoever else redeems at
// the same moment. The same subject and code get the same redemption again.
// The reasons of its errors are those of a refused redemption, overloaded,
// not_admitted, or unavailable if Redis' answer was lost.
func (s *Store) Redeem(ctx context.Context, name string, r *gateway.Redeem) (gateway.Redemption, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Redemption{}, err
	}
	subject := s.keyring.Subject(name, r.Subject)
	if err := s.guessed(l, guess{verb: "redeem", code: r.Code, subject: subject, address: r.Address}); err != nil {
		return gateway.Redemption{}, err
	}
	c := redeemCalls.Get().(*redeemCall)
	defer redeemCalls.Put(c)
	c.id = locate(gateway.NewID(time.Now().Add(l.snapshot.Load().Ahead)), subject)
	c.codeKey, c.subjectKey = l.code(r.Code), l.subject(subject)
	if err := s.writeItem(c, l.keys, name, r, subject); err != nil {
		return gateway.Redemption{}, err
	}
	if l.witness.full(s.persistedIn(l)) || !l.redeem.add(c) {
		return gateway.Redemption{}, s.turnedAway("redeem")
	}
	<-c.done
	answer, err := c.answer, c.err
	answer.Code, answer.Subject, answer.SubjectKey = r.Code, r.Subject, subject
	if err == nil {
		answer.Display = l.snapshot.Load().Display(answer.Campaign, r.Code, answer.Display)
	}
	return answer, err
}

// writeItem packs a redemption into one script argument. Nothing in it can
// hold a TAB: codes, keys and ids have alphabets of their own, and what people
// typed travels sealed.
func (s *Store) writeItem(c *redeemCall, keys *keys, launch string, r *gateway.Redeem, subject string) error {
	person, err := json.Marshal(gateway.Person{Subject: r.Subject, Email: r.Email, Name: r.Name, Source: r.Source, Country: r.Country})
	if err != nil {
		return err
	}
	email, entry := "", ""
	switch r.Email {
	case "":
	case r.Subject:
		entry = subject
	default:
		email = s.keyring.Subject(launch, r.Email)
		entry = email
	}
	c.entryKey = keys.entry(entry)
	proof := ""
	if r.Proof != "" {
		proof = s.keyring.Subject(launch, "proof\x00"+r.Proof)[:8]
	}
	address := ""
	if r.Address.IsValid() {
		address = s.keyring.Address(launch, r.Address)
	}
	mode := "commit"
	if r.Mode == gateway.Hold {
		mode = "hold"
	}
	if r.Solved {
		mode += "+"
	}
	b := make([]byte, 0, 256)
	for _, word := range [...]string{c.id.Short(), mode, string(r.Code), subject, address, email, entry, proof} {
		b = append(append(b, word...), '\t')
	}
	c.item = string(s.keyring.Seal(b, launch, person))
	return nil
}

// runRedeem sends a batch and hands every item its answer.
func (s *Store) runRedeem(l *launch, batch []*redeemCall) {
	s.metrics.batch.WithLabelValues("redeem").Observe(float64(len(batch)))
	l.flights.RLock()
	defer l.flights.RUnlock()
	keys := redeemKeys(l, len(batch))
	args := make([]any, 0, 4+len(batch))
	epoch := l.epoch.Load()
	args = append(args, epoch, l.seen.Load(), s.options.JournalBytes, "decide")
	for _, c := range batch {
		keys = append(keys, c.codeKey, c.subjectKey, c.entryKey)
		args = append(args, c.item)
	}
	r, position, err := s.sendBatch(l, redeemScript, epoch, keys, args, len(batch))
	made := make([]testimony, 0, len(batch))
	for i, c := range batch {
		if err != nil {
			c.answer, c.err = gateway.Redemption{}, err
			continue
		}
		c.answer, c.err = s.readRedemption(l, c.id, r.word(batchHead+i))
		c.answer.Epoch, c.answer.Position = epoch, position
		if c.err == nil && (c.answer.Status == gateway.Held || c.answer.Status == gateway.Committed) {
			made = append(made, c.testimony())
		}
	}
	l.witness.keep(s.persistedIn(l), made...) // before anybody is answered
	for _, c := range batch {
		c.done <- struct{}{}
	}
}

// testimony is what the witness keeps of an answer. One that was made by an
// earlier request is kept too: whoever made it may never have known.
func (c *redeemCall) testimony() testimony {
	t := testimony{position: c.answer.Position, id: c.answer.ID, item: c.item, codeKey: c.codeKey, subjectKey: c.subjectKey, entryKey: c.entryKey}
	if c.answer.Replayed {
		_, rest, _ := strings.Cut(c.item, "\t")
		_, rest, _ = strings.Cut(rest, "\t")
		mode := map[gateway.Status]string{gateway.Held: "hold", gateway.Committed: "commit"}[c.answer.Status]
		t.item = c.answer.ID.Short() + "\t" + mode + "\t" + rest
	}
	return t
}

// redeemKeys are the keys of a batch but for its items'.
func redeemKeys(l *launch, items int) []string {
	return append(make([]string, 0, 11+3*items), l.meta, l.journal, l.campaigns, l.holds, l.members, l.attempts0, l.attempts1, l.dedup0, l.dedup1, l.queue, l.offers)
}

// batchHead is how many words of a batch's reply stand before its items.
const batchHead = 5

// batchTimeout bounds one script call of a batch, all of Redis' delays
// included.
const batchTimeout = 5 * time.Second

// sendBatch sends a hot verb's script for n items. Its reply holds an answer
// for each of them.
func (s *Store) sendBatch(l *launch, sc *script, epoch uint64, keys []string, args []any, n int) (reply, uint64, error) {
	if epoch == 0 {
		return nil, 0, notAdmitted()
	}
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	began := s.mono()
	r, err := s.send(ctx, sc, s.introduce(l), keys, args)
	switch {
	case errors.Is(err, errStranger):
		return nil, 0, s.breached(l, epoch, "identity")
	case err != nil:
		return nil, 0, err
	case r.word(0) == "breach":
		return nil, 0, s.breached(l, epoch, r.word(1))
	case len(r) != batchHead+n:
		s.log.Error("a script's reply has the wrong length", "script", sc.name, "words", len(r), "items", n)
		return nil, 0, gateway.Refuse(gateway.Internal)
	}
	position := s.note(l, r, 1)
	if l.snapshot.Load().Version == r.number(2) {
		l.vouch(began)
	}
	s.persisted.Advance(l.name, epoch, r.number(3))
	return r, position, nil
}

// readRedemption reads one item's answer.
func (s *Store) readRedemption(l *launch, made gateway.ID, answer string) (gateway.Redemption, error) {
	word, rest, _ := strings.Cut(answer, "\t")
	var w [9]string
	for i := range w {
		w[i], rest, _ = strings.Cut(rest, "\t")
	}
	switch word {
	case "admitted":
		return gateway.Redemption{
			ID: made, At: made.Time(), Status: gateway.Status(w[0]), Campaign: campaignNumber(w[1]),
			ExpiresAt: millis(w[2]), Founding: w[3] == "1", Allotment: readRounds(w[4]), Referred: w[5] == "1", Display: w[6], Proven: true,
		}, nil
	case "again":
		id, err := gateway.ParseShort(w[0])
		if err != nil {
			return gateway.Redemption{}, s.malformed(l, answer)
		}
		return gateway.Redemption{
			ID: id, At: id.Time(), Status: gateway.Status(w[1]), Campaign: campaignNumber(w[2]),
			ExpiresAt: millis(w[3]), Proven: w[4] == "1" || id == made, Founding: w[5] == "1",
			Allotment: readRounds(w[6]), Referred: w[7] == "1", Display: w[8], Replayed: id != made,
		}, nil
	case "refused":
		return gateway.Redemption{}, refusal(w[0], retry(w[1]))
	}
	return gateway.Redemption{}, s.malformed(l, answer)
}

// malformed logs an answer that should not exist, without the words in it that
// could name a code.
func (s *Store) malformed(l *launch, answer string) error {
	word, why, _ := strings.Cut(answer, "\t")
	if word != "failed" {
		why = ""
	}
	s.log.Error("a script failed for one item", "launch", l.name, "word", word, "why", why)
	return gateway.Refuse(gateway.Internal)
}

func campaignNumber(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// millis reads Unix milliseconds; "" is the zero time.
func millis(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

func retry(s string) time.Duration {
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.Duration(n) * time.Millisecond
}

// sealPerson is what the journal carries of a person.
func (s *Store) sealPerson(launch string, p gateway.Person) []byte {
	plain, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of strings always marshals
	}
	return s.keyring.Seal(nil, launch, plain)
}
