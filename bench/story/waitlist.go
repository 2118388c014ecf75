package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/client"
)

// The numbers of the story.
const (
	waitlistPeople = 10_000
	waitlistDays   = 14
	waitlistDaily  = 100
	offerDays      = 7
	samplesDaily   = 150
)

// Waitlist plays a controlled launch over HTTP: ten thousand people join within
// two weeks, a hundred are let in each morning, and every cohort is watched for
// three days. Offers are redeemed, declined and left to expire. Every place is
// held against an independent recomputation, and every e-mail is counted.
func Waitlist(ctx context.Context, out io.Writer) error {
	post, err := rig.StartSMTP(rig.SMTPOptions{})
	if err != nil {
		return err
	}
	defer post.Stop()
	s, err := open(ctx, "--smtp-url", post.URL(), "--smtp-rate", "100000")
	if err != nil {
		return err
	}
	defer s.close()
	w := &waitlistStory{stage: s, post: post, oracle: newOracle(), random: rand.New(rand.NewPCG(2027, 1)), out: out}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	for day := 1; day <= waitlistDays+offerDays+1; day++ {
		if err := w.day(ctx, day); err != nil {
			return fmt.Errorf("day %d: %w", day, err)
		}
	}
	return w.report(ctx)
}

// waitlistStory is the story so far.
type waitlistStory struct {
	*stage
	*oracle
	post     *rig.SMTP
	random   *rand.Rand
	out      io.Writer
	begin    time.Time // the eve of the first day, at eight in the evening
	checked  int       // places that were compared
	redeemed int
	declined int
	expired  int
}

const writer = "writer"

func (w *waitlistStory) prepare(ctx context.Context) error {
	policy, err := os.ReadFile(filepath.Join(w.root, "examples", "policies", "controlled-launch.yaml"))
	if err != nil {
		return err
	}
	// The clock first, the schedule then: it runs from when it is put.
	if _, err := w.admin.CreateLaunch(ctx, "application/json", []byte(`{"launch":"writer"}`)); err != nil {
		return err
	}
	w.begin = time.Now().UTC().AddDate(0, 0, 1).Truncate(24 * time.Hour).Add(10 * time.Hour)
	if err := w.at(ctx, 0, 0); err != nil {
		return err
	}
	if _, _, err := w.admin.PutPolicy(ctx, writer, "application/yaml", policy, 0); err != nil {
		return err
	}
	return w.until(ctx, "the schedule runs", func() (bool, error) {
		s, err := w.admin.Schedule(ctx, writer)
		return s.Running, err
	})
}

// at sets the launch's clock: so many days after the story began, and hours.
func (w *waitlistStory) at(ctx context.Context, days int, hours time.Duration) error {
	target := w.begin.AddDate(0, 0, days).Add(hours)
	_, err := w.admin.SetClock(ctx, writer, time.Until(target).Truncate(time.Millisecond))
	return err
}

// until waits for a condition.
func (w *waitlistStory) until(ctx context.Context, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		ok, err := holds()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting in vain until %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// day is one day: people join, the next morning a hundred are let in, and those
// who were act.
func (w *waitlistStory) day(ctx context.Context, day int) error {
	if day <= waitlistDays {
		if err := w.joins(ctx, waitlistPeople*day/waitlistDays-len(w.people)); err != nil {
			return err
		}
	}
	// The morning: offers of a week ago expire, and the schedule lets in.
	var due []*waiter
	for _, p := range w.people {
		if p.status == gateway.EntryInvited && day-p.day >= offerDays {
			due = append(due, p)
		}
	}
	if err := w.at(ctx, day, 0); err != nil {
		return err
	}
	let := w.release(waitlistDaily, day)
	for _, p := range due {
		let = append(let, w.end(p, gateway.EntryExpired, day)...)
		w.expired++
	}
	if err := w.invited(ctx, let); err != nil {
		return err
	}
	if err := w.places(ctx); err != nil {
		return err
	}
	return w.act(ctx, day, let)
}

// joins lets people come, one after the other, through the product's back end;
// each is told a place, which is compared.
func (w *waitlistStory) joins(ctx context.Context, n int) error {
	sources := []string{"producthunt", "twitter", "twitter", "web", "web", "web", "newsletter", "web", "producthunt", "web"}
	for range n {
		var by *waiter
		ref := ""
		if len(w.people) > 0 && w.random.IntN(10) < 3 {
			by = w.people[w.random.IntN(len(w.people))]
			ref = by.referral
		}
		email := fmt.Sprintf("person-%05d@waiting.example", len(w.people)+1)
		source := sources[w.random.IntN(len(sources))]
		a, err := w.admin.Join(ctx, writer, client.Join{Email: email, Name: "Person", Source: source, Ref: ref})
		if err != nil {
			return err
		}
		p := w.join(email, source, by)
		p.ticket, p.referral = a.Ticket, a.ReferralCode
		if place := w.place(p); a.Position != place || a.Total != len(w.line) || a.Priority != p.priority || a.Referred != (by != nil) {
			return fmt.Errorf("%s was told %+v; the recomputation says place %d of %d with %d points", email, a, place, len(w.line), p.priority)
		}
		w.checked++
	}
	return nil
}

var codeInLink = regexp.MustCompile(`/i/writer/([A-Za-z0-9-]+)`)

// invited waits until each of these has an e-mail with a code, and nobody else
// has one more than the offers that were made to them.
func (w *waitlistStory) invited(ctx context.Context, let []*waiter) error {
	return w.until(ctx, "everybody who is let in has an e-mail", func() (bool, error) {
		counts := w.post.Counts()
		for _, p := range let {
			if counts[p.email] == 0 {
				return false, fmt.Errorf("%s has none", p.email)
			}
		}
		return true, nil
	})
}

// places compares where people stand, as polls answer it, with the
// recomputation.
func (w *waitlistStory) places(ctx context.Context) error {
	for range samplesDaily {
		p := w.people[w.random.IntN(len(w.people))]
		err := w.until(ctx, p.email+" stands where it should", func() (bool, error) {
			got, err := w.admin.As("").Place(ctx, writer, p.ticket)
			if err != nil {
				return false, err
			}
			want := w.place(p)
			if got.Position != want || got.Status != p.status || want > 0 && (got.Ahead != want-1 || got.Total != len(w.line)) {
				return false, fmt.Errorf("%s: %+v, want %s at %d of %d", p.email, got, p.status, want, len(w.line))
			}
			points := 0
			for _, b := range got.Boosts {
				points += b.Points
			}
			if points != p.priority {
				return false, fmt.Errorf("%s: the boosts come to %d points, want %d", p.email, points, p.priority)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		w.checked++
	}
	return nil
}

// act lets the invited do what people do: most redeem, some decline, the rest
// let it be.
func (w *waitlistStory) act(ctx context.Context, day int, let []*waiter) error {
	for len(let) > 0 {
		p := let[0]
		let = let[1:]
		switch n := w.random.IntN(10); {
		case n < 6:
			code := ""
			for _, l := range w.post.To(p.email) {
				if m := codeInLink.FindStringSubmatch(l.Text); m != nil {
					code = m[1]
				}
			}
			if code == "" {
				return fmt.Errorf("%s has an e-mail without a code", p.email)
			}
			r, err := w.admin.As("").Redeem(ctx, writer, client.Redeem{Code: strings.ToLower(code), Email: p.email})
			if err != nil {
				return fmt.Errorf("%s redeems: %w", p.email, err)
			}
			if r.Tier != "standard" {
				return fmt.Errorf("%s has the tier %q", p.email, r.Tier)
			}
			w.end(p, gateway.EntryRegistered, day)
			w.redeemed++
		case n == 6:
			if _, err := w.admin.As("").Decline(ctx, writer, p.ticket); err != nil {
				return fmt.Errorf("%s declines: %w", p.email, err)
			}
			next := w.end(p, gateway.EntryDeclined, day)
			w.declined++
			if err := w.invited(ctx, next); err != nil { // the next in line gets it by itself
				return err
			}
			let = append(let, next...)
		}
	}
	return nil
}

// report compares what was told, Redis and Postgres.
func (w *waitlistStory) report(ctx context.Context) error {
	offers := 0
	statuses, sources := map[gateway.EntryStatus]int{}, map[string]gateway.SourceStats{}
	referred := 0
	for _, p := range w.people {
		statuses[p.status]++
		s := sources[p.source]
		s.Source, s.Joined = p.source, s.Joined+1
		if p.referred {
			s.Referred++
			referred++
		}
		if p.invited {
			s.Invited++
			offers++
		}
		if p.status == gateway.EntryRegistered {
			s.Registered++
		}
		sources[p.source] = s
	}
	letters := w.post.Counts()
	for _, p := range w.people {
		if want := map[bool]int{true: 1}[p.invited]; letters[p.email] != want {
			return fmt.Errorf("%s got %d e-mails, want %d", p.email, letters[p.email], want)
		}
	}
	if err := w.until(ctx, "Postgres has it all", func() (bool, error) {
		at, err := w.admin.Position(ctx, writer)
		return at.Entries == 0, err
	}); err != nil {
		return err
	}
	stats, err := w.admin.WaitlistStats(ctx, writer)
	if err != nil {
		return err
	}
	if stats.Entries != waitlistPeople || stats.Invited != offers || stats.Referred != referred || fmt.Sprint(stats.Statuses) != fmt.Sprint(statuses) {
		return fmt.Errorf("the ledger says %+v; the recomputation says %d offers, %d referred, %v", stats, offers, referred, statuses)
	}
	for _, got := range stats.Sources {
		want := sources[got.Source]
		if got.Joined != want.Joined || got.Referred != want.Referred || got.Invited != want.Invited || got.Registered != want.Registered {
			return fmt.Errorf("the ledger says %+v of a source; the recomputation says %+v", got, want)
		}
	}
	cohorts, err := w.admin.Cohorts(ctx, writer)
	if err != nil {
		return err
	}
	verified, err := w.admin.Verify(ctx, writer)
	if err != nil {
		return err
	}
	if verified.Drift != 0 || verified.Entries != waitlistPeople {
		return fmt.Errorf("the two stores do not agree: %+v", verified)
	}
	fmt.Fprintf(w.out, "joined      %6d in %d days, %d of them referred: viral coefficient %.2f\n", len(w.people), waitlistDays, referred, stats.Viral)
	fmt.Fprintf(w.out, "let in      %6d in %d cohorts of %d a day, each watched for 3 days\n", offers, len(cohorts), waitlistDaily)
	fmt.Fprintf(w.out, "offers      %6d redeemed, %d declined, %d expired; each place went to the next in line\n", w.redeemed, w.declined, w.expired)
	for _, s := range stats.Sources {
		fmt.Fprintf(w.out, "  %-11s %5d joined, %4d invited, %4d registered: %.0f%%\n", s.Source, s.Joined, s.Invited, s.Registered, 100*s.Conversion)
	}
	fmt.Fprintf(w.out, "places      %6d compared with a recomputation, all equal\n", w.checked)
	fmt.Fprintf(w.out, "e-mails     %6d, one for each offer\n", len(w.post.Letters()))
	fmt.Fprintf(w.out, "verified    %6d entries, %d codes, %d redemptions: 0 differences\n", verified.Entries, verified.Codes, verified.Redemptions)
	fmt.Fprintln(w.out, "What people were told, Redis and Postgres agree.")
	return nil
}
