package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/client"
)

// Invitation plays an invitation system with attribution.
func Invitation(ctx context.Context, out io.Writer) error {
	post, err := rig.StartSMTP(rig.SMTPOptions{})
	if err != nil {
		return err
	}
	defer post.Stop()
	i := &invitation{post: post}
	return tell(ctx, out, "invitation", "invitation.yaml", []string{"--smtp-url", post.URL()}, i.begin, i.kinds, i.perDay, i.once, i.reward, i.attribution, i.expiry)
}

type invitation struct {
	post   *rig.SMTP
	link   string
	cookie string // of a link that was followed before time passed
}

func (i *invitation) begin(t *tale, ctx context.Context) error {
	codes, err := t.codes(ctx, "first", 1)
	if err != nil {
		return err
	}
	_, err = t.redeem(ctx, codes[0], "ann@example.com")
	return err
}

func (i *invitation) kinds(t *tale, ctx context.Context) error {
	bound, err := t.server.Invite(ctx, t.launch, "ann@example.com", 1, "B.o.b+friends@gmail.com", "")
	if err != nil {
		return err
	}
	if err := t.until(ctx, "the invitation is mailed", func() (bool, error) { return len(i.post.To("bob@gmail.com")) == 1, nil }); err != nil {
		return err
	}
	letter := i.post.To("bob@gmail.com")[0]
	t.fact("e-mail", "%q, to its address, with code and link", letter.Subject)
	if !strings.Contains(letter.Text, bound.Invites[0].Code) || !strings.Contains(letter.Text, "/i/invitation/") && !strings.Contains(letter.Text, "invitation.example/join?code=") {
		return errors.New("the invitation has no code or no link")
	}
	_, err = t.redeem(ctx, bound.Invites[0].Code, "eve@example.com")
	if err := refused("an invitation of somebody else's", err, gateway.RecipientMismatch); err != nil {
		return err
	}
	r, err := t.redeem(ctx, bound.Invites[0].Code, "bob@gmail.com")
	if err := errors.Join(err, want("referred", r.Referred, true)); err != nil {
		return err
	}
	links, err := t.codes(ctx, "party", 1, "--type", "link", "--max-uses", "3")
	if err != nil {
		return err
	}
	i.link = links[0]
	for n := range 3 {
		if _, err := t.redeem(ctx, i.link, fmt.Sprintf("guest%d@example.com", n)); err != nil {
			return err
		}
	}
	_, err = t.redeem(ctx, i.link, "guest3@example.com")
	if err := refused("the fourth by a link of three", err, gateway.CodeExhausted); err != nil {
		return err
	}
	code, err := t.server.Invite(ctx, t.launch, "ann@example.com", 2, "", "")
	if err != nil {
		return err
	}
	if _, err := t.server.RevokeInvite(ctx, t.launch, "ann@example.com", code.Invites[1].Code); err != nil {
		return err
	}
	_, err = t.redeem(ctx, code.Invites[1].Code, "cid@example.com")
	t.fact("kinds", "email: only its address (in any spelling) may accept; link: 3 uses, the 4th refused; code; revoked ones refused")
	return refused("a revoked invitation", err, gateway.CodeRevoked)
}

func (i *invitation) perDay(t *tale, ctx context.Context) error {
	// Three were minted today.
	if _, err := t.server.Invite(ctx, t.launch, "ann@example.com", 47, "", ""); err != nil {
		return err
	}
	_, err := t.server.Invite(ctx, t.launch, "ann@example.com", 1, "", "")
	wait := waits(err)
	t.fact("a day", "50 invitations, the 51st: 429 invites_per_day_exceeded, with retry_after")
	if wait <= 0 || wait > 30*time.Hour {
		return fmt.Errorf("the 51st is told to come back in %v", wait)
	}
	return refused("the 51st invitation of a day", err, gateway.InvitesPerDay)
}

func (i *invitation) once(t *tale, ctx context.Context) error {
	codes, err := t.codes(ctx, "second", 12)
	if err != nil {
		return err
	}
	_, err = t.redeem(ctx, codes[0], "bob@gmail.com")
	if err := refused("a second invitation", err, gateway.AlreadyRedeemed); err != nil {
		return err
	}
	// One person accepts ten invitations at once.
	var crowd sync.WaitGroup
	var mu sync.Mutex
	in, out := 0, 0
	for _, code := range codes[1:11] {
		ip := t.address()
		crowd.Go(func() {
			_, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: code, Email: "many@example.com", IP: ip})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				in++
			} else if errors.Is(err, gateway.Refuse(gateway.AlreadyRedeemed)) {
				out++
			}
		})
	}
	crowd.Wait()
	t.fact("once in a lifetime", "a second invitation: already_redeemed; ten accepted at once by one person: %d", in)
	return want("accepted and refused", fmt.Sprint(in, out), "1 9")
}

func (i *invitation) reward(t *tale, ctx context.Context) error {
	if err := t.has(ctx, "ann@example.com", 0); err != nil {
		return err
	}
	for range 3 {
		p, err := t.server.Purchase(ctx, t.launch, client.Purchase{ID: "order-1", Subject: "bob@gmail.com", Amount: 100, Currency: "usd"})
		if err := errors.Join(err, want("reward", p.Reward, gateway.RewardPaid)); err != nil {
			return err
		}
	}
	// This friend pays before the invitation is accepted: it is made up for.
	if p, err := t.server.Purchase(ctx, t.launch, client.Purchase{ID: "order-2", Subject: "dan@example.com", Amount: 100, Currency: "usd"}); err != nil || p.Reward != gateway.RewardNone {
		return fmt.Errorf("%+v, %w", p, orNothing(err))
	}
	list, err := t.server.Invites(ctx, t.launch, "ann@example.com", gateway.Page{Limit: 100})
	if err != nil {
		return err
	}
	for _, invite := range list.Data {
		if invite.Status == gateway.InvitePending {
			if _, err := t.redeem(ctx, invite.Code, "dan@example.com"); err != nil {
				return err
			}
			break
		}
	}
	err = t.until(ctx, "the reward of a friend who paid first is made up for", func() (bool, error) {
		n, err := balance(t, ctx, "ann@example.com")
		return n == 2000, err
	})
	t.fact("reward", "$10.00 to the inviter, told 3 times: once; to the friend nothing; a friend who had paid before accepting: $10.00 by the job")
	return errors.Join(err, t.has(ctx, "bob@gmail.com", 0))
}

func (i *invitation) attribution(t *tale, ctx context.Context) error {
	codes, err := t.codes(ctx, "links", 3)
	if err != nil {
		return err
	}
	public := t.server.As("")
	_, first, err := public.Visit(ctx, t.launch, codes[0])
	if err != nil {
		return err
	}
	landing, last, err := public.Visit(ctx, t.launch, codes[1])
	if err != nil || len(first) != 1 || len(last) != 1 {
		return fmt.Errorf("cookies: %v, %v, %w", first, last, orNothing(err))
	}
	raw := last[0].Raw
	for _, part := range []string{"invite_code=", "Max-Age=604800", "HttpOnly", "SameSite=Lax", "Secure"} {
		if !strings.Contains(raw, part) {
			return fmt.Errorf("the cookie has no %s", part)
		}
	}
	if !strings.HasPrefix(landing, "https://invitation.example/") {
		return fmt.Errorf("the link leads to %s", landing)
	}
	// The browser keeps the last one of a name: that is the code of a sign-up without one.
	r, err := public.Redeem(ctx, t.launch, client.Redeem{Email: "late@example.com", Cookie: "invite_code=" + last[0].Value})
	if err := errors.Join(err, want("the code of the last click", r.Code, codes[1])); err != nil {
		return err
	}
	_, kept, err := public.Visit(ctx, t.launch, codes[2])
	if err != nil {
		return err
	}
	i.cookie = "invite_code=" + kept[0].Value
	// Nobody makes a cookie of their own.
	for _, forged := range []string{codes[2], codes[2] + "." + strings.SplitN(last[0].Value, ".", 2)[1], "x" + first[0].Value} {
		_, err := public.Redeem(ctx, t.launch, client.Redeem{Email: "forger@example.com", Cookie: "invite_code=" + forged})
		if err := refused("a cookie that nobody signed", err, gateway.InvalidRequest); err != nil {
			return err
		}
	}
	t.fact("attribution", "/i/… sets invite_code for 7 days, Lax, HttpOnly, Secure; the last click wins; a forged cookie is none")
	return nil
}

func (i *invitation) expiry(t *tale, ctx context.Context) error {
	if err := t.settled(ctx); err != nil {
		return err
	}
	list, err := t.server.Invites(ctx, t.launch, "ann@example.com", gateway.Page{Limit: 100})
	if err != nil {
		return err
	}
	pending := ""
	for _, invite := range list.Data {
		if invite.Status == gateway.InvitePending {
			pending = invite.Code
		}
	}
	if err := t.ahead(ctx, 72*time.Hour+time.Minute); err != nil {
		return err
	}
	_, err = t.redeem(ctx, pending, "slow@example.com")
	if err := refused("an invitation after 72 hours", err, gateway.CodeExpired); err != nil {
		return err
	}
	if err := t.ahead(ctx, 7*24*time.Hour+time.Minute); err != nil {
		return err
	}
	_, err = t.server.As("").Redeem(ctx, t.launch, client.Redeem{Email: "later@example.com", Cookie: i.cookie})
	if err := refused("a cookie of seven days ago", err, gateway.InvalidRequest); err != nil {
		return err
	}
	t.fact("after 7 days", "the cookie of a link that was followed then is none any more")
	if err := t.settled(ctx); err != nil {
		return err
	}
	if list, err = t.server.Invites(ctx, t.launch, "ann@example.com", gateway.Page{Limit: 100}); err != nil {
		return err
	}
	count := map[string]int{}
	for _, invite := range list.Data {
		count[invite.Status]++
	}
	t.fact("after 72 h", "accepted %d, expired %d, revoked %d, pending %d", count["accepted"], count["expired"], count["revoked"], count["pending"])
	if count["accepted"] != 2 || count["revoked"] != 1 || count["pending"] != 0 {
		return fmt.Errorf("invitations: %v", count)
	}
	// The next day has its own fifty.
	_, err = t.server.Invite(ctx, t.launch, "ann@example.com", 50, "", "")
	return err
}
