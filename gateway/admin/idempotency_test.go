package admin

import (
	"context"
	"sync/atomic"
	"testing"

	"admitone/gateway"
)

// TestOnce: a request under an Idempotency-Key is done once.
func TestOnce(t *testing.T) {
	w := begin(t, nil)
	const codes = "/admin/v1/launches/l/campaigns/c/codes"
	key := "Idempotency-Key: k-1"
	first := w.want(201, w.do("POST", codes, `{"count":2}`, key))
	again := w.want(201, w.do("POST", codes, `{"count":2}`, key))
	if string(first.body) != string(again.body) || again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Content-Type") != first.header.Get("Content-Type") {
		t.Errorf("first %s, again %s", first.body, again.body)
	}
	w.want(422, w.do("POST", codes, `{"count":3}`, key), "code", "idempotency_mismatch")
	w.want(400, w.do("POST", codes, `{"count":3}`, "Idempotency-Key: a b"), "field", "Idempotency-Key")
	other := w.want(201, w.do("POST", codes, `{"count":2}`, "Idempotency-Key: k-2"))
	if string(other.body) == string(first.body) {
		t.Error("another key has the same answer")
	}

	// A 400 is answered again, a 409 is tried again.
	w.want(400, w.do("POST", codes, `{"codes":["b@d"]}`, "Idempotency-Key: k-3"))
	if a := w.want(400, w.do("POST", codes, `{"codes":["b@d"]}`, "Idempotency-Key: k-3")); a.header.Get("Idempotency-Replayed") != "true" {
		t.Error("a 400 is not replayed")
	}
	w.want(409, w.do("POST", "/admin/v1/launches/l/campaigns", `{"name":"c"}`, "Idempotency-Key: k-4"))
	if a := w.want(409, w.do("POST", "/admin/v1/launches/l/campaigns", `{"name":"c"}`, "Idempotency-Key: k-4")); a.header.Get("Idempotency-Replayed") != "" {
		t.Error("a 409 is replayed")
	}
}

// brittle fails its first minting, and holds the second until it is let go.
type brittle struct {
	*model
	calls  atomic.Int32
	inside chan struct{}
	let    chan struct{}
}

func (b *brittle) Mint(ctx context.Context, launch string, campaign uint32, codes []gateway.NewCode, by gateway.Actor) (uint64, error) {
	switch b.calls.Add(1) {
	case 1:
		panic("a bug")
	case 2:
		close(b.inside)
		<-b.let
	}
	return b.model.Mint(ctx, launch, campaign, codes, by)
}

// TestOnceAtATime: a key is taken while its request is worked on, also when its
// caller has gone, and free after a failure.
func TestOnceAtATime(t *testing.T) {
	b := &brittle{inside: make(chan struct{}), let: make(chan struct{})}
	w := begin(t, func(c *Config) {
		b.model = c.Store.(*model)
		c.Store = b
	})
	const codes = "/admin/v1/launches/l/campaigns/c/codes"
	key := "Idempotency-Key: k"
	w.want(500, w.do("POST", codes, `{"count":1}`, key), "code", "internal")
	done := make(chan answer, 1)
	go func() {
		a, _ := w.try("POST", codes, `{"count":1}`, key)
		done <- a
	}()
	<-b.inside
	w.want(409, w.do("POST", codes, `{"count":1}`, key), "code", "idempotency_in_flight")
	close(b.let)
	first := <-done
	w.want(201, first)
	if again := w.want(201, w.do("POST", codes, `{"count":1}`, key)); string(again.body) != string(first.body) {
		t.Errorf("first %s, again %s", first.body, again.body)
	}
}
