package gateway

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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

	DedupOff    = "off"
	DedupRefuse = "refuse"

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
	Attribution AttributionPolicy `json:"attribution"`
	Retention   RetentionPolicy   `json:"retention"`
}

// SubjectsPolicy says who redeems.
type SubjectsPolicy struct {
	Identity      string          `json:"identity"`
	OncePerLaunch bool            `json:"once_per_launch"`
	Canonical     CanonicalPolicy `json:"canonical"`
}

// CanonicalPolicy says which spellings of an e-mail address are one person.
type CanonicalPolicy struct {
	PlusTags bool     `json:"plus_tags"` // ann+news@… is ann@…
	Dots     []string `json:"dots"`      // domains that ignore dots before the @
}

// CodesPolicy are the defaults of campaigns, by type.
type CodesPolicy struct {
	Personal CodeDefaults `json:"personal"`
	Bulk     CodeDefaults `json:"bulk"`
	VIP      CodeDefaults `json:"vip"`
	Waitlist CodeDefaults `json:"waitlist"`
	Link     CodeDefaults `json:"link"`
}

// CodeDefaults are what a campaign gets that does not say it itself.
type CodeDefaults struct {
	Uses    int      `json:"uses"`
	Expires Duration `json:"expires"`
	Format  string   `json:"format"`
}

// HoldsPolicy bounds how long a use may be set aside.
type HoldsPolicy struct {
	Expires Duration `json:"expires"`
}

// LimitsPolicy slows guessing and repeated use.
type LimitsPolicy struct {
	FailedAttempts AttemptsPolicy `json:"failed_attempts"`
	AddressDedup   DedupPolicy    `json:"address_dedup"`
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

// AbusePolicy is whose e-mail addresses are taken.
type AbusePolicy struct {
	DisposableEmail   string   `json:"disposable_email"`
	AllowEmailDomains []string `json:"allow_email_domains"`
	DenyEmailDomains  []string `json:"deny_email_domains"`
}

// UnlockPolicy is what a redemption unlocks.
type UnlockPolicy struct {
	Tier          string   `json:"tier"`
	InviteRounds  Rounds   `json:"invite_rounds"`
	LicenseRounds Rounds   `json:"license_rounds"`
	Expires       Duration `json:"expires"`
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
			Identity: IdentityAny, OncePerLaunch: true,
			Canonical: CanonicalPolicy{PlusTags: true, Dots: []string{"gmail.com", "googlemail.com"}},
		},
		Codes: CodesPolicy{
			Personal: expiring(30 * day), Bulk: random, VIP: random, Waitlist: expiring(7 * day),
			Link: CodeDefaults{Uses: 100, Format: "{random:10}"},
		},
		Holds: HoldsPolicy{Expires: Duration(15 * time.Minute)},
		Limits: LimitsPolicy{
			FailedAttempts: AttemptsPolicy{
				PerAddress: Rate{3, Duration(time.Hour)}, PerSubject: Rate{10, Duration(time.Hour)},
			},
			AddressDedup: DedupPolicy{Window: 30 * day, Action: DedupOff},
			IPv6Prefix:   64,
		},
		Abuse:       AbusePolicy{DisposableEmail: DisposableRefuse, AllowEmailDomains: []string{}, DenyEmailDomains: []string{}},
		Unlock:      UnlockPolicy{Tier: "standard", InviteRounds: Unlimited, LicenseRounds: Unlimited},
		Attribution: AttributionPolicy{Cookie: "invite_code", Window: 7 * day},
		Retention:   RetentionPolicy{Attempts: 30 * day, Journal: 400 * day},
	}
}

// CodesFor are the defaults of a campaign type; those of bulk for an unknown
// one.
func (p *Policy) CodesFor(t CampaignType) CodeDefaults {
	switch t {
	case TypePersonal:
		return p.Codes.Personal
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

// Validate returns a *PolicyError naming every field that is out of bounds.
func (p *Policy) Validate() error {
	v := &policyCheck{}
	v.that(ValidLaunchName(p.Launch), "launch", "use 1 to 40 of a-z, 0-9 and -, with no - at either end")
	v.that(p.Name != "" && utf8.RuneCountInString(p.Name) <= 100 && !strings.ContainsFunc(p.Name, notPrintable), "name", "use 1 to 100 printable characters")
	v.that(p.LandingURL == "" || absoluteHTTP(p.LandingURL), "landing_url", `use an absolute URL such as "https://app.example/signup", or "" for none`)
	v.oneOf(string(p.Ack), "ack", string(DurabilityAccepted), string(DurabilityPersisted))
	v.oneOf(p.Refusals, "refusals", RefusalsExplicit, RefusalsOpaque)
	v.oneOf(p.Subjects.Identity, "subjects.identity", IdentityAny, IdentityID, IdentityEmail)
	v.domains(p.Subjects.Canonical.Dots, "subjects.canonical.dots")
	for _, c := range []struct {
		path string
		CodeDefaults
	}{{"personal", p.Codes.Personal}, {"bulk", p.Codes.Bulk}, {"vip", p.Codes.VIP}, {"waitlist", p.Codes.Waitlist}, {"link", p.Codes.Link}} {
		path := "codes." + c.path
		v.that(c.Uses >= 1 && c.Uses <= MaxUses, path+".uses", "use a whole number from 1 to 1000000000")
		v.that(c.Expires >= 0 && c.Expires <= 3650*day, path+".expires", `use a duration up to 3650d, or "" for none`)
		_, err := ParseFormat(c.Format)
		v.that(err == nil, path+".format", "%v", err)
	}
	v.between(p.Holds.Expires, "holds.expires", Duration(time.Second), 7*day)
	v.rate(p.Limits.FailedAttempts.PerAddress, "limits.failed_attempts.per_address")
	v.rate(p.Limits.FailedAttempts.PerSubject, "limits.failed_attempts.per_subject")
	v.between(p.Limits.AddressDedup.Window, "limits.address_dedup.window", Duration(time.Minute), 90*day)
	v.oneOf(p.Limits.AddressDedup.Action, "limits.address_dedup.action", DedupRefuse, DedupOff)
	v.that(p.Limits.IPv6Prefix >= 32 && p.Limits.IPv6Prefix <= 128, "limits.ipv6_prefix", "use a whole number from 32 to 128")
	v.oneOf(p.Abuse.DisposableEmail, "abuse.disposable_email", DisposableRefuse, DisposableAllow)
	v.domains(p.Abuse.AllowEmailDomains, "abuse.allow_email_domains")
	v.domains(p.Abuse.DenyEmailDomains, "abuse.deny_email_domains")
	v.that(p.Unlock.Tier != "" && len(p.Unlock.Tier) <= maxLabel && !strings.ContainsFunc(p.Unlock.Tier, notPrintable), "unlock.tier", "use 1 to 100 bytes of printable text")
	v.that(p.Unlock.InviteRounds >= Unlimited, "unlock.invite_rounds", `use a whole number, or "unlimited"`)
	v.that(p.Unlock.LicenseRounds >= Unlimited, "unlock.license_rounds", `use a whole number, or "unlimited"`)
	v.that(p.Unlock.Expires >= 0 && p.Unlock.Expires <= 3650*day, "unlock.expires", `use a duration up to 3650d, or "" for none`)
	v.that(cookieName.MatchString(p.Attribution.Cookie), "attribution.cookie", "use 1 to 64 letters, digits, - or _")
	v.between(p.Attribution.Window, "attribution.window", Duration(time.Minute), 365*day)
	v.between(p.Retention.Attempts, "retention.attempts", day, 3650*day)
	v.between(p.Retention.Journal, "retention.journal", 31*day, 3650*day)
	if v.problems != nil {
		return &PolicyError{v.problems}
	}
	return nil
}

var (
	cookieName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
)

func absoluteHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(s) <= 2000
}

// policyCheck gathers problems.
type policyCheck struct{ problems []Problem }

func (v *policyCheck) that(ok bool, path, format string, a ...any) {
	if !ok {
		v.problems = append(v.problems, Problem{path, fmt.Sprintf(format, a...)})
	}
}

func (v *policyCheck) oneOf(s, path string, words ...string) {
	v.that(slices.Contains(words, s), path, "use one of: %s", strings.Join(words, ", "))
}

func (v *policyCheck) between(d Duration, path string, least, most Duration) {
	v.that(d >= least && d <= most, path, "use a duration from %v to %v", least, most)
}

func (v *policyCheck) rate(r Rate, path string) {
	v.that(r.Count == 0 || r.Count > 0 && r.Count <= 100 && r.Window >= Duration(time.Second) && r.Window <= 7*day,
		path, `use a rate such as "3/1h" (1 to 100 in 1s to 7d), or "off"`)
}

func (v *policyCheck) domains(list []string, path string) {
	v.that(len(list) <= 1000, path, "use at most 1000 domains")
	for i, d := range list {
		v.that(domainName.MatchString(d), fmt.Sprintf("%s[%d]", path, i), `use a lower-case domain such as "example.com"`)
	}
}
