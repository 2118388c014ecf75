package gateway

import (
	"cmp"
	"slices"
	"time"
)

// Launch is one product's opening as of one version of its configuration: an
// immutable snapshot that requests share.
type Launch struct {
	Name      string
	Version   uint64 // grows with every change of policy, campaigns or state
	Epoch     uint64 // of the history that is served
	Open      bool
	Ahead     time.Duration // of Redis' clock, in a rehearsal; 0 otherwise
	Policy    Policy
	Campaigns []*Campaign // by number: Campaigns[i].Number == i+1

	templates []Template // of Campaigns[i]
	shapes    []Template // of all codes there may be; nil: a code may be anything
}

// SetCampaigns gives a new snapshot its campaigns, in any order.
func (l *Launch) SetCampaigns(campaigns []*Campaign) {
	slices.SortFunc(campaigns, func(a, b *Campaign) int { return cmp.Compare(a.Number, b.Number) })
	l.Campaigns, l.templates = campaigns, make([]Template, len(campaigns))
	for i, c := range campaigns {
		if t, err := ParseTemplate(c.Format); err == nil {
			l.templates[i] = t
		}
	}
	l.setShapes()
}

// Campaign finds a campaign by its number; nil if there is none.
func (l *Launch) Campaign(number uint32) *Campaign {
	if number == 0 || int(number) > len(l.Campaigns) {
		return nil
	}
	return l.Campaigns[number-1]
}

// FindCampaign finds a campaign by its name or its id; nil if there is none.
func (l *Launch) FindCampaign(nameOrID string) *Campaign {
	i := slices.IndexFunc(l.Campaigns, func(c *Campaign) bool {
		return c.Name == nameOrID || c.ID.String() == nameOrID
	})
	if i < 0 {
		return nil
	}
	return l.Campaigns[i]
}

// Display renders a code as its campaign writes it. text is what the code's
// own record says, "" for most.
func (l *Launch) Display(campaign uint32, c Code, text string) string {
	if text != "" {
		return text
	}
	if l.Campaign(campaign) == nil {
		return string(c)
	}
	return l.templates[campaign-1].Display(c)
}

// Template is what a campaign's codes look like; the zero one if there is no
// such campaign.
func (l *Launch) Template(campaign uint32) Template {
	if l.Campaign(campaign) == nil {
		return Template{}
	}
	return l.templates[campaign-1]
}

// ValidLaunchName reports whether s can name a launch: 1 to 40 of [a-z0-9-],
// no hyphen at either end.
func ValidLaunchName(s string) bool {
	if len(s) < 1 || len(s) > 40 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Position is how far a launch's journal has come in Redis, and how much of it
// Postgres does not hold yet.
type Position struct {
	Seq       uint64 `json:"position"`
	Persisted uint64 `json:"persisted"`
	Epoch     uint64 `json:"epoch"`
	Entries   uint64 `json:"backlog_records"`
	Bytes     uint64 `json:"backlog_bytes"`
}
