package gateway

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestPersonAppend: whatever a person's fields hold, and whichever fields there
// are, encoding/json reads what Append wrote.
func TestPersonAppend(t *testing.T) {
	for _, text := range []string{"", "ann@example.com", `"\ /` + "\x00\x1f\n\t\x7f", "Zoë 🙂 \u2028", "broken \xff\xc3"} {
		var whole Person
		fields := reflect.ValueOf(&whole).Elem()
		for i := range fields.NumField() {
			fields.Field(i).SetString(text)
		}
		for _, p := range []Person{whole, {Subject: text}, {Name: text}} {
			var read, expected Person
			if err := json.Unmarshal(p.Append(nil), &read); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			plain, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(plain, &expected); err != nil {
				t.Fatal(err)
			}
			if read != expected {
				t.Fatalf("%q is read as %+v", text, read)
			}
		}
	}
}
