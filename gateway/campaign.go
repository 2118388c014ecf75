package gateway

import (
	"strings"
	"time"
)

// Kind says what a campaign's codes are.
type Kind string

// The kinds of codes. Invites and referrals are redeemed once per subject and
// launch where the policy says so; licences are not.
const (
	KindInvite   Kind = "invite"
	KindLicense  Kind = "license"
	KindReferral Kind = "referral"
)

// OncePerLaunch reports whether the policy's once_per_launch speaks of codes
// of this kind.
func (k Kind) OncePerLaunch() bool { return k != KindLicense }

// CampaignState is whether a campaign's codes may be redeemed.
type CampaignState string

// Paused codes may come back; revoked ones are meant to stay so, and an
// operator can still reinstate them.
const (
	CampaignActive    CampaignState = "active"
	CampaignOnHold    CampaignState = "paused"
	CampaignWithdrawn CampaignState = "revoked"
)

// Campaign is a batch of codes under common rules. Its JSON form is the one
// document that Redis, the journal, Postgres and the admin API carry.
type Campaign struct {
	ID         ID            `json:"id"`
	Number     uint32        `json:"number"` // 1, 2, … within the launch: the campaign's name in a code's record
	Name       string        `json:"name"`
	Kind       Kind          `json:"kind"`
	Type       CampaignType  `json:"type"`
	Tier       string        `json:"tier,omitempty"`    // "" is the policy's tier
	Channel    string        `json:"channel,omitempty"` // partner, event, e-mail, …
	MaxUses    int           `json:"max_uses"`          // per code, ≥ 1
	Starts     time.Time     `json:"starts_at,omitzero"`
	Ends       time.Time     `json:"ends_at,omitzero"`
	Expires    Duration      `json:"expires"` // of a code, from its minting; 0: with the campaign
	Format     string        `json:"format"`  // a bound Template
	Cap        int           `json:"cap"`     // redemptions over all codes; 0: no cap
	PerSubject int           `json:"per_subject"`
	Pace       Rate          `json:"pace"`                      // redemptions in windows that follow each other; the zero Rate is no pace
	Vanity     bool          `json:"vanity"`                    // codes may be chosen or imported
	Earlier    []string      `json:"earlier_formats,omitempty"` // templates that codes were minted from before Format
	Chosen     bool          `json:"chosen,omitempty"`          // codes may have been chosen before Vanity was taken away
	State      CampaignState `json:"state"`
	Created    time.Time     `json:"created_at"`
}

// maxLabel bounds the free labels of a campaign, in bytes.
const maxLabel = 100

// Validate returns an invalid_request that names the first field at fault.
func (c *Campaign) Validate() error {
	if err := ValidName("name", c.Name); err != nil {
		return err
	}
	switch c.Kind {
	case KindInvite, KindLicense, KindReferral:
	default:
		return Invalid("kind", `Use "invite", "license" or "referral".`)
	}
	switch c.Type {
	case TypePersonal, TypeBulk, TypeVIP, TypeWaitlist, TypeLink:
	default:
		return Invalid("type", `Use "personal", "bulk", "vip", "waitlist" or "link".`)
	}
	for _, l := range []struct{ field, value string }{{"tier", c.Tier}, {"channel", c.Channel}} {
		if len(l.value) > maxLabel || strings.ContainsFunc(l.value, notPrintable) {
			return Invalid(l.field, "Use at most 100 bytes of printable text.")
		}
	}
	if c.MaxUses < 1 || c.MaxUses > MaxUses {
		return Invalid("max_uses", "Use a whole number from 1 to 1000000000.")
	}
	if c.Cap < 0 || c.Cap > MaxUses {
		return Invalid("cap", "Use a whole number from 0 (no cap) to 1000000000.")
	}
	if c.PerSubject < 0 || c.PerSubject > MaxUses {
		return Invalid("per_subject", "Use a whole number from 0 (no limit) to 1000000000.")
	}
	if r := c.Pace; (r != Rate{}) && (r.Count < 1 || r.Count > MaxUses || r.Window < Duration(time.Second) || r.Window > 30*day || !r.Window.exact()) {
		return Invalid("pace", `Use a rate such as "100/1h" (in 1s to 30d) or "off".`)
	}
	if c.Expires < 0 {
		return Invalid("expires", `Use a duration such as "30d", or "" for none.`)
	}
	for _, at := range []struct {
		field string
		time  time.Time
	}{{"starts_at", c.Starts}, {"ends_at", c.Ends}} {
		if !at.time.IsZero() && (at.time.Year() < 2000 || at.time.Year() > 2200) {
			return Invalid(at.field, "Use a time between the years 2000 and 2200.")
		}
	}
	if !c.Starts.IsZero() && !c.Ends.IsZero() && !c.Ends.After(c.Starts) {
		return Invalid("ends_at", "Use a time after starts_at.")
	}
	if _, err := ParseTemplate(c.Format); err != nil {
		return Invalid("format", err.Error())
	}
	return nil
}

// MaxUses is the most uses that a code, a cap or a limit may have.
const MaxUses = 1_000_000_000

// ValidName refuses a launch's, campaign's or key's name that is empty, too
// long or not plain: letters, digits, space, "-", "_" and ".".
func ValidName(field, s string) error {
	if s == "" || len(s) > maxLabel || strings.TrimSpace(s) != s || strings.ContainsFunc(s, notName) {
		return Invalid(field, `Use 1 to 100 letters, digits, spaces, "-", "_" or "."; no space at either end.`)
	}
	return nil
}

func notName(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == ' ', r == '-', r == '_', r == '.':
		return false
	}
	return true
}

func notPrintable(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }

// TierOr is the campaign's tier, or the launch's where it has none.
func (c *Campaign) TierOr(tier string) string {
	if c.Tier != "" {
		return c.Tier
	}
	return tier
}
