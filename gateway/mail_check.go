package gateway

import (
	"errors"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

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
		hint := "it knows ." + strings.Join(c.known, ", .")
		if nearest := Nearest(n.Ident[0], c.known); nearest != "" && len(n.Ident) == 1 {
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
