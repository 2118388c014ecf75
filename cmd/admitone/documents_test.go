package main

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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

// TestDocuments executes every line of the README and the documents that runs
// curl or admitone against a fresh dev, in their order, and compares what curl
// brings back with the json block behind it; "…" stands for anything.
func TestDocuments(t *testing.T) {
	up := startDev(t, dataDir(t))
	t.Setenv("ADMITONE_ADMIN_URL", up.Private)
	t.Setenv("ADMITONE_KEY", up.AdminKey)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Symlink(filepath.Join(root, "examples"), "examples"); err != nil {
		t.Fatal(err)
	}
	r := &reader{T: t, said: map[string]string{
		"http://127.0.0.1:8080": up.Public, "http://127.0.0.1:9080": up.Private, "$KEY": up.AdminKey, "$CODE": up.freshCodes(t, 1)[0],
	}}
	welcome := (&development{devCommand: &devCommand{}}).welcome(
		map[string]string{"public": up.Public, "private": up.Private, "admin_key": up.AdminKey}, r.said["$CODE"])
	for _, path := range append([]string{filepath.Join(root, "README.md")}, documents...) {
		var line, last string
		for _, b := range blocks(t, path) {
			switch b.kind {
			case "sh":
				for line = range strings.Lines(b.text) {
					line = r.fill(strings.TrimSpace(line))
					if strings.HasSuffix(path, "README.md") && !strings.Contains(welcome, line) {
						t.Errorf("dev does not print this line of the README: %s", line)
					}
					last = r.execute(line)
				}
			case "json":
				if last == "" {
					t.Fatalf("%s: a json block without a curl line before it", path)
				}
				// What is only read may be a moment behind.
				for deadline := time.Now().Add(10 * time.Second); ; last = r.execute(line) {
					where := r.compare(b.text, last)
					if where != "" && !strings.Contains(line, " -d ") && !strings.Contains(line, " -X ") && time.Now().Before(deadline) {
						time.Sleep(50 * time.Millisecond)
						continue
					}
					if where != "" {
						t.Errorf("%s: %s\nit says %s\nit was %s", path, where, b.text, last)
					}
					break
				}
				r.note(last)
			}
		}
	}
	if r.ran < 3 {
		t.Fatalf("only %d lines were executed", r.ran)
	}
}

// reader is somebody who does what the documents say.
type reader struct {
	*testing.T
	said map[string]string // what stands for a word in capitals, or an address
	ran  int
}

// fill puts what is known in the place of the words; the longest first.
func (r *reader) fill(text string) string {
	for _, word := range slices.SortedFunc(maps.Keys(r.said), func(a, b string) int { return len(b) - len(a) }) {
		text = strings.ReplaceAll(text, word, r.said[word])
	}
	return text
}

// execute runs a line, and notes what later lines need of its answer.
func (r *reader) execute(line string) string {
	r.ran++
	args := words.FindAllString(line, -1)
	for i, a := range args {
		args[i] = strings.Trim(a, "'")
	}
	if args[0] != "admitone" {
		answer := string(curl(r.T, line))
		r.note(answer)
		return answer
	}
	out, err := os.CreateTemp(r.TempDir(), "out")
	if err != nil {
		r.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = out
	status := run(r.Context(), args[1:])
	os.Stdout = stdout
	if status != 0 {
		r.Errorf("%s ended with status %d", line, status)
	}
	b, err := os.ReadFile(out.Name())
	if err != nil {
		r.Fatal(err)
	}
	if args[1] == "codes" && args[2] == "mint" {
		r.said["$CODE"], _, _ = strings.Cut(string(b), "\n")
	}
	return ""
}

// note keeps what later lines need of an answer.
func (r *reader) note(answer string) {
	var a struct {
		ID        string
		Token     string `json:"member_token"`
		Ticket    string
		Code      string
		ShareLink string `json:"share_link"`
		Offer     struct{ Code string }
		Invites   []struct{ Code string }
	}
	_ = json.Unmarshal([]byte(answer), &a) // what is another document has none of these
	if a.ShareLink != "" {
		r.said["$REFERRAL"] = a.Code
	}
	if len(a.Invites) > 0 {
		r.said["$INVITE"] = a.Invites[0].Code
	}
	for word, value := range map[string]string{"$ID": a.ID, "$TOKEN": a.Token, "$TICKET": a.Ticket, "$OFFER": a.Offer.Code} {
		if value != "" {
			r.said[word] = value
		}
	}
}

// compare says where an answer lacks what the document shows.
func (r *reader) compare(document, answer string) string {
	var want, got any
	if err := json.Unmarshal([]byte(r.fill(document)), &want); err != nil {
		return err.Error()
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		return err.Error()
	}
	return differ("", want, got)
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
