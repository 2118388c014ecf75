package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"admitone/gateway"
	"admitone/gateway/client"
)

// remote is how a command reaches a gateway's private listener, and how it
// prints.
type remote struct {
	AdminURL string `default:"http://127.0.0.1:9080" help:"Private listener of a gateway."`
	KeyFile  string `help:"File of the API key; or ADMITONE_KEY." placeholder:"FILE"`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// AfterApply lets commands take the client as an argument of Run.
func (r *remote) AfterApply(c *kong.Context) error { return c.BindToProvider(r.client) }

func (r *remote) client() (*client.Client, error) {
	if err := checkAdminURL(r.AdminURL); err != nil {
		return nil, err
	}
	key, err := secret(r.KeyFile, "ADMITONE_KEY")
	if err != nil {
		return nil, err
	}
	if key == "" {
		return nil, errors.New("no API key: set ADMITONE_KEY or --key-file (admitone dev prints one, admitone key create makes one)")
	}
	return client.New("", r.AdminURL, key, client.Options{}), nil
}

// print writes a value as JSON, or as text for people.
func (r remote) print(value any, text func(io.Writer)) error {
	if r.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(value)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// row writes the cells of a table's line.
func row(w io.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		if c == "" {
			c = "-"
		}
		fmt.Fprint(w, c)
	}
	fmt.Fprintln(w)
}

// explain writes an error for people, with every line of an import and every
// field of a policy.
func explain(w io.Writer, err error) {
	var e *client.Error
	switch known := errors.As(err, &e); {
	case known && len(e.Problems) > 0:
		fmt.Fprintf(w, "admitone: the policy is wrong in %d places; nothing was changed (request %s)\n", len(e.Problems), e.RequestID)
	default:
		fmt.Fprintln(w, "admitone:", err)
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		fmt.Fprintln(w, "  Does a gateway run there? --admin-url names its private listener, which serve and dev open at --admin-addr.")
	}
	if e == nil {
		return
	}
	if e.Refusal.Reason == gateway.NotFound {
		fmt.Fprintln(w, "  Is that a private listener? --admin-url names it; the public one, 8080 by default, does not know this call.")
	}
	for _, p := range e.Problems {
		fmt.Fprintf(w, "  %s: %s\n", p.Path, p.Message)
	}
	const most = 20
	for i, l := range e.Lines {
		if i == most {
			fmt.Fprintf(w, "  … and %d more lines\n", len(e.Lines)-most)
			break
		}
		fmt.Fprintf(w, "  line %d: %s\n", l.Line, l.Message)
	}
}

// terminal reports whether a file is one: progress is shown there only.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress shows how far long work has come, on a terminal.
func progress(what string, done, all int) {
	if !terminal(os.Stderr) {
		return
	}
	const width = 30
	filled := width * done / max(all, 1)
	fmt.Fprintf(os.Stderr, "\r%s %s%s %d/%d", what, strings.Repeat("█", filled), strings.Repeat("·", width-filled), done, all)
	if done >= all {
		fmt.Fprintln(os.Stderr)
	}
}

// contentType tells YAML from JSON by a file's first character.
func contentType(document []byte) string {
	if strings.HasPrefix(strings.TrimSpace(string(document)), "{") {
		return "application/json"
	}
	return "application/yaml"
}

// readInput reads a file, or standard input for "-".
func readInput(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

// isUnknown reports a launch that does not exist.
func isUnknown(err error) bool { return errors.Is(err, gateway.Refuse(gateway.LaunchUnknown)) }
