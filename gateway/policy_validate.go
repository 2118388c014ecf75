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

// Validate returns a *PolicyError naming every field that is out of bounds.
func (p *Policy) Validate() error {
	v := &policyCheck{}
	v.that(ValidLaunchName(p.Launch), "launch", `use 1 to 40 of a-z, 0-9 and -, with no - at either end, such as "writer"`)
	v.that(p.Name != "" && utf8.RuneCountInString(p.Name) <= 100 && !strings.ContainsFunc(p.Name, notPrintable), "name", "use 1 to 100 printable characters")
	v.that(p.LandingURL == "" || absoluteHTTP(p.LandingURL), "landing_url", `use an absolute URL such as "https://app.example/signup" or "" for none`)
	v.oneOf(string(p.Ack), "ack", string(DurabilityAccepted), string(DurabilityPersisted))
	v.oneOf(p.Refusals, "refusals", RefusalsExplicit, RefusalsOpaque)
	v.oneOf(p.Subjects.Identity, "subjects.identity", IdentityAny, IdentityID, IdentityEmail)
	v.oneOf(p.Subjects.NamedBy, "subjects.named_by", NamedByAnyone, NamedByServer)
	v.domains(p.Subjects.Canonical.Dots, "subjects.canonical.dots")
	for _, c := range []struct {
		path string
		CodeDefaults
	}{{"personal", p.Codes.Personal.Defaults()}, {"bulk", p.Codes.Bulk}, {"vip", p.Codes.VIP}, {"waitlist", p.Codes.Waitlist}, {"link", p.Codes.Link}, {"referral", p.Codes.Referral}} {
		path := "codes." + c.path
		v.that(c.Uses >= 1 && c.Uses <= MaxUses, path+".uses", "use a whole number from 1 to 1000000000")
		v.upTo(c.Expires, path+".expires", 3650*day)
		f, err := ParseFormat(c.Format)
		if err == nil { // no campaign's values make a code shorter than these
			_, err = f.bind(FormatValues{Prefix: "A", Period: "A", Campaign: "A"})
		}
		v.that(err == nil, path+".format", "%v", err)
	}
	v.rounds(p.Codes.Personal.Allotment, "codes.personal.allotment")
	v.count(p.Codes.Personal.PerDay, "codes.personal.per_day", 1_000_000)
	v.count(p.Codes.Personal.Refill.To, "codes.personal.refill.to", 1000)
	every := p.Codes.Personal.Refill.Every
	v.that(every == 0 || every.exact() && every >= Duration(time.Minute) && every <= 365*day, "codes.personal.refill.every", `use a duration from 1m to 365d or "" for none`)
	v.count(p.Codes.Personal.Refill.OnReferral, "codes.personal.refill.on_referral", 1000)
	v.between(p.Holds.Expires, "holds.expires", Duration(time.Second), 7*day)
	v.windows(p.Holds.PerAddress, "holds.per_address", "300/1h")
	v.rate(p.Limits.FailedAttempts.PerAddress, "limits.failed_attempts.per_address")
	v.rate(p.Limits.FailedAttempts.PerSubject, "limits.failed_attempts.per_subject")
	v.windows(p.Limits.PerInviter, "limits.per_inviter", "20/1d")
	v.between(p.Limits.AddressDedup.Window, "limits.address_dedup.window", Duration(time.Minute), 90*day)
	v.that(p.Limits.IPv6Prefix >= 32 && p.Limits.IPv6Prefix <= 128, "limits.ipv6_prefix", "use a whole number from 32 to 128")
	v.abuse(p)
	v.that(p.Unlock.Tier != "" && len(p.Unlock.Tier) <= maxLabel && !strings.ContainsFunc(p.Unlock.Tier, notPrintable), "unlock.tier", "use 1 to 100 bytes of printable text")
	v.rounds(p.Unlock.InviteRounds, "unlock.invite_rounds")
	v.rounds(p.Unlock.LicenseRounds, "unlock.license_rounds")
	v.count(p.Unlock.TrialRounds, "unlock.trial_rounds", MaxUses)
	v.upTo(p.Unlock.Expires, "unlock.expires", 3650*day)
	v.waitlist(&p.Waitlist)
	v.milestones(p.Referrals.Milestones, "referrals.milestones")
	v.oneOf(p.Referrals.InvalidCode, "referrals.invalid_code", InvalidCodeRefuse, InvalidCodeIgnore)
	v.count(p.Rewards.Qualifies.Minimum.Amount, "rewards.qualifies.minimum.amount", MaxUses)
	v.that(currencyName.MatchString(p.Rewards.Qualifies.Minimum.Currency), "rewards.qualifies.minimum.currency", `use three lower-case letters such as "usd"`)
	v.count(p.Rewards.Pays.Referrer, "rewards.pays.referrer", MaxUses)
	v.count(p.Rewards.Pays.Referee, "rewards.pays.referee", MaxUses)
	v.upTo(p.Rewards.Pays.After, "rewards.pays.after", 365*day)
	v.count(p.Rewards.PerMember, "rewards.per_member", MaxUses)
	v.that(cookieName.MatchString(p.Attribution.Cookie), "attribution.cookie", "use 1 to 64 letters, digits or any of !#$%%&'*+-.^_`|~")
	v.between(p.Attribution.Window, "attribution.window", Duration(time.Minute), 365*day)
	v.browsers(&p.Browsers)
	v.anomalies(&p.Anomalies)
	v.email(&p.Email)
	v.between(p.Retention.Attempts, "retention.attempts", day, 3650*day)
	v.between(p.Retention.Journal, "retention.journal", 31*day, 3650*day)
	if v.problems != nil {
		return &PolicyError{v.problems}
	}
	return nil
}

var (
	// cookieName is a token, as RFC 6265 has it.
	cookieName   = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")
	currencyName = regexp.MustCompile(`^[a-z]{3}$`)
	domainName   = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)
)

// absoluteHTTP takes what can stand in a Location header as it is: no spaces,
// nothing outside ASCII, no password.
func absoluteHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil &&
		len(s) <= 2000 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
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
	v.that(d.exact() && d >= least && d <= most, path, "use a duration from %v to %v", least, most)
}

func (v *policyCheck) upTo(d Duration, path string, most Duration) {
	v.that(d.exact() && d <= most, path, `use a duration up to %v or "" for none`, most)
}

func (v *policyCheck) rate(r Rate, path string) {
	v.that(r == Rate{} || r.Count > 0 && r.Count <= 100 && r.Window.exact() && r.Window >= Duration(time.Second) && r.Window <= 7*day,
		path, `use a rate such as "3/1h" (1 to 100 in 1s to 7d) or "off"`)
}

func (v *policyCheck) rounds(r Rounds, path string) {
	v.that(r >= Unlimited && r <= MaxUses, path, `use a whole number up to 1000000000 or "unlimited"`)
}

func (v *policyCheck) count(n int, path string, most int) {
	v.that(n >= 0 && n <= most, path, "use a whole number from 0 to %d", most)
}

func (v *policyCheck) milestones(list Milestones, path string) {
	v.that(len(list) <= maxMilestones, path, "use at most %d milestones", maxMilestones)
	for i, m := range list {
		ok := m.Referrals >= 1 && m.Referrals <= MaxUses && m.Invites >= 0 && m.Invites <= 1000 && (i == 0 || list[i-1].Referrals < m.Referrals)
		v.that(ok, path, "use numbers of referrals (1 to 1000000000) with the invites that each gives (0 to 1000), such as {3: 3, 10: 5}")
	}
}

func (v *policyCheck) domains(list Domains, path string) {
	v.texts(list, path, `use a lower-case domain in ASCII such as "example.com"`, func(s string) bool { return len(s) <= 253 && domainName.MatchString(s) })
}

// texts checks each text of a list.
func (v *policyCheck) texts(list []string, path, remedy string, ok func(string) bool) {
	v.that(len(list) <= maxDomains, path, "use at most %d of them", maxDomains)
	for i, s := range list[:min(len(list), maxDomains)] {
		v.that(ok(s), fmt.Sprintf("%s[%d]", path, i), "%s", remedy)
	}
}
