package storm

import "slices"

// Kind is one kind of request of a mix.
type Kind struct {
	Name   string
	Weight int // of all weights
	Write  Writer
	// Want are the statuses that are right. An answer with another one is
	// counted as unexpected.
	Want []int
}

// Mix says what is sent: request n is of the kind that a fixed shuffle of the
// weights says, so the same run sends the same requests.
type Mix struct {
	kinds []Kind
	order []uint8 // by n mod its length
}

// NewMix makes a mix of up to 100 kinds. Weights are parts of their sum.
func NewMix(kinds ...Kind) *Mix {
	m := &Mix{kinds: kinds}
	for i, k := range kinds {
		m.order = append(m.order, slices.Repeat([]uint8{uint8(i)}, k.Weight)...)
	}
	for i := len(m.order) - 1; i > 0; i-- {
		j := mix(uint64(i)) % uint64(i+1)
		m.order[i], m.order[j] = m.order[j], m.order[i]
	}
	return m
}

// One is a mix of one kind.
func One(name string, w Writer, want ...int) *Mix {
	return NewMix(Kind{Name: name, Weight: 1, Write: w, Want: want})
}

// LaunchDay is what a launch's first hour looks like: of a hundred requests
// sixty redeem, fifteen come for a code that is used up, ten try something that
// is no code, five repeat themselves, ten ask whether a code is good.
func LaunchDay(redeem, exhausted, junk, again, validate Writer) *Mix {
	return NewMix(
		Kind{"redeem", 60, redeem, []int{201}},
		Kind{"exhausted", 15, exhausted, []int{409, 404}},
		Kind{"junk", 10, junk, []int{404, 429}},
		Kind{"again", 5, again, []int{200, 201}},
		Kind{"validate", 10, validate, []int{200}},
	)
}
