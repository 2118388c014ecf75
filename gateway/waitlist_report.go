package gateway

import "time"

// EntryRow is an entry of the waitlist as Postgres keeps it.
type EntryRow struct {
	Key         string      `json:"id"`
	Email       string      `json:"email"`
	Name        string      `json:"name,omitempty"`
	Source      string      `json:"source,omitempty"`
	Status      EntryStatus `json:"status"`
	Arrival     uint64      `json:"arrival"`
	Priority    int         `json:"priority"`
	Boosts      []Boost     `json:"boosts"`
	Referrer    string      `json:"referrer,omitempty"` // id
	Referrals   int         `json:"referrals"`
	Unconfirmed bool        `json:"unconfirmed,omitempty"`
	JoinedAt    time.Time   `json:"joined_at"`
	InvitedAt   time.Time   `json:"invited_at,omitzero"`
	SettledAt   time.Time   `json:"settled_at,omitzero"`
	OfferEnds   time.Time   `json:"offer_expires_at,omitzero"`
	Release     string      `json:"release,omitempty"`
}

// EntryFilter narrows a list of entries; zero fields do not.
type EntryFilter struct {
	Status  EntryStatus
	Source  string
	Release string
	Search  string // what an e-mail address or a name begins with
}

// CohortRow is a release and what became of its offers.
type CohortRow struct {
	ID         string       `json:"id"`
	Count      int          `json:"count"`
	Order      ReleaseOrder `json:"order"`
	Seed       string       `json:"seed,omitempty"`
	Slot       time.Time    `json:"slot,omitzero"` // of the schedule
	At         time.Time    `json:"created_at"`
	Ended      bool         `json:"ended"`
	Done       int          `json:"done"`    // offers outstanding or redeemed
	Made       int          `json:"made"`    // offers ever
	Pending    int          `json:"pending"` // offers outstanding
	Registered int          `json:"registered"`
	Declined   int          `json:"declined"`
	Expired    int          `json:"expired"`
	Left       int          `json:"left"`
	Observed   time.Time    `json:"observed_until,omitzero"`
	Actor      string       `json:"actor"`
	Note       string       `json:"note,omitempty"`
}

// WaitlistStats are a waitlist's figures as of a position.
type WaitlistStats struct {
	Launch   string              `json:"launch"`
	Position uint64              `json:"position"`
	Entries  int                 `json:"entries"`
	Statuses map[EntryStatus]int `json:"statuses"`
	Invited  int                 `json:"invited"`           // ever
	Referred int                 `json:"referred"`          // entries that somebody referred and that count
	Viral    float64             `json:"viral_coefficient"` // referred entries for each entry
	Growth   []GrowthDay         `json:"growth"`
	Sources  []SourceStats       `json:"sources"`
	// Seconds from joining to being invited.
	InviteMedian float64 `json:"seconds_to_invitation_median"`
	InviteMean   float64 `json:"seconds_to_invitation_mean"`
}

// GrowthDay is one day of a waitlist, in UTC.
type GrowthDay struct {
	Day        string `json:"day"` // 2027-01-31
	Joined     int    `json:"joined"`
	Referred   int    `json:"referred"`
	Invited    int    `json:"invited"`
	Registered int    `json:"registered"`
}

// SourceStats is what became of those who came from a source.
type SourceStats struct {
	Source     string  `json:"source"`
	Joined     int     `json:"joined"`
	Referred   int     `json:"referred"`
	Invited    int     `json:"invited"`
	Registered int     `json:"registered"`
	Conversion float64 `json:"conversion"` // registered for each invited
}
