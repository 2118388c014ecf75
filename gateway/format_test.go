package gateway

import (
	"errors"
	"fmt"
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
		"{random:+8}-{PREFIX}":                 "",
		"{prefix:3}-{random:8}":                "",
		"{campaign}-{random:8}":                "",
		strings.Repeat("A", 56) + "{random:8}": strings.Repeat("A", 56) + "{random:8}",
		strings.Repeat("A", 57) + "{random:8}": "",
		strings.Repeat("-", 91) + "{random:8}": "",
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
}

// TestBindNamesTheField: whatever is wrong with a campaign's values is the
// caller's to mend, so each error is an invalid_request that says where.
func TestBindNamesTheField(t *testing.T) {
	f, err := ParseFormat("{prefix}-{period}-{campaign:4}-{random:8}")
	if err != nil {
		t.Fatal(err)
	}
	fine := FormatValues{"LPS", "2024Q3", "Spring"}
	for _, c := range []struct {
		change func(*FormatValues)
		field  string
	}{
		{func(v *FormatValues) { v.Prefix = "" }, "prefix"},
		{func(v *FormatValues) { v.Prefix = "--" }, "prefix"},
		{func(v *FormatValues) { v.Prefix = "a b" }, "prefix"},
		{func(v *FormatValues) { v.Period = "{x}" }, "period"},
		{func(v *FormatValues) { v.Period = "\x00" }, "period"},
		{func(v *FormatValues) { v.Campaign = "夏" }, "campaign"},
		{func(v *FormatValues) { v.Prefix = strings.Repeat("A", 60) }, "format"},
		{func(v *FormatValues) { v.Prefix = "A" + strings.Repeat("-", 500) }, "format"},
	} {
		v := fine
		c.change(&v)
		var e *Error
		if _, err := f.Bind(v); !errors.As(err, &e) || e.Reason != InvalidRequest || e.Field != c.field {
			t.Errorf("%+v: %v; want the field %s", v, err, c.field)
		}
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
	if a, b := tp.Generate(plainCheck{}, "l"), tp.Generate(plainCheck{}, "l"); a == b || !tp.Genuine(plainCheck{}, "l", a) {
		t.Errorf("generated %s and %s", a, b)
	}
	real := tp.Nth(plainCheck{}, "l", key, 0)
	for _, c := range []Code{"", "1", real[:16], real + "0", "2" + real[1:], real[:16] + Code(Alphabet[(strings.IndexByte(Alphabet, real[16])+1)&31])} {
		if tp.Genuine(plainCheck{}, "l", c) {
			t.Errorf("%q passes for genuine", c)
		}
	}
	if (Template{}).Genuine(plainCheck{}, "l", "") || (Template{}).Display("AB") != "AB" {
		t.Error("no template makes sense of a code")
	}
	if got := tp.Display("0THER"); got != "0THER" {
		t.Errorf("a code of another template is shown as %s", got)
	}
	both, err := ParseTemplate("Pre-{random:6}-fix")
	if err != nil {
		t.Fatal(err)
	}
	if got := both.Display("PREABCDEFF1X"); got != "Pre-ABCDEF-fix" {
		t.Errorf("shown as %s", got)
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
