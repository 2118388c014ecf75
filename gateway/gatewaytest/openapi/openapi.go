// Package openapi holds answers against docs/openapi.yaml, so that the
// description and the servers cannot drift apart unnoticed.
package openapi

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Description is docs/openapi.yaml.
type Description struct {
	doc *openapi3.T
	mux *http.ServeMux // its paths are patterns of net/http
}

// Load reads the description and checks that it is one.
func Load(t testing.TB) *Description {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("openapi: no go.mod above the test")
		}
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile(filepath.Join(dir, "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Fatal(err)
	}
	d := &Description{doc: doc, mux: http.NewServeMux()}
	for path := range doc.Paths.Map() {
		d.mux.Handle(path, http.NotFoundHandler())
	}
	return d
}

// Operations are the calls that it describes, "METHOD /path", with the scopes
// of API keys that are good for them.
func (d *Description) Operations() map[string][]string {
	all := map[string][]string{}
	for path, item := range d.doc.Paths.Map() {
		for method, o := range item.Operations() {
			scopes := []string{}
			if o.Security != nil {
				for _, requirement := range *o.Security {
					scopes = append(scopes, requirement["key"]...)
				}
			}
			all[method+" "+path] = scopes
		}
	}
	return all
}

// Check holds an answer to a request against the description. What is not
// described may only be answered with a problem.
func (d *Description) Check(r *http.Request, status int, header http.Header, body []byte) error {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil && len(body) > 0 {
		return fmt.Errorf("openapi: Content-Type %q", header.Get("Content-Type"))
	}
	response, err := d.response(r, status)
	if err != nil {
		return err
	}
	content := response.Content.Get(kind)
	if len(body) == 0 && len(response.Content) == 0 {
		return nil
	}
	if content == nil || content.Schema == nil {
		return fmt.Errorf("openapi: %s %s answers %d with %s, which is not described", r.Method, r.URL.Path, status, kind)
	}
	if !strings.HasSuffix(kind, "json") {
		return nil
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("openapi: %w", err)
	}
	if err := content.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		return fmt.Errorf("openapi: %s %s answers %d: %w", r.Method, r.URL.Path, status, err)
	}
	if content.Schema.Ref == "#/components/schemas/Problem" {
		if told := value.(map[string]any)["status"]; told != float64(status) {
			return fmt.Errorf("openapi: a problem of status %v was answered with %d", told, status)
		}
	}
	return nil
}

func (d *Description) response(r *http.Request, status int) (*openapi3.Response, error) {
	_, pattern := d.mux.Handler(r)
	item := d.doc.Paths.Value(pattern)
	if item == nil || item.GetOperation(r.Method) == nil {
		if slices.Contains([]int{401, 403, 404, 405}, status) {
			return d.doc.Components.Responses["Problem"].Value, nil
		}
		return nil, fmt.Errorf("openapi: %s %s answers %d and is not described", r.Method, r.URL.Path, status)
	}
	responses := item.GetOperation(r.Method).Responses
	found := responses.Value(strconv.Itoa(status))
	if found == nil && status >= 400 {
		found = responses.Default()
	}
	if found == nil {
		return nil, fmt.Errorf("openapi: %s %s answers %d, which is not described", r.Method, pattern, status)
	}
	return found.Value, nil
}
