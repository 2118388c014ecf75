package lua

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"admitone/gateway"
	"admitone/sync/journal"
)

var memberRead = declare("member_read", contract{
	keys:    "meta campaigns members subject_bucket",
	args:    "epoch seen subject",
	replies: []string{"member seq version left record", "refused reason", "breach what"},
})

var memberUse = declare("member_use", contract{
	keys:    "meta journal campaigns members subject_bucket",
	args:    "epoch seen bound subject rounds proof sealed",
	replies: []string{"left seq version left", "exhausted left", "refused reason", "breach what"},
})

var memberChange = declare("member_change", contract{
	keys:    "meta journal campaigns members subject_bucket own",
	args:    "epoch seen subject change value actor note by_member",
	replies: []string{"changed seq version left record", "refused reason retry_ms", "breach what"},
})

var memberActive = declare("member_active", contract{
	keys:    "meta journal members subject_bucket own",
	args:    "epoch seen bound subject name by_member",
	replies: []string{"noted seq version", "refused reason retry_ms", "breach what"},
})

// Member shows a member as it is now. It returns member_unknown for a subject
// that is none and never was.
func (s *Store) Member(ctx context.Context, name, subject string) (gateway.Member, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Member{}, err
	}
	key := s.keyring.Subject(name, subject)
	r, err := s.call(ctx, l, memberRead, []string{l.meta, l.campaigns, l.members, l.subject(key)}, key)
	if err != nil {
		return gateway.Member{}, err
	}
	return s.readMember(l, key, r)
}

// readMember reads a reply of seq, version, rounds left and record.
func (s *Store) readMember(l *launch, key string, r reply) (gateway.Member, error) {
	stored, err := journal.ParseMember(r.word(4))
	if err != nil {
		return gateway.Member{}, s.malformed(l, "member")
	}
	return gateway.Member{
		StoredMember: stored, SubjectKey: key, Left: readRounds(r.word(3)), Epoch: l.epoch.Load(), Position: s.note(l, r, 1),
	}, nil
}

// UseRounds takes rounds from what a member has left, all or none, and reports
// how many are left then. A repeated proof takes nothing more. It returns
// rounds_exhausted, member_unknown, launch_closed or overloaded.
func (s *Store) UseRounds(ctx context.Context, name string, u gateway.Use) (left gateway.Rounds, err error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, err
	}
	key, sealed := s.keyring.Subject(name, u.Subject), ""
	if u.Begin {
		sealed = string(s.sealPerson(name, gateway.Person{Subject: u.Subject, Email: u.Email}))
	}
	l.flights.RLock()
	defer l.flights.RUnlock()
	r, err := s.call(ctx, l, memberUse, []string{l.meta, l.journal, l.campaigns, l.members, l.subject(key)},
		s.options.JournalBytes, key, u.Rounds, s.proof(name, "use", u.Proof), sealed)
	if err != nil {
		return 0, err
	}
	if r.word(0) == "exhausted" {
		return 0, &gateway.Error{Reason: gateway.RoundsExhausted, Detail: fmt.Sprintf("There are %s rounds left, too few for this. Redeem a code to unlock more.", r.word(1))}
	}
	s.note(l, r, 1)
	return readRounds(r.word(3)), nil
}

// proof is the key of an Idempotency-Key for one kind of call; "" for none.
func (s *Store) proof(launch, call, key string) string {
	if key == "" {
		return ""
	}
	return s.keyring.Subject(launch, "proof\x00"+call+"\x00"+key)[:8]
}

// ChangeMember grants invites, sets a tier, hides from the leaderboard or
// erases. It returns an invalid_request naming the field, member_unknown, or
// activities_exceeded to a member.
func (s *Store) ChangeMember(ctx context.Context, name string, c gateway.ChangeMember) (gateway.Member, error) {
	if err := c.Validate(); err != nil {
		return gateway.Member{}, err
	}
	value := ""
	switch c.Change {
	case gateway.MemberGranted:
		value = strconv.Itoa(c.Invites)
	case gateway.MemberTier:
		value = url.QueryEscape(c.Tier)
	case gateway.MemberPrivate:
		value = strings.TrimPrefix(flag(c.Private), "0")
	}
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Member{}, err
	}
	key := s.keyring.Subject(name, c.Subject)
	r, err := s.call(ctx, l, memberChange, []string{l.meta, l.journal, l.campaigns, l.members, l.subject(key), l.own},
		key, string(c.Change), value, url.QueryEscape(c.By.Name), url.QueryEscape(c.By.Note), flag(c.Own))
	if err != nil {
		return gateway.Member{}, err
	}
	return s.readMember(l, key, r)
}

// Active notes something that a member did in the app. It returns
// member_unknown, activities_exceeded or overloaded.
func (s *Store) Active(ctx context.Context, name string, a gateway.Act) error {
	l, err := s.launch(ctx, name)
	if err != nil {
		return err
	}
	key := s.keyring.Subject(name, a.Subject)
	r, err := s.call(ctx, l, memberActive, []string{l.meta, l.journal, l.members, l.subject(key), l.own}, s.options.JournalBytes, key, a.Name, flag(a.Own))
	if err != nil {
		return err
	}
	s.note(l, r, 1)
	return nil
}

// memberRules packs what the scripts need of a policy about members;
// lib/members.lua reads it.
func memberRules(p gateway.Policy) string {
	personal, unlock := &p.Codes.Personal, &p.Unlock
	grants := personal.Allotment != 0 || personal.Refill.To != 0 || unlock.InviteRounds != gateway.Unlimited ||
		unlock.LicenseRounds != gateway.Unlimited || unlock.TrialRounds != 0 || unlock.Expires != 0
	var milestones []string
	for _, m := range p.Referrals.Milestones {
		milestones = append(milestones, fmt.Sprintf("%d:%d", m.Referrals, m.Invites))
	}
	return strings.Join([]string{
		flag(grants), packRounds(personal.Allotment), strconv.Itoa(personal.PerDay),
		strconv.Itoa(personal.Refill.To), strconv.Itoa(personal.Refill.OnReferral), strconv.Itoa(unlock.TrialRounds),
		packRounds(unlock.InviteRounds), packRounds(unlock.LicenseRounds), strconv.FormatInt(ms(unlock.Expires), 10), strings.Join(milestones, " "),
	}, ";")
}

func packRounds(r gateway.Rounds) string {
	if r == gateway.Unlimited {
		return "u"
	}
	return strconv.FormatInt(int64(r), 10)
}

func readRounds(s string) gateway.Rounds {
	if s == "u" {
		return gateway.Unlimited
	}
	if s == "" {
		return 0 // without the error that ParseInt would make
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	return gateway.Rounds(n)
}
