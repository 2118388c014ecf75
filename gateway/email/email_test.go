package email

import "testing"

func TestCanonical(t *testing.T) {
	rules := Rules{PlusTags: true, Dots: []string{"gmail.com", "googlemail.com"}}
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
	} {
		got, err := Canonical(in, rules)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Canonical(%q) = %q, %v; want %q", in, got, err, want)
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
	for _, d := range []string{"gmail.com", "example.com", "com", "", "example.org"} {
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
	rules := Rules{PlusTags: true, Dots: []string{"gmail.com"}}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := Canonical(s, rules)
		if err != nil {
			return
		}
		if twice, err := Canonical(once, rules); err != nil || twice != once {
			t.Errorf("%q → %q → %q, %v", s, once, twice, err)
		}
	})
}
