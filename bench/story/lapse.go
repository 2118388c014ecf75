package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// The numbers of the campaign.
const (
	firstCodes = 10_000 // in two channels
	finalCodes = 25_000 // after week 6
	linkUses   = 50
	racers     = 200
	visitors   = 6000 // people with a good code
	atOnce     = 64
)

// Lapse plays the invite campaign of 60 days and prints what came of it. It
// fails unless clients, Redis and Postgres agree to the last redemption.
func Lapse(ctx context.Context, out io.Writer) error {
	s, err := open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	l := &lapse{stage: s, told: newLedger(), out: out}
	if err := l.prepare(ctx); err != nil {
		return err
	}
	for _, chapter := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"week 1: 10,000 single-use codes in two channels, exported to CSV", l.mint},
		{"weeks 1 to 5: the crowd redeems, retries, mistypes", l.crowd},
		{"weeks 1 to 5: holds that are confirmed, and sign-ups that fail", l.holds},
		{"week 5: guessers, expired codes, leaked codes", l.refusals},
		{"week 5: 200 people race for a link of 50 uses", l.race},
		{"week 6: scaled to 25,000 codes", l.scale},
		{"weeks 7 and 8: the peak, the funnel, the rewards, the alerts", l.after},
		{"the end: three ledgers are compared", l.compare},
	} {
		began := time.Now()
		if err := chapter.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", chapter.title, err)
		}
		fmt.Fprintf(out, "%-70s %6.1f s\n", chapter.title, time.Since(began).Seconds())
	}
	return l.report()
}

// lapse is the story so far.
type lapse struct {
	*stage
	told   *ledger
	out    io.Writer
	server *client.Client // with a server key: it names end users' addresses
	codes  []string       // not used yet, as exported
	people int
	rows   int // codes in the last export
	found  compared
	facts  strings.Builder // of the last weeks
}

const launchName = "lapse"

var channels = []string{"partner", "email"}

func (l *lapse) prepare(ctx context.Context) error {
	if _, err := l.command(ctx, "launch", "apply", "-f", filepath.Join(l.root, "examples", "policies", "lapse-campaign.yaml")); err != nil {
		return err
	}
	for _, channel := range channels {
		if _, err := l.command(ctx, "campaign", "create", launchName, channel, "--channel", channel, "--prefix", "LPS", "--period", "2024Q3", "--per-subject", "1"); err != nil {
			return err
		}
	}
	secret, err := l.command(ctx, "key", "create", "story", "--scope", "server")
	if err != nil {
		return err
	}
	l.server = client.New(l.Public, l.Private, strings.TrimSpace(secret), client.Options{})
	return nil
}

func (l *lapse) mint(ctx context.Context) error {
	for _, channel := range channels {
		if _, err := l.command(ctx, "codes", "mint", launchName, channel, fmt.Sprint(firstCodes/len(channels))); err != nil {
			return err
		}
	}
	return l.export(ctx)
}

// export writes both channels' codes with the command line and reads them back.
func (l *lapse) export(ctx context.Context) error {
	if err := l.caughtUp(ctx); err != nil { // an export tells what Postgres holds
		return err
	}
	l.codes, l.rows = nil, 0
	for _, channel := range channels {
		file := filepath.Join(l.dir, channel+".csv")
		if _, err := l.command(ctx, "codes", "export", launchName, channel, "-o", file); err != nil {
			return err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
		if err != nil {
			return err
		}
		l.rows += len(rows) - 1
		for _, row := range rows[1:] {
			if row[3] == string(gateway.CodeActive) {
				l.codes = append(l.codes, row[0])
			}
		}
	}
	return nil
}

// next takes an unused code and a new person with an address of their own.
func (l *lapse) next() client.Redeem {
	code := l.codes[0]
	l.codes = l.codes[1:]
	return l.person(code)
}

func (l *lapse) person(code string) client.Redeem {
	l.people++
	n := l.people
	return client.Redeem{
		Code: code, Email: fmt.Sprintf("person%d@lapse.example", n), Name: fmt.Sprintf("Person %d", n), IP: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255),
	}
}

func (l *lapse) ask(ctx context.Context, r client.Redeem, want gateway.Reason) client.Redemption {
	answer, err := l.server.Redeem(ctx, launchName, r)
	l.told.note(r, answer, err, want)
	return answer
}

// each runs jobs, so many at once.
func each[T any](list []T, do func(int, T)) {
	var crowd sync.WaitGroup
	gate := make(chan struct{}, atOnce)
	for i, one := range list {
		gate <- struct{}{}
		crowd.Go(func() {
			do(i, one)
			<-gate
		})
	}
	crowd.Wait()
}

// mistype writes a code the way people do.
func mistype(n int, code string) string {
	switch n % 5 {
	case 1:
		return strings.ToLower(code)
	case 2:
		return strings.ReplaceAll(code, "-", "")
	case 3:
		return strings.ReplaceAll(strings.ReplaceAll(code, "0", "o"), "1", "l")
	case 4:
		return " " + strings.ReplaceAll(code, "-", " – ") + " "
	}
	return code
}

func (l *lapse) crowd(ctx context.Context) error {
	requests := make([]client.Redeem, visitors)
	for i := range requests {
		requests[i] = l.next()
		requests[i].Code = mistype(i, requests[i].Code)
	}
	each(requests, func(i int, r client.Redeem) {
		switch {
		case i%10 == 0: // an impatient one: four times at once
			each(make([]struct{}, 4), func(int, struct{}) { l.ask(ctx, r, "") })
		case i%10 == 1: // a retry some time later
			l.ask(ctx, r, "")
			l.ask(ctx, r, "")
		default:
			l.ask(ctx, r, "")
		}
	})
	// The same people want another code, others want used ones.
	again := make([]client.Redeem, 300)
	for i := range again {
		again[i] = requests[i]
		again[i].Code = l.codes[i]
	}
	each(again, func(_ int, r client.Redeem) { l.ask(ctx, r, gateway.AlreadyRedeemed) })
	late := make([]client.Redeem, 300)
	for i := range late {
		late[i] = l.person(requests[i].Code)
	}
	each(late, func(_ int, r client.Redeem) { l.ask(ctx, r, gateway.CodeExhausted) })
	return nil
}

func (l *lapse) holds(ctx context.Context) error {
	requests := make([]client.Redeem, 400)
	for i := range requests {
		requests[i] = l.next()
		requests[i].Mode = "hold"
	}
	var mu sync.Mutex
	var failed error
	free := []string{}
	each(requests, func(i int, r client.Redeem) {
		held := l.ask(ctx, r, "")
		var err error
		if i%4 == 3 {
			if _, err = l.server.Release(ctx, launchName, held.ID); err == nil {
				l.told.takeBack(held.ID)
				mu.Lock()
				free = append(free, r.Code)
				mu.Unlock()
			}
		} else {
			_, err = l.server.Confirm(ctx, launchName, held.ID)
		}
		if err != nil {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
		}
	})
	// A released code is not burned.
	for _, code := range free {
		l.ask(ctx, l.person(code), "")
	}
	// An operator takes a redemption back.
	r := l.next()
	mistake := l.ask(ctx, r, "")
	if _, err := l.admin.Rollback(ctx, launchName, mistake.ID, "wrong account"); err != nil {
		return err
	}
	l.told.takeBack(mistake.ID)
	l.ask(ctx, l.person(r.Code), "")
	return failed
}

func (l *lapse) refusals(ctx context.Context) error {
	// A guesser has three attempts an hour.
	guesser := l.person("LPS-2024Q3-GUESSED0")
	for range 3 {
		l.ask(ctx, guesser, gateway.CodeUnknown)
	}
	_, err := l.server.Redeem(ctx, launchName, guesser)
	l.told.note(guesser, client.Redemption{}, err, gateway.AttemptsExceeded)
	var e *gateway.Error
	if !errors.As(err, &e) || e.RetryAfter <= 0 || e.RetryAfter > 75*time.Minute {
		return fmt.Errorf("a blocked guesser is told to come back in %v", e.RetryAfter)
	}
	// Expired, revoked one by one, in a list, and as a campaign.
	expired, one, list := l.codes[0], l.codes[1], slices.Clone(l.codes[2:12])
	l.codes = l.codes[12:]
	if _, err := l.admin.ChangeCodes(ctx, launchName, gateway.Renew, []string{expired}, time.Now().Add(-time.Hour), "the story"); err != nil {
		return err
	}
	l.ask(ctx, l.person(expired), gateway.CodeExpired)
	if _, err := l.command(ctx, "codes", "revoke", launchName, one, "--note", "leaked"); err != nil {
		return err
	}
	if _, err := l.command(ctx, append([]string{"codes", "revoke", launchName}, list...)...); err != nil {
		return err
	}
	for _, code := range append(list, one) {
		l.ask(ctx, l.person(code), gateway.CodeRevoked)
	}
	if _, err := l.command(ctx, "codes", "reinstate", launchName, one); err != nil {
		return err
	}
	l.ask(ctx, l.person(one), "")
	next := l.codes[0]
	for _, campaign := range channels {
		if _, err := l.command(ctx, "campaign", "revoke", launchName, campaign); err != nil {
			return err
		}
	}
	l.ask(ctx, l.person(next), gateway.CodeRevoked)
	for _, campaign := range channels {
		if _, err := l.command(ctx, "campaign", "reinstate", launchName, campaign); err != nil {
			return err
		}
	}
	l.ask(ctx, l.next(), "")
	return nil
}

func (l *lapse) race(ctx context.Context) error {
	if _, err := l.command(ctx, "campaign", "create", launchName, "event", "--type", "link", "--channel", "event", "--prefix", "LPS", "--max-uses", fmt.Sprint(linkUses)); err != nil {
		return err
	}
	text, err := l.command(ctx, "codes", "mint", launchName, "event", "1")
	if err != nil {
		return err
	}
	link := strings.TrimSpace(text)
	requests := make([]client.Redeem, racers)
	for i := range requests {
		requests[i] = l.person(link)
	}
	in := make([]bool, racers)
	var crowd sync.WaitGroup
	for i, r := range requests {
		crowd.Go(func() {
			answer, err := l.server.Redeem(ctx, launchName, r)
			want := gateway.Reason("")
			if err != nil {
				want = gateway.CodeExhausted
			}
			in[i] = err == nil
			l.told.note(r, answer, err, want)
		})
	}
	crowd.Wait()
	n := 0
	for _, ok := range in {
		if ok {
			n++
		}
	}
	if n != linkUses {
		return fmt.Errorf("%d people got in by a link of %d uses", n, linkUses)
	}
	return nil
}

func (l *lapse) scale(ctx context.Context) error {
	if _, err := l.command(ctx, "codes", "mint", launchName, channels[0], fmt.Sprint(finalCodes-firstCodes)); err != nil {
		return err
	}
	if err := l.export(ctx); err != nil {
		return err
	}
	if l.rows != finalCodes {
		return fmt.Errorf("the export has %d codes instead of %d", l.rows, finalCodes)
	}
	requests := make([]client.Redeem, 2000)
	// New codes have been handed out as well as old ones.
	slices.SortFunc(l.codes, strings.Compare)
	for i := range requests {
		requests[i] = l.next()
	}
	each(requests, func(_ int, r client.Redeem) { l.ask(ctx, r, "") })
	return nil
}

// compared is what both stores say.
type compared struct {
	postgres int // committed redemptions
	redis    int // uses of all codes that were touched
	verified string
}

func (l *lapse) compare(ctx context.Context) error {
	if err := l.caughtUp(ctx); err != nil {
		return err
	}
	inPostgres := map[gateway.ID]string{}
	for p := (gateway.Page{Limit: 100}); ; {
		page, err := l.admin.Redemptions(ctx, launchName, gateway.RedemptionFilter{Status: gateway.Committed}, p)
		if err != nil {
			return err
		}
		for _, r := range page.Data {
			inPostgres[r.ID] = r.Code
		}
		if !page.HasMore {
			break
		}
		p.After = page.Next
	}
	l.found.postgres = len(inPostgres)
	if !maps.Equal(inPostgres, l.told.admitted) {
		return fmt.Errorf("postgres holds %d redemptions, clients were told of %d, and they are not the same", len(inPostgres), len(l.told.admitted))
	}
	uses := map[string]int{}
	for _, code := range l.told.admitted {
		uses[code]++
	}
	var mu sync.Mutex
	var wrong error
	each(slices.Sorted(maps.Keys(uses)), func(_ int, code string) {
		info, err := l.admin.Code(ctx, launchName, code)
		mu.Lock()
		defer mu.Unlock()
		l.found.redis += info.Used
		if err != nil || info.Used != uses[code] || info.Used > info.MaxUses {
			wrong = errors.Join(wrong, err, fmt.Errorf("a code was used %d times in Redis, %d times by what clients were told, of %d", info.Used, uses[code], info.MaxUses))
		}
	})
	if wrong != nil {
		return wrong
	}
	verified, err := l.command(ctx, "verify", launchName)
	l.found.verified = strings.TrimSpace(verified)
	return err
}

func (l *lapse) caughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		at, err := l.admin.Position(ctx, launchName)
		if err != nil {
			return err
		}
		if at.Entries == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("postgres is %d records behind", at.Entries)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l *lapse) report() error {
	w := tabwriter.NewWriter(l.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w)
	fmt.Fprintf(w, "requests\t%d\t\n", l.told.asked)
	fmt.Fprintf(w, "answered again, the same redemption\t%d\t\n", l.told.replayed)
	for _, reason := range slices.Sorted(maps.Keys(l.told.refused)) {
		fmt.Fprintf(w, "refused, %s\t%d\t\n", reason, l.told.refused[reason])
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "redemptions that clients were told of\t%d\t\n", len(l.told.admitted))
	fmt.Fprintf(w, "uses of their codes in Redis\t%d\t\n", l.found.redis)
	fmt.Fprintf(w, "committed redemptions in Postgres\t%d\t\n", l.found.postgres)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "\n%s\nverify: %s\n", l.facts.String(), l.found.verified)
	for i, text := range l.told.wrong {
		if i == 20 {
			break
		}
		fmt.Fprintln(l.out, "WRONG:", text)
	}
	if len(l.told.wrong) > 0 {
		return fmt.Errorf("%d answers were wrong", len(l.told.wrong))
	}
	fmt.Fprintln(l.out, "All three agree.")
	return nil
}
