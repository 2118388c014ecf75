package edge

import "unsafe"

// text views bytes as a string without copying them. The string is good for as
// long as the bytes do not change: hand it to functions that only look at it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
