package gateway

import (
	"cmp"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode"
)

// The bounds of a template, in bytes, and of what it writes.
const (
	maxMailSubject  = 200
	maxMailText     = 16 << 10
	maxMailHTML     = 32 << 10
	maxMailRendered = 256 << 10
)

// RenderedMail is an e-mail as it is sent. Subject is one line; HTML is "" for
// an e-mail of text alone.
type RenderedMail struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html,omitempty"`
}

// executor is a parsed template of either kind.
type executor interface {
	Execute(w io.Writer, data any) error
}

// mailWriter is a template that was parsed and checked. html is nil for an
// e-mail of text alone.
type mailWriter struct {
	kind                MailKind
	subject, text, html executor
}

// RenderMail writes an e-mail under the policy. Its errors are a *PolicyError
// for a template that is wrong, with paths relative to it, and what a template
// says when it fails on this data.
func (p *Policy) RenderMail(kind MailKind, t MailTemplate, d MailData, unsubscribe string) (RenderedMail, error) {
	w, problems := parseMail(kind, t)
	if problems != nil {
		return RenderedMail{}, &PolicyError{problems}
	}
	return w.write(mailValues(p, kind, d, unsubscribe))
}

func (w *mailWriter) write(values map[string]any) (RenderedMail, error) {
	var out RenderedMail
	for _, part := range []struct {
		name string
		from executor
		to   *string
	}{{"subject", w.subject, &out.Subject}, {"text", w.text, &out.Text}, {"html", w.html, &out.HTML}} {
		if part.from == nil {
			continue
		}
		var b strings.Builder
		if err := part.from.Execute(&b, values); err != nil {
			return out, &mailError{part.name, err}
		}
		if b.Len() > maxMailRendered {
			return out, &mailError{part.name, errors.New("what it writes is larger than 256 KiB")}
		}
		*part.to = b.String()
	}
	out.Subject = cmp.Or(oneLine(out.Subject), oneLine(fmt.Sprint(values["launch"])))
	return out, nil
}

// mailError is a template that fails on its data.
type mailError struct {
	part string
	err  error
}

func (e *mailError) Error() string { return e.part + ": " + templateError(e.err) }

// oneLine makes one line of a text: nothing in it can begin another header.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
	}), " ")
}

// parseMail parses a template over the built-in one, and names everything in
// it that is wrong by "subject", "text" or "html".
func parseMail(kind MailKind, t MailTemplate) (*mailWriter, []Problem) {
	if !slices.Contains(MailKinds, kind) {
		return nil, []Problem{{"", "there is no e-mail of this kind; use one of: " + joinWords(MailKinds)}}
	}
	v := &policyCheck{}
	own := t
	t = t.over(builtInMail(kind))
	v.that(own.HTML == "" || own.Text != "", "text", "give the text too, for readers that show no HTML")
	w := &mailWriter{kind: kind}
	funcs := template.FuncMap{"date": mailDate}
	for _, part := range []struct {
		name, text string
		most       int
		into       *executor
	}{{"subject", t.Subject, maxMailSubject, &w.subject}, {"text", t.Text, maxMailText, &w.text}} {
		if !v.template(part.name, part.text, part.most) {
			continue
		}
		parsed, err := template.New(part.name).Funcs(funcs).Option("missingkey=error").Parse(part.text)
		if err != nil {
			v.that(false, part.name, "%s", templateError(err))
			continue
		}
		*part.into = parsed
		v.tree(kind, part.name, parsed.Tree, len(parsed.Templates()))
	}
	if t.HTML != "" && v.template("html", t.HTML, maxMailHTML) {
		parsed, err := htmltemplate.New("html").Funcs(funcs).Option("missingkey=error").Parse(t.HTML)
		if err != nil {
			v.that(false, "html", "%s", templateError(err))
		} else {
			w.html = parsed
			v.tree(kind, "html", parsed.Tree, len(parsed.Templates()))
		}
	}
	return w, v.problems
}

// over fills what a template leaves empty from another one.
func (t MailTemplate) over(other MailTemplate) MailTemplate {
	if t.Text == "" {
		t.Text, t.HTML = other.Text, cmp.Or(t.HTML, other.HTML)
	}
	t.Subject = cmp.Or(t.Subject, other.Subject)
	return t
}

// template checks a template's text before it is parsed.
func (v *policyCheck) template(path, text string, most int) bool {
	before := len(v.problems)
	v.that(len(text) <= most, path, "use at most %d bytes", most)
	i := strings.IndexFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && (path == "subject" || r != '\n' && r != '\r' && r != '\t') || r == unicode.ReplacementChar
	})
	if i >= 0 {
		v.that(false, path, "line %d: take the control character out", strings.Count(text[:i], "\n")+1)
	}
	return len(v.problems) == before
}

var atLine = regexp.MustCompile(`^(?:html/)?template: ?[a-z]*:(\d+):(?:\d+:)? ?(?:executing "[a-z]*" at )?(.*)`)

// templateError says where a template is wrong and why, in one line of bounded
// length.
func templateError(err error) string {
	s := oneLine(err.Error())
	if strings.Contains(s, "ends in a non-text context") {
		return "it ends inside a tag or an attribute; close it"
	}
	if m := atLine.FindStringSubmatch(s); m != nil {
		s = "line " + m[1] + ": " + m[2]
	}
	const most = 300
	return fmt.Sprintf("%.*s; use {{.variable}} and {{if .variable}} … {{else}} … {{end}}", most, s)
}
