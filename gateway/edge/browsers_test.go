package edge

import (
	"testing"

	"admitone/gateway"
)

func TestBrowsers(t *testing.T) {
	const app = "Origin: https://app.example"
	ask := []string{"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"}
	preflight := func(w *world, header ...string) answer {
		t.Helper()
		request := "OPTIONS " + redemptions + " HTTP/1.1\r\nHost: writer.example\r\n"
		for _, h := range header {
			request += h + "\r\n"
		}
		return w.raw(request + "\r\n")
	}
	const allow = "Access-Control-Allow-Origin"
	for name, c := range map[string]struct {
		origins           gateway.Origins
		origin            string
		want, credentials string
	}{
		"none":          {nil, app, "", ""},
		"the same":      {gateway.Origins{"https://other.example", "https://app.example"}, app, "https://app.example", "true"},
		"another":       {gateway.Origins{"https://app.example"}, "Origin: https://app.example.evil.org", "", ""},
		"another port":  {gateway.Origins{"https://app.example"}, "Origin: https://app.example:8443", "", ""},
		"by http":       {gateway.Origins{"https://app.example"}, "Origin: http://app.example", "", ""},
		"of a file":     {gateway.Origins{"https://app.example"}, "Origin: null", "", ""},
		"all":           {gateway.Origins{"*"}, app, "*", ""},
		"all, of files": {gateway.Origins{"*"}, "Origin: null", "*", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.store.launch.Policy.Browsers.Origins = c.origins
			p := preflight(w, append([]string{c.origin}, ask...)...)
			if p.status != 204 || p.body != "" || p.header.Get(allow) != c.want || (p.header.Get("Access-Control-Allow-Methods") == "POST") != (c.want != "") {
				t.Errorf("the preflight is answered %v", p)
			}
			for what, a := range map[string]answer{
				"a redemption": w.post(redemptions, `{"code":"ABCD2345","subject":"ann"}`, c.origin),
				"a refusal":    w.post(redemptions, `{"code":"","bogus":1}`, c.origin),
			} {
				if a.header.Get(allow) != c.want || a.header.Get("Access-Control-Allow-Credentials") != c.credentials {
					t.Errorf("%s is answered %v", what, a)
				}
				if (a.header.Get("Access-Control-Expose-Headers") != "") != (c.want != "") {
					t.Errorf("%s exposes %q", what, a.header.Get("Access-Control-Expose-Headers"))
				}
			}
			if a := w.post(redemptions, `{"code":"ABCD2345","subject":"ann"}`); a.header.Get(allow) != "" {
				t.Errorf("without an origin: %v", a)
			}
		})
	}
	w := newWorld(t)
	w.store.launch.Policy.Browsers.Origins = gateway.Origins{"*"}
	for what, a := range map[string]answer{
		"no origin":        preflight(w, ask...),
		"no method":        preflight(w, app),
		"no such path":     w.raw("OPTIONS /v1/launches/writer/nowhere HTTP/1.1\r\nHost: writer.example\r\n" + app + "\r\n" + ask[0] + "\r\n\r\n"),
		"no such launch":   w.raw("OPTIONS /v1/launches/other/redemptions HTTP/1.1\r\nHost: writer.example\r\n" + app + "\r\n" + ask[0] + "\r\n\r\n"),
		"an origin, a GET": w.get(redemptions, app),
	} {
		if a.status != 405 && a.status != 404 {
			t.Errorf("%s: %v", what, a)
		}
	}
}
