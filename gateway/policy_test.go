package gateway

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParsePolicy(t *testing.T) {
	p, err := ParsePolicy([]byte(`{"launch":"writer","limits":{"failed_attempts":{"per_address":"off","per_subject":"5/30m"}},
		"unlock":{"invite_rounds":30},"codes":{"bulk":{"uses":3,"format":"{campaign:4}-{random:8}"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultPolicy("writer")
	want.Limits.FailedAttempts = AttemptsPolicy{PerSubject: Rate{5, Duration(30 * time.Minute)}}
	want.Unlock.InviteRounds = 30
	want.Codes.Bulk = CodeDefaults{Uses: 3, Format: "{campaign:4}-{random:8}"}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
}

// TestParsePolicyErrors: each mistake is named by its path, with the remedy.
func TestParsePolicyErrors(t *testing.T) {
	for document, want := range map[string]string{
		`{"launch":"w","limits":{"failed_attemps":{}}}`:                     "limits.failed_attemps: unknown field; did you mean limits.failed_attempts?",
		`{"launch":"w","ack":"perhaps"}`:                                    "ack: use one of: accepted, persisted",
		`{"launch":"w","codes":{"bulk":{"uses":"many"}}}`:                   `codes.bulk.uses: found the text "many" where a whole number is expected`,
		`{"launch":"w","codes":{"bulk":{"uses":0}}}`:                        "codes.bulk.uses: use a whole number from 1 to 1000000000",
		`{"launch":"w","codes":{"link":{"format":"{random:2}"}}}`:           "codes.link.format: use the fields",
		`{"launch":"w","holds":{"expires":"soon"}}`:                         `holds.expires: use a duration such as "30d", "72h" or "15m"`,
		`{"launch":"w","holds":{"expires":"8d"}}`:                           "holds.expires: use a duration from 1s to 7d",
		`{"launch":"w","limits":{"failed_attempts":{"per_address":"3"}}}`:   `limits.failed_attempts.per_address: use a rate such as "3/1h", or "off"`,
		`{"launch":"w","limits":[]}`:                                        "limits: found a list where fields are expected",
		`{"launch":"w","landing_url":"javascript:alert(1)"}`:                "landing_url: use an absolute URL",
		`{"launch":"w","subjects":{"once_per_launch":"yes"}}`:               `subjects.once_per_launch: found the text "yes" where true or false is expected`,
		`{"launch":"w","abuse":{"deny_email_domains":["a.example","B C"]}}`: "abuse.deny_email_domains[1]: use a lower-case domain",
		`{"launch":"W!"}`:             "launch: use 1 to 40 of a-z",
		`{}`:                          "launch: use 1 to 40 of a-z",
		`{"launch":"w","launch":"v"}`: `the field "launch" is given twice`,
		`{"launch":"w"} x`:            "there is something after the end",
		`{"launch":`:                  "the document is not valid JSON: it ends too early",
		`[]`:                          "found a list where fields are expected",
		strings.Repeat(`{"a":`, 20):   "the document is nested too deeply",
		`{"launch":"` + strings.Repeat("a", 70_000): "the document is larger than 64 KiB",
	} {
		_, err := ParsePolicy([]byte(document))
		var e *PolicyError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s\n got %v\nwant %s", document, err, want)
		}
	}
	_, err := ParsePolicy([]byte(`{"launch":"W","ack":"x","refusals":"y"}`))
	var e *PolicyError
	if !errors.As(err, &e) || len(e.Problems) != 3 {
		t.Errorf("three mistakes at once: %v", err)
	}
}

func TestPolicyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := DefaultPolicy(rapid.StringMatching(`[a-z][a-z0-9]{0,20}`).Draw(t, "launch"))
		p.Name = rapid.StringMatching(`[A-Za-z äöü]{1,40}`).Draw(t, "name")
		p.Ack = rapid.SampledFrom([]Durability{DurabilityAccepted, DurabilityPersisted}).Draw(t, "ack")
		p.Holds.Expires = Duration(rapid.Int64Range(1, 604_800).Draw(t, "holds")) * Duration(time.Second)
		p.Limits.FailedAttempts.PerAddress = Rate{rapid.IntRange(1, 100).Draw(t, "n"), Duration(rapid.IntRange(1, 600_000).Draw(t, "window")) * Duration(time.Second)}
		p.Unlock.InviteRounds = Rounds(rapid.IntRange(-1, 1000).Draw(t, "rounds"))
		p.Abuse.DenyEmailDomains = rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,10}\.example`), 0, 3).Draw(t, "deny")
		document, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePolicy(document)
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		if len(p.Abuse.DenyEmailDomains) == 0 {
			p.Abuse.DenyEmailDomains = []string{}
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("got  %+v\nwant %+v", got, p)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(`{"launch":"writer","codes":{"bulk":{"uses":3}}}`))
	f.Add([]byte(`{"limits":{"failed_attempts":{"per_address":"3/1h"}}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := ParsePolicy(document)
		if err != nil {
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := ParsePolicy(again); err != nil || !reflect.DeepEqual(p, q) {
			t.Errorf("%s does not read back: %v", again, err)
		}
	})
}
