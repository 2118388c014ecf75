package edge

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

func TestRedeemAnswers(t *testing.T) {
	held := func(r *gateway.Redemption) { r.Status, r.ExpiresAt = gateway.Held, noon.Add(15*time.Minute) }
	for _, c := range []struct {
		name   string
		change func(*gateway.Redemption)
		status int
		want   string
	}{
		{
			"new", nil, 201,
			`{"id":"ID","status":"committed","code":"ABCD-2345","campaign":"beta","subject":"ann@x.example","tier":"standard",` +
				`"unlock":{"method":"invite_code","rounds":30,"expires_at":"2026-11-22T12:00:00Z"},"member_token":"TOKEN",` +
				`"receipt":{"durability":"accepted","position":7},"replayed":false}`,
		},
		{
			"held", held, 201,
			`{"id":"ID","status":"held","code":"ABCD-2345","campaign":"beta","subject":"ann@x.example","tier":"standard",` +
				`"unlock":{"method":"invite_code","rounds":30,"expires_at":"2026-11-22T12:00:00Z"},"expires_at":"2026-11-21T12:15:00Z","member_token":"TOKEN",` +
				`"receipt":{"durability":"accepted","position":7},"replayed":false}`,
		},
		{
			"replayed by a stranger, a licence", func(r *gateway.Redemption) { r.Replayed, r.Proven, r.Campaign = true, false, 2 }, 200,
			`{"id":"ID","status":"committed","code":"ABCD-2345","campaign":"shop","subject":"ann@x.example","tier":"pro",` +
				`"unlock":{"method":"license_key","rounds":"unlimited","expires_at":"2026-11-22T12:00:00Z"},` +
				`"receipt":{"durability":"accepted","position":7},"replayed":true}`,
		},
		{
			"of a campaign that nobody knows", func(r *gateway.Redemption) { r.Campaign, r.Display = 9, `A"\B`+"\n" }, 201,
			`{"id":"ID","status":"committed","code":"A\"\\B\u000a","subject":"ann@x.example","member_token":"TOKEN",` +
				`"receipt":{"durability":"accepted","position":7},"replayed":false}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.change != nil {
				c.change(&w.store.answer)
			}
			a := w.post(redemptions, `{"code":"abcd-2345","subject":"Ann@x.example"}`)
			want := strings.ReplaceAll(strings.ReplaceAll(c.want, "ID", anID.String()), "TOKEN", a.word("member_token"))
			if a.status != c.status || a.body != want {
				t.Errorf("got %v\nwant %d %s", a, c.status, want)
			}
			for name, value := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": ""} {
				if got := a.header.Get(name); got != value {
					t.Errorf("%s: %q", name, got)
				}
			}
		})
	}
}

func TestRedeemAsks(t *testing.T) {
	w := newWorld(t)
	w.post(redemptions, `{"code":" ab-cd 2345 ","subject":"user\u002d1","email":"A.n.n+x@Gmail.com","name":"Ann \"A\" Ä\ud83d\ude00","source":"product-hunt_1","mode":"hold"}`,
		`Idempotency-Key: "4f/1.a"`)
	w.post(redemptions, `{"code":"ABCD2345","email":"ann@x.example","mode":"commit","ip":"2001:db8:1:2:3::4"}`, "Authorization: bearer ao_server")
	w.post(redemptions, `{"code":"ABCD2345","email":"ann@x.example"}`, "Authorization: Bearer ao_server", "X-Forwarded-For: 192.0.2.1")
	want := []gateway.Redeem{
		{Code: "ABCD2345", Subject: "user-1", Email: "ann@gmail.com", Name: "Ann \"A\" Ä😀", Source: "product-hunt_1", Mode: gateway.Hold, Proof: "4f/1.a", Address: netip.MustParsePrefix("127.0.0.1/32")},
		{Code: "ABCD2345", Subject: "ann@x.example", Email: "ann@x.example", Address: netip.MustParsePrefix("2001:db8:1:2::/64"), Vouched: true},
		{Code: "ABCD2345", Subject: "ann@x.example", Email: "ann@x.example", Vouched: true},
	}
	for i := range want {
		if got := w.store.redeemed[i]; got != want[i] {
			t.Errorf("%d: got  %+v\n   want %+v", i, got, want[i])
		}
	}
}

func TestRedeemRefusals(t *testing.T) {
	const good = `{"code":"ABCD2345","subject":"user-1"}`
	w := newWorld(t)
	long := func(n int) string { return strings.Repeat("a", n) }
	for _, c := range []struct {
		body   string
		header string
		status int
		code   string
		field  string
	}{
		{body: ``, status: 400, code: "invalid_request"},
		{body: `[]`, status: 400, code: "invalid_request"},
		{body: `"code"`, status: 400, code: "invalid_request"},
		{body: good + `x`, status: 400, code: "invalid_request"},
		{body: good + good, status: 400, code: "invalid_request"},
		{body: `{"code":"A","subject":"b",}`, status: 400, code: "invalid_request"},
		{body: `{"code":"A" "subject":"b"}`, status: 400, code: "invalid_request"},
		{body: `{'code':"A"}`, status: 400, code: "invalid_request"},
		{body: "{\"code\":\"A\",\"subject\":\"b\xff\"}", status: 400, code: "invalid_request"},
		{body: "{\"code\":\"A\",\"subject\":\"b\x01\"}", status: 400, code: "invalid_request"},
		{body: `{"code":"A","subject":"b\x"}`, status: 400, code: "invalid_request"},
		{body: `{"code":"A","subject":"b\u12"}`, status: 400, code: "invalid_request"},
		{body: `{"code":"A","subject":"b\ud800"}`, status: 400, code: "invalid_request"},
		{body: `{"code":"A","subject":"b\udc00\ud800"}`, status: 400, code: "invalid_request"},
		{body: `{"code":"A","subject":"b\udc00\udc00"}`, status: 400, code: "invalid_request"},
		{body: `{"code":[[["A"]]],"subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":[[[["A"]]]],"subject":"b"}`, status: 400, code: "invalid_request"},
		{body: `{"code":` + strings.Repeat(`[`, 5000) + `}`, status: 400, code: "invalid_request"},
		{body: `{"code":` + strings.Repeat(`{"a":`, 2000) + `1` + strings.Repeat(`}`, 2001), status: 400, code: "invalid_request"},
		{body: `{"code":1,"subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":NaN,"subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":null,"subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":"A","subject":["b"]}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A","subject":{"a":"b"}}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A","code":"B","subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":"A","\u0063ode":"B","subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"cod":"A","subject":"b"}`, status: 400, code: "invalid_request", field: "cod"},
		{body: `{"Code":"A","subject":"b"}`, status: 400, code: "invalid_request", field: "Code"},
		{body: `{"campaign":"A","subject":"b"}`, status: 400, code: "invalid_request", field: "campaign"},
		{body: `{"` + long(41) + `":"A"}`, status: 400, code: "invalid_request"},
		{body: `{"code":"` + long(129) + `","subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":"` + long(65) + `","subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":"A!","subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":"","subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"subject":"b"}`, status: 400, code: "invalid_request", field: "code"},
		{body: `{"code":"A","subject":"` + long(201) + `"}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A","subject":""}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A","subject":" b"}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A","subject":"b\u0000"}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A","subject":"b\u202e"}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A"}`, status: 400, code: "invalid_request", field: "subject"},
		{body: `{"code":"A","email":"` + long(250) + `@x.example"}`, status: 400, code: "invalid_request", field: "email"},
		{body: `{"code":"A","email":"ann"}`, status: 400, code: "invalid_request", field: "email"},
		{body: `{"code":"A","email":""}`, status: 400, code: "invalid_request", field: "email"},
		{body: `{"code":"A","email":"ann@mailinator.com"}`, status: 422, code: "email_disposable", field: "email"},
		{body: `{"code":"A","subject":"ann@mx.mailinator.com"}`, status: 422, code: "email_disposable", field: "subject"},
		{body: `{"code":"A","subject":"b","name":"` + strings.Repeat("ä", 101) + `"}`, status: 400, code: "invalid_request", field: "name"},
		{body: `{"code":"A","subject":"b","name":"\u0007"}`, status: 400, code: "invalid_request", field: "name"},
		{body: `{"code":"A","subject":"b","source":"` + long(51) + `"}`, status: 400, code: "invalid_request", field: "source"},
		{body: `{"code":"A","subject":"b","source":"A b"}`, status: 400, code: "invalid_request", field: "source"},
		{body: `{"code":"A","subject":"b","mode":"keep"}`, status: 400, code: "invalid_request", field: "mode"},
		{body: `{"code":"A","subject":"b","mode":""}`, status: 400, code: "invalid_request", field: "mode"},
		{body: `{"code":"A","subject":"b","ip":"192.0.2.1"}`, status: 400, code: "invalid_request", field: "ip"},
		{body: `{"code":"A","subject":"b","ip":"192.0.2"}`, header: "Authorization: Bearer ao_server", status: 400, code: "invalid_request", field: "ip"},
		{body: `{"code":"A","subject":"b","ip":"fe80::1%eth0"}`, header: "Authorization: Bearer ao_server", status: 400, code: "invalid_request", field: "ip"},
		{body: good, header: "Admit-Ack: maybe", status: 400, code: "invalid_request", field: "Admit-Ack"},
		{body: good, header: "Idempotency-Key: a b", status: 400, code: "invalid_request", field: "Idempotency-Key"},
		{body: good, header: "Idempotency-Key: " + long(65), status: 400, code: "invalid_request", field: "Idempotency-Key"},
		{body: good, header: `Idempotency-Key: ""`, status: 400, code: "invalid_request", field: "Idempotency-Key"},
		{body: good, header: "Content-Encoding: gzip", status: 415, code: "unsupported_media_type", field: "Content-Encoding"},
		{body: good, header: "Authorization: Basic YTpi", status: 401, code: "unauthorized"},
		{body: good, header: "Authorization: Digest ao_server", status: 401, code: "unauthorized"},
		{body: good, header: "Authorization: Bearer ao_unknown", status: 401, code: "unauthorized"},
		{body: good, header: "Authorization: Bearer " + long(2000), status: 401, code: "unauthorized"},
		{body: good, header: "Authorization: Bearer ao_read", status: 403, code: "forbidden"},
		{body: good, header: "Authorization: Bearer ao_elsewhere", status: 403, code: "forbidden"},
	} {
		header := []string{"X-Request-Id: r-1"}
		if c.header != "" {
			header = append(header, c.header)
		}
		a := w.post(redemptions, c.body, header...)
		if a.status != c.status || a.word("code") != c.code || a.word("field") != c.field {
			t.Errorf("%.80s %s\ngot %v\nwant %d %s %s", c.body, c.header, a, c.status, c.code, c.field)
		}
		if a.word("type") != "/problems/"+c.code || a.word("detail") == "" || a.word("request_id") != "r-1" || a.field["status"] != float64(a.status) ||
			a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("X-Request-Id") != "r-1" {
			t.Errorf("not a whole problem document: %v", a)
		}
		if (a.status == 401) != (a.header.Get("WWW-Authenticate") == "Bearer") {
			t.Errorf("WWW-Authenticate: %v", a.header)
		}
	}
	if len(w.store.redeemed) != 0 {
		t.Errorf("the store was asked: %+v", w.store.redeemed)
	}
}

func TestNearestFieldIsNamed(t *testing.T) {
	w := newWorld(t)
	if a := w.post(redemptions, `{"emial":"ann@x.example"}`); !strings.Contains(a.word("detail"), `"email"`) {
		t.Error(a)
	}
	if a := w.post("/v1/launches/writer/validations", `{"subjec":"ann"}`); strings.Contains(a.word("detail"), "Did you mean") {
		t.Errorf("named a field that this call does not know: %v", a)
	}
}

func TestContentTypes(t *testing.T) {
	w := newWorld(t)
	const body = `{"code":"A","subject":"b"}`
	for contentType, want := range map[string]int{
		"application/json": 201, "Application/JSON; charset=utf-8": 201, "application/json ;charset=UTF-8": 201,
		"application/json; charset=latin1": 415, "application/jsonx": 415, "application/json x": 415, "text/plain": 415, "": 415,
		"application/x-www-form-urlencoded": 415,
	} {
		a := w.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", redemptions, contentType, len(body), body))
		if a.status != want {
			t.Errorf("%q: got %v, want %d", contentType, a, want)
		}
	}
}

func TestStoreRefusals(t *testing.T) {
	w := newWorld(t)
	for reason, status := range map[gateway.Reason]int{
		gateway.CodeUnknown: 404, gateway.CodeNotStarted: 409, gateway.CodeExpired: 410, gateway.CodeRevoked: 410, gateway.CodeExhausted: 409,
		gateway.OwnCode: 409, gateway.AlreadyRedeemed: 409, gateway.RecipientMismatch: 403, gateway.AddressAlreadyRedeemed: 409,
		gateway.AttemptsExceeded: 429, gateway.CampaignPaused: 409, gateway.CampaignFull: 409, gateway.LaunchClosed: 409,
		gateway.Overloaded: 503, gateway.NotAdmitted: 503, gateway.Unavailable: 503, gateway.Internal: 500,
	} {
		w.store.set(func(f *fakeStore) { f.err = &gateway.Error{Reason: reason, RetryAfter: 100 * time.Second} })
		a := w.post(redemptions, `{"code":"A","subject":"b"}`)
		if a.status != status || a.word("code") != string(reason) || a.word("detail") != reason.Sentence() {
			t.Errorf("%s: %v", reason, a)
		}
		retry, _ := a.field["retry_after"].(float64)
		if retry < 100 || retry > 120 || a.header.Get("Retry-After") != fmt.Sprint(retry) {
			t.Errorf("%s: retry after %v and %q", reason, retry, a.header.Get("Retry-After"))
		}
		policy, limit := a.header.Get("RateLimit-Policy"), a.header.Get("RateLimit")
		if reason == gateway.AttemptsExceeded {
			if policy != `"address";q=3;w=3600` || limit != `"address";r=0;t=`+a.header.Get("Retry-After") {
				t.Errorf("RateLimit-Policy: %s, RateLimit: %s", policy, limit)
			}
		} else if policy != "" || limit != "" {
			t.Errorf("%s: RateLimit-Policy: %s, RateLimit: %s", reason, policy, limit)
		}
	}
}

func TestRetrySeconds(t *testing.T) {
	for range 1000 {
		for wait, least := range map[time.Duration]int{0: 0, time.Millisecond: 1, time.Second: 1, 9500 * time.Millisecond: 10, time.Hour: 3600} {
			if got := retrySeconds(wait); got < least || got > least+least/5 {
				t.Fatalf("%v: %d", wait, got)
			}
		}
	}
}

func TestMemberTokenIsForWhoeverProvedIt(t *testing.T) {
	w := newWorld(t)
	const body = `{"code":"ABCD2345","subject":"ann@x.example"}`
	for _, c := range []struct {
		replayed, proven bool
		header           string
		token            bool
	}{
		{false, true, "X: y", true},
		{true, true, "Idempotency-Key: k", true},
		{true, false, "X: y", false}, // a stranger who names the same subject and code
		{true, false, "Authorization: Bearer ao_server", true},
	} {
		w.store.set(func(f *fakeStore) { f.answer.Replayed, f.answer.Proven = c.replayed, c.proven })
		a := w.post(redemptions, body, c.header)
		if (a.word("member_token") != "") != c.token {
			t.Errorf("%+v: %v", c, a)
		}
		if !c.token {
			continue
		}
		subject, by, err := w.keyring.OpenMemberToken("writer", a.word("member_token"), noon)
		if want := strings.Contains(c.header, "ao_"); err != nil || subject != "ann@x.example" || (by == gateway.ID{}) != want || !want && by != anID {
			t.Errorf("%+v: the token is %q's by %v: %v", c, subject, by, err)
		}
	}
}

func TestAck(t *testing.T) {
	const body = `{"code":"ABCD2345","subject":"ann@x.example"}`
	for _, c := range []struct {
		name       string
		policy     gateway.Durability
		header     string
		persisted  uint64
		replayed   bool
		status     int
		durability string
	}{
		{"accepted", gateway.DurabilityAccepted, "", 0, false, 201, "accepted"},
		{"asked for more, there", gateway.DurabilityAccepted, "Admit-Ack: persisted", 7, false, 201, "persisted"},
		{"asked for more, ran out", gateway.DurabilityAccepted, "Admit-Ack: persisted", 6, false, 202, "accepted"},
		{"asked for less than the policy, ran out", gateway.DurabilityPersisted, "Admit-Ack: accepted", 6, false, 202, "accepted"},
		{"the policy, there", gateway.DurabilityPersisted, "", 7, false, 201, "persisted"},
		{"replayed, there unasked", gateway.DurabilityAccepted, "", 7, true, 200, "persisted"},
		{"replayed, not there, unasked", gateway.DurabilityAccepted, "", 6, true, 200, "accepted"},
		{"replayed, ran out", gateway.DurabilityPersisted, "", 6, true, 202, "accepted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.store.launch.Policy.Ack = c.policy
			w.store.answer.Replayed = c.replayed
			w.persisted.Advance("writer", 0, c.persisted)
			header := []string{}
			if c.header != "" {
				header = append(header, c.header)
			}
			a := w.post(redemptions, body, header...)
			if receipt, _ := a.field["receipt"].(map[string]any); a.status != c.status || receipt["durability"] != c.durability {
				t.Errorf("got %v, want %d %s", a, c.status, c.durability)
			}
		})
	}
}

func TestAckWaits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.PersistWait = time.Minute })
	w.store.begun, w.store.hold = make(chan struct{}), make(chan struct{})
	go func() {
		<-w.store.begun
		close(w.store.hold)
		w.persisted.Advance("writer", 0, 6)
		w.persisted.Advance("writer", 0, 7)
	}()
	a := w.post(redemptions, `{"code":"ABCD2345","subject":"ann@x.example"}`, "Admit-Ack: persisted")
	if a.status != 201 || !strings.Contains(a.body, `"durability":"persisted"`) {
		t.Error(a)
	}
}
