package gateway

import (
	"embed"
	"strings"
)

// The built-in e-mails: offer.txt is a subject, an empty line and the text,
// offer.html what stands in the middle of layout.html.
//
//go:embed mail/*.txt mail/*.html
var builtInMails embed.FS

// builtInMail is how a kind is written where a launch says nothing.
func builtInMail(kind MailKind) MailTemplate {
	read := func(name string) string {
		b, err := builtInMails.ReadFile("mail/" + name)
		if err != nil {
			return "" // a test reads all of them
		}
		return string(b)
	}
	subject, text, _ := strings.Cut(read(string(kind)+".txt"), "\n\n")
	return MailTemplate{
		Subject: strings.TrimPrefix(subject, "Subject: "), Text: text,
		HTML: strings.Replace(read("layout.html"), "[[content]]", read(string(kind)+".html"), 1),
	}
}
