package edge

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Each request is followed by another on the same connection. Of a request
// that two readers could end in different places, the second one must never be
// answered.
func TestAmbiguousRequestsCloseTheConnection(t *testing.T) {
	const (
		body  = `{"code":"ABCD2345","subject":"user-1"}`
		first = "POST " + redemptions + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
		next  = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	w := newWorld(t)
	for name, request := range map[string]string{
		"both framings":              first + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"both framings, other order": first + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunked,
		"two lengths":                first + length + "Content-Length: 5\r\n\r\n" + body,
		"the same length twice":      first + length + length + "\r\n" + body,
		"a list of lengths":          first + "Content-Length: 38, 38\r\n\r\n" + body,
		"a signed length":            first + "Content-Length: +38\r\n\r\n" + body,
		"a negative length":          first + "Content-Length: -1\r\n\r\n" + body,
		"identity":                   first + "Transfer-Encoding: identity\r\n\r\n" + body,
		"identity and a length":      first + length + "Transfer-Encoding: identity\r\n\r\n" + body,
		"gzip, chunked":              first + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked,
		"chunked twice":              first + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"chunked with a tab":         first + "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunked,
		"chunked in HTTP/1.0":        strings.Replace(first, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n" + chunked,
		"a folded line":              first + "X-A: b\r\n c\r\n" + length + "\r\n" + body,
		"a folded length":            first + "Content-Length:\r\n 38\r\n\r\n" + body,
		"a folded first line":        "POST " + redemptions + " HTTP/1.1\r\n Host: a\r\n" + length + "\r\n" + body,
		"a space before the colon":   first + "Content-Length : 38\r\n\r\n" + body,
		"a space in a name":          first + "X A: b\r\n" + length + "\r\n" + body,
		"no colon":                   first + "X-A\r\n" + length + "\r\n" + body,
		"an empty name":              first + ": b\r\n" + length + "\r\n" + body,
		"bare line feeds":            strings.ReplaceAll(first+length, "\r\n", "\n") + "\n" + body + "\r\n\r\n",
		"one bare line feed":         first + "X-A: b\n" + length + "\r\n" + body,
		"a bare carriage return":     first + "X-A: b\rX-B: c\r\n" + length + "\r\n" + body,
		"a NUL in a value":           first + "X-A: b\x00\r\n" + length + "\r\n" + body,
		"a DEL in a value":           first + "X-A: b\x7f\r\n" + length + "\r\n" + body,
		"an escape in a value":       first + "Cookie: a=\x1b[31m\r\n" + length + "\r\n" + body,
		"GET with a body":            "GET " + redemptions + "/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
		"GET with chunks":            "GET " + redemptions + "/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HEAD with a body":           "HEAD /i/writer/ABCD2345 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
		"no host":                    "POST " + redemptions + " HTTP/1.1\r\n" + length + "\r\n" + body,
		"an empty host":              "POST " + redemptions + " HTTP/1.1\r\nHost:\r\n" + length + "\r\n" + body,
		"two hosts":                  first + "Host: b\r\n" + length + "\r\n" + body,
		"a host with a path":         strings.Replace(first, "Host: a", "Host: a/b", 1) + length + "\r\n" + body,
		"a host with a user":         strings.Replace(first, "Host: a", "Host: a@b", 1) + length + "\r\n" + body,
		"a host with a space":        strings.Replace(first, "Host: a", "Host: a b", 1) + length + "\r\n" + body,
		"two credentials":            first + "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n" + length + "\r\n" + body,
		"two cookies":                first + "Cookie: a=b\r\nCookie: a=c\r\n" + length + "\r\n" + body,
		"HTTP/2.0":                   strings.Replace(first, "1.1", "2.0", 1) + length + "\r\n" + body,
		"HTTP/1.2":                   strings.Replace(first, "1.1", "1.2", 1) + length + "\r\n" + body,
		"not HTTP":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"a broken chunk":             first + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body + "\r\n0\r\n\r\n",
		"a chunk with a bare LF":     first + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x;a=\nb\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		t.Run(name, func(t *testing.T) {
			c := w.dial()
			io.WriteString(c, request+next)
			r := bufio.NewReader(c)
			a := w.read(r, strings.HasPrefix(request, "HEAD "))
			if a.status != 400 || !a.closed {
				t.Errorf("got %v", a)
			}
			if !strings.HasPrefix(request, "HEAD ") && (a.word("code") != "invalid_request" || a.word("request_id") == "") {
				t.Errorf("not a problem document: %v", a)
			}
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				t.Errorf("the request behind it was answered too: %s", rest)
			}
		})
	}
	if len(w.store.redeemed) > 0 {
		t.Errorf("the store was asked: %+v", w.store.redeemed)
	}
}

func TestGoodRequestsShareAConnection(t *testing.T) {
	const body = `{"code":"ABCD2345","subject":"user-1"}`
	first := "POST " + redemptions + " HTTP/1.1\r\nhOST: [::1]:80\r\ncontent-TYPE: \t application/json \t\r\n"
	w := newWorld(t)
	c := w.dial()
	r := bufio.NewReader(c)
	for name, request := range map[string]string{
		"a length":         first + fmt.Sprintf("Content-Length: 0%d\r\n\r\n%s", len(body), body),
		"chunks":           first + fmt.Sprintf("Transfer-Encoding: Chunked\r\n\r\n4\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", body[:4], len(body)-4, body[4:]),
		"an empty GET":     "GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"expect continue":  first + fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue\r\n\r\n%s", len(body), body),
		"obs-text":         first + fmt.Sprintf("X-A: \xff\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"two forwardings":  first + fmt.Sprintf("X-Forwarded-For: a\r\nX-Forwarded-For: b\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"a HEAD of a link": "HEAD /i/writer/x HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		io.WriteString(c, request)
		a := w.read(r, strings.HasPrefix(request, "HEAD "))
		if a.status == 100 {
			a = w.read(r, false)
		}
		want := 201
		if strings.HasPrefix(request, "GET ") {
			want = 404
		} else if strings.HasPrefix(request, "HEAD ") {
			want = 302
		}
		if a.status != want || a.closed {
			t.Errorf("%s: got %v, want %d", name, a, want)
		}
	}
}

func TestBounds(t *testing.T) {
	w := newWorld(t)
	field := "X-A: " + strings.Repeat("b", 100) + "\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"a body too large":         {"POST " + redemptions + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 16385\r\n\r\n", 413, "body_too_large"},
		"chunks too large":         {"POST " + redemptions + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4001\r\n", 413, "body_too_large"},
		"a header too large":       {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat(field, 90)[:8<<10], 431, "header_too_large"},
		"too many fields":          {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 64) + "\r\n", 431, "header_too_large"},
		"a target too long":        {"GET /" + strings.Repeat("a", 8<<10), 431, "header_too_large"},
		"a target that is no path": {"GET http://a/v1 HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"},
	} {
		a := w.raw(c.request)
		if a.status != c.status || a.word("code") != c.code {
			t.Errorf("%s: got %v, want %d %s", name, a, c.status, c.code)
		}
		if c.status != 404 && !a.closed {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	filler := strings.Repeat(" ", 16<<10-len(`{"code":"A","subject":"b"}`))
	if a := w.post(redemptions, `{"code":"A","subject":"b"}`+filler); a.status != 201 {
		t.Errorf("a body of 16 KiB: %v", a)
	}
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	id := anID.String()
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"OPTIONS", "*", 404, ""},
		{"POST", "/v1/launches/writer", 404, ""},
		{"POST", "/v1/launches//redemptions", 404, ""},
		{"POST", "/v1/launches/nobody/redemptions", 404, ""},
		{"POST", "/v1/launches/%77riter/redemptions", 404, ""},
		{"POST", "//v1/launches/writer/redemptions", 404, ""},
		{"POST", "/v1/launches/x/../writer/redemptions", 404, ""},
		{"POST", "/v1/launches/writer/redemptions/", 405, "GET"},
		{"POST", "/v1/launches/writer/waitlists", 404, ""},
		{"POST", "/v1/launches/writer/redemptions/" + id + "/confirm/x", 404, ""},
		{"POST", "/v1/launches/writer/redemptions/" + id + "/rollback", 404, ""},
		{"GET", "/v1/launches/writer/redemptions", 405, "POST"},
		{"PUT", "/v1/launches/writer/redemptions", 405, "POST"},
		{"POST", "/v1/launches/writer/redemptions/" + id, 405, "GET"},
		{"HEAD", "/v1/launches/writer/redemptions/" + id, 405, "GET"},
		{"GET", "/v1/launches/writer/redemptions/" + id + "/confirm", 405, "POST"},
		{"GET", "/v1/launches/writer/redemptions/" + id + "/release", 405, "POST"},
		{"DELETE", "/v1/launches/writer/validations", 405, "POST"},
		{"POST", "/i/writer/ABCD", 405, "GET, HEAD"},
		{"get", "/i/writer/ABCD", 405, "GET, HEAD"},
		{"GET", "/i/nobody/ABCD", 404, ""},
	} {
		a := w.raw(c.method + " " + c.path + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		if a.status != c.status || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: got %v, want %d %s", c.method, c.path, a, c.status, c.allow)
		}
		if c.method != "HEAD" && a.status == 405 && a.word("code") != "method_not_allowed" {
			t.Errorf("%s %s: %v", c.method, c.path, a)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	w := newWorld(t)
	made := map[string]bool{}
	for given, kept := range map[string]bool{
		"a": true, "A-z_0.9": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a b": false, `a"b`: false, "a/b": false, "é": false,
	} {
		got := w.get("/", "X-Request-Id: "+given).header.Get("X-Request-Id")
		if (got == given) != kept || !safe([]byte(got), "._-") || made[got] {
			t.Errorf("%q: %q", given, got)
		}
		made[got] = true
	}
}
