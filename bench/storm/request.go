package storm

import (
	"fmt"
	"strconv"
	"strings"
)

// Writer appends the n-th request of a run to a buffer, header and all. It
// allocates nothing.
type Writer func(to []byte, n uint64) []byte

// headOf is a request's header up to the value of Content-Length.
func headOf(method, path, host string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\nContent-Length: "
}

func launchPath(launch, rest string) string { return "/v1/launches/" + launch + "/" + rest }

// digits is how long a number in a request is: its length never changes what
// Content-Length says.
const digits = 12

func appendNumber(b []byte, n uint64) []byte {
	var d [digits]byte
	for i := digits - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, d[:]...)
}

// People are those who redeem: the n-th is known by the prefix and the number n.
type People struct {
	Prefix string
	Domain string // of their e-mail addresses; "": their subjects are no addresses
}

// who is a request's body around the code and the number.
type who struct{ before, after string }

func (p People) who() who {
	if p.Domain == "" {
		return who{`","subject":"` + p.Prefix, `"}`}
	}
	return who{`","email":"` + p.Prefix, "@" + p.Domain + `"}`}
}

// Redeem redeems one of the codes for somebody who has not been there before.
// Request n takes code n mod len(codes).
func Redeem(t Target, launch string, codes []string, p People) Writer {
	head, w := headOf("POST", launchPath(launch, "redemptions"), t.Host), p.who()
	return func(to []byte, n uint64) []byte {
		return appendRedeem(to, head, codes[n%uint64(len(codes))], w, n)
	}
}

// Again redeems one code for few people, each again and again: all but the
// first of each are answered with the redemption there is.
func Again(t Target, launch, code string, p People, few uint64) Writer {
	head, w := headOf("POST", launchPath(launch, "redemptions"), t.Host), p.who()
	return func(to []byte, n uint64) []byte { return appendRedeem(to, head, code, w, n%few) }
}

func appendRedeem[Code string | []byte](to []byte, head string, code Code, w who, n uint64) []byte {
	const open = `{"code":"`
	to = append(to, head...)
	to = strconv.AppendInt(to, int64(len(open)+len(code)+len(w.before)+digits+len(w.after)), 10)
	to = append(append(append(append(to, "\r\n\r\n"...), open...), code...), w.before...)
	return append(appendNumber(to, n), w.after...)
}

// Junk redeems codes that do not exist: length characters that are drawn anew
// for each request, without the check characters that a gateway would have made.
func Junk(t Target, launch string, length int, p People) Writer {
	head, w := headOf("POST", launchPath(launch, "redemptions"), t.Host), p.who()
	return func(to []byte, n uint64) []byte {
		const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
		var code [32]byte
		random := mix(n)
		for i := range code[:length] {
			if i%12 == 11 {
				random = mix(random)
			}
			code[i] = alphabet[random&31]
			random >>= 5
		}
		return appendRedeem(to, head, code[:length], w, n)
	}
}

// MaxJunk is the length of the longest code that Junk makes up.
const MaxJunk = 32

// Validate asks whether one of the codes could be redeemed.
func Validate(t Target, launch string, codes []string) Writer {
	head := headOf("POST", launchPath(launch, "validations"), t.Host)
	return func(to []byte, n uint64) []byte {
		const open, end = `{"code":"`, `"}`
		code := codes[n%uint64(len(codes))]
		to = append(to, head...)
		to = strconv.AppendInt(to, int64(len(open)+len(code)+len(end)), 10)
		return append(append(append(append(to, "\r\n\r\n"...), open...), code...), end...)
	}
}

// Get reads the paths in turn, each with a fresh look: no validators are sent.
func Get(t Target, paths []string) Writer {
	requests := make([]string, len(paths))
	for i, p := range paths {
		requests[i] = "GET " + p + " HTTP/1.1\r\nHost: " + t.Host + "\r\n\r\n"
	}
	return func(to []byte, n uint64) []byte { return append(to, requests[n%uint64(len(requests))]...) }
}

// CheckText refuses what would break out of a request: codes, prefixes and
// paths are written into requests as they are.
func CheckText(what string, texts ...string) error {
	for i, s := range texts {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' }) {
			return fmt.Errorf("%s %d of %d is empty or has characters other than visible ASCII without \" and \\", what, i+1, len(texts))
		}
	}
	return nil
}

// mix is splitmix64: a number that looks random for each number.
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
