package gateway

import (
	"strings"
	"time"
)

// CampaignType says how a campaign's codes are handed out; the policy holds
// defaults for each.
type CampaignType string

// The types of campaigns.
const (
	TypePersonal CampaignType = "personal"
	TypeBulk     CampaignType = "bulk"
	TypeVIP      CampaignType = "vip"
	TypeWaitlist CampaignType = "waitlist"
	TypeLink     CampaignType = "link"
)

// Words that a policy chooses between.
const (
	RefusalsExplicit = "explicit"
	RefusalsOpaque   = "opaque"

	IdentityAny   = "any"
	IdentityID    = "id"
	IdentityEmail = "email"

	DedupOff       = "off"
	DedupSignal    = "signal"
	DedupChallenge = "challenge"
	DedupRefuse    = "refuse"

	ChallengeOff       = "off"
	ChallengeTurnstile = "turnstile"
	ChallengeHCaptcha  = "hcaptcha"

	NamedByAnyone = "anyone"
	NamedByServer = "server"

	InvalidCodeRefuse = "refuse"
	InvalidCodeIgnore = "ignore"

	DisposableRefuse = "refuse"
	DisposableAllow  = "allow"
)

// Policy is a launch's rules in one document. docs/policy.md explains every
// field; DefaultPolicy is what a launch gets that says nothing.
type Policy struct {
	Launch      string            `json:"launch"`
	Name        string            `json:"name"`
	LandingURL  string            `json:"landing_url"`
	Ack         Durability        `json:"ack"`
	Refusals    string            `json:"refusals"`
	Subjects    SubjectsPolicy    `json:"subjects"`
	Codes       CodesPolicy       `json:"codes"`
	Holds       HoldsPolicy       `json:"holds"`
	Limits      LimitsPolicy      `json:"limits"`
	Abuse       AbusePolicy       `json:"abuse"`
	Unlock      UnlockPolicy      `json:"unlock"`
	Waitlist    WaitlistPolicy    `json:"waitlist"`
	Referrals   ReferralsPolicy   `json:"referrals"`
	Rewards     RewardsPolicy     `json:"rewards"`
	Attribution AttributionPolicy `json:"attribution"`
	Browsers    BrowsersPolicy    `json:"browsers"`
	Anomalies   AnomaliesPolicy   `json:"anomalies"`
	Email       EmailPolicy       `json:"email"`
	Retention   RetentionPolicy   `json:"retention"`
}

// SubjectsPolicy says who redeems.
type SubjectsPolicy struct {
	Identity      string          `json:"identity"`
	OncePerLaunch bool            `json:"once_per_launch"`
	NamedBy       string          `json:"named_by"`
	Canonical     CanonicalPolicy `json:"canonical"`
}

// CanonicalPolicy says which spellings of an e-mail address are one person.
type CanonicalPolicy struct {
	PlusTags bool    `json:"plus_tags"` // ann+news@… is ann@…
	Dots     Domains `json:"dots"`      // domains that ignore dots before the @
}

// CodesPolicy are the defaults of campaigns, by type.
type CodesPolicy struct {
	Personal PersonalCodes `json:"personal"`
	Bulk     CodeDefaults  `json:"bulk"`
	VIP      CodeDefaults  `json:"vip"`
	Waitlist CodeDefaults  `json:"waitlist"`
	Link     CodeDefaults  `json:"link"`
	Referral CodeDefaults  `json:"referral"`
}

// CodeDefaults are what a campaign gets that does not say it itself.
type CodeDefaults struct {
	Uses    int      `json:"uses"`
	Expires Duration `json:"expires"`
	Format  string   `json:"format"`
}

// PersonalCodes are the invites that members give away.
type PersonalCodes struct {
	Uses      int          `json:"uses"`
	Expires   Duration     `json:"expires"`
	Format    string       `json:"format"`
	Allotment Rounds       `json:"allotment"` // invites that a member may mint
	PerDay    int          `json:"per_day"`   // that a member may mint a day; 0: no limit
	Refill    RefillPolicy `json:"refill"`
}

// Defaults are what a campaign of personal codes gets.
func (p *PersonalCodes) Defaults() CodeDefaults { return CodeDefaults{p.Uses, p.Expires, p.Format} }

// RefillPolicy says when members get more invites.
type RefillPolicy struct {
	To         int      `json:"to"`          // open and mintable ones together, to which a member is topped up
	OnReferral int      `json:"on_referral"` // more for who brought somebody in
	Every      Duration `json:"every"`       // how often all members are topped up
}

// HoldsPolicy bounds how long a use may be set aside, and how often.
type HoldsPolicy struct {
	Expires    Duration `json:"expires"`
	PerAddress Rate     `json:"per_address"`
}

// LimitsPolicy slows guessing and repeated use.
type LimitsPolicy struct {
	FailedAttempts AttemptsPolicy `json:"failed_attempts"`
	AddressDedup   DedupPolicy    `json:"address_dedup"`
	PerInviter     Rate           `json:"per_inviter"` // redemptions of the codes that one member issued
	IPv6Prefix     int            `json:"ipv6_prefix"`
}

// AttemptsPolicy is how many failed guesses are let through.
type AttemptsPolicy struct {
	PerAddress Rate `json:"per_address"`
	PerSubject Rate `json:"per_subject"`
}

// DedupPolicy is what happens to a second account from one address.
type DedupPolicy struct {
	Window Duration `json:"window"`
	Action string   `json:"action"`
}

// UnlockPolicy is what a redemption unlocks.
type UnlockPolicy struct {
	Tier          string   `json:"tier"`
	InviteRounds  Rounds   `json:"invite_rounds"`
	LicenseRounds Rounds   `json:"license_rounds"`
	TrialRounds   int      `json:"trial_rounds"` // of a subject that has not redeemed yet
	Expires       Duration `json:"expires"`
}

// ReferralsPolicy says what bringing people in gives.
type ReferralsPolicy struct {
	Milestones  Milestones `json:"milestones"`
	InvalidCode string     `json:"invalid_code"` // what becomes of a redemption whose code cannot be used
}

// RewardsPolicy says what a purchase of somebody who was referred gives.
type RewardsPolicy struct {
	Qualifies QualifiesPolicy `json:"qualifies"`
	Pays      PaysPolicy      `json:"pays"`
	Clawback  bool            `json:"clawback"`   // on refund or dispute
	PerMember int             `json:"per_member"` // rewards that one referrer may earn; 0: no limit
}

// QualifiesPolicy says which purchase counts: the first of at least so much.
type QualifiesPolicy struct {
	Minimum MoneyPolicy `json:"minimum"`
}

// MoneyPolicy is an amount in minor units.
type MoneyPolicy struct {
	Amount   int    `json:"amount"`
	Currency string `json:"currency"` // ISO 4217, in lower case
}

// PaysPolicy says what is paid, in minor units of the minimum's currency.
type PaysPolicy struct {
	Referrer int      `json:"referrer"`
	Referee  int      `json:"referee"`
	After    Duration `json:"after"`    // the purchase
	Approval bool     `json:"approval"` // of an operator
}

// AttributionPolicy is how long a visited link is remembered.
type AttributionPolicy struct {
	Cookie string   `json:"cookie"`
	Window Duration `json:"window"`
}

// RetentionPolicy is how long Postgres keeps what is not needed to decide.
type RetentionPolicy struct {
	Attempts Duration `json:"attempts"`
	Journal  Duration `json:"journal"`
}

const day = Duration(24 * time.Hour)

// DefaultPolicy is safe for a launch that nobody configured.
func DefaultPolicy(launch string) Policy {
	random := CodeDefaults{Uses: 1, Format: "{random:10}"}
	expiring := func(d Duration) CodeDefaults { c := random; c.Expires = d; return c }
	return Policy{
		Launch: launch, Name: launch, Ack: DurabilityAccepted, Refusals: RefusalsExplicit,
		Subjects: SubjectsPolicy{
			Identity: IdentityAny, OncePerLaunch: true, NamedBy: NamedByAnyone,
			Canonical: CanonicalPolicy{PlusTags: true, Dots: Domains{"gmail.com", "googlemail.com"}},
		},
		Codes: CodesPolicy{
			Personal: PersonalCodes{Uses: 1, Expires: 30 * day, Format: random.Format, PerDay: 50}, Bulk: random, VIP: random, Waitlist: expiring(7 * day),
			Link: CodeDefaults{Uses: 100, Format: "{random:10}"}, Referral: CodeDefaults{Uses: 10, Format: "{random:8}"},
		},
		Holds: HoldsPolicy{Expires: Duration(15 * time.Minute), PerAddress: Rate{300, Duration(time.Hour)}},
		Limits: LimitsPolicy{
			FailedAttempts: AttemptsPolicy{
				PerAddress: Rate{3, Duration(time.Hour)}, PerSubject: Rate{10, Duration(time.Hour)},
			},
			AddressDedup: DedupPolicy{Window: 30 * day, Action: DedupOff},
			IPv6Prefix:   64,
		},
		Abuse:       defaultAbuse(),
		Unlock:      UnlockPolicy{Tier: "standard", InviteRounds: Unlimited, LicenseRounds: Unlimited},
		Waitlist:    defaultWaitlist(),
		Referrals:   ReferralsPolicy{Milestones: Milestones{}, InvalidCode: InvalidCodeRefuse},
		Rewards:     RewardsPolicy{Qualifies: QualifiesPolicy{Minimum: MoneyPolicy{Currency: "usd"}}, Clawback: true},
		Attribution: AttributionPolicy{Cookie: "invite_code", Window: 7 * day},
		Browsers:    BrowsersPolicy{Origins: Origins{}},
		Email:       EmailPolicy{Send: Mailings{}},
		Anomalies:   AnomaliesPolicy{Spike: 8, Failures: 50, PerAddress: Rate{20, Duration(time.Hour)}, Shift: 50},
		Retention:   RetentionPolicy{Attempts: 30 * day, Journal: 400 * day},
	}
}

// CodesFor are the defaults of a campaign type; those of bulk for an unknown
// one.
func (p *Policy) CodesFor(t CampaignType) CodeDefaults {
	switch t {
	case TypePersonal:
		return p.Codes.Personal.Defaults()
	case TypeVIP:
		return p.Codes.VIP
	case TypeWaitlist:
		return p.Codes.Waitlist
	case TypeLink:
		return p.Codes.Link
	}
	return p.Codes.Bulk
}

// PolicyError lists everything that is wrong with a policy.
type PolicyError struct{ Problems []Problem }

// Problem is one thing wrong, where, and what would be right.
type Problem struct {
	Path    string `json:"path"` // dotted, "" for the document
	Message string `json:"message"`
}

func (e *PolicyError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString("; ")
		}
		if p.Path != "" {
			b.WriteString(p.Path + ": ")
		}
		b.WriteString(p.Message)
	}
	return b.String()
}
