package gateway

import (
	"context"
	"errors"
	"testing"
)

// TestPersisted: a position is reached in its own epoch only.
func TestPersisted(t *testing.T) {
	p := new(Persisted)
	p.Advance("l", 1, 10)
	p.Advance("l", 1, 9)
	if !p.Reached("l", 1, 10) || p.Reached("l", 1, 11) || p.Reached("other", 1, 1) {
		t.Error("within an epoch")
	}
	waited := make(chan error, 2)
	go func() { waited <- p.Wait(context.Background(), "l", 1, 12) }()
	p.Advance("l", 2, 12)
	if err := <-waited; !errors.Is(err, ErrSuperseded) {
		t.Errorf("the same number in a later history counts: %v", err)
	}
	if p.Reached("l", 1, 10) || !p.Reached("l", 2, 12) {
		t.Error("across epochs")
	}
	p.Advance("l", 1, 99)
	if p.Reached("l", 1, 99) {
		t.Error("an earlier epoch goes on")
	}
	go func() { waited <- p.Wait(context.Background(), "l", 2, 13) }()
	p.Advance("l", 2, 13)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Wait(ctx, "l", 2, 14); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
