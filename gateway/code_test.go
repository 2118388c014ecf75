package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// plainCheck is a Checker without a secret.
type plainCheck struct{}

func (plainCheck) Check(launch, body string) [2]byte {
	sum := len(launch)
	for _, b := range []byte(body) {
		sum = sum*31 + int(b)
	}
	return [2]byte{Alphabet[sum&31], Alphabet[sum>>5&31]}
}

func TestReadCode(t *testing.T) {
	for in, want := range map[string]Code{
		"LPS-2024Q3-ABCD1234":          "1PS2024Q3ABCD1234",
		"lps 2024q3 abcd1234":          "1PS2024Q3ABCD1234",
		"oil":                          "011",
		"O-I_l\u00a0":                  "011",
		"AB\u2013CD":                   "ABCD",
		"":                             "",
		"- -":                          "",
		"abc!":                         "",
		"abc\t":                        "",
		"abc\x00":                      "",
		"äbc":                          "",
		"\xff":                         "",
		strings.Repeat("A", 64):        Code(strings.Repeat("A", 64)),
		strings.Repeat("A", 65):        "",
		strings.Repeat("-", 127) + "A": "A",
		strings.Repeat("A", 4000):      "",
	} {
		got, err := ReadCode(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ReadCode(%q) = %q, %v; want %q", in, got, err, want)
		}
		if err != nil && len(in) > 2 && strings.Contains(err.Error(), in) {
			t.Errorf("the error shows the code: %v", err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = ReadCode("ABCD1234XY") }); n != 0 {
		t.Errorf("reading a canonical code allocates %v times", n)
	}
}

func TestCodeIsNotLogged(t *testing.T) {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "code", Code("ABCDEFGH1234"), "short", Code("ABC"))
	if strings.Contains(b.String(), "CDEF") || strings.Contains(b.String(), "ABC") {
		t.Error("a log shows a code: " + b.String())
	}
}

func FuzzReadCode(f *testing.F) {
	f.Add("LPS-2024Q3-ABCD1234")
	f.Add("o\u2013i\xffl")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ReadCode(s)
		if err != nil {
			return
		}
		if again, err := ReadCode(string(c)); err != nil || again != c {
			t.Errorf("%q → %q → %q, %v", s, c, again, err)
		}
		if len(c) < 1 || len(c) > MaxCode || strings.ContainsAny(string(c), "ILO\t,;= ") {
			t.Errorf("%q is not canonical", c)
		}
	})
}

func TestFormat(t *testing.T) {
	values := FormatValues{Prefix: "LPS", Period: "2024Q3", Campaign: "Spring sale 24"}
	for format, want := range map[string]string{
		"{prefix}-{period}-{random:8}":         "LPS-2024Q3-{random:8}",
		"{campaign:4}-{random:6}":              "SPRI-{random:6}",
		"{random:10}":                          "{random:10}",
		"{random:8}-X":                         "{random:8}-X",
		"{random:5}":                           "",
		"{random:33}":                          "",
		"{random:8}{random:8}":                 "",
		"abc":                                  "",
		"{nope}-{random:8}":                    "",
		"{random:8":                            "",
		"a b{random:8}":                        "",
		"ä{random:8}":                          "",
		strings.Repeat("A", 60) + "{random:8}": "",
	} {
		f, err := ParseFormat(format)
		var got Template
		if err == nil {
			got, err = f.Bind(values)
		}
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%s: %q, %v; want %q", format, got, err, want)
		}
		if err == nil {
			if again, err := ParseTemplate(got.String()); err != nil || again != got {
				t.Errorf("%s does not read back: %v", got, err)
			}
		}
	}
	f, _ := ParseFormat("{prefix}-{random:8}")
	var e *Error
	if _, err := f.Bind(FormatValues{}); !errors.As(err, &e) || e.Field != "prefix" {
		t.Errorf("a missing prefix: %v", err)
	}
}

func TestTemplate(t *testing.T) {
	tp, err := ParseTemplate("LPS-2024Q3-{random:8}")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Code]bool{}
	counts := map[byte]int{}
	key := []byte("a minting")
	const n = 20_000
	for i := range uint64(n) {
		c := tp.Nth(plainCheck{}, "l", key, i)
		if again := tp.Nth(plainCheck{}, "l", key, i); again != c {
			t.Fatal("Nth is not repeatable")
		}
		seen[c] = true
		display := tp.Display(c)
		if read, err := ReadCode(display); err != nil || read != c || !strings.HasPrefix(display, "LPS-2024Q3-") {
			t.Fatalf("%s is shown as %s, %v", c, display, err)
		}
		if !tp.Genuine(plainCheck{}, "l", c) {
			t.Fatalf("%s is not genuine", c)
		}
		for _, b := range []byte(c[9:15]) {
			counts[b]++
		}
	}
	if len(seen) < n-5 {
		t.Errorf("only %d of %d codes are distinct", len(seen), n)
	}
	// 31 degrees of freedom: 80 is beyond one in a hundred thousand.
	chi, expected := 0.0, float64(n*6)/32
	for _, b := range []byte(Alphabet) {
		d := float64(counts[b]) - expected
		chi += d * d / expected
	}
	if chi > 80 {
		t.Errorf("the characters are not evenly spread: chi² = %v", chi)
	}
	forged := 0
	for i := range 3200 {
		c := Code(fmt.Sprintf("1PS2024Q3%08d", i))
		if tp.Genuine(plainCheck{}, "l", c) {
			forged++
		}
	}
	if forged > 30 {
		t.Errorf("%d of 3200 made-up codes pass for genuine", forged)
	}
	if tp.Generate(plainCheck{}, "l") == tp.Generate(plainCheck{}, "l") {
		t.Error("two generated codes are the same")
	}
	if got := tp.Display("OTHER"); got != "OTHER" {
		t.Errorf("a code of another template is shown as %s", got)
	}
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		format string
		live   int
		ok     bool
	}{{"{random:8}", 10_000, true}, {"{random:8}", 25_000, true}, {"{random:6}", 1000, false}, {"{random:8}", 1_000_000, false}, {"{random:10}", 10_000_000, true}} {
		tp, _ := ParseTemplate(c.format)
		if err := tp.Guard(c.live); (err == nil) != c.ok {
			t.Errorf("%s with %d live codes: %v", c.format, c.live, err)
		}
	}
}
