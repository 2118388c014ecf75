package gateway

import "testing"

func shaped(t *testing.T, campaigns ...Campaign) *Launch {
	t.Helper()
	l := &Launch{Name: "l"}
	var list []*Campaign
	for i := range campaigns {
		campaigns[i].Number = uint32(i + 1)
		list = append(list, &campaigns[i])
	}
	l.SetCampaigns(list)
	return l
}

func TestImpossible(t *testing.T) {
	generated := func(format string) Code {
		tp, err := ParseTemplate(format)
		if err != nil {
			t.Fatal(err)
		}
		return tp.Generate(plainCheck{}, "l")
	}
	a, b := generated("A-{random:8}"), generated("{random:10}-Z")
	forged := a[:len(a)-1] + "0"
	if forged == a {
		forged = a[:len(a)-1] + "1"
	}
	for _, c := range []struct {
		name       string
		launch     *Launch
		impossible []Code
		possible   []Code
	}{
		{"no campaign yet", shaped(t), nil, []Code{a, b, "X"}},
		{"one", shaped(t, Campaign{Format: "A-{random:8}"}), []Code{b, forged, "X", "A"}, []Code{a}},
		{"two", shaped(t, Campaign{Format: "A-{random:8}"}, Campaign{Format: "{random:10}-Z"}), []Code{forged, "X"}, []Code{a, b}},
		{"changed", shaped(t, Campaign{Format: "{random:10}-Z", Earlier: []string{"A-{random:8}"}}), []Code{forged}, []Code{a, b}},
		{"chosen codes", shaped(t, Campaign{Format: "A-{random:8}"}, Campaign{Format: "A-{random:8}", Vanity: true}), nil, []Code{a, b, "X"}},
		{"chosen once", shaped(t, Campaign{Format: "A-{random:8}", Chosen: true}), nil, []Code{"X"}},
		{"a format nobody can read", shaped(t, Campaign{Format: "?"}), nil, []Code{"X"}},
	} {
		for _, code := range c.impossible {
			if !c.launch.Impossible(plainCheck{}, code) {
				t.Errorf("%s: %s is taken for possible", c.name, code)
			}
		}
		for _, code := range c.possible {
			if c.launch.Impossible(plainCheck{}, code) {
				t.Errorf("%s: %s is taken for impossible", c.name, code)
			}
		}
	}
}

func TestWider(t *testing.T) {
	one, two := shaped(t, Campaign{Format: "A-{random:8}"}), shaped(t, Campaign{Format: "A-{random:8}"}, Campaign{Format: "B-{random:8}"})
	any := shaped(t, Campaign{Format: "A-{random:8}", Vanity: true})
	for _, c := range []struct {
		name     string
		was, now *Launch
		wider    bool
	}{
		{"the first campaign", shaped(t), one, false},
		{"the same", one, one, false},
		{"another shape", one, two, true},
		{"one shape less", two, one, false},
		{"any shape", two, any, true},
		{"from any shape", any, two, false},
		{"unknown", nil, one, true},
		{"unknown, and nothing there", nil, shaped(t), false},
	} {
		if got := c.now.Wider(c.was); got != c.wider {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestSucceed(t *testing.T) {
	c := Campaign{Format: "B-{random:8}", Earlier: []string{"made up"}, Chosen: true}
	if c.Succeed(nil); c.Earlier != nil || c.Chosen {
		t.Fatal("a new campaign remembers")
	}
	c.Succeed(&Campaign{Format: "A-{random:8}", Vanity: true})
	if len(c.Earlier) != 1 || !c.Chosen {
		t.Fatalf("%v %v", c.Earlier, c.Chosen)
	}
	for i := range 2 * maxEarlier {
		next := c
		next.Format = string(rune('A'+i)) + "9-{random:8}"
		next.Succeed(&c)
		c = next
	}
	if len(c.Earlier) > maxEarlier || !c.Chosen {
		t.Fatalf("after many changes: %d earlier, chosen %v", len(c.Earlier), c.Chosen)
	}
}
