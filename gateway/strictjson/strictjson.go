// Package strictjson reads JSON bodies into structs, strictly: one object, each
// field once, none that is unknown, nothing behind it. Its errors name the field
// and the remedy.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

// Decode reads a body into a struct whose fields have json tags. No body is an
// empty object. Its error is an invalid_request.
func Decode(b []byte, into any) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	if err := check(b); err != nil {
		return err
	}
	return Object(b, into)
}

// maxNesting is far more than any body of this API has.
const maxNesting = 8

// check refuses what is not one JSON value with each field given once.
func check(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := checkValue(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return gateway.Invalid("body", "Send one JSON object and nothing behind it.")
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return gateway.Invalid("body", "Send a body that is valid JSON.")
	}
	if depth > maxNesting {
		return gateway.Invalid("body", "It is nested too deeply for this call.")
	}
	bracket, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	met := map[string]bool{}
	for d.More() {
		if bracket == '{' {
			t, err := d.Token()
			name, ok := t.(string)
			if err != nil || !ok {
				return gateway.Invalid("body", "Send a body that is valid JSON.")
			}
			if met[name] {
				return gateway.Invalid(name, "Give this field once.")
			}
			met[name] = true
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return gateway.Invalid("body", "Send a body that is valid JSON.")
	}
	return nil
}

// Object reads an object into a struct, field by field, so that every
// error names its field. Field names count by their exact spelling.
func Object(b []byte, into any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil || fields == nil {
		return gateway.Invalid("body", "Send a JSON object.")
	}
	v := reflect.ValueOf(into).Elem()
	places := map[string]int{}
	names := make([]string, v.NumField())
	for i := range v.NumField() {
		names[i] = v.Type().Field(i).Tag.Get("json")
		places[names[i]] = i
	}
	for name := range fields {
		if _, ok := places[name]; !ok {
			return gateway.Invalid(name, "This call does not know this field. It takes: "+strings.Join(names, ", ")+".")
		}
	}
	for _, name := range names { // in the struct's order, so that the same body has the same error
		if raw, given := fields[name]; given && string(raw) != "null" {
			if err := decodeField(name, raw, v.Field(places[name])); err != nil {
				return err
			}
		}
	}
	return nil
}

func decodeField(name string, raw json.RawMessage, to reflect.Value) error {
	if to.Kind() == reflect.Slice {
		var elements []json.RawMessage
		if err := json.Unmarshal(raw, &elements); err != nil {
			return gateway.Invalid(name, "Use a list.")
		}
		list := reflect.MakeSlice(to.Type(), len(elements), len(elements))
		for i, e := range elements {
			if err := decodeField(name+"["+strconv.Itoa(i)+"]", e, list.Index(i)); err != nil {
				return err
			}
		}
		to.Set(list)
		return nil
	}
	err := json.Unmarshal(raw, to.Addr().Interface())
	if err == nil {
		return nil
	}
	var inner *gateway.Error
	var kind *json.UnmarshalTypeError
	var at *time.ParseError
	switch {
	case errors.As(err, &inner) && inner.Field == "body":
		return gateway.Invalid(name, "Use "+describe(to.Type())+".")
	case errors.As(err, &inner):
		return gateway.Invalid(name+"."+inner.Field, inner.Detail)
	case errors.As(err, &at) || to.Type() == reflect.TypeFor[time.Time]() || to.Type() == reflect.TypeFor[*time.Time]():
		return gateway.Invalid(name, `Use a time such as "2027-01-31T12:00:00Z".`)
	case errors.As(err, &kind):
		return gateway.Invalid(name, "Use "+describe(to.Type())+".")
	}
	return gateway.Invalid(name, Sentence(strings.TrimPrefix(err.Error(), "json: ")))
}

// Sentence makes one of an error's text.
func Sentence(s string) string {
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

func describe(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint32:
		if t == reflect.TypeFor[gateway.Duration]() {
			return `a duration such as "30d", in quotes`
		}
		return "a whole number"
	case reflect.String:
		return "a text, in quotes"
	case reflect.Bool:
		return "true or false"
	}
	return "a code, or an object with one"
}
