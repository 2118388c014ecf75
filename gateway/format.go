package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Format is a code template with fields: "{prefix}-{period}-{random:8}",
// "{campaign:4}-{random:8}". It has exactly one random field, of 6 to 32
// characters.
type Format struct{ parts []formatPart }

type formatPart struct {
	literal string // when field is ""
	field   string // prefix, period, campaign or random
	length  int    // of campaign and random
}

// maxFormat is the longest code template, in bytes, with its fields or with
// their values: what it writes can always be typed in again (MaxCodeInput).
const maxFormat = 100

// ParseFormat reads a code template.
func ParseFormat(s string) (Format, error) {
	var f Format
	if len(s) > maxFormat {
		return f, fmt.Errorf("use a code template of at most %d characters", maxFormat)
	}
	randoms, rest := 0, s
	for rest != "" {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			open = len(rest)
		}
		if literal := rest[:open]; literal != "" {
			if strings.ContainsFunc(literal, notLiteral) {
				return f, fmt.Errorf("in the code template, use letters, digits and hyphens between the fields")
			}
			f.parts = append(f.parts, formatPart{literal: literal})
		}
		rest = rest[open:]
		if rest == "" {
			break
		}
		name, after, ok := strings.Cut(rest[1:], "}")
		if !ok {
			return f, fmt.Errorf("in the code template, a field is not closed with }")
		}
		rest = after
		part, err := parseField(name)
		if err != nil {
			return f, err
		}
		if part.field == "random" {
			randoms++
		}
		f.parts = append(f.parts, part)
	}
	if randoms != 1 {
		return f, fmt.Errorf(`a code template needs exactly one random field, such as "{random:10}"`)
	}
	return f, nil
}

func parseField(s string) (formatPart, error) {
	name, number, sized := strings.Cut(s, ":")
	n, err := strconv.Atoi(number)
	switch {
	case (name == "prefix" || name == "period") && !sized:
		return formatPart{field: name}, nil
	case name == "campaign" && err == nil && n >= 1 && n <= 20:
		return formatPart{field: name, length: n}, nil
	case name == "random" && err == nil && n >= 6 && n <= 32:
		return formatPart{field: name, length: n}, nil
	}
	return formatPart{}, fmt.Errorf("use the fields {prefix}, {period}, {campaign:1} to {campaign:20} and {random:6} to {random:32} in a code template")
}

func notLiteral(r rune) bool {
	return r >= 0x80 || r != '-' && fold(byte(r)) == 0
}

// FormatValues are what a campaign puts into a Format's fields.
type FormatValues struct{ Prefix, Period, Campaign string }

// Bind fixes all fields but the random one. Its error, an invalid_request, names
// the value that is missing or unfit, or the format if codes would be too long.
func (f Format) Bind(v FormatValues) (Template, error) {
	t, err := f.bind(v)
	if err == errFormatLong {
		return t, Invalid("format", err.Error())
	}
	return t, err
}

func (f Format) bind(v FormatValues) (Template, error) {
	var t Template
	into := &t.before
	for _, p := range f.parts {
		text := p.literal
		switch p.field {
		case "prefix":
			text = v.Prefix
		case "period":
			text = v.Period
		case "campaign":
			text = strings.ToUpper(strings.Map(func(r rune) rune {
				if r >= 0x80 || fold(byte(r)) == 0 {
					return -1
				}
				return r
			}, v.Campaign))
			text = text[:min(len(text), p.length)]
		case "random":
			t.random = p.length
			into = &t.after
			continue
		}
		if p.field != "" && (strings.Trim(text, "-") == "" || strings.ContainsFunc(text, notLiteral)) {
			return Template{}, Invalid(p.field, "The code template needs it: use letters, digits and hyphens.")
		}
		*into += text
	}
	return t.folded()
}

// Template is a bound Format: fixed text around so many random characters.
type Template struct {
	before, after             string
	random                    int
	foldedBefore, foldedAfter string
}

// ParseTemplate reads what Template.String wrote.
func ParseTemplate(s string) (Template, error) {
	f, err := ParseFormat(s)
	if err != nil {
		return Template{}, err
	}
	for _, p := range f.parts {
		if p.field != "" && p.field != "random" {
			return Template{}, fmt.Errorf("the code template still has the field {%s}", p.field)
		}
	}
	return f.bind(FormatValues{})
}

func (t Template) folded() (Template, error) {
	for _, side := range []struct {
		text   string
		folded *string
	}{{t.before, &t.foldedBefore}, {t.after, &t.foldedAfter}} {
		if strings.Trim(side.text, "-") == "" {
			continue
		}
		c, err := ReadCode(side.text)
		if err != nil {
			return Template{}, errFormatLong
		}
		*side.folded = string(c)
	}
	if t.length() > MaxCode || len(t.String()) > maxFormat {
		return Template{}, errFormatLong
	}
	return t, nil
}

const errFormatLong sentence = "Use a shorter code template: it makes codes of more than 64 letters and digits, or is itself longer than 100 characters."

// length is how many characters a code of the template has, in canonical form.
func (t Template) length() int { return len(t.foldedBefore) + t.random + len(t.foldedAfter) }

// fits reports whether a code has the template's length and literals.
func (t Template) fits(c Code) bool {
	return t.random > 0 && len(c) == t.length() &&
		strings.HasPrefix(string(c), t.foldedBefore) && strings.HasSuffix(string(c), t.foldedAfter)
}

// String is the template as text: "LPS-2024Q3-{random:8}".
func (t Template) String() string {
	return t.before + "{random:" + strconv.Itoa(t.random) + "}" + t.after
}

// Display writes a code as the template does; a code that is not of the
// template as its canonical text.
func (t Template) Display(c Code) string {
	s := string(c)
	if t.before == t.foldedBefore && t.after == t.foldedAfter || !t.fits(c) {
		return s
	}
	return t.before + s[len(t.foldedBefore):len(s)-len(t.foldedAfter)] + t.after
}

// Alphabet is Crockford's base32: no I, L, O or U.
const Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Checker makes the two check characters of a generated code, of Alphabet and
// keyed by the deployment's secret: without it nobody can tell a generated code
// from junk. body is the canonical code without them.
type Checker interface {
	Check(launch, body string) [2]byte
}

// Generate makes a code from 5 random bits a character and two keyed check
// characters at the end of its random part.
func (t Template) Generate(c Checker, launch string) Code {
	var bits [32]byte
	rand.Read(bits[:]) // never fails: crypto/rand aborts the program instead
	return t.build(c, launch, bits)
}

// Nth makes the n-th code of a key: the same one again whenever it is asked, so
// that a minting which was interrupted goes on where it stopped. Whoever knows
// the key knows the codes: it has to be a secret (keyring.MintKey), not an id.
func (t Template) Nth(c Checker, launch string, key []byte, n uint64) Code {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, n))
	return t.build(c, launch, [32]byte(mac.Sum(nil)))
}

func (t Template) build(c Checker, launch string, bits [32]byte) Code {
	b := make([]byte, 0, MaxCode)
	b = append(b, t.foldedBefore...)
	for _, x := range bits[:t.random-2] { // 256 is a multiple of 32: no bias
		b = append(b, Alphabet[x&31])
	}
	check := c.Check(launch, string(b)+t.foldedAfter)
	b = append(b, check[0], check[1])
	return Code(append(b, t.foldedAfter...))
}

// Genuine reports whether a code of the template carries the check characters
// that Generate would have given it. Imported and chosen codes do not.
func (t Template) Genuine(c Checker, launch string, code Code) bool {
	if !t.fits(code) {
		return false
	}
	s := string(code)
	end := len(s) - len(t.foldedAfter)
	check := c.Check(launch, s[:end-2]+t.foldedAfter)
	return subtle.ConstantTimeByteEq(s[end-2], check[0])&subtle.ConstantTimeByteEq(s[end-1], check[1]) == 1
}

// GuessesPerDay is what the entropy guard reckons with: 1,400 addresses that
// each use up three attempts an hour, day and night.
const GuessesPerDay = 100_000

// Guard refuses a minting after which more than one guess in a hundred days
// would hit one of the campaign's live codes.
func (t Template) Guard(live int) error {
	for n := t.random; n <= 32; n++ {
		if GuessesPerDay*float64(live)/math.Pow(32, float64(n)) <= 0.01 {
			if n == t.random {
				return nil
			}
			return Invalid("format", fmt.Sprintf("With %d live codes, %d random characters can be guessed. Use a campaign with at least {random:%d}.", live, t.random, n))
		}
	}
	return Invalid("count", "No code template is long enough for so many codes.")
}
