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
	"text/template/parse"
	"time"
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

// mailFunctions are the functions that templates may call.
var mailFunctions = []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "print", "urlquery", "date"}

// tree checks that a parsed template names only variables of its kind, and
// does nothing but show them and choose: it can neither run for long nor reach
// anything else. defined is how many templates its text defines, itself
// included.
func (v *policyCheck) tree(kind MailKind, path string, t *parse.Tree, defined int) {
	before := len(v.problems)
	if t == nil || defined > 1 {
		v.that(false, path, "take {{define}} and {{block}} out; write the text where it belongs")
		return
	}
	c := &mailCheck{v: v, path: path, tree: t, known: MailVariables(kind)}
	c.list(t.Root)
	if len(v.problems) == before {
		v.tryOut(kind, path, t)
	}
}

// mailCheck walks a template.
type mailCheck struct {
	v     *policyCheck
	path  string
	tree  *parse.Tree
	known []string
}

func (c *mailCheck) refuse(n parse.Node, format string, a ...any) {
	where, _ := c.tree.ErrorContext(n) // "name:line:column"
	line := "1"
	if parts := strings.Split(where, ":"); len(parts) > 1 {
		line = parts[1]
	}
	c.v.that(false, c.path, "line %s: %s", line, fmt.Sprintf(format, a...))
}

func (c *mailCheck) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode, *parse.CommentNode:
		case *parse.ActionNode:
			c.pipe(n.Pipe)
		case *parse.IfNode:
			c.pipe(n.Pipe)
			c.list(n.List)
			c.list(n.ElseList)
		default:
			c.refuse(n, "only {{.variable}} and {{if .variable}} … {{else}} … {{end}} can be used here, not %.40q", n.String())
		}
	}
}

func (c *mailCheck) pipe(p *parse.PipeNode) {
	if len(p.Decl) > 0 {
		c.refuse(p, "variables of its own cannot be used here: %.40q", p.String())
	}
	for _, command := range p.Cmds {
		for _, n := range command.Args {
			c.argument(n)
		}
	}
}

func (c *mailCheck) argument(n parse.Node) {
	switch n := n.(type) {
	case *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
	case *parse.PipeNode:
		c.pipe(n)
	case *parse.FieldNode:
		if len(n.Ident) == 1 && slices.Contains(c.known, n.Ident[0]) {
			return
		}
		name := n.Ident[0][:min(len(n.Ident[0]), 40)]
		nearest := slices.MinFunc(c.known, func(a, b string) int { return edits(name, a) - edits(name, b) })
		hint := "it knows ." + strings.Join(c.known, ", .")
		if len(n.Ident) == 1 && edits(name, nearest) <= max(2, len(nearest)/3) {
			hint = "did you mean ." + nearest + "?"
		}
		c.refuse(n, "there is no variable %.50q here; %s", n.String(), hint)
	case *parse.IdentifierNode:
		if !slices.Contains(mailFunctions, n.Ident) {
			c.refuse(n, "the function %.40q cannot be used here; use any of: %s", n.Ident, strings.Join(mailFunctions, ", "))
		}
	default:
		c.refuse(n, "name a variable such as .launch instead of %.40q", n.String())
	}
}

// tryOut executes a template with sample data and with as little as there may
// be.
func (v *policyCheck) tryOut(kind MailKind, path string, t *parse.Tree) {
	var what executor
	var err error
	funcs := template.FuncMap{"date": mailDate}
	if path == "html" {
		what, err = htmltemplate.New(path).Funcs(funcs).AddParseTree(path, t.Copy())
	} else {
		what, err = template.New(path).Funcs(funcs).AddParseTree(path, t.Copy())
	}
	p := DefaultPolicy("sample")
	for _, d := range []MailData{MailSample(time.Unix(0, 0)), {}} {
		var b strings.Builder
		if err == nil {
			err = what.Execute(&b, mailValues(&p, kind, d, ""))
		}
		if err == nil && path == "subject" && d.Code != "" && oneLine(b.String()) == "" {
			err = errors.New("the subject must not be empty")
		}
		if err != nil {
			v.that(false, path, "%s", templateError(err))
			return
		}
	}
}
