package edge

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// head is what the edge reads of a request's header block: slices of
// fasthttp's buffer, good until the handler returns.
type head struct {
	contentType     []byte
	contentEncoding []byte
	authorization   []byte
	cookie          []byte
	ack             []byte
	proof           []byte // Idempotency-Key
	requestID       []byte
	userAgent       []byte
	origin          []byte // of the page that calls from a browser
	ifNoneMatch     []byte
	lastEventID     []byte
	purpose         []byte   // Sec-Purpose or Purpose: what a browser fetches ahead
	proto           []byte   // the last X-Forwarded-Proto
	forwardedFor    [][]byte // every X-Forwarded-For, in order
	forwarded       [][]byte // every Forwarded, in order

	host, length, coding []byte
	seen                 uint16 // the fields that may come once, and did
}

// The fields that may come once.
const (
	fieldHost uint16 = 1 << iota
	fieldCookie
	fieldAck
	fieldContentType
	fieldAuthorization
	fieldLength
	fieldProof
	fieldContentEncoding
	fieldCoding
)

// maxFields bounds the fields of a request.
const maxFields = 64

// read takes the fields out of the block as it came in.
//
// fasthttp 1.74 would do it, but it takes requests that another server reads
// in another way, and so lets a request hide in the body of the one before
// (request smuggling): Content-Length and Transfer-Encoding together, folded
// lines, bodies of GET and HEAD, header blocks that end in bare line feeds,
// names with spaces in them. Versions 1.75 to 1.77 refuse most of this but do
// not resolve here; the checks below may go when they do. Control characters
// in values it refuses itself. RawHeaders is a copy made before fasthttp's
// parser writes into its buffer.
func (h *head) read(r *fasthttp.RequestHeader) *gateway.Error {
	h.reset()
	if p := r.Protocol(); string(p) != "HTTP/1.1" && string(p) != "HTTP/1.0" {
		return malformed("Use HTTP/1.1.")
	}
	block := r.RawHeaders()
	if len(block) == 0 {
		return h.framing(r)
	}
	for fields := 0; ; fields++ {
		line, rest, ok := bytes.Cut(block, []byte("\n"))
		if !ok || len(line) == 0 || line[len(line)-1] != '\r' {
			return malformed("End every header line, and the header, with CR LF.")
		}
		line, block = line[:len(line)-1], rest
		if len(line) == 0 {
			break
		}
		if fields == maxFields {
			return &gateway.Error{Reason: headerTooLarge, Detail: "Send at most 64 header fields."}
		}
		if err := h.field(line); err != nil {
			return err
		}
	}
	if len(block) > 0 {
		return malformed("End the header with one empty line.")
	}
	return h.framing(r)
}

func (h *head) reset() {
	*h = head{forwardedFor: h.forwardedFor[:0], forwarded: h.forwarded[:0]}
}

// field reads one line.
func (h *head) field(line []byte) *gateway.Error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isToken(name) {
		return malformed("Send header fields as name: value, one on each line.")
	}
	value = bytes.Trim(value, " \t")
	switch len(name) {
	case 4:
		if fold(name, "host") {
			return h.once(fieldHost, &h.host, value)
		}
	case 6:
		if fold(name, "cookie") {
			return h.once(fieldCookie, &h.cookie, value)
		}
		if fold(name, "origin") {
			h.origin = value
		}
	case 7:
		if fold(name, "purpose") && h.purpose == nil {
			h.purpose = value
		}
	case 9:
		if fold(name, "admit-ack") {
			return h.once(fieldAck, &h.ack, value)
		}
		if fold(name, "forwarded") {
			h.forwarded = append(h.forwarded, value)
		}
	case 10:
		if fold(name, "user-agent") {
			h.userAgent = value
		}
	case 11:
		if fold(name, "sec-purpose") {
			h.purpose = value
		}
	case 12:
		if fold(name, "content-type") {
			return h.once(fieldContentType, &h.contentType, value)
		}
		if fold(name, "x-request-id") {
			h.requestID = value
		}
	case 13:
		if fold(name, "if-none-match") {
			h.ifNoneMatch = value
		}
		if fold(name, "last-event-id") {
			h.lastEventID = value
		}
		if fold(name, "authorization") {
			return h.once(fieldAuthorization, &h.authorization, value)
		}
	case 14:
		if fold(name, "content-length") {
			return h.once(fieldLength, &h.length, value)
		}
	case 15:
		if fold(name, "idempotency-key") {
			return h.once(fieldProof, &h.proof, value)
		}
		if fold(name, "x-forwarded-for") {
			h.forwardedFor = append(h.forwardedFor, value)
		}
	case 16:
		if fold(name, "content-encoding") {
			return h.once(fieldContentEncoding, &h.contentEncoding, value)
		}
	case 17:
		if fold(name, "transfer-encoding") {
			return h.once(fieldCoding, &h.coding, value)
		}
		if fold(name, "x-forwarded-proto") {
			h.proto = value
		}
	}
	return nil
}

// once keeps a field that may come once only: a repeated one is whichever of
// the two the reader before us did not look at.
func (h *head) once(bit uint16, to *[]byte, value []byte) *gateway.Error {
	if h.seen&bit != 0 {
		return malformed("Send this header field once: Authorization, Content-*, Cookie, Host, Idempotency-Key, Admit-Ack or Transfer-Encoding.")
	}
	h.seen |= bit
	*to = value
	return nil
}

// framing refuses a request whose end, or whose host, could be read in two
// ways.
func (h *head) framing(r *fasthttp.RequestHeader) *gateway.Error {
	hasLength, hasCoding, hasHost := h.seen&fieldLength != 0, h.seen&fieldCoding != 0, h.seen&fieldHost != 0
	switch {
	case hasLength && hasCoding:
		return malformed("Send Content-Length or Transfer-Encoding, not both.")
	case hasCoding && !fold(h.coding, "chunked"):
		return malformed("Use Transfer-Encoding: chunked, or none.")
	case hasLength && !isNumber(h.length):
		return malformed("Send Content-Length as a whole number.")
	case (r.IsGet() || r.IsHead()) && (hasCoding || hasLength && string(bytes.TrimLeft(h.length, "0")) != ""):
		return malformed("Send GET and HEAD requests without a body.")
	case !hasHost && r.IsHTTP11(), hasHost && !isHost(h.host):
		return malformed("Send one Host header field with a host name and an optional port.")
	}
	return nil
}

// malformed refuses a request that is not good HTTP; its connection closes.
func malformed(detail string) *gateway.Error {
	return &gateway.Error{Reason: gateway.InvalidRequest, Detail: detail}
}

// fold compares a name or word of the header to one in lower case.
func fold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isToken is RFC 9110's token, of which field names are made.
func isToken(b []byte) bool {
	for _, c := range b {
		if !alphanumeric(c) && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

func isNumber(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 10
}

// isHost is a name, an IPv4 address or an IPv6 address in brackets, and
// perhaps a port.
func isHost(b []byte) bool {
	for _, c := range b {
		if !alphanumeric(c) && bytes.IndexByte([]byte("-._:[]"), c) < 0 {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 255
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// safe reports whether b is 1 to 64 letters, digits and characters of others:
// what request ids and idempotency keys are made of.
func safe(b []byte, others string) bool {
	for _, c := range b {
		if !alphanumeric(c) && bytes.IndexByte([]byte(others), c) < 0 {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 64
}
