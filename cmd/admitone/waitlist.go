package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

type waitlistCommand struct {
	List     waitlistList     `cmd:"" help:"List who is on the waitlist, the front of the line first."`
	Show     waitlistShow     `cmd:"" help:"Show one entry: its place, its boosts, its offer."`
	Boost    waitlistBoost    `cmd:"" help:"Move an entry in the line; the person sees the reason."`
	Remove   waitlistRemove   `cmd:"" help:"Take an entry off the list."`
	Release  waitlistRelease  `cmd:"" help:"Let the next in line in, now."`
	Releases waitlistReleases `cmd:"" help:"List releases and what became of their offers."`
	Schedule waitlistSchedule `cmd:"" help:"Show what the policy's schedule is about to do."`
	Pause    waitlistPause    `cmd:"" help:"Stop all releases."`
	Resume   waitlistResume   `cmd:"" help:"Let releases go on, the schedule's from now on."`
	Import   waitlistImport   `cmd:"" help:"Put a CSV of people on the list, in its order."`
	Export   waitlistExport   `cmd:"" help:"Write the list as CSV."`
	Stats    waitlistStats    `cmd:"" help:"Show growth, sources, referrals and conversion."`
}

type waitlistList struct {
	remote
	Launch  string `arg:""`
	Status  string `help:"Only these: waiting, invited, registered, declined, expired or left."`
	Source  string `help:"Only who came from here."`
	Release string `help:"Only who was let in by this release."`
	Search  string `help:"Only whose address or name begins so." placeholder:"TEXT"`
	Limit   int    `default:"50" help:"How many, up to 100."`
	After   string `help:"Go on behind the page before." placeholder:"CURSOR"`
}

// Run lists entries.
func (c *waitlistList) Run(ctx context.Context, api *client.Client) error {
	f := gateway.EntryFilter{Status: gateway.EntryStatus(c.Status), Source: c.Source, Release: c.Release, Search: c.Search}
	list, err := api.Entries(ctx, c.Launch, f, gateway.Page{Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	return c.print(list, func(out io.Writer) {
		row(out, "EMAIL", "STATUS", "PRIORITY", "SOURCE", "REFERRALS", "JOINED", "ID")
		for _, e := range list.Data {
			row(out, e.Email, e.Status, e.Priority, e.Source, e.Referrals, when(e.JoinedAt), e.Key)
		}
		if list.HasMore {
			fmt.Fprintf(out, "there are more: --after %s\n", list.Next)
		}
	})
}

// entryRef names one entry on the command line.
type entryRef struct {
	remote
	Launch string `arg:""`
	Entry  string `arg:"" help:"Its e-mail address or id."`
}

func (r entryRef) show(e client.EntryNow) error {
	return r.print(e, func(out io.Writer) {
		fmt.Fprintf(out, "%s\t%s\n", e.Email, e.Status)
		if e.Position > 0 {
			fmt.Fprintf(out, "position\t%d of %d\n", e.Position, e.Total)
		}
		fmt.Fprintf(out, "priority\t%d\n", e.Priority)
		for _, b := range e.Boosts {
			fmt.Fprintf(out, "  %+d\t%s %s\t%s\n", b.Points, b.Kind, b.Reason, when(b.At))
		}
		if e.Offer != "" {
			fmt.Fprintf(out, "offer\t%s\tuntil %s\n", e.Offer, when(e.OfferEnds))
		}
	})
}

type waitlistShow struct{ entryRef }

// Run shows the entry.
func (c *waitlistShow) Run(ctx context.Context, api *client.Client) error {
	e, err := api.Entry(ctx, c.Launch, c.Entry)
	if err != nil {
		return err
	}
	return c.show(e)
}

type waitlistBoost struct {
	entryRef
	Points int    `arg:"" help:"How far ahead; negative is back. Write a negative one behind --."`
	Reason string `required:"" help:"Why; the person sees it."`
}

// Run boosts the entry.
func (c *waitlistBoost) Run(ctx context.Context, api *client.Client) error {
	e, err := api.Boost(ctx, c.Launch, c.Entry, c.Points, c.Reason, gateway.NewID(time.Now()).String())
	if err != nil {
		return err
	}
	return c.show(e)
}

type waitlistRemove struct {
	entryRef
	Why string `help:"Why, for the audit trail."`
}

// Run removes the entry.
func (c *waitlistRemove) Run(ctx context.Context, api *client.Client) error {
	e, err := api.Remove(ctx, c.Launch, c.Entry, c.Why)
	if err != nil {
		return err
	}
	return c.show(e)
}

type waitlistRelease struct {
	remote
	Launch string `arg:""`
	Count  int    `arg:"" help:"How many."`
	Order  string `help:"priority or lottery; the policy's if not given."`
	Seed   string `help:"Of a lottery, in hex; a new one if not given."`
	Why    string `help:"Why, for the audit trail."`
}

// Run makes the release and waits for its offers.
func (c *waitlistRelease) Run(ctx context.Context, api *client.Client) error {
	r, err := api.LetIn(ctx, c.Launch, c.Count, gateway.ReleaseOrder(c.Order), c.Seed, c.Why, gateway.NewID(time.Now()).String())
	if err != nil {
		return err
	}
	if !r.Ended {
		r, err = api.WaitRelease(ctx, c.Launch, r.ID, func(r client.Release) { progress("letting in", r.Done, r.Count) })
		if err != nil {
			return err
		}
	}
	return c.print(r, func(out io.Writer) {
		fmt.Fprintf(out, "%d of %d let in\trelease %s\n", r.Done, r.Count, r.ID)
		if r.Ended && r.Done < r.Count {
			fmt.Fprintln(out, "nobody else waits")
		}
		if r.Seed != "" {
			fmt.Fprintf(out, "seed\t%s\n", r.Seed)
		}
	})
}

type waitlistReleases struct {
	remote
	Launch string `arg:""`
}

// Run lists releases.
func (c *waitlistReleases) Run(ctx context.Context, api *client.Client) error {
	list, err := api.Cohorts(ctx, c.Launch)
	if err != nil {
		return err
	}
	return c.print(list, func(out io.Writer) {
		row(out, "RELEASE", "MADE", "COUNT", "ORDER", "OFFERS", "PENDING", "REGISTERED", "DECLINED", "EXPIRED", "LEFT", "OBSERVED UNTIL")
		for _, r := range list {
			row(out, r.ID, when(r.At), r.Count, r.Order, r.Made, r.Pending, r.Registered, r.Declined, r.Expired, r.Left, when(r.Observed))
		}
	})
}

// releasesRef names a launch whose releases are meant.
type releasesRef struct {
	remote
	Launch string `arg:""`
}

func (r releasesRef) show(s client.Schedule) error {
	return r.print(s, func(out io.Writer) {
		state := "running"
		if !s.Running {
			state = "not running"
		}
		if s.Policy.Count == 0 {
			fmt.Fprintf(out, "the policy has no schedule; releases by hand are %s\n", map[bool]string{true: "possible", false: "paused"}[s.Running || s.Since.IsZero()])
			return
		}
		fmt.Fprintf(out, "%s\t%d every %v\n", state, s.Policy.Count, s.Policy.Every)
		fmt.Fprintf(out, "released\t%d\n", s.Made)
		fmt.Fprintf(out, "next\t%s\n", when(s.Next))
		if s.HeldBack != "" {
			fmt.Fprintf(out, "held back\t%s\n", s.HeldBack)
		}
	})
}

type waitlistSchedule struct{ releasesRef }

// Run shows the schedule.
func (c *waitlistSchedule) Run(ctx context.Context, api *client.Client) error {
	s, err := api.Schedule(ctx, c.Launch)
	if err != nil {
		return err
	}
	return c.show(s)
}

type waitlistPause struct {
	releasesRef
	Why string `help:"Why, for the audit trail."`
}

// Run pauses releases.
func (c *waitlistPause) Run(ctx context.Context, api *client.Client) error {
	s, err := api.PauseReleases(ctx, c.Launch, c.Why)
	if err != nil {
		return err
	}
	return c.show(s)
}

type waitlistResume struct {
	releasesRef
	Why string `help:"Why, for the audit trail."`
}

// Run resumes releases.
func (c *waitlistResume) Run(ctx context.Context, api *client.Client) error {
	s, err := api.ResumeReleases(ctx, c.Launch, c.Why)
	if err != nil {
		return err
	}
	return c.show(s)
}

type waitlistImport struct {
	remote
	Launch string `arg:""`
	File   string `arg:"" help:"CSV with a header: email, and any of name, source, priority, status; - is standard input."`
}

// Run imports the file.
func (c *waitlistImport) Run(ctx context.Context, api *client.Client) error {
	text, err := readInput(c.File)
	if err != nil {
		return err
	}
	parts, err := importParts(text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	var all client.Imported
	for i, part := range parts {
		in, err := api.ImportEntries(ctx, c.Launch, part)
		if err != nil && i > 0 {
			err = fmt.Errorf("the first %d entries are on the list; line 2 of the next part is entry %d of the file: %w", i*gateway.MaxEntryImport, i*gateway.MaxEntryImport+1, err)
		}
		if err != nil {
			return err
		}
		all.Added, all.Known, all.Skipped = all.Added+in.Added, all.Known+in.Known, all.Skipped+in.Skipped
		progress("importing", i+1, len(parts))
	}
	return c.print(all, func(out io.Writer) {
		fmt.Fprintf(out, "%d added, %d were on the list already\n", all.Added, all.Known)
		if all.Skipped > 0 {
			fmt.Fprintf(out, "%d do not wait any more, as the file says, and were left out\n", all.Skipped)
		}
	})
}

// importParts cuts a CSV into as many as one call takes, each with the header. A
// small one is left as it is, so that what is wrong with it has its line.
func importParts(text []byte) ([][]byte, error) {
	in := csv.NewReader(bytes.NewReader(text))
	in.FieldsPerRecord, in.TrimLeadingSpace = -1, true
	records, err := in.ReadAll()
	if err != nil || len(records) <= gateway.MaxEntryImport+1 {
		return [][]byte{text}, nil // the gateway says what is wrong
	}
	var parts [][]byte
	for rest := range slices.Chunk(records[1:], gateway.MaxEntryImport) {
		var part bytes.Buffer
		out := csv.NewWriter(&part)
		if err := out.WriteAll(append([][]string{records[0]}, rest...)); err != nil {
			return nil, err
		}
		parts = append(parts, part.Bytes())
	}
	return parts, nil
}

type waitlistExport struct {
	remote
	Launch string `arg:""`
}

// Run writes the list.
func (c *waitlistExport) Run(ctx context.Context, api *client.Client) error {
	return api.ExportEntries(ctx, c.Launch, os.Stdout)
}

type waitlistStats struct {
	remote
	Launch string `arg:""`
}

// Run shows the figures.
func (c *waitlistStats) Run(ctx context.Context, api *client.Client) error {
	s, err := api.WaitlistStats(ctx, c.Launch)
	if err != nil {
		return err
	}
	return c.print(s, func(out io.Writer) {
		fmt.Fprintf(out, "entries\t%d\n", s.Entries)
		statuses := make([]string, 0, len(s.Statuses))
		for status := range s.Statuses {
			statuses = append(statuses, string(status))
		}
		sort.Strings(statuses)
		for _, status := range statuses {
			fmt.Fprintf(out, "  %s\t%d\n", status, s.Statuses[gateway.EntryStatus(status)])
		}
		fmt.Fprintf(out, "referred\t%d\tviral coefficient %.2f\n", s.Referred, s.Viral)
		fmt.Fprintf(out, "to invitation\tmedian %v\n\n", time.Duration(s.InviteMedian*float64(time.Second)).Round(time.Second))
		row(out, "SOURCE", "JOINED", "REFERRED", "INVITED", "REGISTERED", "CONVERSION")
		for _, x := range s.Sources {
			row(out, x.Source, x.Joined, x.Referred, x.Invited, x.Registered, fmt.Sprintf("%.1f%%", 100*x.Conversion))
		}
	})
}
