package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// block is a fenced block of a document.
type block struct{ kind, text string }

var fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

func blocks(t *testing.T, path string) []block {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []block
	for _, m := range fence.FindAllStringSubmatch(string(b), -1) {
		list = append(list, block{m[1], m[2]})
	}
	return list
}

// TestDocuments executes every curl line of the README and the documents
// against a fresh dev, in their order, and compares what comes back with the
// json block behind it; "…" stands for anything.
func TestDocuments(t *testing.T) {
	up := startDev(t, dataDir(t))
	code := up.freshCodes(t, 1)[0]
	fill := strings.NewReplacer("http://127.0.0.1:8080", up.Public, "http://127.0.0.1:9080", up.Private, "$CODE", code, "$KEY", up.AdminKey)
	welcome := (&development{devCommand: &devCommand{}}).welcome(map[string]string{"public": up.Public, "private": up.Private, "admin_key": up.AdminKey}, code)
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, path := range append([]string{"../../README.md"}, documents...) {
		var answer []byte
		for _, b := range blocks(t, path) {
			switch b.kind {
			case "sh":
				for line := range strings.Lines(fill.Replace(b.text)) {
					if strings.HasSuffix(path, "README.md") && !strings.Contains(welcome, strings.TrimSpace(line)) {
						t.Errorf("dev does not print this line of the README: %s", line)
					}
					answer = curl(t, strings.TrimSpace(line))
					ran++
				}
			case "json":
				if answer == nil {
					t.Fatalf("%s: a json block without a curl line before it", path)
				}
				var want, got any
				if err := json.Unmarshal([]byte(fill.Replace(b.text)), &want); err != nil {
					t.Fatalf("%s: %v in %s", path, err, b.text)
				}
				if err := json.Unmarshal(answer, &got); err != nil {
					t.Fatalf("%s: %v in %s", path, err, answer)
				}
				if where := differ("", want, got); where != "" {
					t.Errorf("%s: %s\nit says %s\nit was %s", path, where, b.text, answer)
				}
			}
		}
	}
	if ran < 3 {
		t.Fatalf("only %d lines were executed", ran)
	}
}

// differ says where the answer lacks what the document shows.
func differ(at string, want, got any) string {
	if want == "…" {
		if got == nil {
			return at + " is missing"
		}
		return ""
	}
	w, ok := want.(map[string]any)
	if !ok {
		if wb, _ := json.Marshal(want); string(wb) != string(must(json.Marshal(got))) {
			return at + " is another"
		}
		return ""
	}
	g, _ := got.(map[string]any)
	for name, v := range w {
		if where := differ(at+"."+name, v, g[name]); where != "" {
			return where
		}
	}
	return ""
}

func must(b []byte, _ error) []byte { return b }

var words = regexp.MustCompile(`'[^']*'|\S+`)

// curl does what a curl line with -s, -H and -d would do.
func curl(t *testing.T, line string) []byte {
	t.Helper()
	args := words.FindAllString(line, -1)
	for i, a := range args {
		args[i] = strings.Trim(a, "'")
	}
	if args[0] != "curl" {
		t.Fatalf("the document runs %q, which this test does not know", args[0])
	}
	method, url, body := http.MethodGet, "", ""
	header := http.Header{}
	for i := 1; i < len(args); i++ {
		switch a := args[i]; a {
		case "-s":
		case "-H":
			i++
			name, value, _ := strings.Cut(args[i], ": ")
			header.Set(name, value)
		case "-d":
			i++
			method, body = http.MethodPost, args[i]
		case "-X":
			i++
			method = args[i]
		default:
			url = a
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
