package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy([]byte(`{"launch":"writer","limits":{"failed_attempts":{"per_address":"off","per_subject":"5/30m"}},
		"unlock":{"invite_rounds":30,"license_rounds":"unlimited"},"codes":{"bulk":{"uses":3,"format":"{campaign:4}-{random:8}"}},
		"subjects":{"once_per_launch":false,"canonical":{"dots":[]}},"holds":{"expires":"1d12h"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultPolicy("writer")
	want.Limits.FailedAttempts = AttemptsPolicy{PerSubject: Rate{5, Duration(30 * time.Minute)}}
	want.Unlock.InviteRounds = 30
	want.Codes.Bulk = CodeDefaults{Uses: 3, Format: "{campaign:4}-{random:8}"}
	want.Subjects.OncePerLaunch, want.Subjects.Canonical.Dots = false, Domains{}
	want.Holds.Expires = Duration(36 * time.Hour)
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	if got := p.CodesFor(TypeWaitlist); got != want.Codes.Waitlist {
		t.Errorf("waitlist: %+v", got)
	}
}

// TestParsePolicyErrors: each mistake is named by its path, with the remedy,
// and nothing else is.
func TestParsePolicyErrors(t *testing.T) {
	for in, want := range map[string]string{
		`"limits":{"failed_attemps":{}}`:                        "limits.failed_attemps: unknown field; did you mean limits.failed_attempts?",
		`"limits":{"per_address":"3/1h"}`:                       "limits.per_address: unknown field; did you mean limits.failed_attempts.per_address?",
		`"holds":{"webhooks":[]}`:                               "holds.webhooks: unknown field; the fields here are expires, per_address",
		`"a b\u001b":1`:                                         `"a b\x1b": unknown field; the fields here are launch, name, landing_url, ack, refusals, subjects, codes, holds, limits, abuse, unlock, waitlist, referrals, rewards, attribution, browsers, anomalies, email, retention`,
		`"ack":"perhaps"`:                                       "ack: use one of: accepted, persisted",
		`"ack":true`:                                            `ack: found true where a text such as "true" is expected`,
		`"refusals":"none"`:                                     "refusals: use one of: explicit, opaque",
		`"name":null`:                                           `name: found nothing (null) where a text such as "text" is expected`,
		`"name":2026`:                                           `name: found the number 2026 where a text such as "2026" is expected`,
		`"codes":{"bulk":{"uses":"many"}}`:                      `codes.bulk.uses: found the text "many" where a whole number such as 64 is expected`,
		`"codes":{"bulk":{"uses":1.5}}`:                         `codes.bulk.uses: found the number 1.5 where a whole number such as 64 is expected`,
		`"codes":{"bulk":{"uses":0}}`:                           "codes.bulk.uses: use a whole number from 1 to 1000000000",
		`"codes":{"bulk":{"expires":"3651d"}}`:                  `codes.bulk.expires: use a duration up to 3650d or "" for none`,
		`"codes":{"bulk":{"format":"WRITER"}}`:                  `codes.bulk.format: a code template needs exactly one random field, such as "{random:10}"`,
		`"holds":{"expires":"soon"}`:                            `holds.expires: found the text "soon" where a duration such as "30d", "72h" or "15m" is expected`,
		`"holds":{"expires":15}`:                                `holds.expires: found the number 15 where a duration such as "30d", "72h" or "15m" is expected`,
		`"holds":{"expires":"1h1d"}`:                            `holds.expires: found the text "1h1d" where a duration such as "30d", "72h" or "15m" is expected`,
		`"holds":{"expires":"106752d"}`:                         `holds.expires: found the text "106752d" where a duration such as "30d", "72h" or "15m" is expected`,
		`"holds":{"expires":"8d"}`:                              "holds.expires: use a duration from 1s to 7d",
		`"holds":{"expires":""}`:                                "holds.expires: use a duration from 1s to 7d",
		`"holds":"15m"`:                                         `holds: found the text "15m" where an object with fields such as expires is expected`,
		`"holds":{"per_address":"1/31d"}`:                       `holds.per_address: use a rate such as "300/1h" (in 1m to 30d) or "off"`,
		`"limits":[]`:                                           "limits: found a list where an object with fields such as failed_attempts is expected",
		`"limits":{"ipv6_prefix":129}`:                          "limits.ipv6_prefix: use a whole number from 32 to 128",
		`"limits":{"address_dedup":{"action":"warn"}}`:          "limits.address_dedup.action: use one of: refuse, signal, challenge, off",
		`"limits":{"address_dedup":{"action":"challenge"}}`:     "limits.address_dedup.action: to use challenge, set abuse.challenge.provider",
		`"abuse":{"challenge":{"provider":"turnstile"}}`:        "abuse.challenge.site_key: use the site key that the provider gave you, and none without a provider",
		`"abuse":{"challenge":{"site_key":"x"}}`:                "abuse.challenge.site_key: use the site key that the provider gave you, and none without a provider",
		`"abuse":{"deny":["192.0.2.1/24"]}`:                     `abuse.deny[0]: found the text "192.0.2.1/24" where an address or a network such as "192.0.2.0/24" or "2001:db8::/32" is expected`,
		`"abuse":{"deny":["fe80::1%eth0"]}`:                     `abuse.deny[0]: found the text "fe80::1%eth0" where an address or a network such as "192.0.2.0/24" or "2001:db8::/32" is expected`,
		`"abuse":{"allow":"192.0.2.1"}`:                         `abuse.allow: found the text "192.0.2.1" where a list such as ["192.0.2.0/24"] is expected`,
		`"abuse":{"countries":{"deny":["de"]}}`:                 `abuse.countries.deny[0]: use a country's two capital letters such as "DE"`,
		`"browsers":{"origins":["https://app.example/"]}`:       `browsers.origins[0]: use an origin such as "https://app.example", in lower case and with no path, or "*" alone`,
		`"browsers":{"origins":["https://app.example:443"]}`:    `browsers.origins[0]: use an origin such as "https://app.example", in lower case and with no path, or "*" alone`,
		`"browsers":{"origins":["*","https://app.example"]}`:    `browsers.origins[0]: use an origin such as "https://app.example", in lower case and with no path, or "*" alone`,
		`"browsers":{"origins":["null"]}`:                       `browsers.origins[0]: use an origin such as "https://app.example", in lower case and with no path, or "*" alone`,
		`"limits":{"per_inviter":"20/31d"}`:                     `limits.per_inviter: use a rate such as "20/1d" (in 1m to 30d) or "off"`,
		`"anomalies":{"spike":2}`:                               "anomalies.spike: use a whole number from 3 to 1000, or 0 for off",
		`"anomalies":{"failures":101}`:                          "anomalies.failures: use percent from 1 to 100, or 0 for off",
		`"anomalies":{"per_address":"1/1h"}`:                    `anomalies.per_address: use a rate such as "20/1h" (2 or more in 1m to 7d) or "off"`,
		`"anomalies":{"shift":5}`:                               "anomalies.shift: use percent from 10 to 100, or 0 for off",
		`"limits":{"failed_attempts":{"per_address":"3"}}`:      `limits.failed_attempts.per_address: found the text "3" where a rate such as "3/1h" or "off" is expected`,
		`"limits":{"failed_attempts":{"per_address":"+3/1h"}}`:  `limits.failed_attempts.per_address: found the text "+3/1h" where a rate such as "3/1h" or "off" is expected`,
		`"limits":{"failed_attempts":{"per_address":false}}`:    `limits.failed_attempts.per_address: found false where a rate such as "3/1h" or "off" is expected`,
		`"limits":{"failed_attempts":{"per_address":"101/1h"}}`: `limits.failed_attempts.per_address: use a rate such as "3/1h" (1 to 100 in 1s to 7d) or "off"`,
		`"landing_url":"javascript:alert(1)"`:                   `landing_url: use an absolute URL such as "https://app.example/signup" or "" for none`,
		`"landing_url":"https://:443/"`:                         `landing_url: use an absolute URL such as "https://app.example/signup" or "" for none`,
		`"landing_url":"https://app.example/a b"`:               `landing_url: use an absolute URL such as "https://app.example/signup" or "" for none`,
		`"landing_url":"https://u:p@app.example/"`:              `landing_url: use an absolute URL such as "https://app.example/signup" or "" for none`,
		`"subjects":{"once_per_launch":"yes"}`:                  `subjects.once_per_launch: found the text "yes" where true or false is expected`,
		`"subjects":{"identity":"phone"}`:                       "subjects.identity: use one of: any, id, email",
		`"abuse":{"deny_email_domains":["a.example","B C"]}`:    `abuse.deny_email_domains[1]: use a lower-case domain in ASCII such as "example.com", or a suffix such as "co.uk"`,
		`"abuse":{"deny_email_domains":["` + strings.Repeat("a.", 124) + `example"]}`: `abuse.deny_email_domains[0]: use a lower-case domain in ASCII such as "example.com", or a suffix such as "co.uk"`,
		`"abuse":{"deny_email_domains":["a.example",{}]}`:                             `abuse.deny_email_domains[1]: found an object where a text such as "text" is expected`,
		`"abuse":{"deny_email_domains":"a.example"}`:                                  `abuse.deny_email_domains: found the text "a.example" where a list such as ["example.com"] is expected`,
		`"abuse":{"deny_email_domains":[` + manyDomains(1001) + `]}`:                  "abuse.deny_email_domains: use at most 1000 domains",
		`"unlock":{"trial_round":30,"invite_rounds":-1}`:                              `unlock.trial_round: unknown field; did you mean unlock.trial_rounds?; unlock.invite_rounds: found the number -1 where a whole number or "unlimited" is expected`,
		`"unlock":{"license_rounds":1000000001}`:                                      `unlock.license_rounds: use a whole number up to 1000000000 or "unlimited"`,
		`"unlock":{"tier":""}`:                                                        "unlock.tier: use 1 to 100 bytes of printable text",
		`"attribution":{"cookie":"a;b"}`:                                              "attribution.cookie: use 1 to 64 letters, digits or any of !#$%&'*+-.^_`|~",
		`"retention":{"journal":"30d"}`:                                               "retention.journal: use a duration from 31d to 3650d",
		`"holds":{"expires":"1m","expires":"2m"},"ack":"accepted","ack":1`:            "holds.expires: it is given twice; keep one; ack: it is given twice; keep one",
	} {
		wantProblems(t, `{"launch":"w",`+in+`}`, want)
	}
	for document, want := range map[string]string{
		`{"launch":"W!"}`:  `launch: use 1 to 40 of a-z, 0-9 and -, with no - at either end, such as "writer"`,
		`{}`:               `launch: use 1 to 40 of a-z, 0-9 and -, with no - at either end, such as "writer"`,
		`{"launch":2026}`:  `launch: found the number 2026 where a text such as "2026" is expected`,
		`null`:             "found nothing (null) where an object with fields such as launch is expected",
		`[]`:               "found a list where an object with fields such as launch is expected",
		``:                 "the document is not valid JSON: it ends too early",
		`{"launch":`:       "the document is not valid JSON: it ends too early",
		`{"launch":"w"`:    "the document is not valid JSON: it ends too early",
		"{\n\"launch\" 1}": "the document is not valid JSON: line 2: invalid character '1' after object key",
		`{"launch":"w"} x`: "there is something after the end of the document",

		strings.Repeat(`{"a":`, 20):                 "the document is nested too deeply",
		`{"launch":"` + strings.Repeat("a", 70_000): "the document is larger than 64 KiB",

		`{"launch":"W","ack":"x","refusals":"y"}`: `launch: use 1 to 40 of a-z, 0-9 and -, with no - at either end, such as "writer"; ack: use one of: accepted, persisted; refusals: use one of: explicit, opaque`,
	} {
		wantProblems(t, document, want)
	}
}

func wantProblems(t *testing.T, document, want string) {
	t.Helper()
	p, err := ParsePolicy([]byte(document))
	var e *PolicyError
	if !errors.As(err, &e) || err.Error() != want || !reflect.DeepEqual(p, Policy{}) {
		t.Errorf("%.90s\n got %v\nwant %s", document, err, want)
	}
}

func manyDomains(n int) string {
	return strings.TrimSuffix(strings.Repeat(`"a.example",`, n), ",")
}

// TestPolicyProblemsBounded: however much is wrong, the answer stays small.
func TestPolicyProblemsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, `,"unknown%d":0`, i)
	}
	_, err := ParsePolicy([]byte(`{"launch":"w"` + b.String() + `}`))
	var e *PolicyError
	if !errors.As(err, &e) || len(e.Problems) != 101 || e.Problems[100] != (Problem{"", "and 2900 more problems"}) {
		t.Errorf("%d problems", len(e.Problems))
	}
}

// TestValidate: what Go code can build and a document cannot say is refused
// too, for it would not read back.
func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Policy){
		"holds.expires: use a duration from 1s to 7d":                                                                       func(p *Policy) { p.Holds.Expires += 1 },
		`codes.vip.expires: use a duration up to 3650d or "" for none`:                                                      func(p *Policy) { p.Codes.VIP.Expires = -day },
		`limits.failed_attempts.per_subject: use a rate such as "3/1h" (1 to 100 in 1s to 7d) or "off"`:                     func(p *Policy) { p.Limits.FailedAttempts.PerSubject.Count = 0 },
		`unlock.invite_rounds: use a whole number up to 1000000000 or "unlimited"`:                                          func(p *Policy) { p.Unlock.InviteRounds = -2 },
		`landing_url: use an absolute URL such as "https://app.example/signup" or "" for none`:                              func(p *Policy) { p.LandingURL = "https://a.example/\xff" },
		"name: use 1 to 100 printable characters":                                                                           func(p *Policy) { p.Name = "\xff" },
		"codes.link.format: " + string(errFormatLong):                                                                       func(p *Policy) { p.Codes.Link.Format = strings.Repeat("A", 60) + "{random:10}" },
		`abuse.allow_email_domains[0]: use a lower-case domain in ASCII such as "example.com", or a suffix such as "co.uk"`: func(p *Policy) { p.Abuse.AllowEmailDomains = Domains{"Bücher.example"} },
		"ack: use one of: accepted, persisted; limits.address_dedup.window: use a duration from 1m to 90d":                  func(p *Policy) { p.Ack, p.Limits.AddressDedup.Window = "", 0 },
	} {
		p := DefaultPolicy("w")
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&p)
		if err := p.Validate(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestDurationText(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute, "15m": 15 * time.Minute,
		"10s": 10 * time.Second, "1s500ms": 1500 * time.Millisecond,
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || time.Duration(d) != want || d.String() != text {
			t.Errorf("%q: %v, %v, written %q", text, time.Duration(d), err, d)
		}
	}
	for text, canonical := range map[string]string{"72h": "3d", "90m": "1h30m", "0s": "", "007d": "7d"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != canonical {
			t.Errorf("%q: %v, written %q", text, err, d)
		}
	}
	for _, text := range []string{"1", "d", "-1d", "1.5h", "1d1d", "1h1d", "1w", "1D", " 1d", "1d ", "9999999999999d", "106751d24h", "off"} {
		d := Duration(42)
		if err := d.UnmarshalText([]byte(text)); err == nil || d != 42 {
			t.Errorf("%q was read as %v", text, d)
		}
	}
	if b, err := json.Marshal(Duration(1)); err == nil {
		t.Errorf("a nanosecond was written as %s", b)
	}
}

// TestPolicyRoundTrip: whatever is valid reads back as it was.
func TestPolicyRoundTrip(t *testing.T) {
	duration := func(t *rapid.T, name string, least, most Duration) Duration {
		const ms = Duration(time.Millisecond)
		return ms * Duration(rapid.Int64Range(int64(least/ms), int64(most/ms)).Draw(t, name))
	}
	domains := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,10}\.example`), 0, 3)
	networks := rapid.SliceOfN(rapid.Map(rapid.SampledFrom([]string{"192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"}), func(s string) Network {
		return Network{netip.MustParsePrefix(s)}
	}), 0, 3)
	countries := rapid.SliceOfN(rapid.StringMatching(`[A-Z]{2}`), 0, 3)
	busy := rapid.SampledFrom([]Rate{{}, {2, Duration(time.Minute)}, {1000, 7 * day}})
	codes := rapid.Custom(func(t *rapid.T) CodeDefaults {
		return CodeDefaults{
			Uses: rapid.IntRange(1, MaxUses).Draw(t, "uses"), Expires: duration(t, "expires", 0, 3650*day),
			Format: rapid.SampledFrom([]string{"{random:10}", "{prefix}-{period}-{random:8}", "{campaign:4}-{random:32}"}).Draw(t, "format"),
		}
	})
	personal := rapid.Custom(func(t *rapid.T) PersonalCodes {
		c := codes.Draw(t, "defaults")
		few := func(name string) int { return rapid.IntRange(0, 1000).Draw(t, name) }
		return PersonalCodes{
			Uses: c.Uses, Expires: c.Expires, Format: c.Format, Allotment: Rounds(rapid.Int64Range(-1, MaxUses).Draw(t, "allotment")),
			PerDay: few("per_day"), Refill: RefillPolicy{few("to"), few("on_referral"), duration(t, "every", Duration(time.Minute), 365*day)},
		}
	})
	milestones := rapid.Custom(func(t *rapid.T) Milestones {
		list := Milestones{}
		for _, at := range rapid.SliceOfNDistinct(rapid.IntRange(1, 100), 0, 5, rapid.ID[int]).Draw(t, "at") {
			list = append(list, Milestone{at, rapid.IntRange(0, 1000).Draw(t, "invites")})
		}
		list.sort()
		return list
	})
	rate := rapid.Custom(func(t *rapid.T) Rate {
		if rapid.Bool().Draw(t, "off") {
			return Rate{}
		}
		return Rate{rapid.IntRange(1, 100).Draw(t, "count"), duration(t, "window", Duration(time.Second), 7*day)}
	})
	rounds := rapid.Custom(func(t *rapid.T) Rounds { return Rounds(rapid.Int64Range(-1, MaxUses).Draw(t, "rounds")) })
	rapid.Check(t, func(t *rapid.T) {
		choose := func(name string, words ...string) string { return rapid.SampledFrom(words).Draw(t, name) }
		p := Policy{
			Launch:     rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?`).Draw(t, "launch"),
			Name:       rapid.StringMatching(`[A-Za-z äöü"\\<&]{1,40}`).Draw(t, "name"),
			LandingURL: choose("landing_url", "", "http://a.example", "https://a.example:8443/signup?a=1&b=%20#c"),
			Ack:        Durability(choose("ack", "accepted", "persisted")),
			Refusals:   choose("refusals", RefusalsExplicit, RefusalsOpaque),
			Subjects: SubjectsPolicy{
				Identity: choose("identity", IdentityAny, IdentityID, IdentityEmail), OncePerLaunch: rapid.Bool().Draw(t, "once"),
				NamedBy:   choose("named_by", NamedByAnyone, NamedByServer),
				Canonical: CanonicalPolicy{PlusTags: rapid.Bool().Draw(t, "plus_tags"), Dots: domains.Draw(t, "dots")},
			},
			Codes: CodesPolicy{
				Personal: personal.Draw(t, "personal"), Bulk: codes.Draw(t, "bulk"), VIP: codes.Draw(t, "vip"),
				Waitlist: codes.Draw(t, "waitlist"), Link: codes.Draw(t, "link"), Referral: codes.Draw(t, "referral"),
			},
			Holds: HoldsPolicy{duration(t, "holds", Duration(time.Second), 7*day), busy.Draw(t, "holders")},
			Limits: LimitsPolicy{
				FailedAttempts: AttemptsPolicy{rate.Draw(t, "per_address"), rate.Draw(t, "per_subject")},
				AddressDedup:   DedupPolicy{duration(t, "dedup", Duration(time.Minute), 90*day), choose("action", DedupOff, DedupSignal, DedupRefuse)},
				IPv6Prefix:     rapid.IntRange(32, 128).Draw(t, "ipv6_prefix"),
				PerInviter:     busy.Draw(t, "per_inviter"),
			},
			Abuse: AbusePolicy{
				DisposableEmail: choose("disposable_email", DisposableRefuse, DisposableAllow), AllowEmailDomains: domains.Draw(t, "allow"), DenyEmailDomains: domains.Draw(t, "deny"),
				Allow: networks.Draw(t, "allow_networks"), Deny: networks.Draw(t, "deny_networks"),
				Countries: CountriesPolicy{countries.Draw(t, "allow_countries"), countries.Draw(t, "deny_countries")},
				Challenge: rapid.SampledFrom([]ChallengePolicy{{Provider: ChallengeOff}, {ChallengeTurnstile, "0x4AAA-b_c"}, {ChallengeHCaptcha, "10000000-ffff"}}).Draw(t, "challenge"),
			},
			Browsers:  BrowsersPolicy{rapid.SampledFrom([]Origins{{}, {"*"}, {"https://app.example", "http://localhost:3000"}}).Draw(t, "origins")},
			Anomalies: AnomaliesPolicy{rapid.SampledFrom([]int{0, 3, 1000}).Draw(t, "spike"), rapid.IntRange(0, 100).Draw(t, "failures"), busy.Draw(t, "busy"), rapid.SampledFrom([]int{0, 10, 100}).Draw(t, "shift")},
			Unlock: UnlockPolicy{
				Tier:         rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "tier"),
				InviteRounds: rounds.Draw(t, "invite_rounds"), LicenseRounds: rounds.Draw(t, "license_rounds"), Expires: duration(t, "unlock", 0, 3650*day),
				TrialRounds: rapid.IntRange(0, MaxUses).Draw(t, "trial"),
			},
			Waitlist: WaitlistPolicy{
				Open: rapid.Bool().Draw(t, "open"), Sources: choose("sources", SourcesServer, SourcesSigned, SourcesClient),
				Boosts: BoostsPolicy{
					rapid.IntRange(-1000, 1000).Draw(t, "referred"), rapid.IntRange(0, 9).Draw(t, "referrer"),
					rapid.MapOfN(rapid.StringMatching(`[a-z0-9_-]{1,20}`), rapid.IntRange(-9, 1000), 0, 3).Draw(t, "source"),
				},
				Display: choose("display", DisplayExact, DisplayNeverWorsens), ConfirmEmail: rapid.Bool().Draw(t, "confirm"),
				Limits: JoinsPolicy{rate.Draw(t, "per_address"), rate.Draw(t, "per_launch")}, Overflow: choose("overflow", OverflowReject, OverflowWaitlist),
				Release: ReleasePolicy{
					Count: rapid.IntRange(0, MaxRelease).Draw(t, "release"), Every: duration(t, "every", Duration(time.Minute), day-1),
					At: ClockTime(rapid.IntRange(0, 1439).Draw(t, "at")), Zone: choose("zone", "UTC", "Europe/Berlin"),
					Observe: duration(t, "observe", 0, 365*day), Order: ReleaseOrder(choose("order", "priority", "lottery")),
					Cap: rapid.IntRange(0, MaxUses).Draw(t, "cap"), NextGets: rapid.Bool().Draw(t, "next"), BindEmail: rapid.Bool().Draw(t, "bound"),
					Guard: GuardPolicy{choose("guard", "", "https://a.example/ok"), choose("query", "", "up == 1")},
				},
			},
			Referrals: ReferralsPolicy{milestones.Draw(t, "milestones"), choose("invalid_code", InvalidCodeRefuse, InvalidCodeIgnore)},
			Rewards: RewardsPolicy{
				Qualifies: QualifiesPolicy{MoneyPolicy{rapid.IntRange(0, MaxUses).Draw(t, "minimum"), choose("currency", "usd", "eur")}},
				Pays:      PaysPolicy{rapid.IntRange(0, MaxUses).Draw(t, "to_referrer"), rapid.IntRange(0, MaxUses).Draw(t, "to_referee"), duration(t, "after", 0, 365*day), rapid.Bool().Draw(t, "approval")},
				Clawback:  rapid.Bool().Draw(t, "clawback"), PerMember: rapid.IntRange(0, MaxUses).Draw(t, "per_member"),
			},
			Email:       EmailPolicy{Send: rapid.SampledFrom([]Mailings{{}, {MailReward}, OptionalMails}).Draw(t, "send")},
			Attribution: AttributionPolicy{rapid.StringMatching("[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,64}").Draw(t, "cookie"), duration(t, "attribution", Duration(time.Minute), 365*day)},
			Retention:   RetentionPolicy{duration(t, "attempts", day, 3650*day), duration(t, "journal", 31*day, 3650*day)},
		}
		document, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePolicy(document)
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("got  %+v\nwant %+v", got, p)
		}
		var plain Policy // what a client does, which must not be strict
		if err := json.Unmarshal(document, &plain); err != nil || !reflect.DeepEqual(plain, p) {
			t.Fatalf("encoding/json: %v, %+v", err, plain)
		}
	})
}

// TestPolicyNilLists: a policy built in Go with lists left out is stored as one
// that reads back.
func TestPolicyNilLists(t *testing.T) {
	p := DefaultPolicy("w")
	p.Subjects.Canonical.Dots, p.Abuse.AllowEmailDomains, p.Abuse.DenyEmailDomains = nil, nil, nil
	document, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePolicy(document)
	if err != nil || got.Subjects.Canonical.Dots == nil || len(got.Subjects.Canonical.Dots) != 0 {
		t.Errorf("%+v, %v", got.Subjects, err)
	}
}
