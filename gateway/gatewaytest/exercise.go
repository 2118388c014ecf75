package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"admitone/gateway"
)

// Store is all that the suite asks of a store.
type Store interface {
	CreateLaunch(context.Context, gateway.Policy, gateway.Actor) (*gateway.Launch, error)
	PutPolicy(context.Context, gateway.Policy, uint64, gateway.Actor) (*gateway.Launch, error)
	SetOpen(context.Context, string, bool, gateway.Actor) (*gateway.Launch, error)
	Launch(context.Context, string) (*gateway.Launch, error)
	CreateCampaign(context.Context, string, gateway.Campaign, gateway.Actor) (*gateway.Campaign, error)
	PutCampaign(context.Context, string, gateway.Campaign, uint64, gateway.Actor) (*gateway.Campaign, error)
	Mint(context.Context, string, uint32, []gateway.NewCode, gateway.Actor) (uint64, error)
	ChangeCodes(context.Context, string, gateway.ChangeCodes) (uint64, error)
	Code(context.Context, string, gateway.Code) (gateway.CodeInfo, error)
	Redeem(context.Context, string, *gateway.Redeem) (gateway.Redemption, error)
	Validate(context.Context, string, gateway.Validate) (gateway.Validation, error)
	Redemption(context.Context, string, gateway.ID) (gateway.Redemption, error)
	Settle(context.Context, string, gateway.ID, gateway.Settlement, gateway.Actor) (gateway.Redemption, error)
	SweepHolds(context.Context, string) (int, error)
	Join(context.Context, string, *gateway.Join) (gateway.Joined, error)
	Entry(context.Context, string, string) (gateway.Entry, error)
	ImportEntries(context.Context, string, []gateway.Join) (int, uint64, error)
	ChangeEntry(context.Context, string, gateway.ChangeEntry) (gateway.Entry, error)
	SweepOffers(context.Context, string) (int, error)
	PutRelease(context.Context, string, gateway.Cohort, int, gateway.Actor) (gateway.Cohort, error)
	Release(context.Context, string, string) (gateway.Cohort, error)
	Releases(context.Context, string) ([]gateway.Cohort, gateway.Schedule, error)
	SetSchedule(context.Context, string, bool, gateway.Actor) error
	Front(context.Context, string, int) ([]string, error)
	WalkQueue(context.Context, string, func(string, uint64)) error
	Offer(context.Context, string, string, *gateway.Campaign, []gateway.Offered) (int, int, error)
	Member(ctx context.Context, launch, subject string) (gateway.Member, error)
	UseRounds(context.Context, string, gateway.Use) (gateway.Rounds, error)
	ChangeMember(context.Context, string, gateway.ChangeMember) (gateway.Member, error)
	Active(ctx context.Context, launch string, a gateway.Act) error
	Purchase(context.Context, string, gateway.Payment) (gateway.Earning, error)
	DecideReward(context.Context, string, string, gateway.RewardDecision, gateway.Actor) (gateway.Earning, error)
	MintInvites(context.Context, string, uint32, []gateway.NewCode, gateway.Invite) (gateway.Invited, error)
	RevokeInvite(ctx context.Context, launch, subject string, code gateway.Code) (gateway.Rounds, error)
	ReferralCode(context.Context, string, uint32, gateway.NewCode, gateway.Invite) (gateway.Code, error)
	Position(context.Context, string) (gateway.Position, error)
	SetClock(context.Context, string, time.Duration, gateway.Actor) (*gateway.Launch, error)
	Now(context.Context, string) (time.Time, error)
}

// Exercise runs the suite. open makes an empty store for each test.
func Exercise(t *testing.T, open func(t *testing.T) Store) {
	for _, test := range []struct {
		name string
		run  func(*fixture)
	}{
		{"launches", launches},
		{"rehearsal clock", rehearsalClock},
		{"campaigns", campaigns},
		{"redeem", redeem},
		{"refusals", refusals},
		{"once per launch", oncePerLaunch},
		{"opaque refusals", opaqueRefusals},
		{"opaque attempts", opaqueAttempts},
		{"recipients and issuers", recipients},
		{"attempts", attempts},
		{"attempts in somebody's name", attemptsInAName},
		{"validate", validate},
		{"holds", holds},
		{"expired holds", expiredHolds},
		{"holds of an address", holders},
		{"rollback", rollback},
		{"mint", mint},
		{"change codes", changeCodes},
		{"address dedup", addressDedup},
		{"shared addresses", sharedAddresses},
		{"redemptions per inviter", perInviter},
		{"idempotency keys", proofs},
		{"pace", pace},
		{"joins", joins},
		{"import of entries", imports},
		{"limits of joins", joinLimits},
		{"questions who is on the list", questions},
		{"boosts", boosts},
		{"confirmed addresses", confirms},
		{"releases", releases},
		{"offers", offers},
		{"unbound offers", unboundOffers},
		{"lottery", lottery},
		{"schedule", schedule},
		{"race of releases", raceOfReleases},
		{"members", members},
		{"members of few words", impliedMembers},
		{"members' own word", ownWord},
		{"referrals", referrals},
		{"milestones", milestones},
		{"trial rounds", trial},
		{"race for rounds", raceRounds},
		{"purchases", purchases},
		{"an approved purchase", approvedPurchase},
		{"late referrals", lateReferrals},
		{"rewards put off", putOffRewards},
		{"rewards decided", decidedRewards},
		{"invites", invites},
		{"invites a day", invitesPerDay},
		{"refills", refills},
		{"expired invites", expiredInvites(0, 1)},
		{"expired invites, topped up", expiredInvites(2, 0)},
		{"rings", rings},
		{"referral codes", referralCodes},
		{"race for an allotment", raceForAllotment},
		{"race for uses", race},
		{"race of one request", raceOne},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fixture{T: t, Store: open(t), ctx: t.Context()}
			test.run(f)
		})
	}
}

// fixture is one test's store with a launch in it.
type fixture struct {
	*testing.T
	Store
	ctx context.Context
}

// pass lets time go by for the launch.
func (f *fixture) pass(d time.Duration) {
	f.Helper()
	l, err := f.Launch(f.ctx, theLaunch)
	if err == nil {
		_, err = f.SetClock(f.ctx, theLaunch, l.Ahead+d, by)
	}
	if err != nil {
		f.Fatal(err)
	}
}

const theLaunch = "launch"

var by = gateway.Actor{Name: "test", Note: "a note, with\ttab & newline\n"}

// launch makes the launch, with changes to the default policy.
func (f *fixture) launch(change func(*gateway.Policy)) {
	f.Helper()
	p := gateway.DefaultPolicy(theLaunch)
	p.Limits.FailedAttempts = gateway.AttemptsPolicy{}
	if change != nil {
		change(&p)
	}
	if _, err := f.CreateLaunch(f.ctx, p, by); err != nil {
		f.Fatal(err)
	}
}

// campaign makes a campaign and mints codes in it.
func (f *fixture) campaign(name string, change func(*gateway.Campaign), codes ...gateway.Code) *gateway.Campaign {
	f.Helper()
	c := gateway.Campaign{Name: name, Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: 1, Format: "{random:10}", Vanity: true}
	if change != nil {
		change(&c)
	}
	made, err := f.CreateCampaign(f.ctx, theLaunch, c, by)
	if err != nil {
		f.Fatal(err)
	}
	if len(codes) > 0 {
		list := make([]gateway.NewCode, len(codes))
		for i, code := range codes {
			list[i] = gateway.NewCode{Code: code}
		}
		if _, err := f.Mint(f.ctx, theLaunch, made.Number, list, by); err != nil {
			f.Fatal(err)
		}
	}
	return made
}

func (f *fixture) redeem(code gateway.Code, subject string) (gateway.Redemption, error) {
	return f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: code, Subject: subject})
}

func (f *fixture) admitted(code gateway.Code, subject string) gateway.Redemption {
	f.Helper()
	r, err := f.redeem(code, subject)
	if err != nil {
		f.Fatalf("%s with %s: %v", subject, code, err)
	}
	return r
}

func (f *fixture) refused(want gateway.Reason, err error) *gateway.Error {
	f.Helper()
	var e *gateway.Error
	if !errors.As(err, &e) && !errors.Is(err, gateway.Refuse(want)) || e != nil && e.Reason != want {
		f.Fatalf("refused with %v, want %s", err, want)
	}
	return e
}

func (f *fixture) used(code gateway.Code, used, held int, state gateway.CodeState) {
	f.Helper()
	info, err := f.Code(f.ctx, theLaunch, code)
	if err != nil {
		f.Fatal(err)
	}
	if info.Used != used || info.Held != held || info.State != state {
		f.Fatalf("%s: used %d, held %d, %s; want %d, %d, %s", code, info.Used, info.Held, info.State, used, held, state)
	}
}

func launches(f *fixture) {
	f.launch(nil)
	_, err := f.CreateLaunch(f.ctx, gateway.DefaultPolicy(theLaunch), by)
	f.refused(gateway.LaunchExists, err)
	_, err = f.Launch(f.ctx, "nowhere")
	f.refused(gateway.LaunchUnknown, err)
	_, err = f.Redeem(f.ctx, "nowhere", &gateway.Redeem{Code: "A", Subject: "ann"})
	f.refused(gateway.LaunchUnknown, err)

	was, err := f.Launch(f.ctx, theLaunch)
	if err != nil || !was.Open || was.Name != theLaunch {
		f.Fatalf("%+v, %v", was, err)
	}
	p := was.Policy
	p.Name = "Another name"
	now, err := f.PutPolicy(f.ctx, p, was.Version, by)
	if err != nil || now.Policy.Name != p.Name || now.Version <= was.Version {
		f.Fatalf("%+v, %v", now, err)
	}
	_, err = f.PutPolicy(f.ctx, p, was.Version, by)
	f.refused(gateway.Conflict, err)

	f.campaign("c", nil, "C0DE1")
	if now, err = f.SetOpen(f.ctx, theLaunch, false, by); err != nil || now.Open || now.Policy.Name != p.Name || len(now.Campaigns) != 1 {
		f.Fatalf("closed: %+v, %v", now, err)
	}
	_, err = f.redeem("C0DE1", "ann")
	f.refused(gateway.LaunchClosed, err)
	if _, err = f.SetOpen(f.ctx, theLaunch, true, by); err != nil {
		f.Fatal(err)
	}
	_, err = f.redeem("C0DE1", "ann")
	if err != nil {
		f.Fatal(err)
	}
}

func campaigns(f *fixture) {
	f.launch(nil)
	one, two := f.campaign("one", nil), f.campaign("two", nil)
	if one.Number != 1 || two.Number != 2 || one.ID == two.ID {
		f.Fatalf("%+v\n%+v", one, two)
	}
	_, err := f.CreateCampaign(f.ctx, theLaunch, *one, by)
	f.refused(gateway.CampaignExists, err)
	bad := *one
	bad.Name, bad.MaxUses = "bad", 0
	_, err = f.CreateCampaign(f.ctx, theLaunch, bad, by)
	if e := f.refused(gateway.InvalidRequest, err); e.Field != "max_uses" {
		f.Fatalf("the field at fault is %q", e.Field)
	}
	renamed := *two
	renamed.Name = "one"
	_, err = f.PutCampaign(f.ctx, theLaunch, renamed, 0, by)
	f.refused(gateway.CampaignExists, err)
	renamed.Name, renamed.Cap = "three", 7
	if _, err = f.PutCampaign(f.ctx, theLaunch, renamed, 0, by); err != nil {
		f.Fatal(err)
	}
	l, err := f.Launch(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	if c := l.FindCampaign("three"); c == nil || c.Cap != 7 || c.ID != two.ID || l.FindCampaign("two") != nil || l.Campaign(2) != c {
		f.Fatalf("after renaming: %+v", l.Campaigns)
	}
	f.campaign("two", nil) // the name is free again
	ghost := *one
	ghost.Name, ghost.Number = "ghost", 99
	_, err = f.PutCampaign(f.ctx, theLaunch, ghost, 0, by)
	f.refused(gateway.CampaignUnknown, err)
	_, err = f.PutCampaign(f.ctx, theLaunch, *one, 1, by)
	f.refused(gateway.Conflict, err)
}

func redeem(f *fixture) {
	f.launch(nil)
	f.campaign("link", func(c *gateway.Campaign) { c.MaxUses = 2; c.Format = "GO-{random:6}" }, "ABCDEF", "G0123456")
	first := f.admitted("ABCDEF", "ann")
	if first.Status != gateway.Committed || first.Replayed || !first.Proven || first.Campaign != 1 || first.Subject != "ann" || first.Code != "ABCDEF" {
		f.Fatalf("%+v", first)
	}
	again := f.admitted("ABCDEF", "ann")
	if again.ID != first.ID || !again.Replayed || again.Proven || again.Status != gateway.Committed || !again.At.Equal(first.At) {
		f.Fatalf("again: %+v, first %+v", again, first)
	}
	f.used("ABCDEF", 1, 0, gateway.CodeActive)
	second := f.admitted("ABCDEF", "bob")
	if second.ID == first.ID || second.Position <= first.Position {
		f.Fatalf("%+v", second)
	}
	_, err := f.redeem("ABCDEF", "cid")
	f.refused(gateway.CodeExhausted, err)
	f.used("ABCDEF", 2, 0, gateway.CodeIsExhausted)
	if r := f.admitted("ABCDEF", "bob"); r.ID != second.ID {
		f.Fatal("an exhausted code forgets whom it let in")
	}
	found, err := f.Redemption(f.ctx, theLaunch, first.ID)
	if err != nil || found.ID != first.ID || found.Code != "ABCDEF" || found.Status != gateway.Committed {
		f.Fatalf("%+v, %v", found, err)
	}
	_, err = f.Redemption(f.ctx, theLaunch, gateway.NewID(time.Now()))
	f.refused(gateway.RedemptionUnknown, err)
	if r := f.admitted("G0123456", "dan"); r.Display != "GO-123456" {
		f.Fatalf("shown as %q", r.Display)
	}
}

func refusals(f *fixture) {
	f.launch(nil)
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	early := f.campaign("early", func(c *gateway.Campaign) { c.Starts = now.Add(time.Hour) }, "EAR1Y")
	f.campaign("late", func(c *gateway.Campaign) { c.Ends = now.Add(-time.Hour) }, "1ATE")
	paused := f.campaign("paused", func(c *gateway.Campaign) { c.State = gateway.CampaignOnHold }, "PAUSED")
	f.campaign("withdrawn", func(c *gateway.Campaign) { c.State = gateway.CampaignWithdrawn }, "G0NE")
	full := f.campaign("full", func(c *gateway.Campaign) { c.Cap = 1 }, "FU111", "FU112")
	open := f.campaign("open", nil, "0PEN", "0PEN2")
	for code, want := range map[gateway.Code]gateway.Reason{
		"N0NE": gateway.CodeUnknown, "EAR1Y": gateway.CodeNotStarted, "1ATE": gateway.CodeExpired,
		"PAUSED": gateway.CampaignPaused, "G0NE": gateway.CodeRevoked,
	} {
		_, err := f.redeem(code, "ann")
		e := f.refused(want, err)
		if (want == gateway.CodeNotStarted) != (e.RetryAfter > 0) {
			f.Errorf("%s: retry after %v", want, e.RetryAfter)
		}
	}
	f.admitted("FU111", "bob")
	_, err = f.redeem("FU112", "ann")
	f.refused(gateway.CampaignFull, err)
	_, err = f.Mint(f.ctx, theLaunch, open.Number, []gateway.NewCode{{Code: "0LD", ExpiresAt: now.Add(-time.Second)}}, by)
	if err != nil {
		f.Fatal(err)
	}
	_, err = f.redeem("0LD", "ann")
	f.refused(gateway.CodeExpired, err)

	early.Starts = time.Time{}
	paused.State = gateway.CampaignActive
	full.Cap = 2
	for _, c := range []*gateway.Campaign{early, paused, full} {
		if _, err := f.PutCampaign(f.ctx, theLaunch, *c, 0, by); err != nil {
			f.Fatal(err)
		}
	}
	f.admitted("EAR1Y", "s1")
	f.admitted("PAUSED", "s2")
	f.admitted("FU112", "s3")
}

func oncePerLaunch(f *fixture) {
	f.launch(nil)
	f.campaign("a", func(c *gateway.Campaign) { c.MaxUses = 5 }, "A1", "A2")
	f.campaign("b", func(c *gateway.Campaign) { c.Kind = gateway.KindReferral }, "B1")
	f.campaign("keys", func(c *gateway.Campaign) { c.Kind = gateway.KindLicense; c.PerSubject = 2 }, "K1", "K2", "K3")
	f.admitted("A1", "ann")
	for _, code := range []gateway.Code{"A2", "B1"} {
		_, err := f.redeem(code, "ann")
		f.refused(gateway.AlreadyRedeemed, err)
	}
	f.admitted("K1", "ann")
	f.admitted("K2", "ann")
	_, err := f.redeem("K3", "ann")
	f.refused(gateway.AlreadyRedeemed, err)
	f.admitted("A2", "bob")

	l, err := f.Launch(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	p := l.Policy
	p.Subjects.OncePerLaunch = false
	if _, err := f.PutPolicy(f.ctx, p, 0, by); err != nil {
		f.Fatal(err)
	}
	f.admitted("A2", "ann")
	f.admitted("B1", "ann")
}

// opaqueRefusals: who redeemed already, or from a shared address, cannot tell a
// code that is used up from one that does not exist.
func opaqueRefusals(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Refusals = gateway.RefusalsOpaque
		p.Limits.AddressDedup = gateway.DedupPolicy{Window: gateway.Duration(time.Hour), Action: gateway.DedupRefuse}
	})
	f.campaign("c", nil, "A", "B", "C")
	f.campaign("full", func(c *gateway.Campaign) { c.MaxUses, c.Cap = 5, 1 }, "D")
	home := netip.MustParsePrefix("192.0.2.1/32")
	if _, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "A", Subject: "eve", Address: home}); err != nil {
		f.Fatal(err)
	}
	f.admitted("B", "ann")
	f.admitted("D", "bob")
	for _, subject := range []string{"eve", "someone"} {
		for code, want := range map[gateway.Code]gateway.Reason{"B": gateway.CodeExhausted, "D": gateway.CampaignFull} {
			_, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: code, Subject: subject, Address: home})
			f.refused(want, err)
		}
	}
	_, err := f.redeem("C", "eve")
	f.refused(gateway.AlreadyRedeemed, err)
}

// opaqueAttempts: who is made to wait learns nothing either. What is hidden
// counts like a guess, whatever the code is; what is not hidden does not.
func opaqueAttempts(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Refusals = gateway.RefusalsOpaque
		p.Limits.FailedAttempts.PerAddress = gateway.Rate{Count: 2, Window: gateway.Duration(time.Hour)}
	})
	f.campaign("c", nil, "A", "B")
	f.campaign("paused", func(c *gateway.Campaign) { c.State = gateway.CampaignOnHold }, "PAUSED")
	f.admitted("A", "ann")
	host := byte(0)
	for code, want := range map[gateway.Code]gateway.Reason{"N0NE": gateway.CodeUnknown, "A": gateway.CodeExhausted, "PAUSED": gateway.CampaignPaused} {
		for name, ask := range map[string]func(from netip.Prefix) error{
			"redeem": func(from netip.Prefix) error {
				_, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: code, Subject: "eve", Address: from})
				return err
			},
			"validate": func(from netip.Prefix) error {
				_, err := f.Validate(f.ctx, theLaunch, gateway.Validate{Code: code, Address: from})
				return err
			},
		} {
			host++
			from := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 32)
			for range 2 {
				f.refused(want, ask(from))
			}
			if err := ask(from); !errors.Is(err, gateway.Refuse(gateway.AttemptsExceeded)) {
				f.Errorf("%s %s a third time: %v", name, code, err)
			}
		}
	}
	from := netip.MustParsePrefix("192.0.2.99/32")
	for range 3 { // an answer about the person hides no code
		_, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "B", Subject: "ann", Address: from})
		f.refused(gateway.AlreadyRedeemed, err)
	}
}

func recipients(f *fixture) {
	f.launch(nil)
	c := f.campaign("personal", nil)
	codes := []gateway.NewCode{
		{Code: "B0UND1", Recipient: "ann@example.com"}, {Code: "B0UND2", Recipient: "ann@example.com"}, {Code: "0WN", Issuer: "ann", MaxUses: 3},
	}
	if _, err := f.Mint(f.ctx, theLaunch, c.Number, codes, by); err != nil {
		f.Fatal(err)
	}
	_, err := f.redeem("B0UND1", "bob")
	f.refused(gateway.RecipientMismatch, err)
	f.admitted("B0UND1", "ann@example.com")
	r, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "B0UND2", Subject: "user-7", Email: "ann@example.com"})
	if err != nil || r.Subject != "user-7" {
		f.Fatalf("%+v, %v", r, err)
	}
	_, err = f.redeem("0WN", "ann")
	f.refused(gateway.OwnCode, err)
	f.admitted("0WN", "bob")
	info, err := f.Code(f.ctx, theLaunch, "0WN")
	if err != nil || info.MaxUses != 3 || !info.Issued || info.Bound {
		f.Fatalf("%+v, %v", info, err)
	}
}

func attempts(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Limits.FailedAttempts = gateway.AttemptsPolicy{PerAddress: gateway.Rate{Count: 3, Window: gateway.Duration(2 * time.Second)}}
	})
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "REA1")
	from := netip.MustParsePrefix("192.0.2.1/32")
	try := func(code gateway.Code, subject string, from netip.Prefix) error {
		_, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: code, Subject: subject, Address: from})
		return err
	}
	if err := try("REA1", "early", from); err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		f.refused(gateway.CodeUnknown, try("GUESS", fmt.Sprint("s", i), from))
	}
	e := f.refused(gateway.AttemptsExceeded, try("REA1", "ann", from))
	if e.RetryAfter <= 0 || e.RetryAfter > 2*time.Second {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	_, err := f.Validate(f.ctx, theLaunch, gateway.Validate{Code: "REA1", Address: from})
	f.refused(gateway.AttemptsExceeded, err)
	if err := try("REA1", "early", from); err != nil {
		f.Fatalf("who is in already is not told again: %v", err)
	}
	if err := try("REA1", "bob", netip.MustParsePrefix("192.0.2.2/32")); err != nil {
		f.Fatalf("another address: %v", err)
	}
	f.pass(e.RetryAfter)
	if err := try("REA1", "ann", from); err != nil {
		f.Fatalf("after the wait: %v", err)
	}
}

// attemptsInAName: guesses count against a subject only where a back end names
// it, or anybody could lock anybody out.
func attemptsInAName(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Limits.FailedAttempts = gateway.AttemptsPolicy{
			PerAddress: gateway.Rate{Count: 3, Window: gateway.Duration(time.Hour)}, PerSubject: gateway.Rate{Count: 2, Window: gateway.Duration(time.Hour)},
		}
	})
	c := f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "REA1")
	if _, err := f.Mint(f.ctx, theLaunch, c.Number, []gateway.NewCode{{Code: "B0UND", Recipient: "ann"}}, by); err != nil {
		f.Fatal(err)
	}
	try := func(code gateway.Code, subject string, host byte, vouched bool) error {
		r := gateway.Redeem{Code: code, Subject: subject, Vouched: vouched}
		if host > 0 {
			r.Address = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 32)
		}
		_, err := f.Redeem(f.ctx, theLaunch, &r)
		return err
	}
	for host := range byte(9) { // one from nowhere, as an allowed address is
		f.refused(gateway.CodeUnknown, try("GUESS", "victim", host, false))
		f.refused(gateway.RecipientMismatch, try("B0UND", "victim", host, false))
	}
	f.refused(gateway.CodeUnknown, try("GUESS", "victim", 1, false))
	f.refused(gateway.AttemptsExceeded, try("REA1", "victim", 1, false))
	if err := try("REA1", "victim", 99, false); err != nil {
		f.Fatalf("strangers locked out whom they named: %v", err)
	}
	// Those that a back end makes in its user's name do count, for it.
	for range 2 {
		f.refused(gateway.CodeUnknown, try("GUESS", "ann", 0, true))
	}
	f.refused(gateway.AttemptsExceeded, try("REA1", "ann", 98, true))
}

func rehearsalClock(f *fixture) {
	f.launch(nil)
	before, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	l, err := f.SetClock(f.ctx, theLaunch, 48*time.Hour, by)
	if err != nil || l.Ahead != 48*time.Hour {
		f.Fatalf("%v ahead, %v", l, err)
	}
	after, err := f.Now(f.ctx, theLaunch)
	if err != nil || after.Sub(before) < 48*time.Hour {
		f.Fatalf("the clock went from %v to %v, %v", before, after, err)
	}
	_, err = f.SetClock(f.ctx, theLaunch, time.Hour, by)
	f.refused(gateway.Conflict, err)
}

func validate(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Limits.FailedAttempts = gateway.AttemptsPolicy{PerAddress: gateway.Rate{Count: 2, Window: gateway.Duration(time.Hour)}}
	})
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	ends := now.Add(time.Hour).Truncate(time.Millisecond)
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 3; c.Cap = 2; c.Ends = ends }, "REA1")
	v, err := f.Validate(f.ctx, theLaunch, gateway.Validate{Code: "REA1"})
	if err != nil || v.Remaining != 2 || v.Campaign != 1 || !v.ExpiresAt.Equal(ends) {
		f.Fatalf("%+v, %v", v, err)
	}
	f.admitted("REA1", "ann")
	if v, err = f.Validate(f.ctx, theLaunch, gateway.Validate{Code: "REA1"}); err != nil || v.Remaining != 1 {
		f.Fatalf("%+v, %v", v, err)
	}
	from := netip.MustParsePrefix("2001:db8::/64")
	for range 2 {
		_, err = f.Validate(f.ctx, theLaunch, gateway.Validate{Code: "GUESS", Address: from})
		f.refused(gateway.CodeUnknown, err)
	}
	_, err = f.Validate(f.ctx, theLaunch, gateway.Validate{Code: "REA1", Address: from})
	f.refused(gateway.AttemptsExceeded, err)
	f.admitted("REA1", "bob")
	_, err = f.Validate(f.ctx, theLaunch, gateway.Validate{Code: "REA1"})
	f.refused(gateway.CampaignFull, err)
}

func (f *fixture) hold(code gateway.Code, subject string) gateway.Redemption {
	f.Helper()
	r, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: code, Subject: subject, Mode: gateway.Hold})
	if err != nil || r.Status != gateway.Held || r.ExpiresAt.IsZero() {
		f.Fatalf("%+v, %v", r, err)
	}
	return r
}

func (f *fixture) settle(id gateway.ID, s gateway.Settlement) (gateway.Redemption, error) {
	return f.Settle(f.ctx, theLaunch, id, s, by)
}

func holds(f *fixture) {
	f.launch(nil)
	f.campaign("c", nil, "0NE", "TW0")
	h := f.hold("0NE", "ann")
	f.used("0NE", 1, 1, gateway.CodeIsExhausted)
	if again := f.admitted("0NE", "ann"); again.ID != h.ID || again.Status != gateway.Held {
		f.Fatalf("a hold asked for again: %+v", again)
	}
	_, err := f.redeem("0NE", "bob")
	f.refused(gateway.CodeExhausted, err)
	_, err = f.settle(h.ID, gateway.Rollback)
	f.refused(gateway.NotCommitted, err)
	_, err = f.settle(h.ID, gateway.Expire)
	f.refused(gateway.Conflict, err)
	for i := range 2 {
		r, err := f.settle(h.ID, gateway.Confirm)
		if err != nil || r.Status != gateway.Committed || r.Replayed != (i == 1) {
			f.Fatalf("confirmed: %+v, %v", r, err)
		}
	}
	f.used("0NE", 1, 0, gateway.CodeIsExhausted)
	_, err = f.settle(h.ID, gateway.Release)
	f.refused(gateway.NotHeld, err)

	h = f.hold("TW0", "cid")
	if r, err := f.settle(h.ID, gateway.Release); err != nil || r.Status != gateway.Released {
		f.Fatalf("%+v, %v", r, err)
	}
	f.used("TW0", 0, 0, gateway.CodeActive)
	_, err = f.settle(h.ID, gateway.Confirm)
	f.refused(gateway.NotHeld, err)
	if found, err := f.Redemption(f.ctx, theLaunch, h.ID); err != nil || found.Status != gateway.Released {
		f.Fatalf("%+v, %v", found, err)
	}
	if anew := f.admitted("TW0", "cid"); anew.ID == h.ID || anew.Replayed {
		f.Fatalf("a released code redeemed anew: %+v", anew)
	}
	_, err = f.settle(gateway.NewID(time.Now()), gateway.Confirm)
	f.refused(gateway.RedemptionUnknown, err)
}

func expiredHolds(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Holds.Expires = gateway.Duration(time.Second) })
	f.campaign("c", nil, "0NE", "TW0")
	one, two := f.hold("0NE", "ann"), f.hold("TW0", "bob")
	if n, err := f.SweepHolds(f.ctx, theLaunch); err != nil || n != 0 {
		f.Fatalf("swept %d, %v", n, err)
	}
	f.pass(time.Second)
	_, err := f.settle(one.ID, gateway.Confirm)
	f.refused(gateway.HoldExpired, err)
	if anew := f.hold("TW0", "bob"); anew.ID == two.ID {
		f.Fatal("an expired hold was answered again")
	}
	f.used("TW0", 1, 1, gateway.CodeIsExhausted)
	if n, err := f.SweepHolds(f.ctx, theLaunch); err != nil || n != 1 {
		f.Fatalf("swept %d, %v", n, err)
	}
	f.used("0NE", 0, 0, gateway.CodeActive)
	if n, err := f.SweepHolds(f.ctx, theLaunch); err != nil || n != 0 {
		f.Fatalf("swept %d again, %v", n, err)
	}
	f.admitted("0NE", "cid")
}

// holders: what holds leave behind is bounded by address, whatever becomes of
// them; nobody is told again, and commits are nobody's concern here.
func holders(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Holds.PerAddress = gateway.Rate{Count: 3, Window: gateway.Duration(time.Hour)}
	})
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 99 }, "A")
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	try := func(subject string, mode gateway.Mode, from netip.Prefix) (gateway.Redemption, error) {
		return f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "A", Subject: subject, Mode: mode, Address: from})
	}
	// The window may end between two requests: begin with it.
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	f.pass(time.Duration(3_600_000-now.UnixMilli()%3_600_000) * time.Millisecond)
	for i := range 3 {
		h, err := try(fmt.Sprint("s", i), gateway.Hold, here)
		if err != nil {
			f.Fatal(err)
		}
		if i == 2 {
			break
		}
		if _, err := f.settle(h.ID, []gateway.Settlement{gateway.Release, gateway.Confirm}[i]); err != nil {
			f.Fatal(err)
		}
	}
	_, err = try("s3", gateway.Hold, here)
	e := f.refused(gateway.HoldsExceeded, err)
	if e.RetryAfter <= 0 || e.RetryAfter > time.Hour {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	for _, ask := range []struct {
		subject string
		mode    gateway.Mode
		from    netip.Prefix
	}{
		{"s2", gateway.Hold, here}, {"s4", gateway.Commit, here}, {"s5", gateway.Hold, there}, {"s6", gateway.Hold, netip.Prefix{}},
	} {
		if _, err := try(ask.subject, ask.mode, ask.from); err != nil {
			f.Fatalf("%+v: %v", ask, err)
		}
	}
	f.pass(e.RetryAfter)
	if _, err := try("s3", gateway.Hold, here); err != nil {
		f.Fatal(err)
	}
}

func rollback(f *fixture) {
	f.launch(nil)
	f.campaign("c", nil, "0NE", "TW0")
	r := f.admitted("0NE", "ann")
	for range 2 {
		if back, err := f.settle(r.ID, gateway.Rollback); err != nil || back.Status != gateway.RolledBack {
			f.Fatalf("%+v, %v", back, err)
		}
	}
	f.used("0NE", 0, 0, gateway.CodeActive)
	if again := f.admitted("0NE", "ann"); again.ID != r.ID || again.Status != gateway.RolledBack {
		f.Fatalf("a late retry undid a rollback: %+v", again)
	}
	f.admitted("TW0", "ann")
	f.admitted("0NE", "bob")
}

func mint(f *fixture) {
	f.launch(nil)
	c := f.campaign("c", nil, "TAKEN")
	codes := []gateway.NewCode{{Code: "NEW1"}, {Code: "TAKEN"}, {Code: "NEW2"}, {Code: "NEW2"}}
	_, err := f.Mint(f.ctx, theLaunch, c.Number, codes, by)
	var exist *gateway.CodesExist
	if !errors.As(err, &exist) || fmt.Sprint(exist.Indexes) != "[1 3]" {
		f.Fatalf("%v: %+v", err, exist)
	}
	_, err = f.Code(f.ctx, theLaunch, "NEW1")
	f.refused(gateway.CodeUnknown, err)
	_, err = f.Mint(f.ctx, theLaunch, 99, codes[:1], by)
	f.refused(gateway.CampaignUnknown, err)
	at, err := f.Mint(f.ctx, theLaunch, c.Number, []gateway.NewCode{{Code: "VAN1TY", Display: "Van-i-ty"}}, by)
	if p, _ := f.Position(f.ctx, theLaunch); err != nil || p.Seq != at {
		f.Fatalf("position %d, %+v, %v", at, p, err)
	}
	if r := f.admitted("VAN1TY", "ann"); r.Display != "Van-i-ty" {
		f.Fatalf("shown as %q", r.Display)
	}
	many := make([]gateway.NewCode, 2500)
	for i := range many {
		many[i].Code = gateway.Code(fmt.Sprintf("M%07d", i))
	}
	if _, err := f.Mint(f.ctx, theLaunch, c.Number, many, by); err != nil {
		f.Fatal(err)
	}
	f.used("M0002499", 0, 0, gateway.CodeActive)
}

func changeCodes(f *fixture) {
	f.launch(nil)
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "A", "B")
	change := func(ch gateway.CodeChange, expires time.Time, codes ...gateway.Code) error {
		_, err := f.ChangeCodes(f.ctx, theLaunch, gateway.ChangeCodes{Change: ch, Codes: codes, ExpiresAt: expires, By: by})
		return err
	}
	err := change(gateway.Revoke, time.Time{}, "A", "N0NE", "B")
	var unknown *gateway.CodesUnknown
	if !errors.As(err, &unknown) || fmt.Sprint(unknown.Indexes) != "[1]" {
		f.Fatalf("%v: %+v", err, unknown)
	}
	f.used("A", 0, 0, gateway.CodeActive)
	f.admitted("A", "ann")
	if err := change(gateway.Revoke, time.Time{}, "A", "B"); err != nil {
		f.Fatal(err)
	}
	_, err = f.redeem("A", "bob")
	f.refused(gateway.CodeRevoked, err)
	f.used("A", 1, 0, gateway.CodeIsRevoked)
	if err := change(gateway.Reinstate, time.Time{}, "A"); err != nil {
		f.Fatal(err)
	}
	f.admitted("A", "bob")
	_, err = f.redeem("B", "cid")
	f.refused(gateway.CodeRevoked, err)
	now, err := f.Now(f.ctx, theLaunch)
	if err != nil {
		f.Fatal(err)
	}
	if err := change(gateway.Renew, now.Add(-time.Minute), "A"); err != nil {
		f.Fatal(err)
	}
	f.used("A", 2, 0, gateway.CodeIsExpired)
	if err := change(gateway.Renew, now.Add(time.Hour), "A"); err != nil {
		f.Fatal(err)
	}
	f.admitted("A", "dan")
}

func addressDedup(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Limits.AddressDedup = gateway.DedupPolicy{Window: gateway.Duration(time.Minute), Action: gateway.DedupRefuse}
	})
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "A")
	from := netip.MustParsePrefix("192.0.2.1/32")
	try := func(subject string) error {
		_, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "A", Subject: subject, Address: from})
		return err
	}
	if err := try("ann"); err != nil {
		f.Fatal(err)
	}
	if err := try("ann"); err != nil {
		f.Fatal(err)
	}
	e := f.refused(gateway.AddressAlreadyRedeemed, try("bob"))
	if e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	f.pass(e.RetryAfter)
	if err := try("bob"); err != nil {
		f.Fatal(err)
	}
}

// sharedAddresses: what is only a signal lets in, and a challenge lets in
// whoever has solved it.
func sharedAddresses(f *fixture) {
	dedup := gateway.DedupPolicy{Window: gateway.Duration(time.Minute), Action: gateway.DedupChallenge}
	var policy gateway.Policy
	f.launch(func(p *gateway.Policy) {
		p.Limits.AddressDedup, p.Abuse.Challenge = dedup, gateway.ChallengePolicy{Provider: gateway.ChallengeTurnstile, SiteKey: "k"}
		policy = *p
	})
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "A")
	from := netip.MustParsePrefix("192.0.2.1/32")
	try := func(subject string, mode gateway.Mode, solved bool) (gateway.Redemption, error) {
		return f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: "A", Subject: subject, Address: from, Mode: mode, Solved: solved})
	}
	admitted := func(subject string, mode gateway.Mode, solved, again bool) {
		f.Helper()
		if r, err := try(subject, mode, solved); err != nil || r.Replayed != again || (r.Status == gateway.Held) != (mode == gateway.Hold) {
			f.Fatalf("%+v, %v", r, err)
		}
	}
	admitted("ann", gateway.Commit, false, false)
	_, err := try("bob", gateway.Commit, false)
	f.refused(gateway.ChallengeRequired, err)
	admitted("bob", gateway.Hold, true, false)
	admitted("bob", gateway.Hold, false, true) // the token was used up by the first request
	f.used("A", 2, 1, gateway.CodeActive)
	policy.Limits.AddressDedup.Action = gateway.DedupSignal
	if _, err := f.PutPolicy(f.ctx, policy, 0, by); err != nil {
		f.Fatal(err)
	}
	admitted("cat", gateway.Commit, false, false)
}

// perInviter: so many redemptions of one member's codes in a window, holds and
// other codes of the same member among them.
func perInviter(f *fixture) {
	f.launch(func(p *gateway.Policy) {
		p.Limits.PerInviter = gateway.Rate{Count: 2, Window: gateway.Duration(time.Minute)}
	})
	c := f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "FREE")
	f.issued(c, "ann", "A", "B")
	f.issued(c, "bob", "D")
	try := func(code gateway.Code, subject string, mode gateway.Mode) error {
		_, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: code, Subject: subject, Mode: mode})
		return err
	}
	// The window may end between two requests: then it all begins again.
	full := func(round string) error {
		for _, ask := range []func() error{
			func() error { return try("A", "one"+round, gateway.Commit) },
			func() error { return try("B", "two"+round, gateway.Hold) },
		} {
			if err := ask(); err != nil {
				f.Fatal(err)
			}
		}
		return try("A", "three"+round, gateway.Commit)
	}
	err := full("")
	if err == nil {
		f.pass(time.Minute)
		err = full(" again")
	}
	e := f.refused(gateway.InviterLimited, err)
	if e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
		f.Fatalf("retry after %v", e.RetryAfter)
	}
	for _, code := range []gateway.Code{"D", "FREE"} {
		if err := try(code, "four "+string(code), gateway.Commit); err != nil {
			f.Fatal(err)
		}
	}
	f.pass(e.RetryAfter)
	if err := try("A", "three", gateway.Commit); err != nil {
		f.Fatal(err)
	}
}

func proofs(f *fixture) {
	f.launch(nil)
	f.campaign("c", nil, "A", "B")
	ask := func(proof string, mode gateway.Mode, code gateway.Code) gateway.Redemption {
		f.Helper()
		r, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: code, Subject: "ann", Proof: proof, Mode: mode})
		if err != nil {
			f.Fatal(err)
		}
		return r
	}
	first := ask("key-1", gateway.Hold, "A")
	if r := ask("key-1", gateway.Hold, "A"); !r.Proven || r.ID != first.ID {
		f.Fatalf("the same key: %+v", r)
	}
	if r := ask("key-2", gateway.Hold, "A"); r.Proven || r.ID != first.ID {
		f.Fatalf("another key: %+v", r)
	}
	if _, err := f.settle(first.ID, gateway.Release); err != nil {
		f.Fatal(err)
	}
	if r := ask("key-1", gateway.Hold, "A"); r.ID != first.ID || r.Status != gateway.Released {
		f.Fatalf("a late retry made a new hold: %+v", r)
	}
	if r := ask("key-3", gateway.Hold, "A"); r.ID == first.ID || r.Status != gateway.Held {
		f.Fatalf("a new request got the old answer: %+v", r)
	}
}

func race(f *fixture) {
	const clients, uses = 64, 50
	f.launch(nil)
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = uses }, "H0T")
	var wg sync.WaitGroup
	outcomes := make([]error, clients)
	for i := range clients {
		wg.Go(func() { _, outcomes[i] = f.redeem("H0T", fmt.Sprint("s", i)) })
	}
	wg.Wait()
	in := 0
	for _, err := range outcomes {
		if err == nil {
			in++
		} else {
			f.refused(gateway.CodeExhausted, err)
		}
	}
	if in != uses {
		f.Fatalf("%d were admitted, the code has %d uses", in, uses)
	}
	f.used("H0T", uses, 0, gateway.CodeIsExhausted)
}

func raceOne(f *fixture) {
	f.launch(nil)
	f.campaign("c", func(c *gateway.Campaign) { c.MaxUses = 9 }, "A")
	var wg sync.WaitGroup
	got := make([]gateway.Redemption, 8)
	for i := range got {
		wg.Go(func() { got[i], _ = f.redeem("A", "ann") })
	}
	wg.Wait()
	made := 0
	for _, r := range got {
		if r.ID != got[0].ID || r.ID == (gateway.ID{}) {
			f.Fatalf("two redemptions: %v and %v", r.ID, got[0].ID)
		}
		if !r.Replayed {
			made++
		}
	}
	if made != 1 {
		f.Fatalf("%d answers say that they made it", made)
	}
	f.used("A", 1, 0, gateway.CodeActive)
}
