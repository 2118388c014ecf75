package gateway

import (
	"strings"
	"testing"
)

func FuzzReadCode(f *testing.F) {
	f.Add("LPS-2024Q3-ABCD1234")
	f.Add("o\u2013i\xffl")
	f.Add("ABC\x00")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ReadCode(s)
		if err != nil {
			return
		}
		if again, err := ReadCode(string(c)); err != nil || again != c {
			t.Errorf("%q → %q → %q, %v", s, c, again, err)
		}
		if len(c) < 1 || len(c) > MaxCode || strings.Trim(string(c), "0123456789ABCDEFGHJKMNPQRSTUVWXYZ") != "" {
			t.Errorf("%q is not canonical", c)
		}
	})
}

// FuzzFormat: every template that binds reads back as itself, and its codes are
// canonical, can be typed as they are shown, and are genuine.
func FuzzFormat(f *testing.F) {
	f.Add("{prefix}-{period}-{random:8}", "LPS", "2024Q3", "Spring", uint64(7))
	f.Add("--a{campaign:4}{random:32}-", "-x-", "", "ÄB c", uint64(0))
	f.Fuzz(func(t *testing.T, format, prefix, period, campaign string, n uint64) {
		parsed, err := ParseFormat(format)
		if err != nil {
			return
		}
		tp, err := parsed.Bind(FormatValues{prefix, period, campaign})
		if err != nil {
			return
		}
		if again, err := ParseTemplate(tp.String()); err != nil || again != tp {
			t.Fatalf("%q reads back as %q, %v", tp, again, err)
		}
		c := tp.Nth(plainCheck{}, "l", []byte("key"), n)
		if read, err := ReadCode(string(c)); err != nil || read != c {
			t.Errorf("%q made %q, which is not canonical: %v", tp, c, err)
		}
		if read, err := ReadCode(tp.Display(c)); err != nil || read != c {
			t.Errorf("%q shows %q as %q, which reads as %q, %v", tp, c, tp.Display(c), read, err)
		}
		if !tp.Genuine(plainCheck{}, "l", c) {
			t.Errorf("%q made %q, which is not genuine", tp, c)
		}
	})
}
