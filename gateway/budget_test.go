//go:build !race

package gateway

import "testing"

// What every redemption does allocates nothing. The race detector adds its own,
// so this file is left out with it.
func TestBudget(t *testing.T) {
	person, l := Person{Subject: "ann", Name: "Zoë"}, shaped(t, Campaign{Format: "A-{random:8}"})
	buffer, id := make([]byte, 0, 100), ID{1}
	for name, run := range map[string]func(){
		"person":  func() { person.Append(buffer) },
		"id":      func() { id.AppendShort(buffer) },
		"a guess": func() { l.Impossible(plainCheck{}, "A12345678") },
		"a code":  func() { ReadCode("A12345678") },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
