package edge

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"admitone/gateway"
)

func (f *fakeMembers) Purchase(_ context.Context, _ string, p gateway.Payment) (gateway.Earning, error) {
	if err := p.Validate(); err != nil {
		return gateway.Earning{}, err
	}
	f.bought = append(f.bought, p)
	return gateway.Earning{Status: gateway.RewardPaid, News: true, Position: f.at}, f.memberIs
}

func (f *fakeMembers) Mint(_ context.Context, _ string, _ uint32, codes []gateway.NewCode, _ gateway.Actor) (uint64, error) {
	for _, c := range codes {
		f.active = append(f.active, "mints "+string(c.Code)+" "+c.Display)
	}
	return 1, f.memberIs
}

func (f *fakeMembers) ChangeCodes(_ context.Context, _ string, ch gateway.ChangeCodes) (uint64, error) {
	for _, c := range ch.Codes {
		f.active = append(f.active, string(ch.Change)+" "+string(c))
	}
	return 1, nil
}

func (f *fakeMembers) Code(context.Context, string, gateway.Code) (gateway.CodeInfo, error) {
	return gateway.CodeInfo{Used: 3, MaxUses: 10}, f.memberIs
}

const hooks = "/v1/launches/writer/hooks/"

// TestStripe: the vectors of testdata/stripe.py, which signs without our code.
func TestStripe(t *testing.T) {
	raw, err := os.ReadFile("testdata/stripe.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Secrets []string
		Cases   []struct {
			Name, Body, Header string
			Status             int
		}
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.StripeSecrets = map[string][]string{"writer": vectors.Secrets} })
	told := map[string]int{}
	for _, c := range vectors.Cases {
		before := len(w.store.bought)
		a := w.raw("POST " + hooks + "stripe HTTP/1.1\r\nHost: a\r\nContent-Type: application/json; charset=utf-8\r\nStripe-Signature: " + c.Header +
			"\r\nContent-Length: " + strconv.Itoa(len(c.Body)) + "\r\n\r\n" + c.Body)
		if a.status != c.Status {
			t.Errorf("%s: %v", c.Name, a)
		}
		if c.Status != 200 && len(w.store.bought) != before {
			t.Errorf("%s: a payment came through", c.Name)
		}
		told[c.Name] = len(w.store.bought) - before
	}
	if told["not paid yet"] != 0 || told["of no interest"] != 0 || told["a subscription begins"] != 0 {
		t.Errorf("%v", told)
	}
	want := []gateway.Payment{
		{ID: "pi_1", Event: "evt_1", Subject: "ann@x.example", Amount: 1000, Currency: "usd"},
		{ID: "pi_3", Event: "evt_3", Subject: "bob", Amount: 2000, Currency: "eur"},
		{ID: "pi_1", Event: "evt_4", Refunded: 400},
		{ID: "pi_1", Event: "evt_5", Dispute: "dp_1", State: gateway.DisputeOpen},
		{ID: "pi_1", Event: "evt_6", Dispute: "dp_1", State: gateway.DisputeWon},
		{ID: "pi_1", Event: "evt_7", Dispute: "dp_1", State: gateway.DisputeLost},
	}
	for i, p := range want {
		if w.store.bought[i] != p {
			t.Errorf("%d: got %+v, want %+v", i, w.store.bought[i], p)
		}
	}
	// A launch without secrets takes nothing.
	w = newWorld(t)
	if a := w.ask("POST", hooks+"stripe", vectors.Cases[0].Body, "Stripe-Signature: "+vectors.Cases[0].Header); a.status != 401 {
		t.Error(a)
	}
}

func TestGumroad(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.GumroadTokens = map[string][]string{"writer": {"a-token-of-gumroad", "another-token"}}
	})
	ping := func(token, form string) answer {
		return w.raw("POST " + hooks + "gumroad" + token + " HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
			strconv.Itoa(len(form)) + "\r\n\r\n" + form)
	}
	const sold = "sale_id=s1&email=ann%40x.example&license_key=85DB562A-C11D4B06-A2335A6B-8C079166&price=499"
	for _, token := range []string{"", "?token=", "?token=wrong", "?tokens=a-token-of-gumroad"} {
		if a := ping(token, sold); a.status != 401 {
			t.Errorf("%s: %v", token, a)
		}
	}
	if a := ping("?token=another-token", sold); a.status != 200 || a.word("license") != "active" {
		t.Error(a)
	}
	if a := ping("?token=a-token-of-gumroad", sold+"&refunded=true"); a.status != 200 || a.word("license") != "revoked" {
		t.Error(a)
	}
	if a := ping("?token=a-token-of-gumroad", sold+"&disputed=true&dispute_won=true"); a.word("license") != "active" {
		t.Error(a)
	}
	for form, status := range map[string]int{"sale_id=s1": 200, "license_key=%21%21": 400, "%zz": 400} {
		if a := ping("?token=a-token-of-gumroad", form); a.status != status {
			t.Errorf("%s: %v", form, a)
		}
	}
	if got := strings.Join(w.store.active[:3], ", "); got != "mints 85DB562AC11D4B06A2335A6B8C079166 85DB562A-C11D4B06-A2335A6B-8C079166, mints 85DB562AC11D4B06A2335A6B8C079166 85DB562A-C11D4B06-A2335A6B-8C079166, revoked 85DB562AC11D4B06A2335A6B8C079166" {
		t.Error(got)
	}
}

func TestPurchases(t *testing.T) {
	w := newWorld(t)
	const path, key = "/v1/launches/writer/purchases", "Authorization: Bearer ao_server"
	for _, c := range []struct {
		body, credential string
		status           int
	}{
		{`{"id":"p1","subject":"bob","amount":1000,"currency":"USD"}`, key, 200},
		{`{"id":"p1","refunded":500}`, key, 200},
		{`{"id":"p1","dispute":{"id":"d1","status":"won"}}`, key, 200},
		{`{"id":"p1","subject":"bob","amount":1000,"currency":"USD"}`, "X-A: b", 401},
		{`{"id":"p1","subject":"bob","amount":1000,"currency":"USD"}`, "Authorization: Bearer ao_read", 403},
		{`{"id":"p1","subject":"bob","amount":10.5,"currency":"USD"}`, key, 400},
		{`{"id":"p1","subject":"bob","amount":"1000","currency":"USD"}`, key, 400},
		{`{"id":"p1","subject":"bob","amount":1000,"currency":"$"}`, key, 400},
		{`{"id":"p1","subject":"bob","amount":0,"currency":"usd"}`, key, 400},
		{`{"id":"","subject":"bob","amount":1,"currency":"usd"}`, key, 400},
		{`{"id":"p1"}`, key, 400},
		{`{"id":"p1","dispute":{"id":"d1","status":"wone"}}`, key, 400},
		{`{"id":"p1","dispute":{"identity":"d1"}}`, key, 400},
	} {
		if a := w.ask("POST", path, c.body, c.credential); a.status != c.status {
			t.Errorf("%s: %v", c.body, a)
		}
	}
	// What Postgres does not hold yet is not answered: it is told again.
	w.store.at = 9
	if a := w.ask("POST", path, `{"id":"p1","refunded":500}`, key); a.status != 503 || a.word("code") != "unavailable" || a.header.Get("Retry-After") == "" {
		t.Error(a)
	}
	w.persisted.Advance("writer", 0, 9)
	if a := w.ask("POST", path, `{"id":"p1","refunded":500}`, key); a.status != 200 {
		t.Error(a)
	}
	w.store.bought = w.store.bought[:3]
	if len(w.store.bought) != 3 || w.store.bought[2] != (gateway.Payment{ID: "p1", Dispute: "d1", State: gateway.DisputeWon}) {
		t.Errorf("%+v", w.store.bought)
	}
}

// TestReferralCalls: the programme's three calls, by the member and a back end.
func TestReferralCalls(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/launches/writer/referral/"
	token := "Authorization: Bearer " + w.keyring.MemberToken("writer", "bob", gateway.ID{}, noon)
	want := `{"code":"REF12345","share_link":"https://writer.example/signup?ref=REF12345","remaining_uses":7,"max_uses":10}`
	if a := w.ask("GET", path+"code", "", token); a.status != 200 || a.body != want {
		t.Errorf("%v, want %s", a, want)
	}
	if a := w.ask("GET", path+"code?subject=Ann%40x.example", "", "Authorization: Bearer ao_server"); a.status != 200 ||
		w.store.invited[1] != (gateway.Invite{Subject: "ann@x.example", Begin: true}) {
		t.Errorf("%v, %+v", a, w.store.invited)
	}
	for target, status := range map[string]int{"code?subject=eve": 403, "stats": 503, "nothing": 404} {
		if a := w.ask("GET", path+target, "", token); a.status != status {
			t.Errorf("%s: %v", target, a)
		}
	}
	if a := w.ask("GET", path+"code", "", "Authorization: Bearer ao_server"); a.status != 400 {
		t.Error(a)
	}
	if a := w.ask("POST", path+"validate", `{"code":"REF12345"}`); a.status != 200 || a.body != `{"valid":true,"message":"This code is good.","remaining_uses":3}` {
		t.Error(a)
	}
	w.store.set(func(f *fakeStore) { f.err = gateway.Refuse(gateway.CodeExhausted) })
	for _, code := range []string{"REF12345", "!!"} {
		if a := w.ask("POST", path+"validate", `{"code":"`+code+`"}`); a.status != 200 || !strings.HasPrefix(a.body, `{"valid":false,"message":"`) {
			t.Error(a)
		}
	}
	// A sign-up with a code that cannot be used goes through without a referral.
	w.store.set(func(f *fakeStore) { f.launch.Policy.Referrals.InvalidCode = gateway.InvalidCodeIgnore })
	for _, body := range []string{`{"code":"REF12345","subject":"bob"}`, `{"code":"!!","subject":"bob"}`, `{"subject":"bob"}`} {
		if a := w.post(redemptions, body); a.status != 200 || !strings.HasPrefix(a.body, `{"status":"registered","subject":"bob","referred":false,`) {
			t.Errorf("%s: %v", body, a)
		}
	}
	if a := w.post(redemptions, `{"code":"REF12345"}`); a.status != 400 {
		t.Error(a)
	}
}
