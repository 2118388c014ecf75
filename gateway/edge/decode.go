package edge

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"admitone/gateway"
)

// The fields of request bodies. All of them are texts.
const (
	fCode = iota
	fSubject
	fEmail
	fName
	fSource
	fMode
	fIP
	fChallenge
	fRef
	fieldCount
)

var fieldNames = [fieldCount]string{"code", "subject", "email", "name", "source", "mode", "ip", "challenge", "ref"}

// maxBytes bounds each field, in bytes. A name is bounded in characters
// besides.
var maxBytes = [fieldCount]int{fCode: gateway.MaxCodeInput, fSubject: 200, fEmail: 254, fName: 4 * maxName, fSource: 80, fMode: 6, fIP: 45, fChallenge: 4096, fRef: 60}

const maxName = 100 // characters

// body is a decoded request: its fields, and which of them were given.
type body struct {
	value [fieldCount]string
	has   uint16
}

func (b *body) given(field int) bool { return b.has&(1<<field) != 0 }

// decode reads a body that may hold the allowed fields (a set of bits) and
// nothing else. The fields are views of what the parser holds: good until it
// reads another document. The error is an invalid_request that names the field at fault.
func decode(p *fastjson.Parser, document []byte, allowed uint16) (body, *gateway.Error) {
	if err := checkText(document); err != nil {
		return body{}, err
	}
	v, err := p.ParseBytes(document)
	if err != nil {
		return body{}, gateway.Invalid("", "Send a body that is valid JSON.")
	}
	if v.Type() != fastjson.TypeObject {
		return body{}, gateway.Invalid("", "Send a JSON object.")
	}
	var (
		raw   [fieldCount][]byte
		has   uint16
		wrong *gateway.Error
	)
	v.GetObject().Visit(func(name []byte, v *fastjson.Value) {
		if wrong != nil {
			return
		}
		field := fieldNamed(name, allowed)
		if field < 0 {
			wrong = unknownField(name, allowed)
			return
		}
		if has&(1<<field) != 0 {
			wrong = gateway.Invalid(fieldNames[field], "Give this field once.")
			return
		}
		has |= 1 << field
		if v.Type() != fastjson.TypeString {
			wrong = gateway.Invalid(fieldNames[field], "Use a text, in quotes; leave the field out if there is none.")
			return
		}
		raw[field] = v.GetStringBytes()
		wrong = checkField(field, raw[field])
	})
	if wrong != nil {
		return body{}, wrong
	}
	b := body{has: has}
	for field, value := range raw {
		b.value[field] = text(value)
	}
	return b, nil
}

// copied is the body with fields of its own, in one copy for all of them.
func (b *body) copied() body {
	buffer := make([]byte, 0, 256)
	for _, value := range b.value {
		buffer = append(buffer, value...)
	}
	own, rest := body{has: b.has}, string(buffer)
	for field, value := range b.value {
		own.value[field], rest = rest[:len(value)], rest[len(value):]
	}
	return own
}

func fieldNamed(name []byte, allowed uint16) int {
	for field, known := range fieldNames {
		if allowed&(1<<field) != 0 && string(name) == known {
			return field
		}
	}
	return -1
}

// checkField bounds a field's value, whatever it means.
func checkField(field int, value []byte) *gateway.Error {
	if len(value) > maxBytes[field] || field == fName && utf8.RuneCount(value) > maxName {
		unit := " bytes."
		most := maxBytes[field]
		if field == fName {
			unit, most = " characters.", maxName
		}
		return gateway.Invalid(fieldNames[field], "Use at most "+strconv.Itoa(most)+unit)
	}
	for rest := value; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if unprintable(r) {
			return gateway.Invalid(fieldNames[field], "Leave out control characters.")
		}
		rest = rest[size:]
	}
	return nil
}

// unprintable is what no field may hold: control characters, line separators,
// and what turns the direction of the text around it.
func unprintable(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f
	}
	return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// unknownField names the field, and the nearest one that exists.
func unknownField(name []byte, allowed uint16) *gateway.Error {
	if len(name) > 40 || strings.ContainsFunc(string(name), unprintable) {
		return gateway.Invalid("", "There is a field that this call does not know.")
	}
	var known []string
	for field, n := range fieldNames {
		if allowed&(1<<field) != 0 {
			known = append(known, n)
		}
	}
	if nearest := gateway.Nearest(strings.ToLower(string(name)), known); nearest != "" {
		return gateway.Invalid(string(name), `This call does not know this field. Did you mean "`+nearest+`"?`)
	}
	return gateway.Invalid(string(name), "This call does not know this field.")
}
