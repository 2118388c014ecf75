package gateway

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxPolicy   = 64 << 10 // of a document, in bytes
	maxDomains  = 1000     // texts of a list
	maxProblems = 100      // that are told at once
)

// ParsePolicy reads a policy from JSON. Fields that are left out have their
// defaults; every field that is unknown, repeated, of the wrong type or out of
// bounds is named in the *PolicyError.
func ParsePolicy(document []byte) (Policy, error) {
	value, problems, err := readDocument(document)
	if err != nil {
		return Policy{}, &PolicyError{[]Problem{{"", err.Error()}}}
	}
	p := DefaultPolicy("")
	d := &policyDecoder{problems}
	d.assign("", value, reflect.ValueOf(&p).Elem())
	if p.Name == "" {
		p.Name = p.Launch
	}
	var bounds *PolicyError
	if !d.has("") && errors.As(p.Validate(), &bounds) {
		for _, problem := range bounds.Problems {
			// Without a launch there is no name either: one problem, told once.
			if !d.has(problem.Path) && (problem.Path != "name" || p.Name != "") {
				d.problems = append(d.problems, problem)
			}
		}
	}
	if n := len(d.problems); n > maxProblems {
		d.problems = append(d.problems[:maxProblems], Problem{"", fmt.Sprintf("and %d more problems", n-maxProblems)})
	}
	if d.problems != nil {
		return Policy{}, &PolicyError{d.problems}
	}
	return p, nil
}

// policyDecoder moves values out of a document into a Policy and gathers what
// does not fit.
type policyDecoder struct{ problems []Problem }

func (d *policyDecoder) has(path string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Path == path })
}

func (d *policyDecoder) unexpected(path string, value any, expected string) {
	d.problems = append(d.problems, Problem{path, fmt.Sprintf("found %s where %s is expected", describe(value), expected)})
}

// textual is a value whose text form is its only one, but that a whole number
// may be written without quotes.
type textual interface {
	encoding.TextUnmarshaler
	expected() string
}

// assign puts a value where it belongs, or says why it cannot be. What it does
// not assign keeps its default.
func (d *policyDecoder) assign(path string, value any, to reflect.Value) {
	if t, ok := to.Addr().Interface().(textual); ok {
		s, ok := value.(string)
		if n, isNumber := value.(json.Number); isNumber {
			s, ok = n.String(), true
		}
		if !ok || t.UnmarshalText([]byte(s)) != nil {
			d.unexpected(path, value, t.expected())
		}
		return
	}
	if to.Type() == reflect.TypeFor[Milestones]() {
		d.assignMilestones(path, value, to)
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		d.assignFields(path, value, to)
	case reflect.Slice:
		d.assignList(path, value, to)
	case reflect.Map:
		d.assignPoints(path, value, to)
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			d.unexpected(path, value, "a text such as "+textLike(value))
			return
		}
		to.SetString(s)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			d.unexpected(path, value, "true or false")
			return
		}
		to.SetBool(b)
	case reflect.Int:
		n, _ := value.(json.Number)
		i, err := strconv.ParseInt(string(n), 10, 64)
		if err != nil || i > math.MaxInt32 || i < math.MinInt32 {
			d.unexpected(path, value, "a whole number such as 64")
			return
		}
		to.SetInt(i)
	}
}

func (d *policyDecoder) assignFields(path string, value any, to reflect.Value) {
	names := fieldNames(to.Type())
	o, ok := value.(object)
	if !ok {
		d.unexpected(path, value, "an object with fields such as "+names[0])
		return
	}
	for _, m := range o {
		if i := slices.Index(names, m.name); i >= 0 {
			d.assign(join(path, m.name), m.value, to.Field(i))
			continue
		}
		d.problems = append(d.problems, Problem{join(path, m.name), "unknown field; " + suggest(path, m.name, names)})
	}
}

// assignPoints fills a map of names and whole numbers.
func (d *policyDecoder) assignPoints(path string, value any, to reflect.Value) {
	o, ok := value.(object)
	if !ok {
		d.unexpected(path, value, "an object such as {producthunt: 20}")
		return
	}
	points := reflect.MakeMap(to.Type())
	for _, m := range o {
		n := reflect.New(to.Type().Elem()).Elem()
		d.assign(join(path, m.name), m.value, n)
		points.SetMapIndex(reflect.ValueOf(m.name), n)
	}
	to.Set(points)
}

func (d *policyDecoder) assignList(path string, value any, to reflect.Value) {
	one, many := "text", "entries"
	if l, ok := to.Addr().Interface().(listing); ok {
		one, many = l.example()
	}
	list, ok := value.([]any)
	if !ok {
		d.unexpected(path, value, `a list such as ["`+one+`"]`)
		return
	}
	if len(list) > maxDomains {
		d.problems = append(d.problems, Problem{path, fmt.Sprintf("use at most %d %s", maxDomains, many)})
		return
	}
	s := reflect.MakeSlice(to.Type(), len(list), len(list))
	for i, v := range list {
		d.assign(fmt.Sprintf("%s[%d]", path, i), v, s.Index(i))
	}
	to.Set(s)
}

// assignMilestones reads an object of whole numbers.
func (d *policyDecoder) assignMilestones(path string, value any, to reflect.Value) {
	o, ok := value.(object)
	if !ok {
		d.unexpected(path, value, "an object of whole numbers such as {3: 3, 10: 5}")
		return
	}
	list := Milestones{}
	for _, m := range o {
		n, _ := m.value.(json.Number)
		at, err1 := strconv.ParseUint(m.name, 10, 31)
		invites, err2 := strconv.ParseInt(string(n), 10, 32)
		if err1 != nil || err2 != nil || m.name != strconv.FormatUint(at, 10) {
			d.unexpected(join(path, m.name), m.value, "a number of invites for a number of referrals, such as 3: 3,")
			return
		}
		list = append(list, Milestone{int(at), int(invites)})
	}
	list.sort()
	to.Set(reflect.ValueOf(list))
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// join makes a dotted path. A name that no policy has may be long or hold
// anything: it is quoted and cut.
func join(path, name string) string {
	if !plainName.MatchString(name) {
		name = fmt.Sprintf("%.40q", name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "nothing (null)"
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case json.Number:
		return fmt.Sprintf("the number %.40s", v)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	}
	return "an object"
}

// textLike is a text to show as an example: the value itself in quotes where
// they are all that it lacks.
func textLike(value any) string {
	switch value.(type) {
	case json.Number, bool:
		return fmt.Sprintf(`"%.40v"`, value)
	}
	return `"text"`
}

// suggest says what an unknown field may have been meant to be: a field beside
// it that is spelled nearly so, one of that name deeper in the section or else
// elsewhere in the policy, or else whatever fits there.
func suggest(path, name string, names []string) string {
	if nearest := Nearest(name, names); nearest != "" {
		return "did you mean " + join(path, nearest) + "?"
	}
	all := fieldPaths("", reflect.TypeFor[Policy]())
	for _, section := range []string{path + ".", ""} {
		for _, known := range all {
			if strings.HasPrefix(known, section) && strings.HasSuffix("."+known, "."+name) {
				return "did you mean " + known + "?"
			}
		}
	}
	return "the fields here are " + strings.Join(names, ", ")
}

// fieldPaths lists the dotted path of every field, the outer ones first.
func fieldPaths(path string, t reflect.Type) []string {
	if _, ok := reflect.Zero(reflect.PointerTo(t)).Interface().(textual); ok || t.Kind() != reflect.Struct {
		return nil
	}
	var outer, inner []string
	for i, name := range fieldNames(t) {
		outer = append(outer, join(path, name))
		inner = append(inner, fieldPaths(join(path, name), t.Field(i).Type)...)
	}
	return append(outer, inner...)
}

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}
