package gateway

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms says of each package, its tests aside, which others it imports and
// which of HTTP, SQL and Redis it sees. Each is held to its own line, so nothing
// comes in through a third one.
var rooms = []struct{ room, takes, sees string }{
	{"gateway", "", "http"}, // the names of the statuses
	{"gateway/strictjson", "gateway", ""},
	{"gateway/email", "", ""},
	{"gateway/country", "", ""},
	{"gateway/challenge", "gateway", "http"},
	{"gateway/keyring", "gateway", ""},
	{"gateway/edge", "gateway gateway/email gateway/keyring gateway/strictjson", "http"},
	{"gateway/admin", "gateway gateway/email gateway/strictjson", "http"},
	{"gateway/client", "gateway", "http"},
	{"lua", "gateway gateway/keyring sync/journal", "redis"},
	{"sync/journal", "gateway", ""},
	{"sync/ledger", "gateway sync/journal", "sql"},
	{"sync/syncer", "gateway sync/journal sync/ledger", "sql"},
	{"sync/heal", "gateway lua sync/ledger", "sql"},
	{"sync/jobs", "gateway gateway/keyring sync/ledger", "http sql"},
}

// sights are the packages by which HTTP, SQL and Redis are seen.
var sights = map[string][]string{
	"http":  {"net/http", "github.com/valyala/fasthttp"},
	"sql":   {"database/sql", "github.com/jackc/", "github.com/riverqueue/", "github.com/pressly/"},
	"redis": {"github.com/redis/"},
}

// TestRooms: no room sees more than the architecture lets it.
func TestRooms(t *testing.T) {
	for _, r := range rooms {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(r.room), "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", r.room, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				path, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if why := forbidden(r.room, path, strings.Fields(r.takes), strings.Fields(r.sees)); why != "" {
					t.Errorf("%s imports %s: %s", file, path, why)
				}
			}
		}
	}
}

// forbidden is why a room may not import a package; "" if it may.
func forbidden(room, path string, takes, sees []string) string {
	if own, ok := strings.CutPrefix(path, "admitone/"); ok {
		if !slices.Contains(takes, own) {
			return room + " takes nothing of that room"
		}
		return ""
	}
	if first, _, _ := strings.Cut(path, "/"); room == "gateway" && strings.Contains(first, ".") {
		return "the domain takes the standard library only"
	}
	for what, packages := range sights {
		if !slices.Contains(sees, what) && slices.ContainsFunc(packages, func(p string) bool { return strings.HasPrefix(path, p) }) {
			return room + " does not see " + what
		}
	}
	return ""
}

// TestEveryRoomIsListed: a new package of the gateway says here what it may
// see.
func TestEveryRoomIsListed(t *testing.T) {
	listed := map[string]bool{"gateway/gatewaytest": true, "gateway/gatewaytest/openapi": true} // for tests only
	for _, r := range rooms {
		listed[r.room] = true
	}
	for _, top := range []string{"gateway", "lua", "sync"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			if room := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../")); !listed[room] {
				t.Errorf("%s is in no room: list %s", path, room)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
