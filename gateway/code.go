package gateway

import (
	"log/slog"
	"unicode/utf8"
)

// Code is a code in canonical form: 1 to 64 of A–Z and 0–9 without I, L and O,
// as ReadCode folds what people type.
type Code string

// The bounds of a code, in bytes.
const (
	MaxCode      = 64
	MaxCodeInput = 128
)

// sentence is an error that a person reads as it stands.
type sentence string

func (s sentence) Error() string { return string(s) }

const (
	errCodeLong  sentence = "Use a code of at most 64 letters and digits."
	errCodeEmpty sentence = "Use a code of at least one letter or digit."
	errCodeChars sentence = "Use letters, digits, spaces and hyphens only."
)

// ReadCode folds what was typed: case, spaces, hyphens and underscores do not
// count, O is read as 0, I and L as 1. Its errors name the remedy and never show
// what was typed. It does not allocate for a code that is canonical already, and
// once otherwise.
func ReadCode(s string) (Code, error) {
	if len(s) > MaxCodeInput {
		return "", errCodeLong
	}
	canonical := len(s) > 0 && len(s) <= MaxCode
	for i := 0; canonical && i < len(s); i++ {
		canonical = s[i] != 0 && fold(s[i]) == s[i] // 0 is fold's word for unfit
	}
	if canonical {
		return Code(s), nil
	}
	b := make([]byte, 0, MaxCodeInput)
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		i += size
		switch {
		case r == ' ', r == '-', r == '_', r == 0xa0, r >= 0x2010 && r <= 0x2015, r == 0x2212:
			continue
		case r >= utf8.RuneSelf || fold(byte(r)) == 0:
			return "", errCodeChars
		}
		b = append(b, fold(byte(r)))
	}
	switch {
	case len(b) == 0:
		return "", errCodeEmpty
	case len(b) > MaxCode:
		return "", errCodeLong
	}
	return Code(b), nil
}

// fold is the canonical character of a letter or digit, 0 for anything else.
func fold(c byte) byte {
	if c >= 'a' && c <= 'z' {
		c -= 'a' - 'A'
	}
	switch {
	case c == 'O':
		return '0'
	case c == 'I', c == 'L':
		return '1'
	case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return c
	}
	return 0
}

// LogValue keeps codes out of logs: they are secrets. Two characters of a long
// one are enough to tell a campaign's prefix.
func (c Code) LogValue() slog.Value {
	if len(c) < 8 {
		return slog.StringValue("[code]")
	}
	return slog.StringValue(string(c[:2]) + "…")
}
