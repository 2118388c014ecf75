package main

import (
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// asked is what a client wanted: one use of a code for a subject.
type asked struct{ code, subject string }

// outcome is how a request ended as its client knows it.
type outcome int

// The outcomes.
const (
	unknown outcome = iota // it may have been decided or not
	admitted
	exhausted
)

// model is what a code is, seen from outside: the subjects that are in, at most
// so many. A request whose outcome is unknown may have let its subject in.
func model(uses int) porcupine.Model {
	return (&porcupine.NondeterministicModel{
		Partition: byCode,
		Init:      func() []any { return []any{[]string(nil)} },
		Step: func(state, input, output any) []any {
			in, who := state.([]string), input.(asked).subject
			at, there := slices.BinarySearch(in, who)
			with := func() any {
				if there {
					return in
				}
				return slices.Insert(slices.Clone(in), at, who)
			}
			free := there || len(in) < uses
			switch output.(outcome) {
			case admitted:
				if !free {
					return nil
				}
				return []any{with()}
			case exhausted:
				if there || len(in) < uses {
					return nil
				}
				return []any{in}
			}
			if !free || there {
				return []any{in}
			}
			return []any{in, with()}
		},
		Equal: func(a, b any) bool { return slices.Equal(a.([]string), b.([]string)) },
	}).ToModel()
}

func byCode(history []porcupine.Operation) [][]porcupine.Operation {
	codes := map[string][]porcupine.Operation{}
	for _, o := range history {
		code := o.Input.(asked).code
		codes[code] = append(codes[code], o)
	}
	list := make([][]porcupine.Operation, 0, len(codes))
	for _, o := range codes {
		list = append(list, o)
	}
	return list
}

// known is a history with what Postgres says at its end of the requests whose
// outcome their clients never learned: who is in was let in at some time, who is
// not was not. Without it every such request doubles what may have happened.
func known(history []porcupine.Operation, in map[asked]int) []porcupine.Operation {
	list := make([]porcupine.Operation, 0, len(history))
	for _, o := range history {
		if o.Output == unknown {
			if in[o.Input.(asked)] == 0 {
				continue
			}
			o.Output = admitted
		}
		list = append(list, o)
	}
	return list
}

// checkFor bounds how long a round's histories are looked at.
const checkFor = time.Minute

// check tells how many codes have a history that no order of decisions
// explains, and how many took too long to tell.
func check(history []porcupine.Operation, uses int) (crooked, unchecked int) {
	m, end := model(uses), time.Now().Add(checkFor)
	for _, one := range byCode(history) {
		switch porcupine.CheckOperationsTimeout(m, one, max(time.Until(end), time.Millisecond)) {
		case porcupine.Illegal:
			crooked++
		case porcupine.Unknown:
			unchecked++
		}
	}
	return crooked, unchecked
}
