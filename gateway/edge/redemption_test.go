package edge

import (
	"strings"
	"testing"

	"admitone/gateway"
)

func TestRedemptionIsForItsOwner(t *testing.T) {
	w := newWorld(t)
	bearer := func(token string) string { return "Authorization: Bearer " + token }
	ann, ben := w.keyring.MemberToken("writer", "ann@x.example", gateway.ID{}, noon), w.keyring.MemberToken("writer", "ben@x.example", gateway.ID{}, noon)
	old := w.keyring.MemberToken("writer", "ann@x.example", gateway.ID{}, noon.AddDate(-1, 0, 0))
	elsewhere := w.keyring.MemberToken("other", "ann@x.example", gateway.ID{}, noon)
	path := redemptions + "/" + anID.String()
	for _, c := range []struct {
		name, header     string
		get, settle      int
		code, settleCode string
	}{
		{"nobody", "X-A: b", 401, 401, "unauthorized", "unauthorized"},
		{"the member", bearer(ann), 200, 200, "ABCD-2345", "ABCD-2345"},
		{"another member", bearer(ben), 404, 404, "redemption_unknown", "redemption_unknown"},
		{"a member of another launch", bearer(elsewhere), 401, 401, "unauthorized", "unauthorized"},
		{"a member long ago", bearer(old), 401, 401, "unauthorized", "unauthorized"},
		{"a forger", bearer("aom_" + strings.Repeat("A", 80)), 401, 401, "unauthorized", "unauthorized"},
		{"the back end", bearer("ao_server"), 200, 200, "ABCD-2345", "ABCD-2345"},
		{"a reader", bearer("ao_read"), 200, 403, "ABCD-2345", "forbidden"},
		{"a back end of another launch", bearer("ao_elsewhere"), 403, 403, "forbidden", "forbidden"},
	} {
		w.store.set(func(f *fakeStore) { f.settled = nil })
		if a := w.get(path, c.header); a.status != c.get || a.word("code") != c.code || a.word("member_token") != "" {
			t.Errorf("%s: GET: %v", c.name, a)
		}
		for _, verb := range []string{"/confirm", "/release"} {
			if a := w.post(path+verb, "", c.header); a.status != c.settle || a.word("code") != c.settleCode || a.word("member_token") != "" {
				t.Errorf("%s: %s: %v", c.name, verb, a)
			}
		}
		if want := c.settle == 200; (len(w.store.settled) == 2) != want || !want && len(w.store.settled) != 0 {
			t.Errorf("%s: settled %v", c.name, w.store.settled)
		}
	}
	want := []gateway.Actor{{Name: "member"}, {Name: "member"}, {Name: "shop"}, {Name: "shop"}}
	for i, by := range w.store.by {
		if by != want[i] {
			t.Errorf("%d: by %v, want %v", i, by, want[i])
		}
	}
}

func TestRedemptionAnswer(t *testing.T) {
	w := newWorld(t)
	w.persisted.Advance("writer", 0, 7)
	w.store.answer.Subject, w.store.answer.Status = "", gateway.Released
	a := w.get(redemptions+"/"+anID.String(), "Authorization: Bearer ao_server")
	want := `{"id":"` + anID.String() + `","status":"released","code":"ABCD-2345","campaign":"beta","tier":"standard",` +
		`"unlock":{"method":"invite_code","rounds":30,"expires_at":"2026-11-22T12:00:00Z"},"receipt":{"durability":"persisted","position":7},"replayed":false}`
	if a.status != 200 || a.body != want {
		t.Errorf("got %v\nwant %s", a, want)
	}
}

func TestSettle(t *testing.T) {
	w := newWorld(t)
	path := redemptions + "/" + anID.String()
	const key = "Authorization: Bearer ao_server"
	for _, c := range []struct {
		path, body, header string
		err                error
		status             int
		code               string
	}{
		{path + "/confirm", "", "X-A: b", nil, 200, "ABCD-2345"},
		{path + "/confirm", "{}", "X-A: b", nil, 200, "ABCD-2345"},
		{path + "/confirm", "{}", "Admit-Ack: persisted", nil, 202, "ABCD-2345"},
		{path + "/confirm", `{"code":"A"}`, "X-A: b", nil, 400, "invalid_request"},
		{path + "/confirm", "", "Admit-Ack: now", nil, 400, "invalid_request"},
		{redemptions + "/1/confirm", "", "X-A: b", nil, 404, "redemption_unknown"},
		{path + "/confirm", "", "X-A: b", gateway.Refuse(gateway.HoldExpired), 410, "hold_expired"},
		{path + "/release", "", "X-A: b", gateway.Refuse(gateway.NotHeld), 409, "not_held"},
		{path + "/release", "", "X-A: b", gateway.Refuse(gateway.RedemptionUnknown), 404, "redemption_unknown"},
	} {
		w.store.set(func(f *fakeStore) { f.err = c.err })
		if a := w.post(c.path, c.body, key, c.header); a.status != c.status || a.word("code") != c.code {
			t.Errorf("%s %s %s: got %v, want %d %s", c.path, c.body, c.header, a, c.status, c.code)
		}
	}
	if got := w.store.settled; len(got) != 6 || got[0] != gateway.Confirm || got[5] != gateway.Release {
		t.Errorf("settled %v", got)
	}
}
