package email

import (
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	rules := Rules{PlusTags: true, Dots: []string{"gmail.com"}}
	for in, want := range map[string]string{
		"Ann@Example.COM":               "ann@example.com",
		"a.n.n+news@googlemail.com":     "ann@gmail.com",
		"a.n.n+news@example.com":        "a.n.n@example.com",
		"ann@bücher.example.com":        "ann@xn--bcher-kva.example.com",
		"ann@example":                   "",
		"ann@com":                       "",
		"ann":                           "",
		"@example.com":                  "",
		"+tag@example.com":              "",
		"ann@@example.com":              "",
		`"ann"@example.com`:             "",
		"Ann <ann@example.com>":         "",
		"ann@[192.0.2.1]":               "",
		"an n@example.com":              "",
		"ann@exa mple.com":              "",
		".ann@example.com":              "",
		"a..n@example.com":              "",
		"ann@example.com\r\nBcc: x@y.z": "",
		"ann@googlemail.com":            "ann@gmail.com",
		"ann@mail.gmail.com":            "ann@mail.gmail.com",
		"A.N.N@gmail.com":               "ann@gmail.com",
		"a..n@gmail.com":                "", // no address, even where dots do not count
		"ann.@gmail.com":                "",
		"ann+@example.com":              "ann@example.com",
		"o'neil/x=1@example.com":        "o'neil/x=1@example.com",
		"ann@example.com.":              "",
		"ann@.example.com":              "",
		"ann@example..com":              "",
		"ann@192.0.2.1":                 "",
		"ann@0x7f.1":                    "",
		"ann@co.uk":                     "",
		"ann@shop.co.uk":                "ann@shop.co.uk",
		"ann@ＭＡＩＬinator。com":            "ann@mailinator.com", // what IDNA maps is one domain
		"ann@exa\u00admple.com":         "ann@example.com",
		"änn@example.com":               "",
		"ann@\xff.com":                  "",
		"ann\x00@example.com":           "",
		"(c)ann@example.com":            "",
		"ann@exa_mple.com":              "",
		"ann@-example.com":              "",
		"":                              "",

		strings.Repeat("a", 64) + "@example.com":             strings.Repeat("a", 64) + "@example.com",
		strings.Repeat("a", 65) + "@example.com":             "",
		"ann@" + strings.Repeat("a", 63) + ".com":            "ann@" + strings.Repeat("a", 63) + ".com",
		"ann@" + strings.Repeat("a", 64) + ".com":            "",
		"ann@" + strings.Repeat("ü", 60) + ".com":            "",                                           // punycode of 65 bytes
		"ann@" + strings.Repeat("bü.", 60) + "com":           "",                                           // 243 bytes, 545 in ASCII
		"ann@" + strings.Repeat("abcd.", 49) + "com":         "ann@" + strings.Repeat("abcd.", 49) + "com", // 252
		"anna." + "@" + strings.Repeat("abcd.", 49) + "com":  "",
		"annas" + "@" + strings.Repeat("abcd.", 49) + "com":  "annas@" + strings.Repeat("abcd.", 49) + "com", // 254
		"annass" + "@" + strings.Repeat("abcd.", 49) + "com": "",
	} {
		got, err := Canonical(in, rules)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Canonical(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if got, err := Canonical("A.n+x@googlemail.com", Rules{}); err != nil || got != "a.n+x@googlemail.com" {
		t.Errorf("without rules: %q, %v", got, err)
	}
	if got := Domain("ann@shop.co.uk"); got != "shop.co.uk" {
		t.Errorf("the domain is %q", got)
	}
}

func TestUnder(t *testing.T) {
	list := []string{"example.com", "shop.co.uk"}
	for domain, want := range map[string]bool{
		"example.com": true, "a.b.example.com": true, "shop.co.uk": true,
		"notexample.com": false, "example.com.evil.org": false, "co.uk": false, "com": false, "": false,
	} {
		if Under(domain, list) != want {
			t.Errorf("Under(%q) is not %v", domain, want)
		}
	}
}

func TestDisposable(t *testing.T) {
	for _, d := range []string{
		"tempmail.com", "mailinator.com", "guerrillamail.com", "10minutemail.com", "throwaway.email", "yopmail.com",
		"inbox.mailinator.com", "a.b.yopmail.com",
	} {
		if !Disposable(d) {
			t.Errorf("%s is not known as disposable", d)
		}
	}
	for _, d := range []string{"gmail.com", "example.com", "com", "", "example.org", "outlook.com", "xmailinator.com.example", "mailinator.com.example.org"} {
		if Disposable(d) {
			t.Errorf("%s is taken for disposable", d)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Disposable("a.b.example.com") }); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("Ann+x@Example.com")
	f.Add("a.b@gmail.com")
	f.Add("a+.b@googlemail.com")
	f.Add("a@bücher.ＣＯＭ")
	rules := Rules{PlusTags: true, Dots: []string{"gmail.com"}}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := Canonical(s, rules)
		if err != nil {
			return
		}
		if twice, err := Canonical(once, rules); err != nil || twice != once {
			t.Errorf("%q → %q → %q, %v", s, once, twice, err)
		}
		if len(once) > 254 || strings.ToLower(once) != once || strings.Count(once, "@") != 1 || strings.ContainsFunc(once, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q → %q is not canonical", s, once)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	rules := Rules{PlusTags: true, Dots: []string{"gmail.com"}}
	for b.Loop() {
		_, _ = Canonical("Ann.Other+news@example.com", rules)
	}
}

func BenchmarkDisposable(b *testing.B) {
	for b.Loop() {
		Disposable("mail.example.com")
	}
}
