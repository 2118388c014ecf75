package gateway

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
)

// email checks how a launch writes to people.
func (v *policyCheck) email(e *EmailPolicy) {
	v.that(e.From == "" || ValidSender(e.From), "email.from", `use an address such as "Writer <hello@writer.example>", in ASCII behind the name, or "" for the gateway's own`)
	v.that(e.ReplyTo == "" || ValidSender(e.ReplyTo), "email.reply_to", `use an address such as "help@writer.example" or "" for none`)
	for i, kind := range e.Send {
		v.that(slices.Contains(OptionalMails, kind), fmt.Sprintf("email.send[%d]", i), "use one of: %s; the others are sent in any case", joinWords(OptionalMails))
	}
	filled := e.UnsubscribeLink(ID{}, "ann@example.com")
	v.that(e.UnsubscribeURL == "" || len(e.UnsubscribeURL) <= 500 && absoluteHTTP(filled) && !strings.ContainsAny(filled, "{}<>"), "email.unsubscribe_url",
		`use an absolute URL such as "https://app.example/unsubscribe?mail={mail}", with {mail} or {recipient} in it, or "" for none`)
	for _, kind := range MailKinds {
		t := e.Templates.For(kind)
		if t == (MailTemplate{}) {
			continue
		}
		_, problems := parseMail(kind, t)
		for _, p := range problems {
			v.problems = append(v.problems, Problem{"email.templates." + string(kind) + "." + p.Path, p.Message})
		}
	}
}

// ValidSender reports whether s can stand in a From header: an address in
// ASCII, with or without a name.
func ValidSender(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && len(s) <= 200 && !strings.ContainsFunc(s, notPrintable) && ValidRecipient(a.Address)
}

// ValidRecipient reports whether s is an address that mail can be sent to as it
// stands: ASCII, no name, no quotes.
func ValidRecipient(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == "" && len(s) <= 254 &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<>(),:;\[]`, r) })
}
