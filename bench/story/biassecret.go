package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

const gumroadToken = "the-token-of-this-story"

// BiasSecret plays a consumer app that grows by invitations.
func BiasSecret(ctx context.Context, out io.Writer) error {
	tokens, remove, err := secretFile("biassecret " + gumroadToken)
	if err != nil {
		return err
	}
	defer remove()
	b := &biasSecret{}
	return tell(ctx, out, "biassecret", "biassecret.yaml", []string{"--gumroad-tokens-file", tokens},
		b.trial, b.rounds, b.license, b.imported, b.invites, b.refill, b.record, b.guesses, b.addresses, b.offices, b.attacks, b.graph, b.active, b.leaves)
}

type biasSecret struct {
	founders []string // codes
	ann      client.Redemption
	invited  []client.Invite
}

func (b *biasSecret) trial(t *tale, ctx context.Context) error {
	for left := 29; left >= 0; left-- {
		u, err := t.server.UseRounds(ctx, t.launch, "eve", 1, "")
		if err := errors.Join(err, want("rounds left", int(u.Remaining), left)); err != nil {
			return err
		}
	}
	if _, err := t.server.UseRounds(ctx, t.launch, "tim", 30, ""); err != nil { // and never comes back
		return err
	}
	_, err := t.server.UseRounds(ctx, t.launch, "eve", 1, "")
	t.fact("free rounds", "30; the 31st is refused: rounds_exhausted")
	return refused("the 31st round", err, gateway.RoundsExhausted)
}

func (b *biasSecret) license(t *tale, ctx context.Context) error {
	sale := url.Values{"sale_id": {"s1"}, "license_key": {"85DB562A-C11D4B06-A2335A6B-8C079166"}, "price": {"499"}, "email": {"eve@example.com"}}
	_, err := t.server.Gumroad(ctx, t.launch, "a-token-that-is-wrong", sale)
	if err := refused("a ping with another token", err, gateway.Unauthorized); err != nil {
		return err
	}
	for range 3 { // pings come again
		if _, err := t.server.Gumroad(ctx, t.launch, gumroadToken, sale); err != nil {
			return err
		}
	}
	r, err := t.redeem(ctx, sale.Get("license_key"), "eve")
	if err := errors.Join(err, want("unlocked by", r.Unlock.Method, "license_key")); err != nil {
		return err
	}
	u, err := t.server.UseRounds(ctx, t.launch, "eve", 1000, "")
	if err := errors.Join(err, want("unlimited", u.Unlimited, true)); err != nil {
		return err
	}
	sale.Set("license_key", "AAAA0000-BBBB1111-CCCC2222-DDDD3333")
	if _, err := t.server.Gumroad(ctx, t.launch, gumroadToken, sale); err != nil {
		return err
	}
	sale.Set("refunded", "true")
	if _, err := t.server.Gumroad(ctx, t.launch, gumroadToken, sale); err != nil {
		return err
	}
	_, err = t.redeem(ctx, sale.Get("license_key"), "late")
	t.fact("licence of $4.99", "by Gumroad's ping, told 3 times: one code, unlimited rounds; refunded: code_revoked")
	return refused("a refunded licence", err, gateway.CodeRevoked)
}

func (b *biasSecret) invites(t *tale, ctx context.Context) (err error) {
	if b.founders, err = t.codes(ctx, "founders", 40); err != nil {
		return err
	}
	if b.ann, err = t.redeem(ctx, b.founders[0], "ann"); err != nil {
		return err
	}
	made, err := t.server.Invite(ctx, t.launch, "ann", 5, "", "k")
	if err != nil {
		return err
	}
	again, err := t.server.Invite(ctx, t.launch, "ann", 5, "", "k")
	if err := errors.Join(err, want("the same request", fmt.Sprint(again.Invites), fmt.Sprint(made.Invites))); err != nil {
		return err
	}
	_, err = t.server.Invite(ctx, t.launch, "ann", 1, "", "")
	if err := refused("a sixth invite", err, gateway.AllotmentExhausted); err != nil {
		return err
	}
	met := map[string]bool{}
	for _, i := range made.Invites {
		met[i.Code] = true
		if len(i.Code) != 10 || strings.ContainsAny(i.Code, "ILO") {
			return fmt.Errorf("a code of %d characters, or with ambiguous ones", len(i.Code))
		}
	}
	b.invited = made.Invites
	t.fact("invites", "5 for a new user, 10 characters, none ambiguous; the 6th: allotment_exhausted")
	return want("different codes", len(met), 5)
}

// available are the invites that a member has: open ones and ones to mint.
func available(t *tale, ctx context.Context, subject string) (int, error) {
	m, err := t.server.Member(ctx, t.launch, subject)
	if err != nil {
		return 0, err
	}
	if err := t.settled(ctx); err != nil {
		return 0, err
	}
	list, err := t.server.Invites(ctx, t.launch, subject, gateway.Page{Limit: 100})
	n := int(m.Allotment)
	for _, i := range list.Data {
		if i.Status == gateway.InvitePending {
			n++
		}
	}
	return n, err
}

func (b *biasSecret) refill(t *tale, ctx context.Context) error {
	if r, err := t.redeem(ctx, b.invited[0].Code, "bob"); err != nil || !r.Referred {
		return fmt.Errorf("bob: %+v, %w", r, orNothing(err))
	}
	for _, who := range []string{"ann", "bob"} {
		n, err := available(t, ctx, who)
		if err := errors.Join(err, want("available to "+who, n, 5)); err != nil {
			return err
		}
	}
	// Two leaked; an operator revokes them. The batch of the day makes it five again.
	for _, i := range b.invited[1:3] {
		if _, err := t.command(ctx, "codes", "revoke", t.launch, i.Code, "--note", "leaked"); err != nil {
			return err
		}
	}
	if n, err := available(t, ctx, "ann"); err != nil || n != 3 {
		return fmt.Errorf("%d available after two were revoked, %w", n, orNothing(err))
	}
	if err := t.ahead(ctx, 24*time.Hour); err != nil {
		return err
	}
	err := t.until(ctx, "the batch has come by", func() (bool, error) {
		n, err := available(t, ctx, "ann")
		return n == 5, err
	})
	t.fact("refill", "5 available to both sides after a referral; 3 after two were revoked, 5 again by the batch after 24 h")
	return err
}

func (b *biasSecret) guesses(t *tale, ctx context.Context) error {
	_, err := t.redeem(ctx, b.founders[0], "late")
	if err := refused("a used code", err, gateway.CodeExhausted); err != nil {
		return err
	}
	if _, err := t.redeem(ctx, b.founders[1], "ivy"); err != nil {
		return err
	}
	own, err := t.server.Invite(ctx, t.launch, "ivy", 1, "", "")
	if err != nil {
		return err
	}
	_, err = t.redeem(ctx, own.Invites[0].Code, "ivy")
	if err := refused("one's own code", err, gateway.OwnCode); err != nil {
		return err
	}
	ip := t.address()
	for range 3 {
		_, err = t.server.Redeem(ctx, t.launch, client.Redeem{Code: "GUESSED000", Subject: "guesser", IP: ip})
		if err := refused("a guess", err, gateway.CodeUnknown); err != nil {
			return err
		}
	}
	_, err = t.server.Redeem(ctx, t.launch, client.Redeem{Code: b.founders[2], Subject: "guesser", IP: ip})
	if wait := waits(err); wait <= 0 || wait > 75*time.Minute {
		return fmt.Errorf("a guesser is told to come back in %v", wait)
	}
	t.fact("refusals", "invalid: code_unknown; used: code_exhausted; one's own: own_code; the 4th attempt in an hour: attempts_exceeded, with retry_after")
	return refused("a good code after three guesses", err, gateway.AttemptsExceeded)
}

func (b *biasSecret) addresses(t *tale, ctx context.Context) error {
	ip := t.address()
	if _, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: b.founders[3], Subject: "jon", IP: ip}); err != nil {
		return err
	}
	second := client.Redeem{Code: b.founders[4], Subject: "jon2", IP: ip}
	_, err := t.server.Redeem(ctx, t.launch, second)
	if err := refused("a second account from one address", err, gateway.AddressAlreadyRedeemed); err != nil {
		return err
	}
	if wait := waits(err); wait < 29*24*time.Hour {
		return fmt.Errorf("a shared address is told to come back in %v", wait)
	}
	if err := t.ahead(ctx, (1+30)*24*time.Hour+time.Minute); err != nil {
		return err
	}
	if _, err := t.server.Redeem(ctx, t.launch, second); err != nil {
		return fmt.Errorf("after 30 days: %w", err)
	}
	domains := []string{"tempmail.com", "mailinator.com", "guerrillamail.com", "10minutemail.com", "throwaway.email", "yopmail.com"}
	for _, d := range domains {
		for _, mail := range []string{"a@" + d, "a@mx." + d, "A@" + strings.ToUpper(d)} {
			_, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: b.founders[5], Email: mail, IP: t.address()})
			if err := refused(mail, err, gateway.EmailDisposable); err != nil {
				return err
			}
		}
	}
	t.fact("addresses", "one account in 30 days; then another; 6 disposable domains and their subdomains: email_disposable")
	return nil
}

func (b *biasSecret) attacks(t *tale, ctx context.Context) error {
	// A code in lower case, with what people type, counts its use.
	code := b.founders[6]
	if _, err := t.redeem(ctx, " "+strings.ToLower(code[:5])+"-"+strings.ToLower(code[5:]), "low"); err != nil {
		return err
	}
	_, err := t.redeem(ctx, code, "low2")
	if err := refused("a code whose use in lower case was counted", err, gateway.CodeExhausted); err != nil {
		return err
	}
	// Fifty race for one invite.
	var crowd sync.WaitGroup
	var mu sync.Mutex
	in, out := 0, 0
	for i := range 50 {
		ip := t.address()
		crowd.Go(func() {
			_, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: b.invited[3].Code, Subject: fmt.Sprint("racer", i), IP: ip})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in++
			} else if errors.Is(err, gateway.Refuse(gateway.CodeExhausted)) {
				out++
			}
		})
	}
	crowd.Wait()
	if in != 1 || out != 49 {
		return fmt.Errorf("%d of 50 got in by one invite, %d were refused", in, out)
	}
	// Another code in a member's name brings no token to speak for the member.
	public := t.server.As("")
	r, err := public.Redeem(ctx, t.launch, client.Redeem{Code: b.founders[7], Subject: "mel"})
	if err := errors.Join(err, want("a token for who signs up", r.MemberToken != "", true)); err != nil {
		return err
	}
	_, err = public.As(r.MemberToken).Member(ctx, t.launch, "ann")
	if err := refused("another member by one's own token", err, gateway.Forbidden); err != nil {
		return err
	}
	again, err := public.Redeem(ctx, t.launch, client.Redeem{Code: b.founders[7], Subject: "mel"})
	if err := errors.Join(err, want("a token for a stranger who repeats it", again.MemberToken, "")); err != nil {
		return err
	}
	t.fact("attacks", "50 race for one invite: 1 gets in; lower case counts; nobody gets another's token")
	return nil
}

func (b *biasSecret) graph(t *tale, ctx context.Context) error {
	made, err := t.server.Invite(ctx, t.launch, "bob", 1, "", "")
	if err != nil {
		return err
	}
	if _, err := t.redeem(ctx, made.Invites[0].Code, "cid"); err != nil {
		return err
	}
	if made, err = t.server.Invite(ctx, t.launch, "cid", 1, "", ""); err != nil {
		return err
	}
	if _, err := t.redeem(ctx, made.Invites[0].Code, "dan"); err != nil {
		return err
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	depths := map[string]int{}
	list, err := t.admin.Referrals(ctx, t.launch, "ann", 10, gateway.Page{Limit: 100})
	for _, r := range list.Data {
		depths[r.Subject] = r.Depth
	}
	if err := errors.Join(err, want("depths", fmt.Sprint(depths["bob"], depths["cid"], depths["dan"]), "1 2 3")); err != nil {
		return err
	}
	top, err := t.server.As("").Leaderboard(ctx, t.launch, 3)
	if err != nil || len(top) == 0 || top[0].Name != "The ann" {
		return fmt.Errorf("the leaderboard: %v, %w", top, orNothing(err))
	}
	if _, err := t.server.ShowOnLeaderboard(ctx, t.launch, "ann", false); err != nil {
		return err
	}
	err = t.until(ctx, "the leaderboard leaves out who does not want to be there", func() (bool, error) {
		top, err := t.server.As("").Leaderboard(ctx, t.launch, 3)
		return len(top) > 0 && top[0].Name != "The ann", err
	})
	if err != nil {
		return err
	}
	shares := map[gateway.UnlockMethod]int{}
	for _, method := range []gateway.UnlockMethod{gateway.UnlockInvite, gateway.UnlockLicense, gateway.UnlockTrial} {
		members, err := t.admin.Members(ctx, t.launch, gateway.MemberFilter{Method: method}, gateway.Page{Limit: 100})
		if err != nil {
			return err
		}
		shares[method] = len(members.Data)
	}
	t.fact("referral graph", "ann → bob → cid → dan: depths 1, 2, 3; a leaderboard by display name, off it by choice")
	t.fact("unlocked by", "invite %d, licence %d, on trial %d", shares[gateway.UnlockInvite], shares[gateway.UnlockLicense], shares[gateway.UnlockTrial])
	return nil
}
