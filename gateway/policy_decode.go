package gateway

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// maxPolicy bounds a policy document, in bytes.
const maxPolicy = 64 << 10

// ParsePolicy reads a policy from JSON. Fields that are left out have their
// defaults; every field that is unknown, repeated, of the wrong type or out of
// bounds is named in the *PolicyError.
func ParsePolicy(document []byte) (Policy, error) {
	if len(document) > maxPolicy {
		return Policy{}, &PolicyError{[]Problem{{"", "the document is larger than 64 KiB"}}}
	}
	value, err := decodeOnce(document)
	if err != nil {
		return Policy{}, &PolicyError{[]Problem{{"", err.Error()}}}
	}
	p := DefaultPolicy("")
	d := &policyDecoder{}
	d.assign("", value, reflect.ValueOf(&p).Elem())
	if p.Name == "" {
		p.Name = p.Launch
	}
	var bounds *PolicyError
	if errors.As(p.Validate(), &bounds) {
		for _, problem := range bounds.Problems {
			if !d.has(problem.Path) {
				d.problems = append(d.problems, problem)
			}
		}
	}
	if d.problems != nil {
		return Policy{}, &PolicyError{d.problems}
	}
	return p, nil
}

// object is a decoded JSON object in the order of its fields.
type object []member

type member struct {
	name  string
	value any
}

// decodeOnce decodes a document into objects, lists, strings, json.Numbers,
// booleans and nil, refusing repeated fields and deep nesting.
func decodeOnce(document []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something after the end of the document")
	}
	return v, nil
}

const maxNesting = 10

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, errors.New("the document is nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return nil, errors.New("the document is not valid JSON: " + plainSyntax(err))
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, errors.New("the document is not valid JSON: " + plainSyntax(err))
			}
			if slices.ContainsFunc(o, func(m member) bool { return m.name == name }) {
				return nil, fmt.Errorf("the field %q is given twice", name)
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			o = append(o, member{name.(string), v})
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func plainSyntax(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	return err.Error()
}

type policyDecoder struct{ problems []Problem }

func (d *policyDecoder) has(path string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Path == path })
}

func (d *policyDecoder) complain(path, format string, a ...any) {
	d.problems = append(d.problems, Problem{path, fmt.Sprintf(format, a...)})
}

// assign puts a decoded value where it belongs, or says why it cannot be.
func (d *policyDecoder) assign(path string, value any, to reflect.Value) {
	if text, ok := to.Addr().Interface().(encoding.TextUnmarshaler); ok {
		s, ok := value.(string)
		if n, isNumber := value.(json.Number); isNumber {
			s, ok = n.String(), true
		}
		if !ok {
			d.complain(path, "found %s where a text is expected", describe(value))
		} else if err := text.UnmarshalText([]byte(s)); err != nil {
			d.complain(path, "%v", err)
		}
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		o, ok := value.(object)
		if !ok {
			d.complain(path, "found %s where fields are expected", describe(value))
			return
		}
		for _, m := range o {
			field, known := fieldNamed(to, m.name)
			if !known {
				d.complain(join(path, m.name), "unknown field; did you mean %s?", join(path, nearest(m.name, fieldNames(to.Type()))))
				continue
			}
			d.assign(join(path, m.name), m.value, field)
		}
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			d.complain(path, "found %s where a text is expected", describe(value))
			return
		}
		to.SetString(s)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			d.complain(path, "found %s where true or false is expected", describe(value))
			return
		}
		to.SetBool(b)
	case reflect.Int:
		n, ok := value.(json.Number)
		i, err := strconv.ParseInt(string(n), 10, 64)
		if !ok || err != nil || i > math.MaxInt32 || i < math.MinInt32 {
			d.complain(path, "found %s where a whole number is expected", describe(value))
			return
		}
		to.SetInt(i)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			d.complain(path, "found %s where a list is expected", describe(value))
			return
		}
		if len(list) > 1000 {
			d.complain(path, "use at most 1000 entries")
			return
		}
		s := reflect.MakeSlice(to.Type(), len(list), len(list))
		for i, v := range list {
			d.assign(fmt.Sprintf("%s[%d]", path, i), v, s.Index(i))
		}
		to.Set(s)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("the text %.40q", v)
	case json.Number:
		return fmt.Sprintf("the number %.40s", v)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	}
	return "fields"
}

func fieldNamed(v reflect.Value, name string) (reflect.Value, bool) {
	i := slices.Index(fieldNames(v.Type()), name)
	if i < 0 {
		return reflect.Value{}, false
	}
	return v.Field(i), true
}

func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

// nearest is the name with the fewest edits between it and the one given.
func nearest(name string, names []string) string {
	if len(name) > 100 {
		name = name[:100]
	}
	return slices.MinFunc(names, func(a, b string) int { return edits(name, a) - edits(name, b) })
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
