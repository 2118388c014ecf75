package lua

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

var redeemScript = declare("redeem", contract{
	keys:     "meta journal campaigns holds members attempts0 attempts1 dedup0 dedup1 queue offers holders",
	eachKeys: "code_bucket subject_bucket entry_bucket",
	args:     "epoch seen bound purpose",
	eachArgs: "id mode code subject address email entry proof sealed",
	replies: []string{
		"decided seq version persisted now each",
		"breach what",
		"each admitted status campaign expires founding allotment referred display",
		"each again id status campaign expires proof founding allotment referred display",
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

	packed      []byte // item and keys, one behind the other, until a batch gives them their strings
	ends        [4]int // of each in packed
	subjectAt   int    // where the subject's key begins in the item
	plain, name []byte // scratch
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
	if s.suspect(l, r.Code) {
		g := guess{verb: "redeem", code: r.Code, address: r.Address}
		if r.Vouched {
			g.subject = s.keyring.Subject(name, r.Subject)
		}
		if err := s.guessed(l, g); err != nil {
			return gateway.Redemption{}, err
		}
	}
	c := redeemCalls.Get().(*redeemCall)
	defer redeemCalls.Put(c)
	s.pack(c, l, r)
	if l.witness.full(witnessMost, s.persistedIn(l)) || !l.redeem.add(c) {
		return gateway.Redemption{}, s.turnedAway("redeem")
	}
	<-c.done
	answer, err := c.answer, c.err
	answer.Code, answer.Subject, answer.SubjectKey = r.Code, r.Subject, c.item[c.subjectAt:c.subjectAt+keyring.NameSize]
	if err == nil {
		answer.Display = l.snapshot.Load().Display(answer.Campaign, r.Code, answer.Display)
	}
	return answer, err
}

// pack writes a redemption as one script argument, and the keys of its buckets
// behind it. Nothing in the item can hold a TAB: codes, keys and ids have
// alphabets of their own, and what people typed travels sealed.
func (s *Store) pack(c *redeemCall, l *launch, r *gateway.Redeem) {
	c.name = s.keyring.AppendSubject(c.name[:0], l.name, r.Subject)
	subject := c.name
	c.id = locate(gateway.NewID(time.Now().Add(l.snapshot.Load().Ahead)), subject)
	b := append(c.id.AppendShort(c.packed[:0]), '\t')
	if r.Mode == gateway.Hold {
		b = append(b, "hold"...)
	} else {
		b = append(b, "commit"...)
	}
	if r.Solved {
		b = append(b, '+')
	}
	if r.Vouched {
		b = append(b, '!')
	}
	b = append(append(append(b, '\t'), r.Code...), '\t')
	c.subjectAt = len(b)
	b = append(append(b, subject...), '\t')
	if r.Address.IsValid() {
		b = s.keyring.AppendAddress(b, l.name, r.Address)
	}
	b = append(b, '\t')
	var entry []byte // of the waitlist: the subject's where the subject is the address
	switch r.Email {
	case "":
	case r.Subject:
		entry = subject
	default:
		c.name = s.keyring.AppendSubject(c.name, l.name, r.Email)
		subject = c.name[:len(subject)]
		email := c.name[len(subject):]
		b = append(b, email...)
		if r.Waits() != "" {
			entry = email
		}
	}
	b = append(append(append(b, '\t'), entry...), '\t')
	if r.Proof != "" {
		b = append(b, s.keyring.Subject(l.name, "proof\x00"+r.Proof)[:8]...)
	}
	b = append(b, '\t')
	person := gateway.Person{Subject: r.Subject, Email: r.Email, Name: r.Name, Source: r.Source, Country: r.Country}
	c.plain = person.Append(c.plain[:0])
	b = s.keyring.Seal(b, l.name, c.plain)
	c.ends[0] = len(b)
	b = l.appendCode(b, r.Code)
	c.ends[1] = len(b)
	b = appendHex16(append(b, l.subjectPrefix...), subjectBucket(subject))
	c.ends[2] = len(b)
	b = appendHex16(append(b, l.entryPrefix...), subjectBucket(entry))
	c.ends[3] = len(b)
	c.packed = b
}

// unpack gives a batch's items and keys their strings: one copy for all, which
// the witness keeps and lets go as one.
func unpack(batch []*redeemCall) {
	size := 0
	for _, c := range batch {
		size += len(c.packed)
	}
	var all strings.Builder
	all.Grow(size)
	for _, c := range batch {
		all.Write(c.packed)
	}
	rest := all.String()
	for _, c := range batch {
		own := rest[:len(c.packed)]
		rest = rest[len(c.packed):]
		c.item, c.codeKey, c.subjectKey, c.entryKey = own[:c.ends[0]], own[c.ends[0]:c.ends[1]], own[c.ends[1]:c.ends[2]], own[c.ends[2]:]
	}
}

// runRedeem sends a batch and hands every item its answer.
func (s *Store) runRedeem(l *launch, batch []*redeemCall) {
	s.metrics.batch.WithLabelValues("redeem").Observe(float64(len(batch)))
	l.flights.RLock()
	defer l.flights.RUnlock()
	unpack(batch)
	keys := redeemKeys(l, len(batch))
	args := make([]any, 0, 4+len(batch))
	epoch := l.epoch.Load()
	args = append(args, epoch, l.seen.Load(), s.options.JournalBytes, "decide")
	for _, c := range batch {
		keys = append(keys, c.codeKey, c.subjectKey, c.entryKey)
		args = append(args, &c.item)
	}
	answers, position, err := s.sendBatch(l, redeemScript, epoch, keys, args, len(batch))
	made, crowded := make([]testimony, 0, len(batch)), l.witness.full(witnessReserve, s.persistedIn(l))
	for i, c := range batch {
		if err != nil {
			c.answer, c.err = gateway.Redemption{}, err
			continue
		}
		var owner string
		c.answer, owner, c.err = s.readRedemption(l, c.id, answers[i])
		c.answer.Epoch, c.answer.Position = epoch, position
		switch {
		case c.err != nil:
			continue
		case !c.answer.Replayed:
			c.answer.Proven = true
		case crowded:
			c.answer, c.err = gateway.Redemption{}, s.turnedAway("redeem")
			continue
		default:
			c.answer.Proven = owner != "" && owner == c.proof()
		}
		if c.answer.Status == gateway.Held || c.answer.Status == gateway.Committed {
			made = append(made, c.testimony(owner))
		}
	}
	l.witness.keep(s.persistedIn(l), made...) // before anybody is answered
	for _, c := range batch {
		c.done <- struct{}{}
	}
}

// The words of a redemption's item that are looked at again.
const (
	itemID    = 0
	itemMode  = 1
	itemProof = 7
	itemWords = 9
)

// proof is the key of the request's Idempotency-Key; "" if it had none.
func (c *redeemCall) proof() string {
	return strings.SplitN(c.item, "\t", itemWords)[itemProof]
}

// testimony is what the witness keeps of an answer. One that was made by an
// earlier request is kept too: whoever made it may never have known. It is kept
// as its owner's, under the proof that the owner gave: whoever names a subject
// and a code must not become the owner by a loss.
func (c *redeemCall) testimony(owner string) testimony {
	t := testimony{position: c.answer.Position, id: c.answer.ID, item: c.item, codeKey: c.codeKey, subjectKey: c.subjectKey, entryKey: c.entryKey}
	if c.answer.Replayed {
		w := strings.SplitN(c.item, "\t", itemWords)
		w[itemID], w[itemProof] = c.answer.ID.Short(), owner
		w[itemMode] = map[gateway.Status]string{gateway.Held: "hold", gateway.Committed: "commit"}[c.answer.Status]
		t.item = strings.Join(w, "\t")
	}
	return t
}

// redeemKeys are the keys of a batch but for its items'.
func redeemKeys(l *launch, items int) []string {
	return append(make([]string, 0, 12+3*items), l.meta, l.journal, l.campaigns, l.holds, l.members, l.attempts0, l.attempts1, l.dedup0, l.dedup1, l.queue, l.offers, l.holders)
}

// batchTimeout bounds one script call of a batch, all of Redis' delays
// included.
const batchTimeout = 5 * time.Second

// sendBatch sends a hot verb's script for n items. It returns the answer of
// each of them, and the position.
func (s *Store) sendBatch(l *launch, sc *script, epoch uint64, keys []string, args []any, n int) ([]string, uint64, error) {
	if epoch == 0 {
		return nil, 0, notAdmitted()
	}
	ctx, cancel := context.WithTimeout(context.Background(), batchTimeout)
	defer cancel()
	began := s.mono()
	r, err := s.send(ctx, sc, s.introduce(l), keys, args)
	answers := r.items()
	switch {
	case errors.Is(err, errStranger):
		return nil, 0, s.breached(l, epoch, "identity")
	case err != nil:
		return nil, 0, err
	case r.word(0) == "breach":
		return nil, 0, s.breached(l, epoch, r.word(1))
	case len(answers) != n:
		s.log.Error("a script's reply has the wrong length", "script", sc.name, "answers", len(answers), "items", n)
		return nil, 0, gateway.Refuse(gateway.Internal)
	}
	position := s.note(l, r, 1)
	if l.snapshot.Load().Version == r.number(2) {
		l.vouch(began)
	}
	s.persisted.Advance(l.name, epoch, r.number(3))
	return answers, position, nil
}

// readRedemption reads one item's answer: whether it was proven is for the
// caller to say. owner is the proof under which an earlier request made it.
func (s *Store) readRedemption(l *launch, made gateway.ID, answer string) (r gateway.Redemption, owner string, err error) {
	word, rest, _ := strings.Cut(answer, "\t")
	var w [9]string
	for i := range w {
		w[i], rest, _ = strings.Cut(rest, "\t")
	}
	switch word {
	case "admitted":
		return gateway.Redemption{
			ID: made, At: made.Time(), Status: gateway.Status(w[0]), Campaign: campaignNumber(w[1]),
			ExpiresAt: millis(w[2]), Founding: w[3] == "1", Allotment: readRounds(w[4]), Referred: w[5] == "1", Display: w[6],
		}, "", nil
	case "again":
		id, err := gateway.ParseShort(w[0])
		if err != nil {
			return r, "", s.malformed(l, answer)
		}
		return gateway.Redemption{
			ID: id, At: id.Time(), Status: gateway.Status(w[1]), Campaign: campaignNumber(w[2]),
			ExpiresAt: millis(w[3]), Founding: w[5] == "1",
			Allotment: readRounds(w[6]), Referred: w[7] == "1", Display: w[8], Replayed: id != made,
		}, w[4], nil
	case "refused":
		return r, "", refusal(w[0], retry(w[1]))
	}
	return r, "", s.malformed(l, answer)
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
	if s == "" {
		return time.Time{} // without the error that ParseInt would make
	}
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
	return s.keyring.Seal(nil, launch, p.Append(nil))
}
