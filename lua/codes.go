package lua

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

var codesMint = declare("codes_mint", contract{
	keys:     "meta journal campaigns",
	eachKeys: "code_bucket",
	args:     "epoch seen bound campaign events",
	eachArgs: "code record",
	replies:  []string{"minted seq version", "exist index", "refused reason", "breach what"},
})

var codesChange = declare("codes_change", contract{
	keys:     "meta journal campaigns members",
	eachKeys: "code_bucket",
	args:     "epoch seen change expires actor note",
	eachArgs: "code",
	replies:  []string{"changed seq version", "unknown index", "breach what"},
})

var codeRead = declare("code_read", contract{
	keys:    "meta campaigns code_bucket",
	args:    "epoch seen code",
	replies: []string{"code seq version campaign used held max expires refusal bound issued display", "refused reason", "breach what"},
})

// MaxMint is how many codes one call may mint: what Redis writes without
// keeping others waiting for long (some 20 ms).
const MaxMint = 10_000

// Mint brings codes into being, all of them or none. It returns
// *gateway.CodesExist naming those that exist already, campaign_unknown,
// overloaded, or an invalid_request where a code is not generated and the
// campaign takes no others.
func (s *Store) Mint(ctx context.Context, name string, campaign uint32, codes []gateway.NewCode, by gateway.Actor) (uint64, error) {
	if len(codes) == 0 || len(codes) > MaxMint {
		return 0, gateway.Invalid("codes", fmt.Sprintf("Use 1 to %d codes a call.", MaxMint))
	}
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, err
	}
	found := l.snapshot.Load().Campaign(campaign)
	if found == nil {
		return 0, gateway.Refuse(gateway.CampaignUnknown)
	}
	template, err := gateway.ParseTemplate(found.Format)
	if err != nil {
		return 0, err
	}
	for _, c := range codes {
		if !s.mintable(l, found, template, c.Code) {
			return 0, gateway.Invalid("codes", "This campaign takes generated codes only.")
		}
	}
	if err := s.widely(ctx, l); err != nil {
		return 0, err
	}
	keys := []string{l.meta, l.journal, l.campaigns}
	args := []any{s.options.JournalBytes, strconv.FormatUint(uint64(campaign), 10), s.mintedLines(name, campaign, template, codes, by)}
	for _, c := range codes {
		text := c.Display
		if text == template.Display(c.Code) {
			text = ""
		}
		keys = append(keys, l.code(c.Code))
		args = append(args, string(c.Code)+"\t"+s.codeRecord(name, campaign, c, text))
	}
	r, err := s.call(ctx, l, codesMint, keys, args...)
	if err != nil {
		return 0, err
	}
	if r.word(0) == "exist" {
		return 0, &gateway.CodesExist{Indexes: r.indexes()}
	}
	return s.note(l, r, 1), nil
}

// mintable reports whether a code may come into being in a campaign: where
// codes are generated only, gateways take every other one for a guess.
func (s *Store) mintable(l *launch, c *gateway.Campaign, t gateway.Template, code gateway.Code) bool {
	return !c.Generated() || t.Genuine(s.keyring, l.name, code)
}

// codeRecord packs a fresh code; lib/records.lua reads it.
func (s *Store) codeRecord(launch string, campaign uint32, c gateway.NewCode, text string) string {
	recipient, issuer := s.people(launch, c)
	record := strings.Join([]string{
		strconv.FormatUint(uint64(campaign), 10), "", "", "", positive(int64(c.MaxUses)), unixMillis(c.ExpiresAt), recipient, issuer, text,
	}, ";")
	return strings.TrimRight(record, ";")
}

func (s *Store) people(launch string, c gateway.NewCode) (recipient, issuer string) {
	if c.Recipient != "" {
		recipient = s.keyring.Subject(launch, c.Recipient)
	}
	if c.Issuer != "" {
		issuer = s.keyring.Subject(launch, c.Issuer)
	}
	return recipient, issuer
}

// mintedLines are the journal's lines for the codes: one for each run of codes
// with the same attributes, so that the usual batch is one line.
func (s *Store) mintedLines(launch string, campaign uint32, template gateway.Template, codes []gateway.NewCode, by gateway.Actor) string {
	var b strings.Builder
	for i, c := range codes {
		if i > 0 && sameAttributes(codes[i-1], c) {
			b.WriteByte(',')
		} else {
			if i > 0 {
				b.WriteByte('\n')
			}
			recipient, issuer := s.people(launch, c)
			var sealed []byte
			if c.Recipient != "" {
				sealed = s.sealPerson(launch, gateway.Person{Subject: c.Recipient})
			}
			b.WriteString(strings.Join([]string{
				"minted", strconv.FormatUint(uint64(campaign), 10), positive(int64(c.MaxUses)), unixMillis(c.ExpiresAt),
				recipient, issuer, string(sealed), url.QueryEscape(by.Name), url.QueryEscape(by.Note), "",
			}, "\t"))
		}
		b.WriteString(string(c.Code))
		text := c.Display
		if text == "" {
			text = template.Display(c.Code)
		}
		if text != string(c.Code) {
			b.WriteByte('=')
			b.WriteString(text)
		}
	}
	return b.String()
}

func sameAttributes(a, b gateway.NewCode) bool {
	return a.MaxUses == b.MaxUses && a.ExpiresAt.Equal(b.ExpiresAt) && a.Recipient == b.Recipient && a.Issuer == b.Issuer
}

// ChangeCodes revokes, reinstates or renews codes, all of them or none. It
// returns *gateway.CodesUnknown naming those that do not exist.
func (s *Store) ChangeCodes(ctx context.Context, name string, ch gateway.ChangeCodes) (uint64, error) {
	if len(ch.Codes) == 0 || len(ch.Codes) > MaxMint {
		return 0, gateway.Invalid("codes", fmt.Sprintf("Use 1 to %d codes a call.", MaxMint))
	}
	l, err := s.launch(ctx, name)
	if err != nil {
		return 0, err
	}
	keys := []string{l.meta, l.journal, l.campaigns, l.members}
	args := []any{string(ch.Change), unixMillis(ch.ExpiresAt), url.QueryEscape(ch.By.Name), url.QueryEscape(ch.By.Note)}
	for _, c := range ch.Codes {
		keys, args = append(keys, l.code(c)), append(args, string(c))
	}
	r, err := s.call(ctx, l, codesChange, keys, args...)
	if err != nil {
		return 0, err
	}
	if r.word(0) == "unknown" {
		return 0, &gateway.CodesUnknown{Indexes: r.indexes()}
	}
	return s.note(l, r, 1), nil
}

// Code shows a code as it is now. It returns code_unknown if there is none.
func (s *Store) Code(ctx context.Context, name string, code gateway.Code) (gateway.CodeInfo, error) {
	l, err := s.launch(ctx, name)
	if err != nil {
		return gateway.CodeInfo{}, err
	}
	r, err := s.call(ctx, l, codeRead, []string{l.meta, l.campaigns, l.code(code)}, string(code))
	if err != nil {
		return gateway.CodeInfo{}, err
	}
	s.note(l, r, 1)
	campaign := campaignNumber(r.word(3))
	return gateway.CodeInfo{
		Code: code, Display: l.snapshot.Load().Display(campaign, code, r.word(11)), Campaign: campaign,
		State: codeState(gateway.Reason(r.word(8))), Used: int(r.number(4)), Held: int(r.number(5)), MaxUses: int(r.number(6)),
		ExpiresAt: millis(r.word(7)), Bound: r.word(9) == "1", Issued: r.word(10) == "1",
	}, nil
}

// codeState is the state behind the reason for which a code would be refused.
func codeState(why gateway.Reason) gateway.CodeState {
	switch why {
	case gateway.CodeRevoked:
		return gateway.CodeIsRevoked
	case gateway.CodeExpired:
		return gateway.CodeIsExpired
	case gateway.CodeNotStarted:
		return gateway.CodeIsNotStarted
	case gateway.CodeExhausted:
		return gateway.CodeIsExhausted
	}
	return gateway.CodeActive
}

// indexes are the numbers behind the first word of a reply.
func (r reply) indexes() []int {
	list := make([]int, 0, len(r)-1)
	for i := range r[1:] {
		list = append(list, int(r.number(i+1)))
	}
	return list
}

// positive writes a number, "" for 0.
func positive(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// unixMillis writes a time, "" for the zero time.
func unixMillis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}
