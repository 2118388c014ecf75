package gateway

import "slices"

// order is a set of scores that knows the place of each: sorted blocks of some
// hundred scores, and how many stand before each block. Finding a place costs
// two binary searches, a change moves one block.
type order struct {
	blocks [][]uint64
	firsts []uint64 // of each block, but that of the first block is 0
	before []int    // scores in the blocks before, as of the last count
	total  int
	stale  bool // before is to be counted anew
}

// blockMost is how many scores a block may hold before it is cut in two.
const blockMost = 512

// block is the index of the block in which a score belongs.
func (o *order) block(score uint64) int {
	i, found := slices.BinarySearch(o.firsts, score)
	if !found {
		i--
	}
	return i
}

func (o *order) add(score uint64) {
	if len(o.blocks) == 0 {
		o.blocks, o.firsts, o.before = [][]uint64{{}}, []uint64{0}, []int{0}
	}
	b := o.block(score)
	block := o.blocks[b]
	i, found := slices.BinarySearch(block, score)
	if found {
		return
	}
	block = slices.Insert(block, i, score)
	o.blocks[b], o.total, o.stale = block, o.total+1, true
	if len(block) > blockMost {
		half := len(block) / 2
		right := append(make([]uint64, 0, blockMost+1), block[half:]...)
		o.blocks[b] = block[:half:half]
		o.blocks = slices.Insert(o.blocks, b+1, right)
		o.firsts = slices.Insert(o.firsts, b+1, right[0])
		o.before = append(o.before, 0)
	}
}

func (o *order) remove(score uint64) {
	if len(o.blocks) == 0 {
		return
	}
	b := o.block(score)
	i, found := slices.BinarySearch(o.blocks[b], score)
	if !found {
		return
	}
	o.blocks[b] = slices.Delete(o.blocks[b], i, i+1)
	o.total, o.stale = o.total-1, true
	if len(o.blocks[b]) == 0 && b > 0 {
		o.blocks, o.firsts = slices.Delete(o.blocks, b, b+1), slices.Delete(o.firsts, b, b+1)
		o.before = o.before[:len(o.blocks)]
	}
}

// count brings what rank reads up to date.
func (o *order) count() {
	if !o.stale {
		return
	}
	n := 0
	for i, b := range o.blocks {
		o.before[i] = n
		n += len(b)
	}
	o.stale = false
}

// rank is how many scores are smaller. count must have been called since the
// last change.
func (o *order) rank(score uint64) int {
	if len(o.blocks) == 0 {
		return 0
	}
	b := o.block(score)
	i, _ := slices.BinarySearch(o.blocks[b], score)
	return o.before[b] + i
}
