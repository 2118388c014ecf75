package admin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

// fill puts something into a route's path for each of its wildcards.
func fill(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	id := gateway.NewID(time.Unix(1_800_000_000, 0)).String()
	return method, strings.NewReplacer("{launch}", "l", "{campaign}", "c", "{code}", "AAA", "{job}", id, "{id}", id).Replace(path)
}

// TestAccess: every call needs a key of its scope, good for its launch.
func TestAccess(t *testing.T) {
	w := begin(t, nil)
	key := func(launch string, scope gateway.Scope) string {
		a := w.want(201, w.do("POST", "/admin/v1/keys", `{"name":"k","scopes":["`+string(scope)+`"],"launch":"`+launch+`"}`))
		return "Authorization: Bearer " + a.get("secret").(string)
	}
	read, server, elsewhere := key("", gateway.ScopeRead), key("", gateway.ScopeServer), key("another", gateway.ScopeAdmin)
	for _, r := range apiRoutes {
		method, path := fill(r.pattern)
		w.want(401, w.do(method, path, "", "Authorization: "), "code", "unauthorized")
		w.want(401, w.do(method, path, "", "Authorization: Basic x"), "code", "unauthorized")
		w.want(401, w.do(method, path, "", "Authorization: Bearer "+gateway.NewAPIKey()), "code", "unauthorized")
		w.want(403, w.do(method, path, "", server), "code", "forbidden")
		w.want(403, w.do(method, path, "", elsewhere), "code", "forbidden")
		if a := w.do(method, path, "", read); (a.status == 403) != (r.scope == gateway.ScopeAdmin) {
			t.Errorf("%s with a read key: %d", r.pattern, a.status)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/debug/pprof/": 401, "/admin/v1/nothing": 401} {
		w.want(want, w.do("GET", path, "", "Authorization: "))
	}
	w.want(200, w.do("GET", "/debug/pprof/cmdline", ""))
	w.want(403, w.do("GET", "/debug/pprof/cmdline", "", read))
}

func TestKeys(t *testing.T) {
	w := begin(t, nil)
	made := w.want(201, w.do("POST", "/admin/v1/keys", `{"name":"shop","scopes":["read"],"launch":"l","expires_at":"2099-01-01T00:00:00Z"}`), "launch", "l")
	bearer := "Authorization: Bearer " + made.get("secret").(string)
	w.want(200, w.do("GET", "/admin/v1/launches/l", "", bearer))
	list := w.want(200, w.do("GET", "/admin/v1/keys", ""), "data.0.name", "shop")
	if strings.Contains(string(list.body), made.get("secret").(string)) || list.get("data.0.last_used_at") == nil {
		t.Errorf("%s", list.body)
	}
	w.want(200, w.do("DELETE", "/admin/v1/keys/"+made.get("id").(string), ""))
	w.want(401, w.do("GET", "/admin/v1/launches/l", "", bearer))
	w.want(404, w.do("DELETE", "/admin/v1/keys/"+gateway.NewID(time.Now()).String(), ""), "code", "not_found")
}

// TestNowhere: what is not there says so in the API's own form.
func TestNowhere(t *testing.T) {
	w := begin(t, nil)
	for _, path := range []string{"/", "/admin/v1/", "/admin/v1/launches/l/nothing", "/admin/v2/launches"} {
		w.want(404, w.do("GET", path, ""), "code", "not_found")
	}
	a := w.want(405, w.do("DELETE", "/admin/v1/launches/l/policy", ""), "code", "method_not_allowed")
	if got := a.header.Get("Allow"); got != "GET, PUT" {
		t.Errorf("Allow: %q", got)
	}
	w.want(405, w.do("GET", "/admin/v1/launches/l/codes/AAA/revoke", ""), "code", "method_not_allowed")
}

// TestLog: the log says what was done by whom, and no secret.
func TestLog(t *testing.T) {
	w := begin(t, nil)
	w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns/c/codes", `{"codes":["CANARY9CODE"]}`))
	w.want(200, w.do("GET", "/admin/v1/launches/l/codes/CANARY9CODE", "", "X-Request-Id: my-id"))
	w.want(200, w.do("GET", "/admin/v1/launches/l/redemptions?subject=canary@x.example", ""))
	log := w.logs.String()
	for _, secret := range []string{"CANARY9CODE", "canary@x", adminKey} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	for _, word := range []string{`"request_id":"my-id"`, `"key":"bootstrap"`, `"route":"GET /admin/v1/launches/{launch}/codes/{code}"`} {
		if !strings.Contains(log, word) {
			t.Errorf("the log lacks %s", word)
		}
	}
}

func TestRequestID(t *testing.T) {
	w := begin(t, nil)
	for given, kept := range map[string]bool{"abc-1._Z": true, "": false, strings.Repeat("x", 65): false, "a b": false, "a\"b": false} {
		a := w.do("GET", "/admin/v1/launches", "", "X-Request-Id: "+given)
		if got := a.header.Get("X-Request-Id"); got == "" || (got == given) != kept {
			t.Errorf("%q came back as %q", given, got)
		}
	}
	a := w.do("GET", "/admin/v1/launches/none", "", "X-Request-Id: r7")
	w.want(http.StatusNotFound, a, "request_id", "r7", "code", "launch_unknown", "type", "/problems/launch_unknown", "title", "Launch unknown", "status", 404.0)
}
