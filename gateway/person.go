package gateway

import "unicode/utf8"

// Append appends the person as JSON, as encoding/json would read it. It does
// not allocate where b has room.
func (p *Person) Append(b []byte) []byte {
	b = appendJSON(append(b, `{"s":`...), p.Subject)
	for _, f := range [...]struct{ name, value string }{{`,"e":`, p.Email}, {`,"n":`, p.Name}, {`,"o":`, p.Source}, {`,"c":`, p.Country}} {
		if f.value != "" {
			b = appendJSON(append(b, f.name...), f.value)
		}
	}
	return append(b, '}')
}

// appendJSON appends a JSON string. What is not UTF-8 becomes U+FFFD.
func appendJSON(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += size
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}
