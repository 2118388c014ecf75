package gatewaytest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// Secret is that of the keyring which a store of this suite has: members' codes
// have check characters.
var Secret = bytes.Repeat([]byte{7}, keyring.MinSecret)

func (f *fixture) keys() *keyring.Keyring {
	f.Helper()
	k, err := keyring.New(Secret)
	if err != nil {
		f.Fatal(err)
	}
	return k
}

func (f *fixture) snapshot() *gateway.Launch { f.Helper(); return f.must(f.Launch(f.ctx, theLaunch)) }

func (f *fixture) must(l *gateway.Launch, err error) *gateway.Launch {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
	return l
}

func (f *fixture) invite(ask gateway.Invite) (gateway.Invited, error) {
	f.Helper()
	return gateway.MintInvites(f.ctx, f.Store, f.keys(), f.snapshot(), ask)
}

func (f *fixture) invited(subject string, n int) []gateway.NewCode {
	f.Helper()
	made, err := f.invite(gateway.Invite{Subject: subject, Count: n})
	if err != nil {
		f.Fatalf("%s invites %d: %v", subject, n, err)
	}
	return made.Codes
}

func invites(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Codes.Personal.Allotment, p.Codes.Personal.PerDay = 3, 50 })
	f.campaign("bulk", nil, "A", "B")
	_, err := f.invite(gateway.Invite{Subject: "ann", Count: 1})
	f.refused(gateway.MemberUnknown, err)
	f.admitted("A", "ann")
	bound, err := f.invite(gateway.Invite{Subject: "ann", Count: 1, Recipient: "bob@example.com", Proof: "k"})
	if err != nil || bound.Allotment != 2 || len(bound.Codes) != 1 || bound.Codes[0].ExpiresAt.IsZero() {
		f.Fatalf("%+v, %v", bound, err)
	}
	again, err := f.invite(gateway.Invite{Subject: "ann", Count: 1, Recipient: "bob@example.com", Proof: "k"})
	if err != nil || !again.Replayed || again.Codes[0].Code != bound.Codes[0].Code || again.Allotment != 2 {
		f.Errorf("%+v, %v", again, err)
	}
	_, err = f.invite(gateway.Invite{Subject: "ann", Count: 3})
	f.refused(gateway.AllotmentExhausted, err)
	free := f.invited("ann", 2)
	_, err = f.invite(gateway.Invite{Subject: "ann", Count: 1})
	f.refused(gateway.AllotmentExhausted, err)
	_, err = f.redeem(bound.Codes[0].Code, "cid")
	f.refused(gateway.RecipientMismatch, err)
	_, err = f.redeem(free[0].Code, "ann")
	f.refused(gateway.OwnCode, err)
	if r := f.admitted(bound.Codes[0].Code, "bob@example.com"); !r.Referred {
		f.Errorf("%+v", r)
	}
	// A member takes back what nobody used, and nothing else.
	for _, wrong := range []struct {
		who  string
		code gateway.Code
		why  gateway.Reason
	}{{"ann", "B", gateway.CodeUnknown}, {"bob@example.com", free[0].Code, gateway.CodeUnknown}, {"ann", "N0NE", gateway.CodeUnknown}, {"ann", bound.Codes[0].Code, gateway.CodeExhausted}} {
		_, err := f.RevokeInvite(f.ctx, theLaunch, wrong.who, wrong.code)
		f.refused(wrong.why, err)
	}
	for range 2 {
		if left, err := f.RevokeInvite(f.ctx, theLaunch, "ann", free[0].Code); err != nil || left != 1 {
			f.Errorf("%v, %v", left, err)
		}
	}
	_, err = f.redeem(free[0].Code, "dan")
	f.refused(gateway.CodeRevoked, err)
	f.invited("ann", 1)
}

// invitesPerDay lets fifty through a day.
func invitesPerDay(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Codes.Personal.Allotment = gateway.Unlimited })
	f.campaign("bulk", nil, "A")
	f.admitted("A", "ann")
	f.invited("ann", 49)
	_, err := f.invite(gateway.Invite{Subject: "ann", Count: 2})
	if e := f.refused(gateway.InvitesPerDay, err); e.RetryAfter <= 0 || e.RetryAfter > 24*time.Hour {
		f.Errorf("come back in %v", e.RetryAfter)
	}
	f.invited("ann", 1)
	_, err = f.invite(gateway.Invite{Subject: "ann", Count: 1})
	f.refused(gateway.InvitesPerDay, err)
	f.pass(24 * time.Hour)
	f.invited("ann", 50)
}

// refills: five invites are available after each referral, on both sides.
func refills(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Codes.Personal.Allotment, p.Codes.Personal.Refill.To = 5, 5 })
	f.campaign("bulk", nil, "A")
	f.admitted("A", "ann")
	codes := f.invited("ann", 5)
	_, err := f.invite(gateway.Invite{Subject: "ann", Count: 1})
	f.refused(gateway.AllotmentExhausted, err)
	f.admitted(codes[0].Code, "bob")
	if m := f.member("ann"); m.Allotment != 1 { // four are open
		f.Errorf("%+v", m)
	}
	f.admitted(codes[1].Code, "cid")
	if m := f.member("ann"); m.Allotment != 2 {
		f.Errorf("%+v", m)
	}
	if m := f.member("cid"); m.Allotment != 5 {
		f.Errorf("%+v", m)
	}
	// Taken back by an operator, a code is open no more; then it is topped up on demand.
	if _, err := f.ChangeCodes(f.ctx, theLaunch, gateway.ChangeCodes{Change: gateway.Revoke, Codes: []gateway.Code{codes[2].Code}, By: by}); err != nil {
		f.Fatal(err)
	}
	f.invited("ann", 3)
	_, err = f.invite(gateway.Invite{Subject: "ann", Count: 1})
	f.refused(gateway.AllotmentExhausted, err)
	if _, err := f.ChangeCodes(f.ctx, theLaunch, gateway.ChangeCodes{Change: gateway.Reinstate, Codes: []gateway.Code{codes[2].Code}, By: by}); err != nil {
		f.Fatal(err)
	}
	f.admitted(codes[2].Code, "dan")
	if m := f.member("ann"); m.Allotment != 0 { // two of the first, three of the second minting are open
		f.Errorf("%+v", m)
	}
	// A hold leaves a code open: none is minted in its place.
	held, err := f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: codes[3].Code, Subject: "eve", Mode: gateway.Hold})
	if err != nil {
		f.Fatal(err)
	}
	_, err = f.invite(gateway.Invite{Subject: "ann", Count: 1})
	f.refused(gateway.AllotmentExhausted, err)
	if _, err := f.Settle(f.ctx, theLaunch, held.ID, gateway.Release, by); err != nil {
		f.Fatal(err)
	}
	_, err = f.invite(gateway.Invite{Subject: "ann", Count: 1})
	f.refused(gateway.AllotmentExhausted, err)
	// Confirmed, it is used up, and there is another one.
	held, err = f.Redeem(f.ctx, theLaunch, &gateway.Redeem{Code: codes[3].Code, Subject: "eve", Mode: gateway.Hold})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := f.Settle(f.ctx, theLaunch, held.ID, gateway.Confirm, by); err != nil {
		f.Fatal(err)
	}
	if m := f.member("ann"); m.Allotment != 1 {
		f.Errorf("%+v", m)
	}
}

// expiredInvites: an invite that has expired was replaced where the policy tops
// up; taken back, it is not replaced again.
func expiredInvites(to int, want gateway.Rounds) func(*fixture) {
	return func(f *fixture) {
		f.launch(func(p *gateway.Policy) {
			p.Codes.Personal.Allotment, p.Codes.Personal.Refill.To, p.Codes.Personal.Expires = 2, to, gateway.Duration(24*time.Hour)
		})
		f.campaign("bulk", nil, "A")
		f.admitted("A", "ann")
		codes := f.invited("ann", 2)
		f.pass(49 * time.Hour)
		if to > 0 {
			f.invited("ann", to)
		}
		left, err := f.RevokeInvite(f.ctx, theLaunch, "ann", codes[0].Code)
		if err != nil || left != want {
			f.Errorf("%v left, %v", left, err)
		}
	}
}

func referralCodes(f *fixture) {
	f.launch(nil)
	l := f.snapshot()
	_, err := gateway.ReferralCodeOf(f.ctx, f.Store, f.keys(), l, gateway.Invite{Subject: "ann"})
	f.refused(gateway.MemberUnknown, err)
	var crowd sync.WaitGroup
	var mu sync.Mutex
	met := map[gateway.Code]int{}
	for range 8 {
		crowd.Go(func() {
			c, err := gateway.ReferralCodeOf(f.ctx, f.Store, f.keys(), l, gateway.Invite{Subject: "ann", Begin: true})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				f.Error(err)
			}
			met[c.Code]++
		})
	}
	crowd.Wait()
	if len(met) != 1 {
		f.Fatalf("one member has %d referral codes", len(met))
	}
	for code := range met {
		for i := range 10 {
			f.admitted(code, fmt.Sprint("s", i))
		}
		_, err := f.redeem(code, "s10")
		f.refused(gateway.CodeExhausted, err)
	}
	if m := f.member("ann"); m.Referrals != 10 || m.In() {
		f.Errorf("%+v", m)
	}
}

// raceForAllotment has many take one invite of three each.
func raceForAllotment(f *fixture) {
	f.launch(func(p *gateway.Policy) { p.Codes.Personal.Allotment = 3 })
	f.campaign("bulk", nil, "A")
	f.admitted("A", "ann")
	var crowd sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 30 {
		crowd.Go(func() {
			_, err := gateway.MintInvites(f.ctx, f.Store, f.keys(), f.snapshot(), gateway.Invite{Subject: "ann", Count: 1})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got++
			} else if !errors.Is(err, gateway.Refuse(gateway.AllotmentExhausted)) {
				f.Error(err)
			}
		})
	}
	crowd.Wait()
	if got != 3 {
		f.Errorf("%d invites of an allotment of 3", got)
	}
}
