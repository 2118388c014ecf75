package email

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"strings"
	"sync"
)

// The list of the npm package disposable-email-domains-js (CC0), one domain a
// line, made by `make disposable`.
//
//go:embed disposable.txt.gz
var disposableList []byte

var disposable = sync.OnceValue(func() map[string]struct{} {
	r, err := gzip.NewReader(bytes.NewReader(disposableList))
	if err != nil {
		panic(err) // the list in the binary is broken, which no test survives
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	list := make(map[string]struct{}, 10_000)
	for line := range strings.Lines(string(text)) {
		list[strings.TrimSpace(line)] = struct{}{}
	}
	return list
})

// Disposable reports whether a domain, or one that it stands below, hands out
// addresses to throw away.
func Disposable(domain string) bool {
	list := disposable()
	for {
		if _, ok := list[domain]; ok {
			return true
		}
		_, parent, ok := strings.Cut(domain, ".")
		if !ok {
			return false
		}
		domain = parent
	}
}
