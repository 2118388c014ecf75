//go:build !race

package edge

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"admitone/gateway"
)

// replayStore answers without remembering, so that it allocates nothing.
type replayStore struct {
	fakeStore
	answer     gateway.Redemption
	validation gateway.Validation
}

func (f *replayStore) Launch(context.Context, string) (*gateway.Launch, error) { return f.launch, nil }

func (f *replayStore) Redeem(context.Context, string, *gateway.Redeem) (gateway.Redemption, error) {
	return f.answer, nil
}

func (f *replayStore) Validate(context.Context, string, gateway.Validate) (gateway.Validation, error) {
	return f.validation, nil
}

// once prepares a request that can be answered again and again without a
// connection.
func once(tb testing.TB, w *world, store Store, request string, status int) func() {
	w.server.config.Store = store
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711}, nil)
	if err := ctx.Request.Read(bufio.NewReader(strings.NewReader(request))); err != nil {
		tb.Fatal(err)
	}
	return func() {
		ctx.Response.Reset()
		w.server.handle(ctx)
		if ctx.Response.StatusCode() != status {
			tb.Fatal(ctx.Response.String())
		}
	}
}

// redeemOnce is a redemption that is answered with a member token, or without.
func redeemOnce(tb testing.TB, w *world, proven bool) func() {
	store := &replayStore{answer: w.store.answer}
	store.launch, store.answer.Proven, store.answer.Founding = w.store.launch, proven, proven
	return once(tb, w, store, post(redemptions, `{"code":"ABCD2345","subject":"user-1","name":"Ann","source":"mail"}`, "User-Agent: budget", "Accept: */*"), 201)
}

// refusingStore refuses without allocating.
type refusingStore struct {
	replayStore
	refusal error
}

func (f *refusingStore) Redeem(context.Context, string, *gateway.Redeem) (gateway.Redemption, error) {
	return gateway.Redemption{}, f.refusal
}

func (f *refusingStore) Validate(context.Context, string, gateway.Validate) (gateway.Validation, error) {
	return gateway.Validation{}, f.refusal
}

// The budget of the hot calls is no allocation at all around a store that makes
// none: answers are appended to a buffer of the request, fields are views of
// it. The race detector adds its own, so this file is left out with it.
func TestBudget(t *testing.T) {
	w := newWorld(t)
	replay := &replayStore{answer: w.store.answer, validation: gateway.Validation{Campaign: 1, Display: "ABCD2345", Remaining: 3}}
	replay.launch = w.store.launch
	refuse := func(e *gateway.Error) *refusingStore {
		s := &refusingStore{refusal: e}
		s.launch = w.store.launch
		return s
	}
	const body, code = `{"code":"ABCD2345","subject":"user-1"}`, `{"code":"ABCD2345"}`
	for _, c := range []struct {
		name string
		once func() func()
	}{
		{"redeem", func() func() { return redeemOnce(t, w, false) }},
		{"redeem, with a member token", func() func() { return redeemOnce(t, w, true) }},
		{"redeem, by a back end", func() func() {
			return once(t, w, replay, post(redemptions, body, "Authorization: Bearer ao_server"), 201)
		}},
		{"validate", func() func() { return once(t, w, replay, post("/v1/launches/writer/validations", code), 200) }},
		{"a guess", func() func() {
			return once(t, w, refuse(gateway.Refuse(gateway.CodeUnknown)), post(redemptions, body), 404)
		}},
		{"a guess too many", func() func() {
			return once(t, w, refuse(&gateway.Error{Reason: gateway.AttemptsExceeded, RetryAfter: time.Hour}), post(redemptions, body), 429)
		}},
		{"a validation that fails", func() func() {
			return once(t, w, refuse(gateway.Refuse(gateway.CodeExhausted)), post("/v1/launches/writer/validations", code), 200)
		}},
	} {
		if got := testing.AllocsPerRun(1000, c.once()); got != 0 {
			t.Errorf("%s: %v allocations", c.name, got)
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
