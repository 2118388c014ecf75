package admin

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"admitone/gateway/gatewaytest/openapi"
)

// conforms holds every answer of these tests against the description.
func (w *world) conforms(r *http.Request, a answer) {
	w.Helper()
	if strings.HasPrefix(r.URL.Path, "/debug/") {
		return // the Go runtime's own pages
	}
	if err := w.described.Check(r, a.status, a.header, a.body); err != nil {
		w.Errorf("%v: %s", err, a.body)
	}
}

// TestDescribed: the description has every call with its scope, and no other.
func TestDescribed(t *testing.T) {
	described := openapi.Load(t).Operations()
	for _, r := range apiRoutes {
		scopes, ok := described[r.pattern]
		if !ok || !slices.Equal(scopes, []string{string(r.scope)}) {
			t.Errorf("%s needs %s, described are %v", r.pattern, r.scope, scopes)
		}
	}
	for call := range described {
		if strings.Contains(call, " /admin/") && !slices.Contains(Patterns(), call) {
			t.Errorf("%s is described and not there", call)
		}
	}
}
