package gateway

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"code", "subject", "ip", "failed_attempts"}
	for word, want := range map[string]string{
		"subjec": "subject", "sbject": "subject", "id": "ip", "xy": "", "faild_attemps": "failed_attempts", "tomato": "", "": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: %q instead of %q", word, got, want)
		}
	}
	if got := Nearest("code", nil); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}
