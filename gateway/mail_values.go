package gateway

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// mailVariables are what templates may name: those of every kind, and those of
// each.
var (
	mailCommon    = []string{"launch", "first_name", "landing_url", "unsubscribe_url"}
	mailVariables = map[MailKind][]string{
		MailOffer:      {"code", "link", "expires_at", "position"},
		MailConfirm:    {"link"},
		MailInvitation: {"inviter", "code", "link", "expires_at"},
		MailMilestone:  {"count", "granted", "link"},
		MailReward:     {"amount"},
	}
)

// MailVariables lists what templates of a kind may name.
func MailVariables(kind MailKind) []string {
	return slices.Concat(mailVariables[kind], mailCommon)
}

// mailValues are the values of a kind's variables.
func mailValues(p *Policy, kind MailKind, d MailData, unsubscribe string) map[string]any {
	all := map[string]any{
		"launch": p.Name, "first_name": firstName(d.Name), "landing_url": p.LandingURL, "unsubscribe_url": unsubscribe,
		"code": d.Code, "link": d.Link, "expires_at": "", "position": d.Position, "inviter": spokenName(d.Inviter),
		"count": d.Count, "granted": d.Granted, "amount": formatMoney(d.Amount, d.Currency),
	}
	if !d.ExpiresAt.IsZero() {
		all["expires_at"] = mailTime(d.ExpiresAt)
	}
	known := MailVariables(kind)
	for name := range all {
		if !slices.Contains(known, name) {
			delete(all, name)
		}
	}
	return all
}

// MailSample is data to show a template with.
func MailSample(now time.Time) MailData {
	return MailData{
		Name: "Ann Example", Code: "ABCD-2345-EF", Link: "https://app.example/i/writer/ABCD2345EF", ExpiresAt: now.Add(7 * 24 * time.Hour),
		Position: 42, Inviter: "Bob Example", Count: 3, Granted: 3, Amount: 1000, Currency: "USD",
	}
}

// mailTime is a time as a person reads it.
type mailTime time.Time

func (t mailTime) String() string { return time.Time(t).UTC().Format("2 January 2006 at 15:04 UTC") }

// mailDate is the templates' own way to write a time: date "2 Jan 2006" .expires_at.
func mailDate(layout string, t any) string {
	if at, ok := t.(mailTime); ok {
		return time.Time(at).UTC().Format(layout)
	}
	return ""
}

// longest name that is shown, in characters
const maxSpokenName = 40

// spokenName is a name that somebody typed, if it can be nothing but one: it
// is shown to somebody else, who must not find an advertisement in it.
func spokenName(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxSpokenName {
		return ""
	}
	before := rune(0)
	for _, r := range s {
		switch {
		case unicode.IsLetter(r) && before == '.': // a domain
			return ""
		case unicode.IsLetter(r) || unicode.IsMark(r) || r == ' ' || r == '.' || r == '-' || r == '\'' || r == '’':
		default:
			return ""
		}
		before = r
	}
	return s
}

// firstName is the first word of a name.
func firstName(s string) string {
	first, _, _ := strings.Cut(spokenName(s), " ")
	return first
}

// formatMoney writes minor units: 1000 of "USD" are "10.00 USD". Of no
// currency it is "".
func formatMoney(minor int64, currency string) string {
	currency = strings.ToUpper(currency)
	if len(currency) != 3 {
		return ""
	}
	places := 2
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		places = 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		places = 3
	}
	sign, digits := "", strconv.FormatInt(minor, 10)
	if minor < 0 {
		sign, digits = "-", digits[1:]
	}
	if len(digits) <= places {
		digits = strings.Repeat("0", places+1-len(digits)) + digits
	}
	if places > 0 {
		digits = digits[:len(digits)-places] + "." + digits[len(digits)-places:]
	}
	return sign + digits + " " + currency
}

// UnsubscribeLink is the policy's unsubscribe_url for one e-mail, "" for none.
func (e *EmailPolicy) UnsubscribeLink(id ID, recipient string) string {
	return strings.NewReplacer("{mail}", id.String(), "{recipient}", url.QueryEscape(recipient)).Replace(e.UnsubscribeURL)
}
