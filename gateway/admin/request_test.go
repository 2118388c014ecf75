package admin

import (
	"strings"
	"testing"
)

// TestBadInput: what is wrong with a request is told by status, code and field.
func TestBadInput(t *testing.T) {
	w := begin(t, nil)
	w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns", `{"name":"generated"}`))
	w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns/c/codes", `{"codes":["TAKEN"]}`))
	const (
		launch    = "/admin/v1/launches/l"
		campaigns = launch + "/campaigns"
		codes     = campaigns + "/c/codes"
		csv       = "Content-Type: text/csv"
	)
	many := `{"codes":[` + strings.Repeat(`"A",`, 10_000) + `"A"]}`
	for _, test := range []struct {
		name, method, path, body string
		status                   int
		code, field              any
		header                   string
	}{
		// Bodies.
		{"no JSON", "POST", campaigns, `{`, 400, "invalid_request", "body", ""},
		{"not an object", "POST", campaigns, `[]`, 400, "invalid_request", "body", ""},
		{"null", "POST", campaigns, `null`, 400, "invalid_request", "body", ""},
		{"more behind", "POST", campaigns, `{"name":"x"} {}`, 400, "invalid_request", "body", ""},
		{"too deep", "POST", campaigns, strings.Repeat(`{"name":`, 20), 400, "invalid_request", "body", ""},
		{"a field twice", "POST", campaigns, `{"name":"x","name":"y"}`, 400, "invalid_request", "name", ""},
		{"a field twice below", "POST", codes, `{"codes":[{"code":"A","code":"B"}]}`, 400, "invalid_request", "code", ""},
		{"unknown field", "POST", campaigns, `{"nome":"x"}`, 400, "invalid_request", "nome", ""},
		{"another spelling", "POST", campaigns, `{"Name":"x"}`, 400, "invalid_request", "Name", ""},
		{"form", "POST", campaigns, `name=x`, 415, "unsupported_media_type", "Content-Type", "Content-Type: application/x-www-form-urlencoded"},
		{"too large", "POST", campaigns, `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "body_too_large", nil, ""},
		// Fields.
		{"no name", "POST", campaigns, `{}`, 400, "invalid_request", "name", ""},
		{"name of another kind", "POST", campaigns, `{"name":1}`, 400, "invalid_request", "name", ""},
		{"kind", "POST", campaigns, `{"name":"x","kind":"gift"}`, 400, "invalid_request", "kind", ""},
		{"type", "POST", campaigns, `{"name":"x","type":"gift"}`, 400, "invalid_request", "type", ""},
		{"max_uses", "POST", campaigns, `{"name":"x","max_uses":0}`, 400, "invalid_request", "max_uses", ""},
		{"max_uses as text", "POST", campaigns, `{"name":"x","max_uses":"3"}`, 400, "invalid_request", "max_uses", ""},
		{"max_uses and a half", "POST", campaigns, `{"name":"x","max_uses":1.5}`, 400, "invalid_request", "max_uses", ""},
		{"max_uses beyond all", "POST", campaigns, `{"name":"x","max_uses":99999999999999999999}`, 400, "invalid_request", "max_uses", ""},
		{"expires", "POST", campaigns, `{"name":"x","expires":"soon"}`, 400, "invalid_request", "expires", ""},
		{"expires as number", "POST", campaigns, `{"name":"x","expires":30}`, 400, "invalid_request", "expires", ""},
		{"starts_at", "POST", campaigns, `{"name":"x","starts_at":"tomorrow"}`, 400, "invalid_request", "starts_at", ""},
		{"ends_at as number", "POST", campaigns, `{"name":"x","ends_at":5}`, 400, "invalid_request", "ends_at", ""},
		{"ends before it starts", "POST", campaigns, `{"name":"x","starts_at":"2027-01-02T00:00:00Z","ends_at":"2027-01-01T00:00:00Z"}`, 400, "invalid_request", "ends_at", ""},
		{"vanity", "POST", campaigns, `{"name":"x","vanity":"yes"}`, 400, "invalid_request", "vanity", ""},
		{"format", "POST", campaigns, `{"name":"x","format":"{random:3}"}`, 400, "invalid_request", "format", ""},
		{"prefix", "POST", campaigns, `{"name":"x","format":"{prefix}-{random:8}"}`, 400, "invalid_request", "prefix", ""},
		{"name taken", "POST", campaigns, `{"name":"c"}`, 409, "campaign_exists", nil, ""},
		{"edit", "PATCH", campaigns + "/c", `{"cap":-1}`, 400, "invalid_request", "cap", ""},
		// Codes.
		{"nothing asked", "POST", codes, `{}`, 400, "invalid_request", "count", ""},
		{"both asked", "POST", codes, `{"count":1,"codes":["A"]}`, 400, "invalid_request", "count", ""},
		{"count", "POST", codes, `{"count":-1}`, 400, "invalid_request", "count", ""},
		{"count too large", "POST", codes, `{"count":1000001}`, 400, "invalid_request", "count", ""},
		{"guessable", "POST", codes, `{"count":1000000000}`, 400, "invalid_request", "count", ""},
		{"no codes", "POST", codes, `{"codes":[]}`, 400, "invalid_request", "codes", ""},
		{"codes as text", "POST", codes, `{"codes":"A"}`, 400, "invalid_request", "codes", ""},
		{"too many codes", "POST", codes, many, 400, "invalid_request", "codes", ""},
		{"a code that is none", "POST", codes, `{"codes":["A","b@d"]}`, 400, "invalid_request", "codes[1].code", ""},
		{"a code as number", "POST", codes, `{"codes":["A",5]}`, 400, "invalid_request", "codes[1]", ""},
		{"a code with more", "POST", codes, `{"codes":[{"code":"A","uses":1}]}`, 400, "invalid_request", "codes[0].uses", ""},
		{"a code's uses", "POST", codes, `{"codes":[{"code":"A","max_uses":-1}]}`, 400, "invalid_request", "codes[0].max_uses", ""},
		{"a code's expiry", "POST", codes, `{"codes":[{"code":"A","expires_at":"x"}]}`, 400, "invalid_request", "codes[0].expires_at", ""},
		{"a code's recipient", "POST", codes, `{"codes":[{"code":"A","recipient":"ann@"}]}`, 400, "invalid_request", "codes[0].recipient", ""},
		{"a code that exists", "POST", codes, `{"codes":["NEW1","taken"]}`, 409, "code_exists", "codes", ""},
		{"chosen where generated", "POST", campaigns + "/generated/codes", `{"codes":["A"]}`, 400, "invalid_request", "codes", ""},
		{"no CSV", "POST", codes + "/import", `{}`, 415, "unsupported_media_type", "Content-Type", ""},
		{"broken CSV", "POST", codes + "/import", "\"a\nb", 400, "invalid_request", "body", csv},
		{"empty CSV", "POST", codes + "/import", "code\n", 400, "invalid_request", "body", csv},
		{"bad lines", "POST", codes + "/import", "code\nA\nb@d\n", 400, "invalid_request", "body", csv},
		{"imported before", "POST", codes + "/import", "code\nNEW2\ntaken\n", 400, "invalid_request", "body", csv},
		{"import where generated", "POST", campaigns + "/generated/codes/import", "A\n", 400, "invalid_request", "codes", csv},
		{"limit", "GET", codes + "?limit=0", "", 400, "invalid_request", "limit", ""},
		{"limit too large", "GET", codes + "?limit=101", "", 400, "invalid_request", "limit", ""},
		{"after", "GET", codes + "?after=!", "", 400, "invalid_request", "after", ""},
		{"unknown code", "GET", launch + "/codes/NOPE", "", 404, "code_unknown", nil, ""},
		{"no code", "GET", launch + "/codes/b@d", "", 404, "code_unknown", nil, ""},
		{"events of no code", "GET", launch + "/codes/NOPE/events", "", 404, "code_unknown", nil, ""},
		{"revoke no code", "POST", launch + "/codes/NOPE/revoke", "", 404, "code_unknown", nil, ""},
		{"revoke some", "POST", launch + "/codes/revoke", `{"codes":["TAKEN","NOPE"]}`, 404, "code_unknown", "codes", ""},
		{"revoke none", "POST", launch + "/codes/revoke", `{"codes":[]}`, 400, "invalid_request", "codes", ""},
		{"revoke until", "POST", launch + "/codes/revoke", `{"codes":["TAKEN"],"expires_at":"2027-01-01T00:00:00Z"}`, 400, "invalid_request", "expires_at", ""},
		{"revoke a bad one", "POST", launch + "/codes/revoke", `{"codes":["b@d"]}`, 400, "invalid_request", "codes[0]", ""},
		{"two ways", "POST", launch + "/codes/TAKEN/revoke", `{"codes":["TAKEN"]}`, 400, "invalid_request", "codes", ""},
		{"a long note", "POST", launch + "/codes/TAKEN/revoke", `{"note":"` + strings.Repeat("x", 501) + `"}`, 400, "invalid_request", "note", ""},
		{"job", "GET", launch + "/jobs/1", "", 404, "not_found", "job", ""},
		// Launches.
		{"no launch", "GET", "/admin/v1/launches/none", "", 404, "launch_unknown", nil, ""},
		{"no campaign", "GET", campaigns + "/none", "", 404, "campaign_unknown", nil, ""},
		{"launch taken", "POST", "/admin/v1/launches", `{"launch":"l"}`, 409, "launch_exists", nil, ""},
		{"launch without name", "POST", "/admin/v1/launches", `{}`, 400, "invalid_request", "launch", ""},
		{"policy", "PUT", launch + "/policy", `{"launch":"l","holds":{"expires":"9d"}}`, 400, "invalid_request", "holds.expires", ""},
		{"another launch's policy", "PUT", launch + "/policy", `{"launch":"m"}`, 400, "invalid_request", "launch", ""},
		{"policy without version", "PUT", launch + "/policy", `{"launch":"l"}`, 400, "invalid_request", "If-Match", "If-Match: x"},
		{"policy of before", "PUT", launch + "/policy", `{"launch":"l"}`, 409, "conflict", nil, `If-Match: "1"`},
		{"policy of before, dry", "PUT", launch + "/policy?dry_run=true", `{"launch":"l"}`, 409, "conflict", nil, `If-Match: "1"`},
		{"policy as text", "PUT", launch + "/policy", `launch: l`, 415, "unsupported_media_type", "Content-Type", "Content-Type: text/plain"},
		{"no YAML", "PUT", launch + "/policy", "launch: [", 400, "invalid_request", "body", "Content-Type: application/yaml"},
		{"two documents", "PUT", launch + "/policy", "launch: l\n---\nlaunch: l\n", 400, "invalid_request", "body", "Content-Type: application/yaml"},
		{"aliases", "PUT", launch + "/policy", "launch: &a l\nname: *a\n", 400, "invalid_request", "body", "Content-Type: application/yaml"},
		{"a field twice in YAML", "PUT", launch + "/policy", "launch: l\nlaunch: l\n", 400, "invalid_request", "body", "Content-Type: application/yaml"},
		{"unknown field in YAML", "PUT", launch + "/policy", "launch: l\nholts: {}\n", 400, "invalid_request", "holts", "Content-Type: application/yaml"},
		// Redemptions, keys.
		{"status", "GET", launch + "/redemptions?status=used", "", 400, "invalid_request", "status", ""},
		{"code", "GET", launch + "/redemptions?code=b@d", "", 400, "invalid_request", "code", ""},
		{"subject", "GET", launch + "/redemptions?subject=ann@", "", 400, "invalid_request", "subject", ""},
		{"cursor of redemptions", "GET", launch + "/redemptions?after=eA", "", 400, "invalid_request", "after", ""},
		{"cursor of events", "GET", launch + "/events?after=eA", "", 400, "invalid_request", "after", ""},
		{"redemption", "GET", launch + "/redemptions/1", "", 404, "redemption_unknown", "id", ""},
		{"rollback of none", "POST", launch + "/redemptions/019a0000-0000-7000-8000-000000000000/rollback", "", 404, "redemption_unknown", nil, ""},
		{"key without name", "POST", "/admin/v1/keys", `{"scopes":["read"]}`, 400, "invalid_request", "name", ""},
		{"key without scope", "POST", "/admin/v1/keys", `{"name":"k"}`, 400, "invalid_request", "scopes", ""},
		{"key of no scope", "POST", "/admin/v1/keys", `{"name":"k","scopes":["root"]}`, 400, "invalid_request", "scopes", ""},
		{"key that is over", "POST", "/admin/v1/keys", `{"name":"k","scopes":["read"],"expires_at":"2020-01-01T00:00:00Z"}`, 400, "invalid_request", "expires_at", ""},
		{"key of no launch", "POST", "/admin/v1/keys", `{"name":"k","scopes":["read"],"launch":"L!"}`, 400, "invalid_request", "launch", ""},
		{"no such key", "DELETE", "/admin/v1/keys/1", "", 404, "not_found", "id", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &world{TB: t, server: w.server, described: w.described}
			header := []string{}
			if test.header != "" {
				header = append(header, test.header)
			}
			a := w.want(test.status, w.do(test.method, test.path, test.body, header...), "code", test.code, "field", test.field, "status", float64(test.status))
			if d, _ := a.get("detail").(string); !strings.HasSuffix(d, ".") && !strings.Contains(d, ": ") {
				t.Errorf("detail %q is no sentence", d)
			}
			for _, leak := range []string{"SQL", "json:", "gateway.", "strconv", "admin.", "parsing"} {
				if strings.Contains(string(a.body), leak) {
					t.Errorf("the answer speaks of %q: %s", leak, a.body)
				}
			}
		})
	}
}
