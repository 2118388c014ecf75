package gateway

import (
	"log/slog"
	"strings"
	"testing"
)

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
		"ABC\x00":                      "", // the path of canonical input
		"\x00":                         "",
		"ABC\u0660":                    "",
		"ab\u2212cd\u2010ef_g":         "ABCDEFG",
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
	for in, most := range map[string]float64{"ABCD1234XY": 0, "lps-2024q3-abcd1234": 1, "no code!": 0} {
		if n := testing.AllocsPerRun(100, func() { _, _ = ReadCode(in) }); n > most {
			t.Errorf("reading %q allocates %v times", in, n)
		}
	}
}

func TestCodeIsNotLogged(t *testing.T) {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "code", Code("ABCDEFGH1234"), "short", Code("ABC"))
	if strings.Contains(b.String(), "CDEF") || strings.Contains(b.String(), "ABC") {
		t.Error("a log shows a code: " + b.String())
	}
}
