// Package email tells which spellings of an e-mail address are one person, and
// which domains hand out addresses to throw away.
package email

import (
	"errors"
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

var errAddress = errors.New(`Use an e-mail address such as "ann@example.com".`)

// Canonical is the one spelling of an address, in ASCII and lower case. It
// takes bare addresses only: no display names, quotes, comments or address
// literals. Applying it twice changes nothing.
func Canonical(address string, r Rules) (string, error) {
	if len(address) > 254 {
		return "", errAddress
	}
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || len(local) > 64 || strings.ContainsFunc(local, notLocal) {
		return "", errAddress
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(domain, ".") || len(domain) > 253 {
		return "", errAddress
	}
	domain = strings.ToLower(domain)
	if _, err := publicsuffix.EffectiveTLDPlusOne(domain); err != nil {
		return "", errAddress
	}
	local = strings.ToLower(local)
	if r.PlusTags {
		local, _, _ = strings.Cut(local, "+")
	}
	if slices.Contains(r.Dots, domain) {
		local = strings.ReplaceAll(local, ".", "")
		if domain == "googlemail.com" && slices.Contains(r.Dots, "gmail.com") {
			domain = "gmail.com"
		}
	}
	if local == "" || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return "", errAddress
	}
	return local + "@" + domain, nil
}

// notLocal is any rune that an unquoted local part (RFC 5322, dot-atom) cannot
// hold.
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
