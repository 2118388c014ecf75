package edge

import (
	"strings"

	"admitone/gateway"
	"admitone/gateway/email"
)

// identify says who redeems, under a launch's policy: the subject in its one
// canonical form, and the canonical e-mail address if one is known.
//
// A subject that looks like an e-mail address is spelled like one, so that
// Ann@x.example and ann@x.example are one person wherever they are written.
// Addresses that the policy does not take are refused here, before anything is
// counted: an invalid_request, email_disposable or email_denied that names the
// field.
func identify(p *gateway.Policy, subject, address string, hasSubject, hasAddress bool) (who, mail string, err *gateway.Error) {
	if hasAddress {
		if mail, err = canonical(p, "email", address); err != nil {
			return "", "", err
		}
	}
	subjectMail := ""
	if hasSubject {
		if subject == "" || strings.TrimSpace(subject) != subject {
			return "", "", gateway.Invalid("subject", "Use 1 to 200 bytes with no space at either end.")
		}
		if looksLikeEmail(subject) {
			if subjectMail, err = canonical(p, "subject", subject); err != nil {
				return "", "", err
			}
			subject = subjectMail
		}
	}
	if mail == "" {
		mail = subjectMail
	}
	switch {
	case p.Subjects.Identity == gateway.IdentityEmail:
		if hasSubject && subject != mail {
			return "", "", gateway.Invalid("subject", "This launch knows people by e-mail address: leave subject out, or give the same address.")
		}
		if mail == "" {
			return "", "", gateway.Invalid("email", "This launch knows people by e-mail address: give one.")
		}
		return mail, mail, nil
	case hasSubject:
		return subject, mail, nil
	case p.Subjects.Identity == gateway.IdentityID:
		return "", "", gateway.Invalid("subject", "This launch knows people by your id for them: give one.")
	case mail == "":
		return "", "", gateway.Invalid("subject", "Say who redeems: give a subject or an email.")
	}
	return mail, mail, nil
}

// looksLikeEmail reports whether an id is meant as an e-mail address:
// something, one @, and something with a dot in it.
func looksLikeEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && !strings.Contains(domain, "@") && strings.Contains(domain, ".") && !strings.ContainsAny(s, " /|:")
}

// canonical is the one spelling of an address that the policy takes.
func canonical(p *gateway.Policy, field, address string) (string, *gateway.Error) {
	mail, err := email.Canonical(address, email.Rules{PlusTags: p.Subjects.Canonical.PlusTags, Dots: p.Subjects.Canonical.Dots})
	if err != nil {
		return "", gateway.Invalid(field, err.Error())
	}
	domain := email.Domain(mail)
	switch {
	case email.Under(domain, p.Abuse.AllowEmailDomains): // whatever the lists below say
	case email.Under(domain, p.Abuse.DenyEmailDomains):
		return "", &gateway.Error{Reason: gateway.EmailDenied, Field: field}
	case p.Abuse.DisposableEmail == gateway.DisposableRefuse && email.Disposable(domain):
		return "", &gateway.Error{Reason: gateway.EmailDisposable, Field: field}
	}
	return mail, nil
}
