package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
	"admitone/sync/journal"
)

// changed is a member's record as a change left it.
func changed(subject string, cause gateway.MemberCause, ref string, change func(*gateway.StoredMember)) gateway.MemberChanged {
	m := gateway.StoredMember{Method: gateway.UnlockInvite, Campaign: 1, Rounds: gateway.Unlimited, Allotment: 3, Joined: time.UnixMilli(1_800_000_000_000).UTC()}
	if change != nil {
		change(&m)
	}
	return gateway.MemberChanged{Subject: subject, Cause: cause, Ref: ref, Member: m, Record: journal.PackMember(m)}
}

// TestMembers: the last record of a member counts, under the name that its
// redemption or its trial says.
func TestMembers(t *testing.T) {
	h := begin(t, 9, 0, "A")
	ann, bob := redeemed("A", "ann", gateway.Committed), redeemed("A", "bob", gateway.Committed)
	trial := changed("eve", gateway.MemberTrial, "1", func(m *gateway.StoredMember) {
		m.Method, m.Rounds, m.Used, m.Joined = gateway.UnlockTrial, 30, 1, time.Time{}
	})
	trial.Sealed, _ = json.Marshal(gateway.Person{Subject: "Eve"})
	h.apply(
		h.record(ann, changed("key-ann", gateway.MemberJoined, ann.ID.Short(), nil)),
		h.record(bob, changed("key-bob", gateway.MemberJoined, bob.ID.Short(), func(m *gateway.StoredMember) { m.Inviter = "key-ann" }),
			changed("key-ann", gateway.MemberReferred, bob.ID.Short(), func(m *gateway.StoredMember) { m.Referrals = 1 }),
			gateway.MilestoneCrossed{Subject: "key-ann", Milestone: 1, Invites: 3, Referrals: 1}),
		h.record(redeemed("A", "cid", gateway.Committed)), // has no record
		h.record(trial, gateway.MemberActed{Subject: "key-ann", Name: "activated"}),
	)
	d := &dumped{codes: map[gateway.Code]gateway.StoredCode{}, redemptions: map[gateway.ID]gateway.StoredRedemption{}}
	if err := h.Dump(context.Background(), "l", Selection{}, d); err != nil {
		t.Fatal(err)
	}
	if len(d.members) != 3 {
		t.Fatalf("%+v", d.members)
	}
	met := map[string]gateway.MemberRow{}
	for p := (gateway.Page{Limit: 1}); ; {
		list, err := h.Members(t.Context(), "l", gateway.MemberFilter{}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list.Data {
			met[m.Subject] = m
		}
		if p.After = list.Next; !list.HasMore {
			break
		}
	}
	if len(met) != 4 || met["ann"].Referrals != 1 || !met["bob"].Invited || met["cid"].Rounds != gateway.Unlimited || met["Eve"].Method != gateway.UnlockTrial {
		t.Errorf("%+v", met)
	}
	for _, f := range []gateway.MemberFilter{{Method: gateway.UnlockTrial}, {Tier: "nobody's"}, {Email: "ann@example.com"}} {
		if list, err := h.Members(t.Context(), "l", f, gateway.Page{Limit: 9}); err != nil || len(list.Data) > 1 {
			t.Errorf("%+v: %+v, %v", f, list, err)
		}
	}
}

// TestErase: nothing in any table names who was erased; what counts is there.
func TestErase(t *testing.T) {
	h := begin(t, 9, 0, "A", "B")
	line := func(e gateway.Redeemed) gateway.Record {
		e.Sealed, _ = json.Marshal(gateway.Person{Subject: e.Subject[4:] + "-plain", Email: e.Subject[4:] + "@plain.example", Name: "Plain"})
		r := h.record(e, changed(e.Subject, gateway.MemberJoined, e.ID.Short(), nil))
		r.Raw = strings.Join([]string{"1", fmt.Sprint(h.seq), "5", "1", "1"}, "\t") + "\n" + strings.Join([]string{
			"redeemed", e.ID.Short(), "committed", string(e.Code), "1", e.Subject, "", "", "", string(e.Sealed),
		}, "\t") + "\nopened\tA\t1\t1"
		return r
	}
	h.apply(line(redeemed("A", "ann", gateway.Committed)), line(redeemed("A", "bob", gateway.Committed)))
	message := gateway.WebhookMessage{ID: gateway.NewID(time.Now()), Type: "redemption.committed", At: time.Now(), Subject: "key-ann"}
	message.Body = []byte(`{"type":"redemption.committed","data":{"subject":"ann-plain","email":"ann@plain.example","code":"…45"}}`)
	message.Revealed = message.Body
	if err := pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error { return h.TellWebhooks(t.Context(), tx, "l", []Told{{WebhookMessage: message}}) }); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"ann", "bob"} {
		if err := pgx.BeginFunc(t.Context(), h.pool, func(tx pgx.Tx) error {
			m := NewMail{ID: gateway.NewID(time.Now()), Status: gateway.MailQueued, Mail: gateway.Mail{
				Launch: "l", Kind: gateway.MailOffer, Key: who, Who: "key-" + who, To: who + "@plain.example", Data: gateway.MailData{Link: "https://x.example/" + who + "-plain"},
			}}
			_, err := h.QueueMails(t.Context(), tx, []NewMail{m})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	gone := changed("key-ann", gateway.MemberErased, "", nil)
	gone.By = gateway.Actor{Name: "op"}
	h.apply(line(redeemed("B", "ann", gateway.Committed)), h.record(gone), line(redeemed("B", "bob", gateway.Committed)))
	for _, table := range []string{"members", "redemptions", "codes", "journal", "conflicts", "parked", "changes", "member_events", "attempts", "webhook_messages", "mails"} {
		var text string
		if err := h.pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(t::text, ' '), '') FROM `+table+` t`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text, "ann-plain") || strings.Contains(text, "ann@plain") {
			t.Errorf("%s still names who was erased: %s", table, text)
		}
		if table == "mails" && (!strings.Contains(text, "bob@plain") || !strings.Contains(text, "suppressed")) {
			t.Errorf("the e-mails are %s", text)
		}
		if table == "journal" && (strings.Count(text, "bob-plain") != 2 || strings.Count(text, "redeemed") != 4 || strings.Count(text, "opened") != 4) {
			t.Errorf("the journal lost more than that: %s", text)
		}
	}
	list, err := h.Redemptions(t.Context(), "l", gateway.RedemptionFilter{}, gateway.Page{Limit: 9})
	if err != nil || len(list.Data) != 4 {
		t.Errorf("%+v, %v", list, err)
	}
	members, err := h.Members(t.Context(), "l", gateway.MemberFilter{}, gateway.Page{Limit: 9})
	if err != nil || len(members.Data) != 2 || !members.Data[0].Erased && !members.Data[1].Erased {
		t.Errorf("%+v, %v", members, err)
	}
}

// TestReferrals: who came by whom, any depth, in pages; a circle ends.
func TestReferrals(t *testing.T) {
	h := begin(t, 99, 0, "A")
	var events []gateway.Event
	join := func(subject, inviter string) {
		e := redeemed("A", subject, gateway.Committed)
		e.Sealed, _ = json.Marshal(gateway.Person{Subject: subject, Name: "The " + subject})
		events = append(events, e, changed("key-"+subject, gateway.MemberJoined, e.ID.Short(), func(m *gateway.StoredMember) {
			if m.Inviter = "key-" + inviter; inviter == "" {
				m.Inviter = ""
			}
			m.Referrals = len(subject)
			m.Private = subject == "bb"
		}))
	}
	join("root", "loop") // taken back, and invited by somebody down the line
	join("a", "root")
	join("bb", "root")
	join("ccc", "a")
	join("loop", "ccc")
	join("alone", "")
	h.apply(h.record(events...))
	for depth, want := range map[int]string{1: "a bb", 2: "a bb ccc", 9: "a bb ccc loop"} {
		var met []string
		for p := (gateway.Page{Limit: 1}); ; {
			list, err := h.Referrals(t.Context(), "l", "key-root", depth, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list.Data {
				met = append(met, r.Subject)
			}
			if p.After = list.Next; !list.HasMore {
				break
			}
		}
		if got := strings.Join(met, " "); got != want {
			t.Errorf("depth %d: %q, want %q", depth, got, want)
		}
	}
	if _, err := h.Referrals(t.Context(), "l", "key-root", 1, gateway.Page{Limit: 1, After: "x"}); err == nil {
		t.Error("a cursor of nobody's is taken")
	}
	board, err := h.Leaderboard(t.Context(), "l", 3)
	if err != nil || fmt.Sprint(board) != "[{1 The alone 5} {2 The root 4} {2 The loop 4}]" && fmt.Sprint(board) != "[{1 The alone 5} {2 The loop 4} {2 The root 4}]" {
		t.Errorf("%v, %v", board, err)
	}
}
