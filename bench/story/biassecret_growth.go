package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// crowd asks n times at once, and counts what comes of it by reason: "" for
// what was answered.
func crowd(n int, ask func(int) error) map[gateway.Reason]int {
	var all sync.WaitGroup
	var mu sync.Mutex
	came := map[gateway.Reason]int{}
	for i := range n {
		all.Go(func() {
			err := ask(i)
			reason := gateway.Reason("")
			var e *gateway.Error
			if errors.As(err, &e) {
				reason = e.Reason
			} else if err != nil {
				reason = gateway.Reason(err.Error())
			}
			mu.Lock()
			came[reason]++
			mu.Unlock()
		})
	}
	all.Wait()
	return came
}

// rounds: each use is one atomic call, however many ask at once.
func (b *biasSecret) rounds(t *tale, ctx context.Context) error {
	came := crowd(50, func(int) error {
		_, err := t.server.UseRounds(ctx, t.launch, "rush", 1, "")
		return err
	})
	t.fact("rounds at once", "50 ask for one of 30 rounds: %d get one, %d are refused; the last answer says 0 are left", came[""], came[gateway.RoundsExhausted])
	// A request that is repeated under its key takes no second one.
	for range 3 {
		u, err := t.server.UseRounds(ctx, t.launch, "calm", 10, "the-same-key")
		if err := errors.Join(err, want("left after 10, told 3 times", int(u.Remaining), 20)); err != nil {
			return err
		}
	}
	m, err := t.server.Member(ctx, t.launch, "rush")
	return errors.Join(err, want("rounds that came out", fmt.Sprint(came), fmt.Sprint(map[gateway.Reason]int{"": 30, gateway.RoundsExhausted: 20})), want("left", int(m.Unlock.Remaining), 0))
}

// imported are licence keys that were sold before there was a ping.
func (b *biasSecret) imported(t *tale, ctx context.Context) error {
	yes := true
	if _, err := t.admin.CreateCampaign(ctx, t.launch, client.Campaign{Name: "sold-before", Kind: gateway.KindLicense, Vanity: &yes, MaxUses: 1}); err != nil {
		return err
	}
	keys, err := t.admin.ImportCodes(ctx, t.launch, "sold-before", []byte("code\nOLD1-KEY2-AAAA-0001\nOLD1-KEY2-AAAA-0002\n"))
	if err := errors.Join(err, want("imported keys", len(keys), 2)); err != nil {
		return err
	}
	r, err := t.redeem(ctx, "old1-key2-aaaa-0001", "zoe")
	if err := errors.Join(err, want("unlocked by", r.Unlock.Method, "license_key")); err != nil {
		return err
	}
	_, err = t.redeem(ctx, "OLD1-KEY2-AAAA-0001", "zoe2")
	t.fact("imported keys", "2 from a CSV; one unlocks unlimited rounds for one user")
	return errors.Join(refused("a key that is used", err, gateway.CodeExhausted), want("rounds", r.Unlock.Rounds, gateway.Unlimited))
}

// record is everything that an unlock says of itself.
func (b *biasSecret) record(t *tale, ctx context.Context) error {
	if err := t.settled(ctx); err != nil {
		return err
	}
	m, err := t.admin.MemberNow(ctx, t.launch, "bob")
	if err != nil {
		return err
	}
	rows, err := t.admin.Redemptions(ctx, t.launch, gateway.RedemptionFilter{Subject: "bob"}, gateway.Page{Limit: 10})
	if err != nil || len(rows.Data) != 1 {
		return fmt.Errorf("bob's redemptions: %+v, %w", rows.Data, orNothing(err))
	}
	row := rows.Data[0]
	up, err := t.admin.Referrals(ctx, t.launch, "ann", 1, gateway.Page{Limit: 100})
	inviter := ""
	for _, r := range up.Data {
		if r.Subject == "bob" {
			inviter = "ann"
		}
	}
	t.fact("unlock record", "user bob, method %s, reference %d characters, inviter %s, rounds %s, expiry none, time %s",
		m.Method, len(strings.ReplaceAll(row.Code, "-", "")), inviter, text(m.Rounds), m.Joined.Format(time.DateOnly))
	return errors.Join(err, want("the record", fmt.Sprint(m.Method, row.Code == b.invited[0].Code, inviter, m.Rounds, m.Until.IsZero(), m.Joined.IsZero()),
		fmt.Sprint(gateway.UnlockInvite, true, "ann", gateway.Unlimited, true, false)))
}

func text(r gateway.Rounds) string {
	if r == gateway.Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(int(r))
}

// offices: who shares a network is not who shares an address.
func (b *biasSecret) offices(t *tale, ctx context.Context) error {
	codes, err := t.codes(ctx, "offices", 4)
	if err != nil {
		return err
	}
	for i, ip := range []string{"2001:db8:1:1::a", "2001:db8:1:2::a"} { // two households
		if _, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: codes[i], Subject: fmt.Sprint("house", i), IP: ip}); err != nil {
			return err
		}
	}
	// One household has 2^64 addresses, and counts as one.
	_, err = t.server.Redeem(ctx, t.launch, client.Redeem{Code: codes[2], Subject: "house2", IP: "2001:db8:1:1:ffff::b"})
	if err := refused("another address of the same /64", err, gateway.AddressAlreadyRedeemed); err != nil {
		return err
	}
	t.fact("IPv6", "counts by /64: two households get in, a second address of one does not")
	domains, err := t.disposable()
	if err != nil {
		return err
	}
	for i := 0; i < len(domains); i += len(domains) / 40 {
		_, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: codes[3], Email: "a@" + domains[i], IP: t.address()})
		if err := refused(domains[i], err, gateway.EmailDisposable); err != nil {
			return err
		}
	}
	t.fact("disposable domains", "%d in the list; every %dth was tried: email_disposable", len(domains), len(domains)/40)
	return nil
}

// disposable is the list that the gateway was built with.
func (t *tale) disposable() ([]string, error) {
	f, err := os.Open(filepath.Join(t.root, "gateway", "email", "disposable.txt.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return strings.Fields(string(b)), err
}

// active are who brought the most active users of the last 7 days, and what
// the shares are.
func (b *biasSecret) active(t *tale, ctx context.Context) error {
	for who, times := range map[string]int{"bob": 1, "cid": 5, "dan": 2} { // brought by ann, bob and cid
		for range times {
			if err := t.server.Active(ctx, t.launch, who, "played"); err != nil {
				return err
			}
		}
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	a, err := t.admin.Analytics(ctx, t.launch)
	if err != nil {
		return err
	}
	top := ""
	for i, r := range a.Referrers[:min(3, len(a.Referrers))] {
		if i > 0 {
			top += ", "
		}
		top += fmt.Sprintf("%s (%d of %d friends, %d times)", r.Subject, r.Active, r.Referrals, r.Events)
	}
	t.fact("most active friends", "in 7 days: %s", top)
	if err := want("who brought the most active", top, "bob (1 of 1 friends, 5 times), cid (1 of 1 friends, 2 times), ann (1 of 2 friends, 1 times)"); err != nil {
		return err
	}
	shares, sum, churned := "", 0.0, 0
	for _, u := range a.Unlocks {
		shares += fmt.Sprintf("%s %.0f%%, ", u.Method, 100*u.Share)
		sum += u.Share
		churned += u.Churned
	}
	t.fact("shares", "%schurned trials %d", shares, churned)
	var invites gateway.CampaignFunnel
	for _, c := range a.Campaigns {
		if c.Campaign == gateway.InvitesCampaign {
			invites = c
		}
	}
	if invites.Conversion.Issued == nil {
		return errors.New("invites have no conversion")
	}
	conversion := *invites.Conversion.Issued
	t.fact("invite to sign-up", "%d of %d invites: %.0f%%", invites.CodesRedeemed, invites.Issued, 100*conversion)
	if conversion <= 0 || conversion >= 1 || sum < 0.999 || sum > 1.001 || churned != 2 { // tim, and rush
		return fmt.Errorf("shares come to %.2f, %d churned, a conversion of %.2f", sum, churned, conversion)
	}
	return nil
}

// leaves erases somebody in the middle of the graph.
func (b *biasSecret) leaves(t *tale, ctx context.Context) error {
	if _, err := t.admin.EraseMember(ctx, t.launch, "bob", "on request"); err != nil {
		return err
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	list, err := t.admin.Referrals(ctx, t.launch, "ann", 10, gateway.Page{Limit: 100})
	shape := ""
	for _, r := range list.Data {
		if r.Subject == "" || r.Subject == "cid" || r.Subject == "dan" {
			shape += fmt.Sprintf("%d:%s ", r.Depth, r.Subject)
		}
	}
	rows, rowsErr := t.admin.Redemptions(ctx, t.launch, gateway.RedemptionFilter{Subject: "bob"}, gateway.Page{Limit: 10})
	t.fact("erased", "bob: no row names him, ann still has %d friends at depth 1, cid and dan hang where they did", strings.Count(shape, "1:")+1)
	return errors.Join(err, rowsErr, want("the graph", shape, "1: 2:cid 3:dan "), want("rows of his", len(rows.Data), 0))
}
