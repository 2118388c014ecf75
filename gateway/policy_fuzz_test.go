package gateway

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzParsePolicy: no document makes it panic, and what it accepts is valid,
// marshals and reads back as it was.
func FuzzParsePolicy(f *testing.F) {
	whole, err := json.Marshal(DefaultPolicy("writer"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"launch":"writer","codes":{"bulk":{"uses":3,"expires":"1d12h","format":"{prefix}-{random:8}"}}}`))
	f.Add([]byte(`{"launch":"w","limits":{"failed_attempts":{"per_address":"3/1h","per_subject":"off"}}}`))
	f.Add([]byte(`{"launch":"w","unlock":{"invite_rounds":30},"unlock":{}}`))
	f.Add([]byte(`{"launch":"w","abuse":{"deny_email_domains":[null,"a.example"]},"x":{"y":[[{}]]}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := ParsePolicy(document)
		if err != nil {
			if err.Error() == "" || len(err.Error()) > 64<<10 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Error(err)
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
