package lua

import (
	"testing"
	"time"
)

// TestSeldom: of a flood one a second is told, with how many were not.
func TestSeldom(t *testing.T) {
	var s seldom
	now := time.Unix(1_800_000_000, 0)
	if ok, left := s.tell(now); !ok || left != 0 {
		t.Fatal(ok, left)
	}
	for i := range 999 {
		if ok, _ := s.tell(now.Add(time.Duration(i) * time.Millisecond)); ok {
			t.Fatalf("told again after %d ms", i)
		}
	}
	if ok, left := s.tell(now.Add(time.Second)); !ok || left != 999 {
		t.Fatal(ok, left)
	}
}
