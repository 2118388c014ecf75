package edge

import (
	"net/netip"
	"testing"
	"time"

	"admitone/gateway"
)

const validations = "/v1/launches/writer/validations"

func TestValidate(t *testing.T) {
	w := newWorld(t)
	if a := w.post(validations, `{"code":"abcd-2345"}`); a.status != 200 ||
		a.body != `{"valid":true,"code":"ABCD-2345","tier":"standard","remaining_uses":3,"expires_at":"2026-11-21T12:00:00Z"}` {
		t.Error(a)
	}
	w.post(validations, `{"code":"abcd-2345","ip":"192.0.2.7"}`, "Authorization: Bearer ao_server")
	want := []gateway.Validate{
		{Code: "ABCD2345", Address: netip.MustParsePrefix("127.0.0.1/32")},
		{Code: "ABCD2345", Address: netip.MustParsePrefix("192.0.2.7/32")},
	}
	for i := range want {
		if w.store.tried[i] != want[i] {
			t.Errorf("%d: got %+v, want %+v", i, w.store.tried[i], want[i])
		}
	}
	for _, c := range []struct {
		body   string
		err    error
		status int
		code   string
		field  string
	}{
		{`{}`, nil, 400, "invalid_request", "code"},
		{`{"code":"a!"}`, nil, 400, "invalid_request", "code"},
		{`{"code":"a","subject":"b"}`, nil, 400, "invalid_request", "subject"},
		{`{"code":"a","ip":"192.0.2.7"}`, nil, 400, "invalid_request", "ip"},
		{`{"code":"a"}`, &gateway.Error{Reason: gateway.AttemptsExceeded, RetryAfter: time.Minute}, 429, "attempts_exceeded", ""},
		{`{"code":"a"}`, gateway.Refuse(gateway.LaunchClosed), 409, "launch_closed", ""},
	} {
		w.store.set(func(f *fakeStore) { f.err = c.err })
		if a := w.post(validations, c.body); a.status != c.status || a.word("code") != c.code || a.word("field") != c.field {
			t.Errorf("%s: got %v", c.body, a)
		}
	}
}

// speaking are all reasons that an opaque policy hides.
var speaking = []gateway.Reason{
	gateway.CodeUnknown, gateway.CodeNotStarted, gateway.CodeExpired, gateway.CodeRevoked, gateway.CodeExhausted,
	gateway.OwnCode, gateway.RecipientMismatch, gateway.CampaignPaused, gateway.CampaignFull,
}

func TestOpaqueRefusalsAreAllTheSame(t *testing.T) {
	w := newWorld(t)
	for _, opaque := range []bool{false, true} {
		policy := w.store.launch.Policy
		if opaque {
			policy.Refusals = gateway.RefusalsOpaque
		}
		w.store.set(func(f *fakeStore) {
			l := *f.launch
			l.Policy = policy
			f.launch = &l
		})
		redeemed, validated, keyed := map[string]bool{}, map[string]bool{}, map[string]bool{}
		for i, reason := range speaking {
			w.store.set(func(f *fakeStore) {
				f.err = &gateway.Error{Reason: reason, Field: "code", Detail: string(reason), RetryAfter: time.Duration(i) * time.Minute}
			})
			flat := func(a answer) string {
				a.header.Del("Date")
				return a.String()
			}
			redeemed[flat(w.post(redemptions, `{"code":"A","subject":"b"}`, "X-Request-Id: r"))] = true
			keyed[flat(w.post(redemptions, `{"code":"A","subject":"b"}`, "X-Request-Id: r", "Authorization: Bearer ao_server"))] = true
			validated[flat(w.post(validations, `{"code":"A"}`, "X-Request-Id: r"))] = true
		}
		want := len(speaking)
		if opaque {
			want = 1
			keyed = redeemed
		}
		if len(redeemed) != want || len(validated) != want || len(keyed) != want {
			t.Errorf("opaque %v: %d and %d different answers: %v %v", opaque, len(redeemed), len(validated), redeemed, validated)
		}
		for a := range validated {
			if opaque && a[:3] != "200" {
				t.Error(a)
			}
		}
	}
	w.store.set(func(f *fakeStore) { f.err = gateway.Refuse(gateway.CodeExhausted) })
	if a := w.post(redemptions, `{"code":"A","subject":"b"}`); a.status != 404 || a.word("code") != "code_not_redeemable" || a.word("field") != "" {
		t.Error(a)
	}
	if a := w.post(validations, `{"code":"A"}`); a.body != `{"valid":false,"reason":"code_not_redeemable","message":"This code cannot be redeemed."}` {
		t.Error(a)
	}
	w.store.set(func(f *fakeStore) { f.err = gateway.Refuse(gateway.AlreadyRedeemed) })
	if a := w.post(redemptions, `{"code":"A","subject":"b"}`); a.word("code") != "already_redeemed" {
		t.Errorf("what speaks of the caller is said: %v", a)
	}
}
