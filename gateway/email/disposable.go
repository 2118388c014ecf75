package email

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"strings"
	"sync"
)

// The list of the npm package disposable-email-domains-js 1.26.0 (CC0), one
// domain a line, made anew by `make disposable`.
//
//go:embed disposable.txt.gz
var disposableList []byte

// missing are domains that hand out such addresses and that the list lacks.
var missing = [...]string{"tempmail.com", "throwaway.email"}

// disposable reads the list at its first use, some 2 ms, and keeps it for good,
// some 0.5 MB.
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
	for _, domain := range missing {
		list[domain] = struct{}{}
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
