package edge

import (
	"unicode/utf8"

	"admitone/gateway"
)

// maxDepth is how deep a body may nest. The fields themselves are flat; a
// little room lets a wrong type be named instead of "too deep".
const maxDepth = 4

// checkText refuses what fastjson lets through: text that is not UTF-8, raw
// control characters in strings, escapes that do not exist, halves of
// surrogate pairs. It also stops nesting long before fastjson's own limit of
// 300, where each level adds its words to the error.
func checkText(b []byte) *gateway.Error {
	if !utf8.Valid(b) {
		return gateway.Invalid("", "Send a body in UTF-8.")
	}
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return gateway.Invalid("", "Send a flat JSON object.")
			}
		case '}', ']':
			depth--
		case '"':
			n := stringLength(b[i+1:])
			if n < 0 {
				return gateway.Invalid("", "Send a body that is valid JSON.")
			}
			i += n
		}
	}
	return nil
}

// stringLength is the length of the rest of a JSON string, its closing quote
// included; -1 if it is not well formed.
func stringLength(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			n := escapeLength(b[i+1:])
			if n < 0 {
				return -1
			}
			i += n
		}
	}
	return -1
}

// escapeLength is the length of an escape after its backslash; -1 if there is
// no such escape.
func escapeLength(b []byte) int {
	if len(b) == 0 {
		return -1
	}
	switch b[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 1
	case 'u':
	default:
		return -1
	}
	unit := hex4(b[1:])
	switch {
	case unit < 0, unit >= 0xdc00 && unit <= 0xdfff:
		return -1
	case unit < 0xd800 || unit > 0xdfff:
		return 5
	}
	if len(b) < 11 || b[5] != '\\' || b[6] != 'u' {
		return -1
	}
	if low := hex4(b[7:]); low < 0xdc00 || low > 0xdfff {
		return -1
	}
	return 11
}

// hex4 reads four hexadecimal digits; -1 if there are none.
func hex4(b []byte) int {
	if len(b) < 4 {
		return -1
	}
	n := 0
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | int(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | int(c-'A'+10)
		default:
			return -1
		}
	}
	return n
}
