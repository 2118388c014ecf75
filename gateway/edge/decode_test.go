package edge

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// What decode takes, encoding/json takes as well, with the same values; and
// each field is within its bounds.
func FuzzDecodeRedeem(f *testing.F) {
	for _, seed := range []string{
		`{"code":"ABCD-2345","subject":"user-1"}`, aRedeem, `{"code":"\u0041\ud83d\ude00\n\"\\\/"}`, `{"code":1}`, `{"code":"A"}x`, `{"a":{"b":[]}}`,
		"\ufeff{}", "{\"name\":\"\xff\"}", `{"code":"A","code":"B"}`, `{"name":"\\u0041"}`, `{}`, ` { "ip" : "::1" } `, "{\"name\":\"a\\\"\"}", `{"na\u006de":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		before := bytes.Clone(document)
		var p fastjson.Parser
		b, refusal := decode(&p, document, redeemFields)
		if !bytes.Equal(before, document) {
			t.Fatal("the document was written to")
		}
		if refusal != nil {
			if refusal.Detail == "" || !utf8.ValidString(refusal.Field) {
				t.Errorf("%q: %+v", document, refusal)
			}
			return
		}
		want := map[string]string{}
		if err := json.Unmarshal(document, &want); err != nil {
			t.Fatalf("%q is not JSON: %v", document, err)
		}
		given := 0
		for field, name := range fieldNames {
			value, ok := want[name]
			if ok {
				given++
			}
			if b.given(field) != ok || b.value[field] != value {
				t.Errorf("%q: %s: got %q %v, want %q %v", document, name, b.value[field], b.given(field), value, ok)
			}
			if len(value) > maxBytes[field] || strings.ContainsFunc(value, unprintable) {
				t.Errorf("%q: %s is out of bounds", document, name)
			}
		}
		if given != len(want) {
			t.Errorf("%q: unknown fields were taken: %v", document, want)
		}
	})
}

func TestDecodedFieldsOutliveTheParser(t *testing.T) {
	var p fastjson.Parser
	document := []byte(`{"code":"ABCD","subject":"user-1","name":"Ann"}`)
	b, err := decode(&p, document, redeemFields)
	if err != nil {
		t.Fatal(err)
	}
	clear(document)
	p.Parse(strings.Repeat(" ", 50) + `{"x":"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"}`)
	if b.value[fCode] != "ABCD" || b.value[fSubject] != "user-1" || b.value[fName] != "Ann" {
		t.Errorf("%q", b.value)
	}
}
