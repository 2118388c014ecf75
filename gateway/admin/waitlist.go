package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

// WaitlistStore is what the admin API asks of Redis about the waitlist.
type WaitlistStore interface {
	Entry(ctx context.Context, launch, key string) (gateway.Entry, error)
	ChangeEntry(ctx context.Context, launch string, c gateway.ChangeEntry) (gateway.Entry, error)
	ImportEntries(ctx context.Context, launch string, list []gateway.Join) (added int, position uint64, err error)
	PutRelease(ctx context.Context, launch string, c gateway.Cohort, limit int, by gateway.Actor) (gateway.Cohort, error)
	Release(ctx context.Context, launch, id string) (gateway.Cohort, error)
	Releases(ctx context.Context, launch string) ([]gateway.Cohort, gateway.Schedule, error)
	SetSchedule(ctx context.Context, launch string, running bool, by gateway.Actor) error
	Now(ctx context.Context, launch string) (time.Time, error)
}

// WaitlistLedger is what it asks of Postgres.
type WaitlistLedger interface {
	Entries(ctx context.Context, launch string, f gateway.EntryFilter, p gateway.Page) (gateway.List[gateway.EntryRow], error)
	FindEntry(ctx context.Context, launch, key string) (gateway.EntryRow, error)
	ExportEntries(ctx context.Context, launch string, to func(gateway.EntryRow) error) error
	WaitlistStats(ctx context.Context, launch string) (gateway.WaitlistStats, error)
}

func (s *server) listEntries(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	p, err := c.page()
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	f := gateway.EntryFilter{Status: gateway.EntryStatus(q.Get("status")), Source: q.Get("source"), Release: q.Get("release"), Search: q.Get("q")}
	switch f.Status {
	case "", gateway.EntryWaiting, gateway.EntryInvited, gateway.EntryRegistered, gateway.EntryDeclined, gateway.EntryExpired, gateway.EntryLeft:
	default:
		return gateway.Invalid("status", "Use waiting, invited, registered, declined, expired or left.")
	}
	if strings.ContainsAny(f.Source+f.Release+f.Search, "\x00") {
		return gateway.Invalid("q", "Leave out NUL characters.")
	}
	list, err := s.Ledger.Entries(c.r.Context(), l.Name, f, p)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, list)
}

// entryView is an entry as it is now, with what Postgres knows of the person.
type entryView struct {
	gateway.EntryRow
	Position int       `json:"position,omitempty"`
	Total    int       `json:"total"`
	AsOf     time.Time `json:"as_of"`
	Offer    string    `json:"offer,omitempty"` // its code
}

// entry finds the entry of the path, by its id or its address, and its row; of
// one that Postgres does not hold yet the row is nearly empty.
func (s *server) entry(c *call) (*gateway.Launch, gateway.EntryRow, error) {
	l, err := c.launch(s)
	if err != nil {
		return nil, gateway.EntryRow{}, err
	}
	key, mail := c.r.PathValue("entry"), ""
	if strings.Contains(key, "@") {
		if mail, err = personOf(&l.Policy)(key); err != nil {
			return nil, gateway.EntryRow{}, gateway.Invalid("entry", err.Error())
		}
		key = s.Keyring.Subject(l.Name, mail)
	}
	row, err := s.Ledger.FindEntry(c.r.Context(), l.Name, key)
	if errors.Is(err, gateway.Refuse(gateway.EntryUnknown)) {
		return l, gateway.EntryRow{Key: key, Email: mail}, nil // Redis may know it already
	}
	return l, row, err
}

func (s *server) getEntry(c *call) error {
	l, row, err := s.entry(c)
	if err != nil {
		return err
	}
	e, err := s.Store.Entry(c.r.Context(), l.Name, row.Key)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewEntry(l, row, e))
}

func viewEntry(l *gateway.Launch, row gateway.EntryRow, e gateway.Entry) entryView {
	row.Status, row.Arrival, row.Priority, row.Boosts, row.Referrals = e.Status, e.Arrival, e.Priority, orEmpty(e.Boosts), e.Referrals
	row.Referrer, row.Unconfirmed, row.JoinedAt, row.Release = e.Referrer, e.Unconfirmed, e.JoinedAt, e.Release
	v := entryView{EntryRow: row, Position: e.Place, Total: e.Total, AsOf: e.AsOf}
	if e.Status == gateway.EntryInvited {
		v.OfferEnds = e.OfferEnds
		if g := l.FindCampaign(gateway.WaitlistCampaign); g != nil {
			v.Offer = l.Display(g.Number, e.Offer, "")
		}
	}
	return v
}

func (s *server) boostEntry(c *call) error {
	var body struct {
		Points int    `json:"points"`
		Reason string `json:"reason"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.Points == 0 || body.Points < -gateway.MaxPoints || body.Points > gateway.MaxPoints {
		return gateway.Invalid("points", "Use a whole number from -1000000 to 1000000 that is not 0.")
	}
	if body.Reason == "" || len(body.Reason) > maxBoostReason || strings.ContainsFunc(body.Reason, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return gateway.Invalid("reason", "Say why in 1 to 100 bytes of printable text: the person sees it.")
	}
	return s.changeEntry(c, gateway.ChangeEntry{Verb: gateway.BoostEntry, Points: body.Points, Reason: body.Reason, ID: c.workID().Short(), By: c.by(body.Reason)})
}

// maxBoostReason bounds a boost's reason, in bytes: Redis holds it with the
// entry.
const maxBoostReason = 100

func (s *server) removeEntry(c *call) error {
	var body noteBody
	if err := c.decodeOptional(&body); err != nil {
		return err
	}
	return s.changeEntry(c, gateway.ChangeEntry{Verb: gateway.LeaveEntry, By: c.by(body.Note)})
}

func (s *server) changeEntry(c *call, change gateway.ChangeEntry) error {
	l, row, err := s.entry(c)
	if err != nil {
		return err
	}
	change.Key = row.Key
	e, err := s.Store.ChangeEntry(c.r.Context(), l.Name, change)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewEntry(l, row, e))
}

func (s *server) importEntries(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	if _, err := c.mediaType("text/csv"); err != nil {
		return err
	}
	b, err := c.body(4 * maxBody)
	if err != nil {
		return err
	}
	read, err := gateway.ReadEntries(strings.NewReader(string(b)), personOf(&l.Policy))
	if err != nil {
		return err
	}
	if read.Problems != nil {
		return &importError{read.Problems}
	}
	added, _, err := s.Store.ImportEntries(c.r.Context(), l.Name, read.Joins)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]int{"added": added, "known": len(read.Joins) - added, "skipped": read.Skipped})
}

// exportEntries streams the waitlist as CSV, in the line's order; what it
// writes can be imported again.
func (s *server) exportEntries(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	c.done, c.code = true, http.StatusOK
	c.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	c.w.Header().Set("Content-Disposition", `attachment; filename="waitlist.csv"`)
	out := csv.NewWriter(c.w)
	if err := out.Write([]string{"email", "name", "source", "priority", "status", "referrals", "joined_at", "invited_at", "release"}); err != nil {
		return err
	}
	err = s.Ledger.ExportEntries(c.r.Context(), l.Name, func(e gateway.EntryRow) error {
		invited := ""
		if !e.InvitedAt.IsZero() {
			invited = e.InvitedAt.Format(time.RFC3339)
		}
		return out.Write([]string{
			plainCell(e.Email), plainCell(e.Name), plainCell(e.Source), strconv.Itoa(e.Priority), string(e.Status), strconv.Itoa(e.Referrals),
			e.JoinedAt.Format(time.RFC3339), invited, plainCell(e.Release),
		})
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	if err != nil {
		// Half a file must not look like a whole one.
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (s *server) waitlistStats(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	stats, err := s.Ledger.WaitlistStats(c.r.Context(), l.Name)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, stats)
}

// signSource makes a source that the launch vouches for: whoever joins with it
// gets the points of the source, where the policy trusts signed ones.
func (s *server) signSource(c *call) error {
	var body struct {
		Source string `json:"source"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	if !gateway.ValidSource(body.Source) {
		return gateway.Invalid("source", "Use 1 to 50 of a-z, 0-9, _ and -.")
	}
	return c.answer(http.StatusOK, map[string]any{
		"source": body.Source, "signed": s.Keyring.SignSource(l.Name, body.Source), "points": l.Policy.Waitlist.Boosts.Sources[body.Source],
	})
}
