package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/sync/ledger"
)

// history gives a post's ledger records of events, one a call.
func (p *post) history() func(events ...gateway.Event) {
	p.ledger.Follow(p.Queue)
	seq := uint64(0)
	return func(events ...gateway.Event) {
		p.Helper()
		seq++
		r := gateway.Record{Launch: "l", Seq: seq, Epoch: 1, At: time.Now().UTC(), Bytes: seq, Events: events, Raw: "raw"}
		if _, err := p.ledger.Apply(p.Context(), ledger.Batch{Launch: "l", Epoch: 1, After: seq - 1, Records: []gateway.Record{r}}); err != nil {
			p.Fatal(err)
		}
	}
}

// sealed is who somebody is, as the journal carries it.
func (p *post) sealed(who gateway.Person) []byte {
	b, err := json.Marshal(who)
	if err != nil {
		p.Fatal(err)
	}
	return p.keyring.Seal(nil, "l", b)
}

// TestMemberMails: a bound invite is sent to its address, milestones and rewards
// to members, each once, where the policy says so; and none of them without it.
func TestMemberMails(t *testing.T) {
	p := beginPost(t, rig.SMTPOptions{}, nil)
	apply := p.history()
	put := func(version uint64, email string) gateway.LaunchPut {
		return gateway.LaunchPut{Version: version, Open: true, Policy: fmt.Appendf(nil, `{"launch":"l","landing_url":"https://writer.example/join","email":{%s}}`, email)}
	}
	campaign, err := json.Marshal(gateway.Campaign{ID: gateway.ID{1}, Number: 1, Name: "beta", MaxUses: 100, Format: "{random:10}"})
	if err != nil {
		t.Fatal(err)
	}
	apply(put(1, ``), gateway.CampaignPut{Version: 2, Campaign: campaign}, gateway.CodesMinted{Campaign: 1, MaxUses: 100, Codes: []gateway.MintedCode{{Code: "FIRST", Display: "FIRST"}}})
	joined := func(subject, name, inviter string) []gateway.Event {
		mail := ""
		if name != "" {
			mail = subject + "@people.example"
		}
		r := gateway.Redeemed{
			ID: gateway.NewID(time.Now()), Status: gateway.Committed, Code: "FIRST", Campaign: 1, Subject: "key-" + subject,
			Sealed: p.sealed(gateway.Person{Subject: subject, Email: mail, Name: name}),
		}
		m := gateway.StoredMember{Method: gateway.UnlockInvite, Campaign: 1, Inviter: inviter, Joined: time.UnixMilli(1_800_000_000_000).UTC()}
		return []gateway.Event{r, gateway.MemberChanged{Subject: "key-" + subject, Cause: gateway.MemberJoined, Ref: r.ID.Short(), Member: m}}
	}
	apply(joined("ann", "Ann Example", "")...)
	apply(joined("bob", "Bob", "key-ann")...)
	apply(joined("id-7", "", "key-ann")...) // known by an id alone
	number := 0
	invite := func(recipient string) gateway.CodesMinted {
		number++
		code := fmt.Sprint("CODE-", number)
		e := gateway.CodesMinted{Campaign: 1, MaxUses: 1, ExpiresAt: time.Now().Add(time.Hour), Issuer: "key-ann", Codes: []gateway.MintedCode{{Code: gateway.Code(code), Display: code}}}
		if recipient != "" {
			e.Recipient, e.Sealed = "key-"+recipient, p.sealed(gateway.Person{Subject: recipient + "@people.example"})
		}
		return e
	}
	paid := func(subject, referee string) gateway.Credited {
		return gateway.Credited{What: gateway.CreditReward, Subject: "key-" + subject, Referee: "key-" + referee, Payment: "pay", Amount: 1000, Currency: "usd"}
	}
	milestone := gateway.MilestoneCrossed{Subject: "key-ann", Milestone: 3, Invites: 5, Referrals: 3}
	all := []gateway.Event{invite("cid"), milestone, paid("ann", "bob"), paid("bob", "bob")}
	apply(all...)
	if list := p.until(func([]gateway.MailRow) bool { return true }); len(list) != 0 {
		t.Fatalf("a launch that says nothing sends %+v", list)
	}
	// Chosen, and a text of one's own.
	apply(put(3, `"send":["invitation","reward"],"templates":{"milestone":{"subject":"{{.count}} friends"}}`))
	milestone.Milestone = 10
	apply(
		invite("cid"), invite("dan"), invite(""), milestone, milestone, paid("ann", "bob"), paid("bob", "bob"), paid("id-7", "id-7"),
		gateway.CodesMinted{Campaign: 1, MaxUses: 1, Recipient: "key-eve", Sealed: p.sealed(gateway.Person{Subject: "eve@people.example"}), Codes: []gateway.MintedCode{{Code: "CODE-E", Display: "CODE-E"}}}, // an operator's
	)
	apply(gateway.Credited{What: gateway.CreditClawback, Subject: "key-ann", Referee: "key-bob", Payment: "pay", Amount: 1000, Currency: "usd"}, paid("ann", "bob"))
	rows := p.until(func([]gateway.MailRow) bool { return true })
	if len(rows) != 5 {
		t.Fatalf("%d e-mails: %+v", len(rows), rows)
	}
	// Whoever is erased before it is sent gets none.
	apply(gateway.MemberChanged{Subject: "key-dan", Cause: gateway.MemberErased})
	p.work()
	p.until(func(list []gateway.MailRow) bool {
		return !slices.ContainsFunc(list, func(m gateway.MailRow) bool { return m.Status == gateway.MailQueued })
	})
	got := map[string]int{}
	for _, l := range p.smtp.Letters() {
		got[l.To+": "+l.Subject]++
		if strings.Contains(l.Subject, "invites") && (!strings.Contains(l.Text, "CODE-2") || !strings.Contains(l.Text, "https://writer.example/join?code=CODE-2")) {
			t.Errorf("%s", l.Text)
		}
	}
	for _, want := range []string{
		"cid@people.example: Ann Example invites you to Writer", "ann@people.example: 10 of your friends are in Writer",
		"ann@people.example: You have earned 10.00 USD in Writer", "bob@people.example: You have earned 10.00 USD in Writer",
	} {
		if got[want] != 1 {
			t.Errorf("%d of %q in %v", got[want], want, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("%v", got)
	}
}

// TestInviterErased: an invitation that waits to be sent does not name who was
// erased.
func TestInviterErased(t *testing.T) {
	p := beginPost(t, rig.SMTPOptions{}, nil)
	apply := p.history()
	apply(gateway.LaunchPut{Version: 1, Open: true, Policy: []byte(`{"launch":"l"}`)})
	for _, inviter := range []string{"ann", "bob"} {
		m := offer("friend-of-" + inviter)
		m.Kind, m.Key, m.Data.Inviter = gateway.MailInvitation, "invitation/key-"+inviter+"/1.0", "The "+inviter
		p.queue(nil, m)
	}
	apply(gateway.MemberChanged{Subject: "key-ann", Cause: gateway.MemberErased})
	p.work()
	p.all(gateway.MailSent)
	named := 0
	for _, l := range p.smtp.Letters() {
		if strings.Contains(l.Text, "The ann") {
			t.Errorf("%s", l.Text)
		}
		if strings.Contains(l.Text, "The bob") {
			named++
		}
	}
	if named != 1 {
		t.Errorf("%d letters name an inviter who is there", named)
	}
}
