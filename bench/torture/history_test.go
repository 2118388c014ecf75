package main

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
)

func TestCheck(t *testing.T) {
	op := func(subject string, call int64, end outcome, back int64) porcupine.Operation {
		return porcupine.Operation{Input: asked{"C", subject}, Call: call, Output: end, Return: back}
	}
	const never = math.MaxInt64
	for name, c := range map[string]struct {
		history []porcupine.Operation
		crooked int
	}{
		"two uses, then none":              {[]porcupine.Operation{op("a", 1, admitted, 2), op("b", 3, admitted, 4), op("c", 5, exhausted, 6)}, 0},
		"three uses of two":                {[]porcupine.Operation{op("a", 1, admitted, 2), op("b", 1, admitted, 3), op("c", 2, admitted, 4)}, 1},
		"the same subject again":           {[]porcupine.Operation{op("a", 1, admitted, 2), op("b", 3, admitted, 4), op("a", 5, admitted, 6)}, 0},
		"who is in is told that it is not": {[]porcupine.Operation{op("a", 1, admitted, 2), op("b", 3, admitted, 4), op("a", 5, exhausted, 6)}, 1},
		"exhausted too early":              {[]porcupine.Operation{op("a", 1, admitted, 2), op("c", 3, exhausted, 4), op("b", 5, admitted, 6)}, 1},
		"exhausted at the same time":       {[]porcupine.Operation{op("a", 1, admitted, 2), op("c", 3, exhausted, 9), op("b", 5, admitted, 6)}, 0},
		"an unknown one may have counted":  {[]porcupine.Operation{op("a", 1, admitted, 2), op("b", 3, unknown, never), op("c", 5, exhausted, 6)}, 0},
		"an unknown one may not have":      {[]porcupine.Operation{op("a", 1, unknown, never), op("b", 3, admitted, 4), op("c", 5, admitted, 6)}, 0},
		"but not both":                     {[]porcupine.Operation{op("a", 1, unknown, never), op("b", 3, admitted, 4), op("d", 5, exhausted, 6), op("c", 7, admitted, 8)}, 1},
	} {
		if crooked, unchecked := check(c.history, 2); crooked != c.crooked || unchecked != 0 {
			t.Errorf("%s: %d crooked, %d unchecked", name, crooked, unchecked)
		}
	}
}

// TestKnown: what Postgres holds explains the requests that nobody answered,
// and a history that it cannot explain is told so.
func TestKnown(t *testing.T) {
	op := func(subject string, call int64, end outcome, back int64) porcupine.Operation {
		return porcupine.Operation{Input: asked{"C", subject}, Call: call, Output: end, Return: back}
	}
	history := []porcupine.Operation{
		op("a", 1, unknown, math.MaxInt64), op("b", 1, unknown, math.MaxInt64), op("c", 2, exhausted, 3), op("a", 4, unknown, math.MaxInt64),
	}
	for _, c := range []struct {
		in      map[asked]int
		crooked int
	}{
		{map[asked]int{{"C", "a"}: 1, {"C", "b"}: 1}, 0},
		{map[asked]int{{"C", "a"}: 1}, 1}, // one use was free when c was refused
	} {
		if crooked, unchecked := check(known(history, c.in), 2); crooked != c.crooked || unchecked != 0 {
			t.Errorf("%v: %d crooked, %d unchecked", c.in, crooked, unchecked)
		}
	}
}
