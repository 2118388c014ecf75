package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func policyDocs(t *testing.T) string {
	b, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPolicyDocsExample: the example of docs/policy.md is a policy, and shows
// every field.
func TestPolicyDocsExample(t *testing.T) {
	_, rest, _ := strings.Cut(policyDocs(t), "\n```yaml\n")
	example, _, ok := strings.Cut(rest, "\n```\n")
	if !ok {
		t.Fatal("there is no example")
	}
	document := fromYAML(t, example)
	p, err := ParsePolicy(document)
	if err != nil {
		t.Fatal(err)
	}
	if p.Limits.AddressDedup.Action != DedupRefuse || p.Unlock.LicenseRounds != 500 || p.Codes.Link.Expires != 90*day {
		t.Errorf("%+v", p)
	}
	var shown any
	if err := json.Unmarshal(document, &shown); err != nil {
		t.Fatal(err)
	}
	for _, path := range leaves() {
		if _, ok := at(shown, path); !ok {
			t.Errorf("the example does not show %s", path)
		}
	}
}

// TestPolicyYAML: YAML's own numbers, booleans and words mean what a reader
// takes them for.
func TestPolicyYAML(t *testing.T) {
	p, err := ParsePolicy(fromYAML(t, `
launch: writer
subjects: {once_per_launch: false}
codes: {bulk: {uses: 3}, vip: {expires: 1d12h}}
limits: {failed_attempts: {per_address: off, per_subject: 5/30m}, address_dedup: {action: off}}
unlock: {invite_rounds: 30, license_rounds: unlimited}
`))
	want := DefaultPolicy("writer")
	want.Subjects.OncePerLaunch, want.Codes.Bulk.Uses, want.Codes.VIP.Expires = false, 3, day+day/2
	want.Limits.FailedAttempts = AttemptsPolicy{PerSubject: Rate{5, day / 48}}
	want.Unlock.InviteRounds = 30
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, p, want)
	}
}

// TestPolicyDocsFields: docs/policy.md has one row for each field, with its
// default, and none for anything else.
func TestPolicyDocsFields(t *testing.T) {
	b, err := json.Marshal(DefaultPolicy("writer"))
	if err != nil {
		t.Fatal(err)
	}
	var defaults any
	if err := json.Unmarshal(b, &defaults); err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| (.*?) \\|").FindAllStringSubmatch(policyDocs(t), -1) {
		if _, twice := told[row[1]]; twice {
			t.Errorf("%s has two rows", row[1])
		}
		told[row[1]] = strings.Trim(row[2], "`")
	}
	for path, text := range told {
		if !slices.Contains(leaves(), path) {
			t.Errorf("there is no field %s (%s)", path, text)
		}
	}
	for _, path := range leaves() {
		v, _ := at(defaults, path)
		want, isText := v.(string)
		if !isText || want == "" {
			b, _ := json.Marshal(v)
			want = string(b)
		}
		switch path {
		case "launch":
			want = "required"
		case "name":
			want = "launch"
		}
		if got, ok := told[path]; !ok || got != want {
			t.Errorf("%s: the docs say %q, the default is %q", path, got, want)
		}
	}
}

// TestPolicyDocsFrom: each row's last column names every policy of
// examples/policies that sets the field, and no policy that does not exist.
func TestPolicyDocsFrom(t *testing.T) {
	files, err := filepath.Glob("../examples/policies/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	examples := map[string]any{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var document any
		if err := json.Unmarshal(fromYAML(t, string(b)), &document); err != nil {
			t.Fatal(err)
		}
		examples[strings.TrimSuffix(filepath.Base(file), ".yaml")] = document
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\|.*\\| ([^|]*) \\|$").FindAllStringSubmatch(policyDocs(t), -1)
	if len(rows) != len(leaves()) {
		t.Errorf("%d rows say where they are from, of %d", len(rows), len(leaves()))
	}
	for _, row := range rows {
		named := strings.Split(row[2], ", ")
		for _, name := range named {
			if examples[name] == nil && row[2] != "all" && row[2] != "–" {
				t.Errorf("%s is from %q, which is no policy", row[1], name)
			}
		}
		for name, document := range examples {
			if _, sets := at(document, row[1]); sets && row[2] != "all" && !slices.Contains(named, name) {
				t.Errorf("%s sets %s, whose row says it is from %s", name, row[1], row[2])
			}
		}
	}
}

func fromYAML(t *testing.T, s string) []byte {
	b, err := yaml.YAMLToJSON([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// leaves are the paths of the fields that hold no fields.
func leaves() []string {
	all := fieldPaths("", reflect.TypeFor[Policy]())
	return slices.DeleteFunc(slices.Clone(all), func(path string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(other, path+".") })
	})
}

// at finds a dotted path in a decoded document.
func at(v any, path string) (any, bool) {
	for name := range strings.SplitSeq(path, ".") {
		fields, _ := v.(map[string]any)
		var ok bool
		if v, ok = fields[name]; !ok {
			return nil, false
		}
	}
	return v, true
}
