package edge

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

// fakeMembers is the part of the fake store that knows members.
type fakeMembers struct {
	member   gateway.Member
	used     []gateway.Use
	active   []string
	changed  []gateway.ChangeMember
	asked    []string
	memberIs error
	invited  []gateway.Invite
	bought   []gateway.Payment
	at       uint64 // position of what is decided
}

func (f *fakeMembers) Member(_ context.Context, _, subject string) (gateway.Member, error) {
	f.asked = append(f.asked, subject)
	return f.member, f.memberIs
}

func (f *fakeMembers) UseRounds(_ context.Context, _ string, u gateway.Use) (gateway.Rounds, error) {
	f.used = append(f.used, u)
	return f.member.Left, f.memberIs
}

func (f *fakeMembers) Active(_ context.Context, _ string, a gateway.Act) error {
	f.active = append(f.active, fmt.Sprint(a.Subject, " ", a.Name, " ", a.Own))
	return f.memberIs
}

func (f *fakeMembers) ChangeMember(_ context.Context, _ string, c gateway.ChangeMember) (gateway.Member, error) {
	f.changed = append(f.changed, c)
	return f.member, f.memberIs
}

func (f *fakeMembers) Now(context.Context, string) (time.Time, error) { return noon, nil }

func (f *fakeMembers) CreateCampaign(_ context.Context, _ string, c gateway.Campaign, _ gateway.Actor) (*gateway.Campaign, error) {
	c.Number = 3
	return &c, f.memberIs
}

func (f *fakeMembers) MintInvites(_ context.Context, _ string, _ uint32, codes []gateway.NewCode, ask gateway.Invite) (gateway.Invited, error) {
	f.invited = append(f.invited, ask)
	return gateway.Invited{Codes: codes, Allotment: 2}, f.memberIs
}

func (f *fakeMembers) ReferralCode(_ context.Context, _ string, _ uint32, proposed gateway.NewCode, ask gateway.Invite) (gateway.Code, error) {
	f.invited = append(f.invited, ask)
	return "REF12345", f.memberIs
}

func (f *fakeMembers) RevokeInvite(_ context.Context, _, subject string, code gateway.Code) (gateway.Rounds, error) {
	f.active = append(f.active, subject+" revokes "+string(code))
	return 3, f.memberIs
}

const membersPath = "/v1/launches/writer/members/"

// ask sends a request with or without a body.
func (w *world) ask(method, path, body string, headers ...string) answer {
	w.t.Helper()
	request := method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(headers, "\r\n")
	if len(headers) > 0 {
		request += "\r\n"
	}
	if body != "" {
		request += "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return w.raw(request + "\r\n" + body)
}

func TestMember(t *testing.T) {
	w := newWorld(t)
	w.store.member = gateway.Member{
		StoredMember: gateway.StoredMember{Method: gateway.UnlockInvite, Campaign: 2, Rounds: 30, Used: 4, Allotment: gateway.Unlimited, Inviter: "k", Referrals: 2, Joined: noon},
		Left:         26,
	}
	token := "Authorization: Bearer " + w.keyring.MemberToken("writer", "ann@x.example", gateway.ID{}, noon)
	a := w.ask("GET", membersPath+"Ann%40x.example", "", token)
	want := `{"subject":"ann@x.example","member":true,"tier":"pro","unlock":{"method":"invite_code","rounds":30,"used":4,"remaining":26},` +
		`"allotment":"unlimited","invited":true,"referrals":2,"leaderboard":true,"joined_at":"2026-11-21T12:00:00Z"}`
	if a.status != 200 || a.body != want {
		t.Errorf("got %v\nwant %s", a, want)
	}
	for _, c := range []struct {
		method, path, body, credential string
		status                         int
		code                           string
	}{
		{"GET", "ann@x.example", "", "", 401, "unauthorized"},
		{"GET", "bob", "", token, 403, "forbidden"},
		{"GET", "bob", "", "Authorization: Bearer ao_read", 200, ""},
		{"GET", "bob", "", "Authorization: Bearer ao_elsewhere", 403, "forbidden"},
		{"GET", "%zz", "", token, 400, "invalid_request"},
		{"GET", "%00", "", token, 400, "invalid_request"},
		{"GET", "%ff", "", token, 400, "invalid_request"},
		{"GET", "%20bob", "", token, 400, "invalid_request"},
		{"GET", strings.Repeat("a", 201), "", token, 400, "invalid_request"},
		{"GET", "", "", token, 400, "invalid_request"},
		{"GET", "a@" + strings.Repeat("b", 80) + ".c", "", token, 400, "invalid_request"},
		{"POST", "bob", "", token, 405, "method_not_allowed"},
		{"POST", "bob/usage", `{"rounds":1}`, "Authorization: Bearer ao_read", 403, "forbidden"},
		{"POST", "bob/usage", `{"rounds":0}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/usage", `{"rounds":1.5}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/usage", `{"rounds":"1"}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/usage", `{"rounds":1,"rounds":2}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/usage", `{"rounds":1000001}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/usage", `{"round":1}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/usage", `[1]`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "a@mailinator.com/usage", `{}`, "Authorization: Bearer ao_server", 422, "email_disposable"},
		{"POST", "bob/activity", `{"name":""}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/activity", `{"name":"Paid!"}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"PUT", "bob/preferences", `{}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"PUT", "bob/preferences", `{"leaderboard":"no"}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/invites", `{"count":0}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/invites", `{"count":51}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/invites", `{"count":2,"email":"a@x.example"}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"POST", "bob/invites", `{"email":"a@mailinator.com"}`, "Authorization: Bearer ao_server", 422, "email_disposable"},
		{"POST", "b@x.example/invites", `{"email":"B@x.example"}`, "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"GET", "bob/invites", "", "Authorization: Bearer ao_server", 503, "unavailable"},
		{"GET", "bob/referrals?depth=0", "", "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"GET", "bob/referrals?limit=101", "", "Authorization: Bearer ao_server", 400, "invalid_request"},
		{"DELETE", "bob/invites/%21", "", "Authorization: Bearer ao_server", 404, "code_unknown"},
		{"PATCH", "bob/invites", "", "Authorization: Bearer ao_server", 405, "method_not_allowed"},
		{"GET", "bob/nothing", "", token, 404, "not_found"},
	} {
		headers := []string{}
		if c.credential != "" {
			headers = append(headers, c.credential)
		}
		a := w.ask(c.method, membersPath+c.path, c.body, headers...)
		if a.status != c.status || a.word("code") != c.code {
			t.Errorf("%s %s %s: %v", c.method, c.path, c.body, a)
		}
	}
}

func TestMemberAsks(t *testing.T) {
	w := newWorld(t)
	w.store.member.Left = gateway.Unlimited
	token := "Authorization: Bearer " + w.keyring.MemberToken("writer", "bob", gateway.ID{}, noon)
	if a := w.ask("POST", membersPath+"bob/usage", `{"rounds":3}`, token, "Idempotency-Key: k"); a.status != 200 || a.body != `{"remaining":"unlimited","unlimited":true}` {
		t.Error(a)
	}
	w.ask("POST", membersPath+url.PathEscape("Ann+x@gmail.com")+"/usage", "", "Authorization: Bearer ao_server")
	if len(w.store.used) != 2 || w.store.used[0] != (gateway.Use{Subject: "bob", Rounds: 3, Proof: "k"}) ||
		w.store.used[1] != (gateway.Use{Subject: "ann@gmail.com", Email: "ann@gmail.com", Rounds: 1, Begin: true}) {
		t.Errorf("%+v", w.store.used)
	}
	if a := w.ask("POST", membersPath+"bob/activity", `{"name":"active"}`, token); a.status != 204 || a.body != "" || w.store.active[0] != "bob active true" {
		t.Errorf("%v, %v", a, w.store.active)
	}
	for _, name := range []string{"activated", "paid"} { // what figures are made of
		if a := w.ask("POST", membersPath+"bob/activity", `{"name":"`+name+`"}`, token); a.status != 403 || a.word("field") != "name" {
			t.Errorf("a member says %s: %v", name, a)
		}
	}
	if a := w.ask("POST", membersPath+"bob/activity", `{"name":"paid"}`, "Authorization: Bearer ao_server"); a.status != 204 || w.store.active[1] != "bob paid false" {
		t.Errorf("%v, %v", a, w.store.active)
	}
	if a := w.ask("PUT", membersPath+"bob/preferences", `{"leaderboard":false}`, token); a.status != 200 || !w.store.changed[0].Private || !w.store.changed[0].Own {
		t.Errorf("%v, %v", a, w.store.changed)
	}
	if a := w.ask("POST", membersPath+"bob/invites", `{"email":"F.riend+1@gmail.com"}`, token, "Idempotency-Key: k"); a.status != 201 || !strings.Contains(a.body, `"link":"/i/writer/`) ||
		w.store.invited[0] != (gateway.Invite{Subject: "bob", Count: 1, Recipient: "friend@gmail.com", Proof: "k"}) {
		t.Errorf("%v, %+v", a, w.store.invited)
	}
	if a := w.ask("DELETE", membersPath+"bob/invites/abcd-2345", "", token); a.status != 200 || a.body != `{"allotment":3}` || w.store.active[2] != "bob revokes ABCD2345" {
		t.Errorf("%v, %v", a, w.store.active)
	}
	w.store.memberIs = &gateway.Error{Reason: gateway.RoundsExhausted}
	if a := w.ask("POST", membersPath+"bob/usage", `{}`, token); a.status != 402 || a.word("code") != "rounds_exhausted" {
		t.Error(a)
	}
}

// TestTokens: a public caller speaks for a subject only where the redemption
// made it a member.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		proven, founding bool
		header           string
		token            bool
	}{
		{true, true, "", true},
		{true, false, "", false},
		{false, true, "", false},
		{false, false, "", false},
		{true, false, "Authorization: Bearer ao_server", true},
		{false, false, "Authorization: Bearer ao_server", true},
	} {
		w.store.set(func(f *fakeStore) { f.answer.Proven, f.answer.Founding = c.proven, c.founding })
		headers := []string{"X-Request-Id: a"}
		if c.header != "" {
			headers = append(headers, c.header)
		}
		if a := w.post(redemptions, `{"code":"ABCD2345","subject":"bob"}`, headers...); a.status != 201 || (a.word("member_token") != "") != c.token {
			t.Errorf("%+v: %v", c, a)
		}
	}
	w.store.set(func(f *fakeStore) { f.launch.Policy.Subjects.NamedBy = gateway.NamedByServer })
	if a := w.post(redemptions, `{"code":"ABCD2345","subject":"bob"}`); a.status != 401 {
		t.Error(a)
	}
	if a := w.post(redemptions, `{"code":"ABCD2345","subject":"bob"}`, "Authorization: Bearer ao_server"); a.status != 201 {
		t.Error(a)
	}
}

// TestTokenOfReleased: who held a code in somebody's name and let it go does
// not speak for the member whom the name belongs to later.
func TestTokenOfReleased(t *testing.T) {
	w := newWorld(t)
	const ann = "ann@x.example"
	token := "Authorization: Bearer " + w.keyring.MemberToken("writer", ann, anID, noon)
	later := redemptions + "/" + gateway.NewID(noon.Add(time.Hour)).String()
	own := redemptions + "/" + anID.String()
	for _, c := range []struct {
		name        string
		status      gateway.Status
		subject     string
		err         error
		others, own int // statuses of what is not the token's redemption, and of what is
	}{
		{"held", gateway.Held, ann, nil, 200, 200},
		{"committed", gateway.Committed, ann, nil, 200, 200},
		{"rolled back", gateway.RolledBack, ann, nil, 401, 200},
		{"released", gateway.Released, ann, nil, 401, 200},
		{"somebody else's", gateway.Committed, "ben", nil, 401, 404},
		{"gone", gateway.Committed, ann, gateway.Refuse(gateway.RedemptionUnknown), 401, 404},
		{"not known now", gateway.Committed, ann, gateway.Refuse(gateway.NotAdmitted), 503, 503},
	} {
		w.store.set(func(f *fakeStore) {
			f.answer.Status, f.answer.SubjectKey, f.err = c.status, w.keyring.Subject("writer", c.subject), c.err
		})
		for path, want := range map[string]int{membersPath + ann: c.others, later: c.others, own: c.own} {
			if a := w.get(path, token); a.status != want {
				t.Errorf("%s: GET %s: got %v, want %d", c.name, path, a, want)
			}
		}
	}
	w.store.set(func(f *fakeStore) { f.answer.Status, f.err = gateway.Released, nil })
	for _, path := range []string{"/usage", "/activity"} {
		if a := w.ask("POST", membersPath+ann+path, `{}`, token); a.status != 401 {
			t.Errorf("%s: %v", path, a)
		}
	}
}
