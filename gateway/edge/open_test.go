package edge

import (
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

func TestOpen(t *testing.T) {
	for _, c := range []struct {
		name, method, path, header string
		change                     func(*world)
		status                     int
		location                   string
		counted, cookie            bool
	}{
		{"a link", "GET", "/i/writer/abcd-2345", "", nil, 302, "https://writer.example/signup", true, true},
		{"with a query", "GET", "/i/writer/ABCD2345?next=//evil.example", "", nil, 302, "https://writer.example/signup", true, true},
		{"escaped", "GET", "/i/writer/ab%43d%202345", "", nil, 302, "https://writer.example/signup", true, true},
		{"HEAD", "HEAD", "/i/writer/ABCD2345", "", nil, 302, "https://writer.example/signup", false, false},
		{"a preview", "GET", "/i/writer/ABCD2345", "User-Agent: Slackbot-LinkExpanding 1.0", nil, 302, "https://writer.example/signup", false, false},
		{"fetched ahead", "GET", "/i/writer/ABCD2345", "Sec-Purpose: prefetch;prerender", nil, 302, "https://writer.example/signup", false, false},
		{"a browser", "GET", "/i/writer/ABCD2345", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", nil, 302, "https://writer.example/signup", true, true},
		{"unreadable", "GET", "/i/writer/a!b", "", nil, 302, "https://writer.example/signup", false, false},
		{"badly escaped", "GET", "/i/writer/ab%4", "", nil, 302, "https://writer.example/signup", false, false},
		{"a line break", "GET", "/i/writer/a%0d%0aSet-Cookie:x=y", "", nil, 302, "https://writer.example/signup", false, false},
		{"too long", "GET", "/i/writer/" + strings.Repeat("a", 500), "", nil, 302, "https://writer.example/signup", false, false},
		{"empty", "GET", "/i/writer/", "", nil, 302, "https://writer.example/signup", false, false},
		{"the store is away", "GET", "/i/writer/ABCD2345", "", func(w *world) { w.store.err = gateway.Refuse(gateway.NotAdmitted) }, 302, "https://writer.example/signup", true, true},
		{"nowhere to land", "GET", "/i/writer/ABCD2345", "", func(w *world) { w.store.launch.Policy.LandingURL = "" }, 200, "", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.change != nil {
				c.change(w)
			}
			request := c.method + " " + c.path + " HTTP/1.1\r\nHost: a\r\n"
			if c.header != "" {
				request += c.header + "\r\n"
			}
			a := w.raw(request + "\r\n")
			cookie := a.header.Get("Set-Cookie")
			if a.status != c.status || a.header.Get("Location") != c.location || (cookie != "") != c.cookie || (len(w.store.opened) == 1) != c.counted {
				t.Errorf("got %v, opened %v", a, w.store.opened)
			}
			if a.header.Get("Referrer-Policy") != "no-referrer" || a.header.Get("Cache-Control") != "no-store" || len(a.header["Set-Cookie"]) > 1 || a.header.Get("X") != "" {
				t.Errorf("headers: %v", a.header)
			}
			if c.cookie {
				if c.counted && w.store.opened[0] != "ABCD2345" {
					t.Errorf("opened %v", w.store.opened)
				}
				if secure := c.location != ""; !strings.HasPrefix(cookie, "invite_code=ABCD2345.") ||
					!strings.Contains(cookie, "; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax") || strings.HasSuffix(cookie, "; Secure") != secure {
					t.Errorf("Set-Cookie: %s", cookie)
				}
			}
		})
	}
}

func TestSecureCookie(t *testing.T) {
	plain := func(w *world) { w.store.launch.Policy.LandingURL = "http://writer.example" }
	stranger, proxied := newWorld(t), newWorld(t, trustLoopback)
	plain(stranger)
	plain(proxied)
	for _, c := range []struct {
		w      *world
		proto  string
		secure bool
	}{{stranger, "https", false}, {proxied, "https", true}, {proxied, "http", false}} {
		cookie := c.w.get("/i/writer/ABCD2345", "X-Forwarded-Proto: "+c.proto).header.Get("Set-Cookie")
		if strings.HasSuffix(cookie, "; Secure") != c.secure {
			t.Errorf("%s: %s", c.proto, cookie)
		}
	}
}

func TestAttribution(t *testing.T) {
	w := newWorld(t)
	now := noon
	w.server.now = func() time.Time { return now }
	set := w.get("/i/writer/ABCD2345").header.Get("Set-Cookie")
	good, _, _ := strings.Cut(set, ";")
	value := strings.TrimPrefix(good, "invite_code=")
	sign := func(launch, value string) string {
		return "invite_code=" + w.keyring.Sign(attributionPurpose(launch), value)
	}
	for _, c := range []struct {
		cookie string
		later  time.Duration
		code   gateway.Code
	}{
		{good, 0, "ABCD2345"},
		{"a=b; " + good + "; c=d", 7 * 24 * time.Hour, "ABCD2345"},
		{"invite_code=WXYZ9999.1.planted;" + good, 0, "ABCD2345"},
		{good, 7*24*time.Hour + time.Second, ""},
		{"invite_code=WXYZ9999." + value[strings.Index(value, ".")+1:], 0, ""},
		{sign("other", attributionValue("ABCD2345", noon)), 0, ""},
		{sign("writer", "ABCD2345"), 0, ""},
		{"other=" + value, 0, ""},
		{"invite_code", 0, ""},
		{";;=;", 0, ""},
		{"invite_code=" + strings.Repeat("a", 300), 0, ""},
	} {
		w.store.set(func(f *fakeStore) { f.redeemed = nil })
		now = noon.Add(c.later)
		a := w.post(redemptions, `{"subject":"user-1"}`, "Cookie: "+c.cookie)
		switch {
		case c.code == "":
			if a.status != 400 || a.word("field") != "code" {
				t.Errorf("%s: %v", c.cookie, a)
			}
		case len(w.store.redeemed) != 1 || w.store.redeemed[0].Code != c.code:
			t.Errorf("%s: %v", c.cookie, a)
		}
	}
	w.store.set(func(f *fakeStore) { f.redeemed = nil })
	now = noon
	w.post(redemptions, `{"subject":"user-1","code":"WXYZ9999"}`, "Cookie: "+good)
	if got := w.store.redeemed[0].Code; got != "WXYZ9999" {
		t.Errorf("a code that is given counts before the cookie's: %s", got)
	}
}
