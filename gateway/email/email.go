// Package email tells which spellings of an e-mail address are one person, and
// which domains hand out addresses to throw away.
package email

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Rules say which spellings are one person.
type Rules struct {
	PlusTags bool     // ann+news@… is ann@…
	Dots     []string // domains that ignore dots before the @
}

// sentence is an error that a person reads as it stands.
type sentence string

func (s sentence) Error() string { return string(s) }

const errAddress sentence = `Use an e-mail address such as "ann@example.com".`

// The bounds of RFC 5321 and RFC 1035, in bytes.
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// Canonical is the one spelling of an address, in ASCII and lower case. It
// takes bare addresses only: no display names, quotes, comments or address
// literals. Applying it twice changes nothing. Its error never shows what was
// typed.
func Canonical(address string, r Rules) (string, error) {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || len(address) > maxAddress || !validLocal(local) {
		return "", errAddress
	}
	domain, err := canonicalDomain(domain)
	if err != nil {
		return "", err
	}
	if domain == "googlemail.com" && slices.Contains(r.Dots, "gmail.com") {
		domain = "gmail.com" // the same mailboxes, under their name in Germany
	}
	local = strings.ToLower(local)
	if r.PlusTags {
		local, _, _ = strings.Cut(local, "+")
	}
	if slices.Contains(r.Dots, domain) {
		local = strings.ReplaceAll(local, ".", "")
	}
	// A tag may have been all there was, and punycode is longer than what was
	// typed.
	if !validLocal(local) || len(local)+1+len(domain) > maxAddress {
		return "", errAddress
	}
	return local + "@" + domain, nil
}

// canonicalDomain is a domain in ASCII and lower case. It refuses what no mail
// is delivered to: public suffixes, numbers that browsers read as addresses,
// and labels that DNS cannot hold.
func canonicalDomain(typed string) (string, error) {
	domain, err := idna.Lookup.ToASCII(typed)
	if err != nil {
		return "", errAddress
	}
	if domain = strings.ToLower(domain); domain != typed {
		// ToASCII also encodes what it then does not take, such as broken UTF-8.
		if again, err := idna.Lookup.ToASCII(domain); err != nil || again != domain {
			return "", errAddress
		}
	}
	if _, err := publicsuffix.EffectiveTLDPlusOne(domain); err != nil {
		return "", errAddress
	}
	for label := range strings.SplitSeq(domain, ".") {
		if len(label) > maxLabel {
			return "", errAddress
		}
	}
	if last := domain[strings.LastIndexByte(domain, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", errAddress
	}
	return domain, nil
}

// validLocal reports whether a local part needs no quotes (RFC 5322, dot-atom).
func validLocal(s string) bool {
	return s != "" && len(s) <= maxLocal && s[0] != '.' && s[len(s)-1] != '.' &&
		!strings.Contains(s, "..") && !strings.ContainsFunc(s, notLocal)
}

// notLocal is any rune that an unquoted local part cannot hold.
func notLocal(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r)
}

// Domain is what stands behind the @ of a canonical address.
func Domain(canonical string) string {
	return canonical[strings.LastIndexByte(canonical, '@')+1:]
}

// Under reports whether a domain is one of a list, or below one of them.
func Under(domain string, list []string) bool {
	for {
		if slices.Contains(list, domain) {
			return true
		}
		_, parent, ok := strings.Cut(domain, ".")
		if !ok {
			return false
		}
		domain = parent
	}
}
