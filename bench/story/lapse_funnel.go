package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// after is the end of the campaign: the queue at its peak, the funnel of its
// channels, what both sides get, who looks suspicious, and what is written down
// of a code.
func (l *lapse) after(ctx context.Context) error {
	t := &tale{stage: l.stage, launch: launchName, out: tabwriter.NewWriter(&l.facts, 0, 0, 2, ' ', 0), server: l.server, people: 1 << 20}
	for _, chapter := range []func(*tale, context.Context) error{l.format, l.audit, l.peak, l.funnel, l.bothSides, l.alerts, l.silence} {
		if err := chapter(t, ctx); err != nil {
			return err
		}
	}
	return t.out.Flush()
}

var lapseFormat = regexp.MustCompile(`^LPS-2024Q3-[0-9A-Z]{8}$`)

func (l *lapse) format(t *tale, ctx context.Context) error {
	met := map[string]bool{}
	for _, code := range l.codes {
		if !lapseFormat.MatchString(code) || met[code] {
			return errors.New("a code of another format, or twice")
		}
		met[code] = true
	}
	info, err := t.admin.Code(ctx, t.launch, l.codes[0])
	days := time.Until(info.ExpiresAt).Hours() / 24
	t.fact("format", "LPS-2024Q3-ABCD1234: %d left of %d, no two the same, good for %.0f days", len(met), finalCodes, days)
	if err == nil && (days < 59.9 || days > 60.1) {
		err = fmt.Errorf("a code lives for %.1f days", days)
	}
	return err
}

// audit reads every transition of one code; an expired one is renewed.
func (l *lapse) audit(t *tale, ctx context.Context) error {
	code := l.codes[0]
	l.codes = l.codes[1:]
	if _, err := t.admin.ChangeCodes(ctx, t.launch, gateway.Revoke, []string{code}, time.Time{}, "lost"); err != nil {
		return err
	}
	if _, err := t.admin.ChangeCodes(ctx, t.launch, gateway.Reinstate, []string{code}, time.Time{}, "found"); err != nil {
		return err
	}
	if _, err := t.admin.ChangeCodes(ctx, t.launch, gateway.Renew, []string{code}, time.Now().Add(-time.Minute), "over"); err != nil {
		return err
	}
	_, err := t.redeem(ctx, code, "audit@lapse.example")
	if err := refused("an expired code", err, gateway.CodeExpired); err != nil {
		return err
	}
	if _, err := t.admin.ChangeCodes(ctx, t.launch, gateway.Renew, []string{code}, time.Now().AddDate(0, 0, 60), "once more"); err != nil {
		return err
	}
	r, err := t.redeem(ctx, code, "audit@lapse.example")
	if err != nil {
		return err
	}
	l.told.note(client.Redeem{Email: "audit@lapse.example"}, r, nil, "")
	if err := t.settled(ctx); err != nil {
		return err
	}
	events, err := t.admin.CodeEvents(ctx, t.launch, code)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	t.fact("audit", "of one code: %s", strings.Join(kinds, ", "))
	if err == nil && len(kinds) < 6 {
		err = fmt.Errorf("the code's history has %v", kinds)
	}
	return err
}

// peak is a campaign with a pace: it says how long to wait.
func (l *lapse) peak(t *tale, ctx context.Context) error {
	codes, err := t.codes(ctx, "landing page", 30, "--channel", "landing", "--prefix", "LPS", "--period", "2024Q3", "--pace", "10/1h", "--cap", "12")
	if err != nil {
		return err
	}
	var waited time.Duration
	ips := make([]string, 25)
	for i := range ips {
		ips[i] = t.address()
	}
	came := crowd(25, func(i int) error {
		r, err := t.server.Redeem(ctx, t.launch, client.Redeem{Code: codes[i], Email: fmt.Sprintf("peak%d@lapse.example", i), IP: ips[i]})
		if err == nil {
			l.told.note(client.Redeem{Email: fmt.Sprint("peak", i)}, r, nil, "")
		}
		return err
	})
	_, err = t.redeem(ctx, codes[29], "peak29@lapse.example")
	waited = waits(err)
	t.fact("pace", "10 an hour: %d of 25 get in at once, %d are told to come back, in %.0f min at most", came[""], came[gateway.Paced], waited.Minutes())
	if waited <= 0 || waited > 75*time.Minute {
		return fmt.Errorf("the next one is told to come back in %v", waited)
	}
	return errors.Join(refused("the 26th", err, gateway.Paced), want("let in by the pace", came[""], 10))
}

// funnel follows twenty people of each channel: who opens, activates, pays, and
// is there a week later.
func (l *lapse) funnel(t *tale, ctx context.Context) error {
	codes := map[string][]string{}
	for _, channel := range channels {
		fresh, _, err := t.admin.Mint(ctx, t.launch, channel, 20)
		if err != nil {
			return err
		}
		for _, m := range fresh {
			codes[channel] = append(codes[channel], m.Code)
		}
	}
	before, err := t.admin.Analytics(ctx, t.launch)
	if err != nil {
		return err
	}
	var active []string
	for n, channel := range channels {
		for i, code := range codes[channel] {
			who := fmt.Sprintf("%s%d@funnel.example", channel, i)
			if i < 16 {
				if _, _, err := t.server.As("").Visit(ctx, t.launch, code); err != nil {
					return err
				}
			}
			if i >= 12-2*n {
				continue
			}
			r, err := t.redeem(ctx, code, who)
			if err != nil {
				return err
			}
			l.told.note(client.Redeem{Email: who}, r, nil, "")
			if i < 8-2*n {
				err = t.server.Active(ctx, t.launch, who, "activated")
				active = append(active, who)
			}
			if i < 4-n && err == nil {
				_, err = t.server.Purchase(ctx, t.launch, client.Purchase{ID: fmt.Sprint("order-", channel, i), Subject: who, Amount: 1500, Currency: "usd"})
			}
			if err != nil {
				return err
			}
		}
	}
	// A week later half of the active ones are still there.
	if err := t.ahead(ctx, 7*24*time.Hour+time.Hour); err != nil {
		return err
	}
	for _, who := range active[:len(active)/2] {
		if err := t.server.Active(ctx, t.launch, who, "played"); err != nil {
			return err
		}
	}
	// Visits are counted ten times a second.
	var a gateway.Analytics
	err = t.until(ctx, "the visits are counted", func() (bool, error) {
		if a, err = t.admin.Analytics(ctx, t.launch); err != nil {
			return false, err
		}
		return a.Total.Opened-before.Total.Opened >= 16*len(channels), nil
	})
	if err != nil {
		return err
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	if a, err = t.admin.Analytics(ctx, t.launch); err != nil {
		return err
	}
	for n, channel := range channels {
		i := slices.IndexFunc(a.Channels, func(f gateway.ChannelFunnel) bool { return f.Channel == channel })
		j := slices.IndexFunc(before.Channels, func(f gateway.ChannelFunnel) bool { return f.Channel == channel })
		f, b := a.Channels[i], before.Channels[j]
		t.fact("channel "+channel, "issued %d → opened %d → redeemed %d → activated %d → paid %d; day 7: %d of %d", f.Issued, f.Opened, f.Redeemed, f.Activated, f.Paid, f.Retained, f.Matured)
		got := fmt.Sprint(f.Opened-b.Opened, f.Redeemed-b.Redeemed, f.Activated, f.Paid)
		if err := want("the funnel of "+channel, got, fmt.Sprint(16, 12-2*n, 8-2*n, 4-n)); err != nil {
			return err
		}
	}
	return want("retained", a.Total.Retained, len(active)/2)
}

func (l *lapse) bothSides(t *tale, ctx context.Context) error {
	host := "partner0@funnel.example"
	made, err := t.server.Invite(ctx, t.launch, host, 1, "", "")
	if err != nil {
		return err
	}
	r, err := t.redeem(ctx, made.Invites[0].Code, "friend@funnel.example")
	if err != nil {
		return err
	}
	l.told.note(client.Redeem{Email: "friend"}, r, nil, "")
	p, err := t.server.Purchase(ctx, t.launch, client.Purchase{ID: "order-friend", Subject: "friend@funnel.example", Amount: 1500, Currency: "usd"})
	t.fact("both sides", "$5.00 to the member and $5.00 to the friend, with the friend's first purchase")
	return errors.Join(err, want("the reward", p.Reward, gateway.RewardPaid), t.has(ctx, host, 500), t.has(ctx, "friend@funnel.example", 500))
}

// alerts: one address redeems too much, and guesses are many.
func (l *lapse) alerts(t *tale, ctx context.Context) error {
	farm := t.address()
	for i := range 25 {
		r := l.next()
		r.IP, r.Email = farm, fmt.Sprintf("farm%d@lapse.example", i)
		l.ask(ctx, r, "")
	}
	kinds := map[string]bool{}
	if err := t.settled(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(3 * time.Minute) // they are looked for each minute
	for !kinds["address"] {
		list, err := t.admin.Anomalies(ctx, t.launch, true, gateway.Page{Limit: 100})
		if err != nil {
			return err
		}
		for _, a := range list.Data {
			kinds[string(a.Kind)] = true
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("anomalies: %v", kinds)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	t.fact("alerts", "25 redemptions from one address: told as unusual within the minute, and nobody was refused for it")
	return nil
}

// silence: no log holds a code, or who somebody is.
func (l *lapse) silence(t *tale, _ context.Context) error {
	logs, err := os.ReadFile(filepath.Join(l.dir, "dev.log"))
	if err != nil {
		return err
	}
	more, err := filepath.Glob(filepath.Join(l.dir, "data", "*", "*.log"))
	if err != nil {
		return err
	}
	for _, path := range more {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		logs = append(logs, b...)
	}
	for _, secret := range []string{"2024Q3-", "2024q3-", "@lapse.example", "@funnel.example"} {
		if bytes.Contains(logs, []byte(secret)) {
			return fmt.Errorf("the logs hold %q", secret)
		}
	}
	t.fact("logs", "%d KiB of %d files: no code and no address in them", len(logs)>>10, 1+len(more))
	return nil
}
