//go:build !race

package edge

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// replayStore answers without remembering, so that it allocates nothing.
type replayStore struct {
	fakeStore
	answer gateway.Redemption
}

func (f *replayStore) Launch(context.Context, string) (*gateway.Launch, error) { return f.launch, nil }

func (f *replayStore) Redeem(context.Context, string, *gateway.Redeem) (gateway.Redemption, error) {
	return f.answer, nil
}

// redeemOnce prepares a redemption that can be answered again and again
// without a connection.
func redeemOnce(tb testing.TB, w *world, proven bool) func() {
	store := &replayStore{answer: w.store.answer}
	store.launch, store.answer.Proven = w.store.launch, proven
	w.server.config.Store = store
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}, nil)
	request := post(redemptions, `{"code":"ABCD2345","subject":"user-1","name":"Ann","source":"mail"}`, "User-Agent: budget", "Accept: */*")
	if err := ctx.Request.Read(bufio.NewReader(strings.NewReader(request))); err != nil {
		tb.Fatal(err)
	}
	return func() {
		ctx.Response.Reset()
		w.server.handle(ctx)
		if ctx.Response.StatusCode() != 201 {
			tb.Fatal(ctx.Response.String())
		}
	}
}

// The budget of a redemption, in allocations, around a store that makes none:
// the launch's name and the fields, one copy for all of them. Where the caller
// gets a member token, the keyring makes five more. The race detector adds its
// own, so this file is left out with it.
func TestRedeemBudget(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		proven bool
		budget float64
	}{{false, 2}, {true, 7}} {
		if got := testing.AllocsPerRun(1000, redeemOnce(t, w, c.proven)); got > c.budget {
			t.Errorf("proven %v: %v allocations, the budget is %v", c.proven, got, c.budget)
		} else {
			t.Logf("proven %v: %v allocations", c.proven, got)
		}
	}
}

func BenchmarkRedeem(b *testing.B) {
	w := newWorld(b)
	answer := redeemOnce(b, w, true)
	b.ReportAllocs()
	for b.Loop() {
		answer()
	}
}
