package gateway

import "time"

// RetentionAfter is how long after they got in members must still be active to
// be retained; ActiveWithin is how recent activity is that makes one active.
const (
	RetentionAfter = 7 * 24 * time.Hour
	ActiveWithin   = 7 * 24 * time.Hour
)

// MaxReferrers is how many referrers an analysis names.
const MaxReferrers = 20

// Funnel is how far people came. Each of the last five figures counts subjects
// once, and only those that Subjects counts: a step is taken at or after the
// redemption that let the subject in.
type Funnel struct {
	Issued        int `json:"issued"`         // codes
	Opened        int `json:"opened"`         // visits of links
	CodesOpened   int `json:"codes_opened"`   // codes whose link was visited
	CodesRedeemed int `json:"codes_redeemed"` // codes with a committed redemption
	Redeemed      int `json:"redeemed"`       // committed redemptions
	ByLink        int `json:"by_link"`        // of those, with codes whose link was visited
	Subjects      int `json:"subjects"`       // who got in
	Activated     int `json:"activated"`      // activity "activated"
	Paid          int `json:"paid"`           // a payment that stands
	Matured       int `json:"day7_eligible"`  // got in 7 days ago or earlier
	Retained      int `json:"day7_retained"`  // of those, any activity 7 days or later after that

	Conversion Conversion `json:"conversion"`
}

// Conversion is what part of one step took a later one; nil where nobody took
// the first.
type Conversion struct {
	Issued    *float64 `json:"redeemed_of_issued"`    // codes redeemed / codes issued
	Opened    *float64 `json:"redeemed_of_opened"`    // redemptions by link / visits
	Activated *float64 `json:"activated_of_redeemed"` // subjects
	Paid      *float64 `json:"paid_of_redeemed"`      // subjects
	Retained  *float64 `json:"day7_retention"`        // retained / eligible subjects
}

// Convert works the conversion out of the figures.
func (f *Funnel) Convert() {
	f.Conversion = Conversion{
		Issued: part(f.CodesRedeemed, f.Issued), Opened: part(f.ByLink, f.Opened), Activated: part(f.Activated, f.Subjects),
		Paid: part(f.Paid, f.Subjects), Retained: part(f.Retained, f.Matured),
	}
}

func part(some, all int) *float64 {
	if all == 0 {
		return nil
	}
	p := float64(some) / float64(all)
	return &p
}

// CampaignFunnel is a campaign's funnel.
type CampaignFunnel struct {
	Campaign string `json:"campaign"`
	Channel  string `json:"channel,omitempty"`
	Funnel
}

// ChannelFunnel is the funnel of a channel's campaigns together; who came by
// two of them is one subject.
type ChannelFunnel struct {
	Channel string `json:"channel"` // "" is campaigns without one
	Funnel
}

// ActiveReferrer is a member who brought members that are active.
type ActiveReferrer struct {
	Subject   string `json:"subject,omitempty"` // "" if erased
	Name      string `json:"name,omitempty"`
	Referrals int    `json:"referrals"` // in all
	Active    int    `json:"active"`    // members they brought, active in the last 7 days
	Events    int    `json:"events"`    // activity of those in that time
}

// TopReferrer is a member with referrals.
type TopReferrer struct {
	Subject   string `json:"subject,omitempty"` // "" if erased
	Name      string `json:"name,omitempty"`
	Referrals int    `json:"referrals"`
	Rewarded  int    `json:"rewarded"` // friends for whom a reward is paid now
}

// UnlockShare is how many have what they may use by a method.
type UnlockShare struct {
	Method  UnlockMethod `json:"method"`
	Members int          `json:"members"`
	Share   float64      `json:"share"` // of all members and trials
	Churned int          `json:"churned,omitempty"`
}

// RewardsPaid are rewards in a currency, in minor units.
type RewardsPaid struct {
	Currency   string `json:"currency"`
	Rewards    int    `json:"rewards"`     // how many were paid
	Accounts   int    `json:"accounts"`    // to how many members
	Paid       int    `json:"paid"`        // those taken back not counted off
	ClawedBack int    `json:"clawed_back"` // ≥ 0
	Net        int    `json:"net"`
}

// FirstPurchase is how long it takes from getting in to the first payment that
// stands, of the subjects that paid.
type FirstPurchase struct {
	Subjects int      `json:"subjects"`
	Median   *float64 `json:"seconds_median"` // nil if nobody paid
	Mean     *float64 `json:"seconds_mean"`
}

// Analytics are a launch's figures as of a position and a time.
type Analytics struct {
	Launch        string           `json:"launch"`
	Position      uint64           `json:"position"`
	At            time.Time        `json:"at"` // the launch's clock
	Total         Funnel           `json:"total"`
	Channels      []ChannelFunnel  `json:"channels"`      // by name
	Campaigns     []CampaignFunnel `json:"campaigns"`     // in the order they were made
	Referrers     []ActiveReferrer `json:"referrers"`     // the most active members first
	Top           []TopReferrer    `json:"top_referrers"` // the most referrals first
	Unlocks       []UnlockShare    `json:"unlocks"`
	Rewards       []RewardsPaid    `json:"rewards"` // by currency
	FirstPurchase FirstPurchase    `json:"first_purchase"`
}
