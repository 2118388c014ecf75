package lua

import (
	"sync/atomic"
	"time"
)

// seldom lets one thing a second be logged: a server that is away fails every
// request, and thousands of lines a second would fill a disk.
type seldom struct {
	last atomic.Int64 // when one was told, Unix ns
	left atomic.Int64 // how many were not, since
}

// tell reports whether to log now, and how many were left out since it last
// said so.
func (s *seldom) tell(now time.Time) (ok bool, left int64) {
	last := s.last.Load()
	if now.UnixNano()-last < int64(time.Second) || !s.last.CompareAndSwap(last, now.UnixNano()) {
		s.left.Add(1)
		return false, 0
	}
	return true, s.left.Swap(0)
}
