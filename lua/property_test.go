package lua

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/gatewaytest"
)

// TestAgainstModel runs random histories on real Redis and on the model and
// wants the same answers from both, at every step.
func TestAgainstModel(t *testing.T) {
	server := rig.TestRedis(t)
	store := openStore(t, server.Addr())
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		now, err := store.redisTime(t.Context())
		if err != nil {
			rt.Fatal(err)
		}
		m := &machine{
			ctx: t.Context(), launch: fmt.Sprintf("run-%d-%d", runs, time.Now().UnixNano()),
			stores: [2]gatewaytest.Store{store, gatewaytest.NewModel(now)}, ids: map[gateway.ID]gateway.ID{},
		}
		m.begin(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"redeem": m.redeem, "settle": m.settle, "validate": m.validate, "change": m.change, "campaign": m.campaign, "mint": m.mint, "use": m.use, "member": m.member, "invite": m.invite, "purchase": m.purchase, "": m.check,
		})
	})
}

// machine drives the store (0) and the model (1) alike.
type machine struct {
	ctx    context.Context
	launch string
	stores [2]gatewaytest.Store
	ids    map[gateway.ID]gateway.ID // the store's id of a redemption → the model's
	made   []gateway.ID              // the store's ids
	by     gateway.Actor

	personal bool // the first campaign's codes are members'
}

var (
	propertyInvites  = []gateway.Code{"V0", "V1", "V2", "V3"}
	propertyCodes    = append([]gateway.Code{"A0", "A1", "A2", "B0", "B1", "N0NE"}, propertyInvites...)
	propertySubjects = []string{"ann", "bob", "cid", "dan@example.com"}
)

func (m *machine) begin(t *rapid.T) {
	p := gateway.DefaultPolicy(m.launch)
	p.Subjects.OncePerLaunch = rapid.Bool().Draw(t, "once")
	p.Limits.FailedAttempts.PerAddress = gateway.Rate{Count: rapid.IntRange(1, 4).Draw(t, "attempts"), Window: gateway.Duration(time.Hour)}
	p.Limits.FailedAttempts.PerSubject = gateway.Rate{Count: rapid.IntRange(2, 6).Draw(t, "subject attempts"), Window: gateway.Duration(time.Hour)}
	if rapid.Bool().Draw(t, "dedup") {
		p.Limits.AddressDedup.Action = gateway.DedupRefuse
	}
	// No window of this length ends while the test runs, or once in a month.
	p.Holds.PerAddress = gateway.Rate{Count: rapid.IntRange(1, 5).Draw(t, "holds"), Window: gateway.Duration(30 * 24 * time.Hour)}
	if rapid.Bool().Draw(t, "opaque") {
		p.Refusals = gateway.RefusalsOpaque
	}
	if rapid.Bool().Draw(t, "grants") {
		p.Codes.Personal.Allotment = gateway.Rounds(rapid.IntRange(-1, 3).Draw(t, "allotment"))
		p.Codes.Personal.Refill = gateway.RefillPolicy{To: rapid.IntRange(0, 5).Draw(t, "to"), OnReferral: rapid.IntRange(0, 2).Draw(t, "on_referral")}
		p.Unlock.TrialRounds = rapid.IntRange(0, 10).Draw(t, "trial")
		p.Unlock.InviteRounds = gateway.Rounds(rapid.IntRange(-1, 10).Draw(t, "rounds"))
		p.Referrals.Milestones = gateway.Milestones{{Referrals: 1, Invites: 2}, {Referrals: 2, Invites: 1}}
	}
	p.Rewards = gateway.RewardsPolicy{
		Qualifies: gateway.QualifiesPolicy{Minimum: gateway.MoneyPolicy{Amount: 10, Currency: "usd"}}, Clawback: rapid.Bool().Draw(t, "clawback"),
		Pays: gateway.PaysPolicy{Referrer: 7, Referee: rapid.IntRange(0, 5).Draw(t, "referee"), Approval: rapid.Bool().Draw(t, "approval")}, PerMember: rapid.IntRange(0, 2).Draw(t, "per_member"),
	}
	recipient := rapid.SampledFrom([]string{"", "ann", "dan@example.com"}).Draw(t, "recipient")
	issuer := rapid.SampledFrom([]string{"", "bob"}).Draw(t, "issuer")
	kind := rapid.SampledFrom([]gateway.CampaignType{gateway.TypeBulk, gateway.TypePersonal}).Draw(t, "type")
	m.personal = kind == gateway.TypePersonal
	for _, s := range m.stores {
		if _, err := s.CreateLaunch(m.ctx, p, m.by); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			c := gateway.Campaign{Name: name, Kind: gateway.KindInvite, Type: kind, MaxUses: 2, Format: "{random:10}", Vanity: true}
			if name == "b" {
				c.Kind, c.Cap, c.PerSubject = gateway.KindLicense, 3, 1
			}
			if _, err := s.CreateCampaign(m.ctx, m.launch, c, m.by); err != nil {
				t.Fatal(err)
			}
		}
		for number, codes := range map[uint32][]gateway.NewCode{
			1: {{Code: "A0"}, {Code: "A1", Recipient: recipient, MaxUses: 3}, {Code: "A2", Issuer: issuer}},
			2: {{Code: "B0", MaxUses: 1}, {Code: "B1"}},
		} {
			if _, err := s.Mint(m.ctx, m.launch, number, codes, m.by); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func reasonOf(err error) gateway.Reason {
	var e *gateway.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Reason
	case errors.Is(err, gateway.Refuse(gateway.CodeExists)):
		return gateway.CodeExists
	case errors.Is(err, gateway.Refuse(gateway.CodeUnknown)):
		return gateway.CodeUnknown
	}
	return gateway.Reason(err.Error())
}

func (m *machine) same(t *rapid.T, what string, store, model error) bool {
	if reasonOf(store) != reasonOf(model) {
		t.Fatalf("%s: the store says %q, the model %q", what, reasonOf(store), reasonOf(model))
	}
	return store == nil
}

func (m *machine) redeem(t *rapid.T) {
	r := gateway.Redeem{
		Code:    rapid.SampledFrom(propertyCodes).Draw(t, "code"),
		Subject: rapid.SampledFrom(propertySubjects).Draw(t, "subject"),
		Proof:   rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(t, "proof"),
		Mode:    rapid.SampledFrom([]gateway.Mode{gateway.Commit, gateway.Hold}).Draw(t, "mode"),
		Vouched: rapid.Bool().Draw(t, "vouched"),
	}
	if n := rapid.IntRange(0, 2).Draw(t, "address"); n > 0 {
		r.Address = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 32)
	}
	got, err := m.stores[0].Redeem(m.ctx, m.launch, &r)
	want, wantErr := m.stores[1].Redeem(m.ctx, m.launch, &r)
	if !m.same(t, "redeem", err, wantErr) {
		return
	}
	if got.Status != want.Status || got.Replayed != want.Replayed || got.Proven != want.Proven || got.Founding != want.Founding || got.Allotment != want.Allotment || got.Referred != want.Referred || got.Campaign != want.Campaign || got.ExpiresAt.IsZero() != want.ExpiresAt.IsZero() {
		t.Fatalf("redeem:\nstore %+v\nmodel %+v", got, want)
	}
	if known, ok := m.ids[got.ID]; ok != got.Replayed || ok && known != want.ID {
		t.Fatalf("redeem answered another redemption than the model's: %+v, %+v", got, want)
	}
	if !got.Replayed {
		m.ids[got.ID] = want.ID
		m.made = append(m.made, got.ID)
	}
}

func (m *machine) settle(t *rapid.T) {
	if len(m.made) == 0 {
		t.Skip("nothing to settle")
	}
	id := rapid.SampledFrom(m.made).Draw(t, "id")
	how := rapid.SampledFrom([]gateway.Settlement{gateway.Confirm, gateway.Release, gateway.Expire, gateway.Rollback}).Draw(t, "how")
	got, err := m.stores[0].Settle(m.ctx, m.launch, id, how, m.by)
	want, wantErr := m.stores[1].Settle(m.ctx, m.launch, m.ids[id], how, m.by)
	if m.same(t, "settle", err, wantErr) && (got.Status != want.Status || got.Replayed != want.Replayed) {
		t.Fatalf("settle: store %+v, model %+v", got, want)
	}
}

func (m *machine) validate(t *rapid.T) {
	v := gateway.Validate{Code: rapid.SampledFrom(propertyCodes).Draw(t, "code")}
	got, err := m.stores[0].Validate(m.ctx, m.launch, v)
	want, wantErr := m.stores[1].Validate(m.ctx, m.launch, v)
	if m.same(t, "validate", err, wantErr) && (got.Remaining != want.Remaining || got.Campaign != want.Campaign) {
		t.Fatalf("validate: store %+v, model %+v", got, want)
	}
}

func (m *machine) change(t *rapid.T) {
	ch := gateway.ChangeCodes{
		Change: rapid.SampledFrom([]gateway.CodeChange{gateway.Revoke, gateway.Reinstate}).Draw(t, "change"),
		Codes:  rapid.SliceOfNDistinct(rapid.SampledFrom(propertyCodes), 1, 3, func(c gateway.Code) gateway.Code { return c }).Draw(t, "codes"),
	}
	_, err := m.stores[0].ChangeCodes(m.ctx, m.launch, ch)
	_, wantErr := m.stores[1].ChangeCodes(m.ctx, m.launch, ch)
	m.same(t, "change", err, wantErr)
}

func (m *machine) campaign(t *rapid.T) {
	number := rapid.Uint32Range(1, 2).Draw(t, "campaign")
	state := rapid.SampledFrom([]gateway.CampaignState{gateway.CampaignActive, gateway.CampaignActive, gateway.CampaignOnHold, gateway.CampaignWithdrawn}).Draw(t, "state")
	uses := rapid.IntRange(1, 4).Draw(t, "uses")
	for _, s := range m.stores {
		l, err := s.Launch(m.ctx, m.launch)
		if err != nil {
			t.Fatal(err)
		}
		c := *l.Campaign(number)
		c.State, c.MaxUses = state, uses
		if _, err := s.PutCampaign(m.ctx, m.launch, c, 0, m.by); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *machine) mint(t *rapid.T) {
	codes := []gateway.NewCode{{Code: gateway.Code(fmt.Sprintf("M%d", rapid.IntRange(0, 5).Draw(t, "n")))}, {Code: gateway.Code(fmt.Sprintf("M%d", rapid.IntRange(0, 5).Draw(t, "m")))}}
	_, err := m.stores[0].Mint(m.ctx, m.launch, 1, codes, m.by)
	_, wantErr := m.stores[1].Mint(m.ctx, m.launch, 1, codes, m.by)
	m.same(t, "mint", err, wantErr)
}

func (m *machine) use(t *rapid.T) {
	u := gateway.Use{
		Subject: rapid.SampledFrom(propertySubjects).Draw(t, "subject"), Rounds: rapid.IntRange(1, 4).Draw(t, "rounds"),
		Proof: rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(t, "proof"), Begin: rapid.Bool().Draw(t, "begin"),
	}
	got, err := m.stores[0].UseRounds(m.ctx, m.launch, u)
	want, wantErr := m.stores[1].UseRounds(m.ctx, m.launch, u)
	if m.same(t, "use", err, wantErr) && got != want {
		t.Fatalf("use: store %v, model %v", got, want)
	}
}

func (m *machine) member(t *rapid.T) {
	c := gateway.ChangeMember{
		Subject: rapid.SampledFrom(propertySubjects).Draw(t, "subject"), Invites: rapid.IntRange(1, 3).Draw(t, "invites"), Private: rapid.Bool().Draw(t, "private"),
		Change: rapid.SampledFrom([]gateway.MemberCause{gateway.MemberGranted, gateway.MemberTier, gateway.MemberPrivate, gateway.MemberErased}).Draw(t, "how"),
	}
	c.Own = c.Change == gateway.MemberPrivate && rapid.Bool().Draw(t, "own")
	_, err := m.stores[0].ChangeMember(m.ctx, m.launch, c)
	_, wantErr := m.stores[1].ChangeMember(m.ctx, m.launch, c)
	m.same(t, "change member", err, wantErr)
}

func (m *machine) invite(t *rapid.T) {
	if !m.personal {
		t.Skip("members mint no codes of this campaign")
	}
	subject := rapid.SampledFrom(propertySubjects).Draw(t, "subject")
	if rapid.Bool().Draw(t, "revoke") {
		code := rapid.SampledFrom(propertyCodes).Draw(t, "code")
		got, err := m.stores[0].RevokeInvite(m.ctx, m.launch, subject, code)
		want, wantErr := m.stores[1].RevokeInvite(m.ctx, m.launch, subject, code)
		if m.same(t, "revoke invite", err, wantErr) && got != want {
			t.Fatalf("revoke invite: store %v, model %v", got, want)
		}
		return
	}
	ask := gateway.Invite{Subject: subject, Proof: rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(t, "proof")}
	var codes []gateway.NewCode
	for _, c := range rapid.SliceOfNDistinct(rapid.SampledFrom(propertyInvites), 1, 2, rapid.ID[gateway.Code]).Draw(t, "codes") {
		codes = append(codes, gateway.NewCode{Code: c, Issuer: subject})
	}
	got, err := m.stores[0].MintInvites(m.ctx, m.launch, 1, codes, ask)
	want, wantErr := m.stores[1].MintInvites(m.ctx, m.launch, 1, codes, ask)
	if m.same(t, "invite", err, wantErr) && (got.Allotment != want.Allotment || got.Replayed != want.Replayed) {
		t.Fatalf("invite: store %+v, model %+v", got, want)
	}
}

func (m *machine) purchase(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "decide") == 0 {
		subject := rapid.SampledFrom(propertySubjects).Draw(t, "subject")
		d := rapid.SampledFrom([]gateway.RewardDecision{gateway.ApproveReward, gateway.ApproveReward, gateway.RejectReward, ""}).Draw(t, "decision")
		got, err := m.stores[0].DecideReward(m.ctx, m.launch, subject, d, m.by)
		want, wantErr := m.stores[1].DecideReward(m.ctx, m.launch, subject, d, m.by)
		if m.same(t, "decide", err, wantErr) && got.Status != want.Status {
			t.Fatalf("decide: store %+v, model %+v", got, want)
		}
		return
	}
	p := gateway.Payment{ID: rapid.SampledFrom([]string{"p1", "p2", "p3", "p4"}).Draw(t, "payment"), Event: rapid.SampledFrom([]string{"", "e1", "e2", "e3"}).Draw(t, "event")}
	switch rapid.IntRange(0, 2).Draw(t, "what") {
	case 0:
		p.Subject, p.Amount, p.Currency = rapid.SampledFrom(propertySubjects).Draw(t, "subject"), rapid.IntRange(8, 14).Draw(t, "amount"), "usd"
	case 1:
		p.Refunded = rapid.IntRange(1, 6).Draw(t, "refunded")
	case 2:
		p.Dispute = rapid.SampledFrom([]string{"d1", "d2"}).Draw(t, "dispute")
		p.State = rapid.SampledFrom([]gateway.DisputeState{gateway.DisputeOpen, gateway.DisputeWon, gateway.DisputeLost}).Draw(t, "state")
	}
	got, err := m.stores[0].Purchase(m.ctx, m.launch, p)
	want, wantErr := m.stores[1].Purchase(m.ctx, m.launch, p)
	if m.same(t, "purchase", err, wantErr) && (got.Status != want.Status || got.News != want.News) {
		t.Fatalf("purchase %+v: store %+v, model %+v", p, got, want)
	}
}

// check compares every code, and the promise: no code above its uses, unless
// an operator lowered them afterwards.
func (m *machine) check(t *rapid.T) {
	for _, code := range propertyCodes {
		got, err := m.stores[0].Code(m.ctx, m.launch, code)
		want, wantErr := m.stores[1].Code(m.ctx, m.launch, code)
		if m.same(t, "code", err, wantErr) && (got.Used != want.Used || got.Held != want.Held || got.State != want.State || got.MaxUses != want.MaxUses) {
			t.Fatalf("code %s:\nstore %+v\nmodel %+v", code, got, want)
		}
	}
	for _, subject := range propertySubjects {
		got, err := m.stores[0].Member(m.ctx, m.launch, subject)
		want, wantErr := m.stores[1].Member(m.ctx, m.launch, subject)
		if m.same(t, "member "+subject, err, wantErr) && (got.Method != want.Method || got.Left != want.Left || got.Allotment != want.Allotment ||
			got.Referrals != want.Referrals || got.Private != want.Private || got.Used != want.Used || got.Campaign != want.Campaign) {
			t.Fatalf("member %s:\nstore %+v\nmodel %+v", subject, got, want)
		}
	}
}
