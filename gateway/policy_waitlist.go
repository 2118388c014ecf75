package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Whose word about where somebody comes from is worth points.
const (
	SourcesServer = "server" // a back end's with a server key
	SourcesSigned = "signed" // that, or a source in a link that the launch signed
	SourcesClient = "client" // anybody's
)

// How a place in the line is shown, and what a full or paced campaign does.
const (
	DisplayExact        = "exact"
	DisplayNeverWorsens = "never_worsens"

	OverflowReject   = "reject"
	OverflowWaitlist = "waitlist"
)

// WaitlistPolicy says who may wait, in which order, and how they are let in.
type WaitlistPolicy struct {
	Open         bool          `json:"open"`
	Boosts       BoostsPolicy  `json:"boosts"`
	Sources      string        `json:"sources"`
	Display      string        `json:"display"`
	ConfirmEmail bool          `json:"confirm_email"`
	Limits       JoinsPolicy   `json:"limits"`
	Overflow     string        `json:"overflow"`
	Release      ReleasePolicy `json:"release"`
}

// BoostsPolicy is what moves an entry ahead, in points.
type BoostsPolicy struct {
	Referred int    `json:"referred"` // who was referred
	Referrer int    `json:"referrer"` // who referred, for each
	Sources  Points `json:"sources"`
}

// JoinsPolicy is how many joins are let through.
type JoinsPolicy struct {
	PerAddress Rate `json:"per_address"`
	PerLaunch  Rate `json:"per_launch"`
}

// ReleasePolicy is the schedule of releases, and what becomes of offers.
type ReleasePolicy struct {
	Count     int          `json:"count"`      // places each time; 0: no schedule
	Every     Duration     `json:"every"`      // whole days, or less than one
	At        ClockTime    `json:"at"`         // of a day, where every is in days
	Hours     ClockHours   `json:"hours"`      // in which to release, where every is less than a day
	Zone      string       `json:"zone"`       // IANA name
	Observe   Duration     `json:"observe"`    // how long a cohort is watched
	OneByOne  bool         `json:"one_by_one"` // the next only when the last has been watched
	Order     ReleaseOrder `json:"order"`      //
	Cap       int          `json:"cap"`        // places in all; 0: no cap
	NextGets  bool         `json:"next_in_line_gets_unclaimed"`
	BindEmail bool         `json:"bound"` // an offer's code takes the entry's address only
	Guard     GuardPolicy  `json:"guard"`
}

// GuardPolicy must be healthy for a scheduled release to happen.
type GuardPolicy struct {
	URL        string `json:"url"`        // answers 2xx
	Prometheus string `json:"prometheus"` // a query whose every value is not 0
}

// Points are what words are worth.
type Points map[string]int

// MarshalJSON writes an object.
func (p Points) MarshalJSON() ([]byte, error) {
	if p == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]int(p))
}

// ClockTime is a time of day in minutes after midnight: "09:00".
type ClockTime int

// MarshalText writes HH:MM.
func (c ClockTime) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%02d:%02d", c/60, c%60), nil
}

func (*ClockTime) expected() string { return `a time of day such as "09:00"` }

// UnmarshalText reads HH:MM.
func (c *ClockTime) UnmarshalText(text []byte) error {
	t, err := time.Parse("15:04", string(text))
	if err != nil || len(text) != 5 {
		return fmt.Errorf("use %s", c.expected())
	}
	*c = ClockTime(t.Hour()*60 + t.Minute())
	return nil
}

// ClockHours is a part of each day, from minute to minute: "09:00-17:30". The
// zero ClockHours is the whole day, "".
type ClockHours struct{ From, To ClockTime }

// MarshalText writes HH:MM-HH:MM.
func (h ClockHours) MarshalText() ([]byte, error) {
	if h == (ClockHours{}) {
		return []byte{}, nil
	}
	return fmt.Appendf(nil, "%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60), nil
}

func (*ClockHours) expected() string { return `hours of a day such as "09:00-17:00", or "" for all` }

// UnmarshalText reads HH:MM-HH:MM or "".
func (h *ClockHours) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = ClockHours{}
		return nil
	}
	from, to, ok := strings.Cut(string(text), "-")
	var read ClockHours
	if !ok || read.From.UnmarshalText([]byte(from)) != nil || read.To.UnmarshalText([]byte(to)) != nil || read.To <= read.From {
		return fmt.Errorf("use %s", h.expected())
	}
	*h = read
	return nil
}

func defaultWaitlist() WaitlistPolicy {
	return WaitlistPolicy{
		Open: true, Boosts: BoostsPolicy{Sources: Points{}}, Sources: SourcesServer, Display: DisplayExact,
		Limits:   JoinsPolicy{PerAddress: Rate{20, Duration(time.Hour)}},
		Overflow: OverflowReject,
		Release:  ReleasePolicy{Every: day, At: 9 * 60, Zone: "UTC", Order: ByPriority, NextGets: true},
	}
}

// ValidSource reports whether a word can say where somebody comes from: 1 to 50
// of a-z, 0-9, _ and -.
func ValidSource(s string) bool {
	return s != "" && len(s) <= 50 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
}

// maxSources is how many sources may be worth points.
const maxSources = 1000

func (v *policyCheck) waitlist(w *WaitlistPolicy) {
	const points = "use a whole number from -1000 to 1000"
	small := func(n int) bool { return n >= -1000 && n <= 1000 }
	v.that(small(w.Boosts.Referred), "waitlist.boosts.referred", points)
	v.that(small(w.Boosts.Referrer), "waitlist.boosts.referrer", points)
	v.that(len(w.Boosts.Sources) <= maxSources, "waitlist.boosts.sources", "use at most %d sources", maxSources)
	for _, name := range slices.Sorted(maps.Keys(w.Boosts.Sources)) {
		path := join("waitlist.boosts.sources", name)
		v.that(ValidSource(name), path, "name a source with 1 to 50 of a-z, 0-9, _ and -")
		v.that(small(w.Boosts.Sources[name]), path, points)
	}
	v.oneOf(w.Sources, "waitlist.sources", SourcesServer, SourcesSigned, SourcesClient)
	v.oneOf(w.Display, "waitlist.display", DisplayExact, DisplayNeverWorsens)
	v.oneOf(w.Overflow, "waitlist.overflow", OverflowReject, OverflowWaitlist)
	v.rate(w.Limits.PerAddress, "waitlist.limits.per_address")
	r := w.Limits.PerLaunch
	v.that(r == Rate{} || r.Count > 0 && r.Count <= MaxUses && r.Window.exact() && r.Window >= Duration(time.Second) && r.Window <= 30*day,
		"waitlist.limits.per_launch", `use a rate such as "5000/1h" (in 1s to 30d) or "off"`)
	v.releases(&w.Release)
}

func (v *policyCheck) releases(r *ReleasePolicy) {
	const path = "waitlist.release."
	v.that(r.Count >= 0 && r.Count <= MaxRelease, path+"count", "use a whole number from 0 (no schedule) to %d", MaxRelease)
	v.that(r.Every.exact() && (r.Every >= Duration(time.Minute) && r.Every < day || r.Every >= day && r.Every <= 365*day && r.Every%day == 0),
		path+"every", "use a duration from 1m to less than 1d, or of whole days up to 365d")
	_, err := time.LoadLocation(r.Zone)
	v.that(err == nil && r.Zone != "" && r.Zone != "Local", path+"zone", `use the IANA name of a time zone such as "Europe/Berlin" or "UTC"`)
	v.that(r.Hours == ClockHours{} || r.Every < day, path+"hours", "leave hours out where every is in days: at says when")
	v.that(r.Hours == ClockHours{} || Duration(r.Hours.To-r.Hours.From)*Duration(time.Minute) >= r.Every || r.Every >= day, path+"hours",
		"use hours that are at least as long as every")
	v.upTo(r.Observe, path+"observe", 365*day)
	v.that(!r.OneByOne || r.Observe > 0, path+"one_by_one", "say in observe how long a cohort is watched")
	v.oneOf(string(r.Order), path+"order", string(ByPriority), string(ByLottery))
	v.that(r.Cap >= 0 && r.Cap <= MaxUses, path+"cap", "use a whole number from 0 (no cap) to %d", MaxUses)
	v.that(r.Guard.URL == "" || absoluteHTTP(r.Guard.URL), path+"guard.url", `use an absolute URL such as "https://status.example/healthy" or "" for none`)
	v.that(len(r.Guard.Prometheus) <= 2000, path+"guard.prometheus", "use a query of at most 2000 bytes")
}
