package lua

import (
	"context"
	"strconv"

	"admitone/gateway"
)

var memberMint = declare("member_mint", contract{
	keys:     "meta journal campaigns members subject_bucket",
	eachKeys: "code_bucket",
	args:     "epoch seen bound subject campaign expires proof codes",
	eachArgs: "code record",
	replies: []string{
		"minted seq version allotment", "again seq version allotment", "exist index", "refused reason retry_ms", "breach what",
	},
})

var memberRevoke = declare("member_revoke", contract{
	keys:    "meta journal campaigns members subject_bucket code_bucket",
	args:    "epoch seen subject code",
	replies: []string{"revoked seq version allotment", "refused reason", "breach what"},
})

var memberRefill = declare("member_refill", contract{
	keys:     "meta journal members",
	args:     "epoch seen bound",
	eachArgs: "subject",
	replies:  []string{"refilled seq version count", "refused reason", "breach what"},
})

var memberCode = declare("member_code", contract{
	keys:    "meta journal campaigns members subject_bucket code_bucket",
	args:    "epoch seen bound subject campaign code record codes sealed",
	replies: []string{"code seq version code", "exist index", "refused reason", "breach what"},
})

// MintInvites mints codes of a campaign from a member's allotment, all of them
// or none. All codes have one expiry. A repeated proof mints nothing more. It
// returns *gateway.CodesExist, member_unknown, allotment_exhausted,
// invites_per_day_exceeded, launch_closed or overloaded.
func (s *Store) MintInvites(ctx context.Context, name string, campaign uint32, codes []gateway.NewCode, ask gateway.Invite) (gateway.Invited, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.Invited{}, err
	}
	template, err := s.prepare(ctx, l, campaign, codes)
	if err != nil {
		return gateway.Invited{}, err
	}
	key := s.keyring.Subject(name, ask.Subject)
	keys := []string{l.meta, l.journal, l.campaigns, l.members, l.subject(key)}
	args := []any{
		s.options.JournalBytes, key, strconv.FormatUint(uint64(campaign), 10), unixMillis(codes[0].ExpiresAt), s.proof(name, "invite", ask.Proof),
		s.mintedLines(name, campaign, template, codes, gateway.Actor{}),
	}
	for _, c := range codes {
		text := c.Display
		if text == template.Display(c.Code) {
			text = ""
		}
		keys = append(keys, l.code(c.Code))
		args = append(args, string(c.Code)+"\t"+s.codeRecord(name, campaign, c, text))
	}
	epoch := l.epoch.Load()
	r, err := s.call(ctx, l, memberMint, keys, args...)
	if err != nil {
		return gateway.Invited{}, err
	}
	if r.word(0) == "exist" {
		return gateway.Invited{}, &gateway.CodesExist{Indexes: r.indexes()}
	}
	return gateway.Invited{
		Allotment: readRounds(r.word(3)), Replayed: r.word(0) == "again", Epoch: epoch, Position: s.note(l, r, 1),
	}, nil
}

// prepare makes sure that all gateways will know codes of a campaign before
// they are minted.
func (s *Store) prepare(ctx context.Context, l *launch, campaign uint32, codes []gateway.NewCode) (gateway.Template, error) {
	snapshot := l.snapshot.Load()
	c := snapshot.Campaign(campaign)
	if c == nil {
		return gateway.Template{}, gateway.Refuse(gateway.CampaignUnknown)
	}
	template := snapshot.Template(campaign)
	for _, code := range codes {
		if !s.mintable(l, c, template, code.Code) {
			return template, gateway.Invalid("codes", "This campaign takes generated codes only.")
		}
	}
	return template, s.widely(ctx, l)
}

// RevokeInvite takes back an invite that a member issued and nobody has used.
// It returns code_unknown for what is not the member's, code_exhausted for what
// somebody has used.
func (s *Store) RevokeInvite(ctx context.Context, name, subject string, code gateway.Code) (allotment gateway.Rounds, err error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, err
	}
	key := s.keyring.Subject(name, subject)
	r, err := s.call(ctx, l, memberRevoke, []string{l.meta, l.journal, l.campaigns, l.members, l.subject(key), l.code(code)}, key, string(code))
	if err != nil {
		return 0, err
	}
	s.note(l, r, 1)
	return readRounds(r.word(3)), nil
}

// Refill tops members up, by their keys, as the policy's schedule does. It
// reports how many got more.
func (s *Store) Refill(ctx context.Context, name string, subjects []string) (int, error) {
	l, err := s.launch(ctx, name)
	if err != nil || len(subjects) == 0 {
		return 0, err
	}
	args := []any{s.options.JournalBytes}
	for _, key := range subjects {
		args = append(args, key)
	}
	r, err := s.call(ctx, l, memberRefill, []string{l.meta, l.journal, l.members}, args...)
	if err != nil {
		return 0, err
	}
	s.note(l, r, 1)
	return int(r.number(3)), nil
}

// ReferralCode is the code that a member refers people by: the one it has, or
// the one proposed, minted now. It returns *gateway.CodesExist, member_unknown,
// launch_closed or overloaded.
func (s *Store) ReferralCode(ctx context.Context, name string, campaign uint32, proposed gateway.NewCode, ask gateway.Invite) (gateway.Code, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return "", err
	}
	key, sealed := s.keyring.Subject(name, ask.Subject), ""
	if ask.Begin {
		sealed = string(s.sealPerson(name, gateway.Person{Subject: ask.Subject}))
	}
	codes := []gateway.NewCode{proposed}
	template, err := s.prepare(ctx, l, campaign, codes)
	if err != nil {
		return "", err
	}
	r, err := s.call(ctx, l, memberCode, []string{l.meta, l.journal, l.campaigns, l.members, l.subject(key), l.code(proposed.Code)},
		s.options.JournalBytes, key, strconv.FormatUint(uint64(campaign), 10), string(proposed.Code), s.codeRecord(name, campaign, proposed, ""),
		s.mintedLines(name, campaign, template, codes, gateway.Actor{}), sealed)
	if err != nil {
		return "", err
	}
	if r.word(0) == "exist" {
		return "", &gateway.CodesExist{Indexes: []int{0}}
	}
	s.note(l, r, 1)
	return gateway.Code(r.word(3)), nil
}
