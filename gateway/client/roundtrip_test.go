package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/admin"
	"admitone/gateway/client"
	"admitone/gateway/edge"
	"admitone/gateway/gatewaytest"
	"admitone/gateway/gatewaytest/openapi"
	"admitone/gateway/keyring"
	"admitone/sync/ledger"
)

func TestMain(m *testing.M) { rig.Run(m) }

// store is the model with what only servers need.
type store struct {
	*gatewaytest.Model
	keyring *keyring.Keyring
}

// Redemption names its subject as the real store does, by a key.
func (s store) Redemption(ctx context.Context, launch string, id gateway.ID) (gateway.Redemption, error) {
	r, err := s.Model.Redemption(ctx, launch, id)
	r.SubjectKey = s.keyring.Subject(launch, r.Subject)
	return r, err
}

func (store) Line(string) *gateway.Line { return nil }

func (store) Open(context.Context, string, gateway.Code) error { return nil }

func (store) Launches(context.Context) ([]string, error) { return []string{"l"}, nil }

// described holds every answer that passes against docs/openapi.yaml.
type described struct {
	testing.TB
	*openapi.Description
	http.RoundTripper
}

func (d described) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return nil, err
	}
	if err := d.Check(r, response.StatusCode, response.Header, body); err != nil {
		d.Errorf("%v: %s", err, body)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

type verifier struct{}

func (verifier) Verify(_ context.Context, launch string) (gateway.VerifyReport, error) {
	return gateway.VerifyReport{Launch: launch, Position: 3}, nil
}

const operator = "the operator's key of these tests"

// begin is both listeners over a model and a real Postgres, and a client of
// them.
func begin(t *testing.T) *client.Client {
	t.Helper()
	secret, err := keyring.New([]byte("a secret of at least thirty-two bytes"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), rig.TestPostgres(t), secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	model := store{gatewaytest.NewModel(time.Now()), secret}
	model.EntryKey = secret.Subject
	keys := gateway.NewKeys(l, operator)
	private := httptest.NewServer(admin.New(admin.Config{Store: model, Ledger: l, Verifier: verifier{}, Keys: keys, Checker: secret}))
	t.Cleanup(private.Close)
	public := edge.New(edge.Config{Store: model, Keyring: secret, Persisted: new(gateway.Persisted), Keys: keys, Ledger: l})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- public.Serve(listener) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := errors.Join(public.Shutdown(context.Background()), <-served); err != nil {
			t.Error(err)
		}
	})
	return client.New("http://"+listener.Addr().String(), private.URL, operator, client.Options{HTTP: &http.Client{
		Transport:     described{t, openapi.Load(t), transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
}

// must is for calls that cannot fail here.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantRefusal(t *testing.T, err error, want gateway.Reason) {
	t.Helper()
	if !errors.Is(err, gateway.Refuse(want)) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestOperator makes a launch and all that is in it.
func TestOperator(t *testing.T) {
	c, ctx := begin(t), t.Context()
	if p := must[gateway.Policy](t)(c.CheckPolicy(ctx, "", client.YAML, []byte("launch: l\n"), true)); p.Launch != "l" {
		t.Errorf("%+v", p)
	}
	if l := must[client.Launch](t)(c.CreateLaunch(ctx, client.YAML, []byte("launch: l\nlanding_url: https://l.example/\n"))); !l.Open || l.Version != 1 {
		t.Errorf("%+v", l)
	}
	_, err := c.CreateLaunch(ctx, client.JSON, []byte(`{"launch":"l"}`))
	wantRefusal(t, err, gateway.LaunchExists)
	p, version, err := c.Policy(ctx, "l")
	if err != nil || p.LandingURL != "https://l.example/" || version == 0 {
		t.Errorf("%+v, %d, %v", p, version, err)
	}
	if p, now, err := c.PutPolicy(ctx, "l", client.JSON, []byte(`{"launch":"l","name":"L"}`), version); err != nil || p.Name != "L" || now <= version {
		t.Errorf("%+v, %d, %v", p, now, err)
	}
	_, _, err = c.PutPolicy(ctx, "l", client.JSON, []byte(`{"launch":"l"}`), version)
	wantRefusal(t, err, gateway.Conflict)
	if _, err = c.CloseLaunch(ctx, "l", "why"); err != nil {
		t.Error(err)
	}
	if l := must[client.Launch](t)(c.OpenLaunch(ctx, "l", "")); !l.Open {
		t.Error("it is closed")
	}
	if list := must[[]client.Launch](t)(c.Launches(ctx)); len(list) != 1 {
		t.Errorf("%+v", list)
	}

	vanity, channel, expires := true, "partner", gateway.Duration(time.Hour)
	made := must[gateway.Campaign](t)(c.CreateCampaign(ctx, "l", client.Campaign{Name: "c", Vanity: &vanity, Channel: &channel, Expires: &expires, MaxUses: 3}))
	if made.MaxUses != 3 || made.Channel != "partner" || made.Expires != expires {
		t.Errorf("%+v", made)
	}
	limit := 100
	if edited := must[gateway.Campaign](t)(c.EditCampaign(ctx, "l", "c", client.Campaign{Cap: &limit})); edited.Cap != 100 || edited.MaxUses != 3 {
		t.Errorf("%+v", edited)
	}
	for _, change := range []func(context.Context, string, string, string) (gateway.Campaign, error){
		c.PauseCampaign, c.ResumeCampaign, c.RevokeCampaign, c.ReinstateCampaign,
	} {
		if _, err := change(ctx, "l", made.ID.String(), "why"); err != nil {
			t.Error(err)
		}
	}
	if got := must[gateway.Campaign](t)(c.Campaign(ctx, "l", "c")); got.State != gateway.CampaignActive {
		t.Errorf("%+v", got)
	}
	if list := must[[]gateway.Campaign](t)(c.Campaigns(ctx, "l")); len(list) != 1 {
		t.Errorf("%+v", list)
	}

	codes, job, err := c.Mint(ctx, "l", "c", 2)
	if err != nil || job != nil || len(codes) != 2 {
		t.Errorf("%v, %v, %v", codes, job, err)
	}
	if chosen := must[[]client.Minted](t)(c.MintCodes(ctx, "l", "c", []client.ChosenCode{{Code: "AAA", MaxUses: 1}, {Code: "BBB", Recipient: "ann@example.com"}})); chosen[0].MaxUses != 1 {
		t.Errorf("%+v", chosen)
	}
	_, err = c.ImportCodes(ctx, "l", "c", []byte("code\nNEW\nAAA\n"))
	var e *client.Error
	if !errors.As(err, &e) || len(e.Lines) != 1 || e.Lines[0].Line != 3 {
		t.Errorf("%v", err)
	}
	if position := must[uint64](t)(c.ChangeCodes(ctx, "l", gateway.Revoke, []string{"AAA"}, time.Time{}, "leaked")); position == 0 {
		t.Error("no position")
	}
	if code := must[client.Code](t)(c.Code(ctx, "l", "aaa")); code.State != gateway.CodeIsRevoked || code.MaxUses != 1 || code.Campaign != "c" {
		t.Errorf("%+v", code)
	}
	_, err = c.Job(ctx, "l", gateway.NewID(time.Now()))
	wantRefusal(t, err, gateway.NotFound)

	key := must[client.NewKey](t)(c.CreateKey(ctx, "k", []gateway.Scope{gateway.ScopeRead}, "l", time.Time{}))
	if _, err := c.As(key.Secret).Launch(ctx, "l"); err != nil {
		t.Error(err)
	}
	_, err = c.As(key.Secret).CloseLaunch(ctx, "l", "")
	wantRefusal(t, err, gateway.Forbidden)
	if keys := must[[]gateway.APIKey](t)(c.Keys(ctx)); len(keys) != 1 || keys[0].ID != key.ID {
		t.Errorf("%+v", keys)
	}
	if err := c.RevokeKey(ctx, key.ID); err != nil {
		t.Error(err)
	}
	_, err = c.As(key.Secret).Launch(ctx, "l")
	wantRefusal(t, err, gateway.Unauthorized)

	// The ledger knows nothing here: no syncer runs. The calls are right.
	for name, call := range map[string]func() error{
		"redemptions": func() error {
			_, err := c.Redemptions(ctx, "l", gateway.RedemptionFilter{Campaign: "c", Subject: "x", Code: "A", Status: gateway.Held}, gateway.Page{Limit: 3})
			return err
		},
		"codes":     func() error { _, err := c.Codes(ctx, "l", "c", gateway.Page{}); return err },
		"life":      func() error { _, err := c.CodeEvents(ctx, "l", "AAA"); return err },
		"stats":     func() error { _, err := c.Stats(ctx, "l"); return err },
		"analytics": func() error { _, err := c.Analytics(ctx, "l"); return err },
		"analytics.csv": func() error {
			var b strings.Builder
			if err := c.AnalyticsCSV(ctx, "l", &b); err != nil || !strings.HasPrefix(b.String(), "level,") {
				return errors.Join(err, errors.New(b.String()))
			}
			return nil
		},
		"events":    func() error { _, err := c.Events(ctx, "l", gateway.Page{}); return err },
		"conflicts": func() error { _, err := c.Conflicts(ctx, "l"); return err },
		"parked":    func() error { _, err := c.Parked(ctx, "l"); return err },
		"position":  func() error { _, err := c.Position(ctx, "l"); return err },
		"verify":    func() error { _, err := c.Verify(ctx, "l"); return err },
		"export": func() error {
			var b strings.Builder
			if err := c.ExportCodes(ctx, "l", "c", &b); err != nil || !strings.HasPrefix(b.String(), "code,") {
				return errors.Join(err, errors.New(b.String()))
			}
			return nil
		},
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := must[client.Readiness](t)(c.Ready(ctx)); !r.Ready || r.Status != "ok" {
		t.Errorf("%+v", r)
	}
}

// TestSubject redeems as the public, a member and a back end do.
func TestSubject(t *testing.T) {
	c, ctx := begin(t), t.Context()
	must[client.Launch](t)(c.CreateLaunch(ctx, client.YAML, []byte("launch: l\nlanding_url: https://l.example/\n")))
	vanity := true
	must[gateway.Campaign](t)(c.CreateCampaign(ctx, "l", client.Campaign{Name: "c", Vanity: &vanity, MaxUses: 2}))
	must[[]client.Minted](t)(c.MintCodes(ctx, "l", "c", []client.ChosenCode{{Code: "AAA"}}))

	public := c.As("")
	if v := must[client.Validation](t)(public.Validate(ctx, "l", "aaa", "")); !v.Valid || v.Remaining != 2 {
		t.Errorf("%+v", v)
	}
	if v := must[client.Validation](t)(public.Validate(ctx, "l", "zzz", "")); v.Valid || v.Reason != gateway.CodeUnknown {
		t.Errorf("%+v", v)
	}
	ask := client.Redeem{Code: "AAA", Email: "ann@example.com", IdempotencyKey: "k"}
	first := must[client.Redemption](t)(public.Redeem(ctx, "l", ask))
	if first.Status != gateway.Committed || first.MemberToken == "" || first.Receipt.Position == 0 || first.Unlock.Rounds != gateway.Unlimited {
		t.Errorf("%+v", first)
	}
	if again := must[client.Redemption](t)(public.Redeem(ctx, "l", ask)); !again.Replayed || again.ID != first.ID {
		t.Errorf("%+v", again)
	}
	member := public.As(first.MemberToken)
	if r := must[client.Redemption](t)(member.Redemption(ctx, "l", first.ID)); r.Status != gateway.Committed {
		t.Errorf("%+v", r)
	}
	_, err := public.Redemption(ctx, "l", first.ID)
	wantRefusal(t, err, gateway.Unauthorized)

	hold := must[client.Redemption](t)(c.Redeem(ctx, "l", client.Redeem{Code: "AAA", Subject: "bob", Mode: "hold", IP: "192.0.2.1"}))
	if hold.Status != gateway.Held || hold.ExpiresAt.IsZero() {
		t.Errorf("%+v", hold)
	}
	_, err = c.Redeem(ctx, "l", client.Redeem{Code: "AAA", Subject: "cid"})
	wantRefusal(t, err, gateway.CodeExhausted)
	if r := must[client.Redemption](t)(c.Release(ctx, "l", hold.ID)); r.Status != gateway.Released {
		t.Errorf("%+v", r)
	}
	second := must[client.Redemption](t)(c.Redeem(ctx, "l", client.Redeem{Code: "AAA", Subject: "cid", Mode: "hold"}))
	if r := must[client.Redemption](t)(c.Confirm(ctx, "l", second.ID)); r.Status != gateway.Committed {
		t.Errorf("%+v", r)
	}
	if r := must[client.RedemptionNow](t)(c.Rollback(ctx, "l", second.ID, "a refund")); r.Status != gateway.RolledBack {
		t.Errorf("%+v", r)
	}
	if r := must[client.RedemptionNow](t)(c.RedemptionNow(ctx, "l", second.ID)); r.Status != gateway.RolledBack || r.Campaign != "c" {
		t.Errorf("%+v", r)
	}

	location, cookies, err := public.Visit(ctx, "l", "AAA")
	if err != nil || location != "https://l.example/" || len(cookies) != 1 {
		t.Fatalf("%q, %v, %v", location, cookies, err)
	}
	cookie := cookies[0].Name + "=" + cookies[0].Value
	if r := must[client.Redemption](t)(public.Redeem(ctx, "l", client.Redeem{Subject: "dan", Cookie: cookie})); r.Code != "AAA" {
		t.Errorf("%+v", r)
	}
}

// TestMembers: what members and operators do with members.
func TestMembers(t *testing.T) {
	c, ctx := begin(t), t.Context()
	must[client.Launch](t)(c.CreateLaunch(ctx, client.YAML, []byte("launch: l\ncodes: {personal: {allotment: 3}}\nunlock: {trial_rounds: 30, invite_rounds: 100}\n")))
	vanity := true
	must[gateway.Campaign](t)(c.CreateCampaign(ctx, "l", client.Campaign{Name: "c", Vanity: &vanity, MaxUses: 2}))
	must[[]client.Minted](t)(c.MintCodes(ctx, "l", "c", []client.ChosenCode{{Code: "AAA"}}))
	if u := must[client.Usage](t)(c.UseRounds(ctx, "l", "eve", 10, "")); u.Remaining != 20 || u.Unlimited {
		t.Errorf("%+v", u)
	}
	_, err := c.UseRounds(ctx, "l", "eve", 21, "")
	wantRefusal(t, err, gateway.RoundsExhausted)
	ann := must[client.Redemption](t)(c.As("").Redeem(ctx, "l", client.Redeem{Code: "AAA", Email: "ann@example.com"}))
	if ann.Allotment != 3 || ann.MemberToken == "" {
		t.Errorf("%+v", ann)
	}
	member := c.As(ann.MemberToken)
	if u := must[client.Usage](t)(member.UseRounds(ctx, "l", "ann@example.com", 1, "k")); u.Remaining != 99 {
		t.Errorf("%+v", u)
	}
	if err := member.Active(ctx, "l", "ann@example.com", "active"); err != nil {
		t.Error(err)
	}
	if m := must[client.Member](t)(member.ShowOnLeaderboard(ctx, "l", "ann@example.com", false)); m.Leaderboard || m.Unlock.Used != 1 {
		t.Errorf("%+v", m)
	}
	if m := must[client.Member](t)(member.Member(ctx, "l", "ann@example.com")); !m.Member || m.Tier != "standard" || m.Allotment != 3 || m.JoinedAt.IsZero() {
		t.Errorf("%+v", m)
	}
	_, err = member.Member(ctx, "l", "eve")
	wantRefusal(t, err, gateway.Forbidden)
	made := must[client.Invited](t)(member.Invite(ctx, "l", "ann@example.com", 2, "", "k"))
	if again := must[client.Invited](t)(member.Invite(ctx, "l", "ann@example.com", 2, "", "k")); len(made.Invites) != 2 || again.Invites[1] != made.Invites[1] || again.Allotment != 1 {
		t.Errorf("%+v, %+v", made, again)
	}
	must[client.Invited](t)(member.Invite(ctx, "l", "ann@example.com", 1, "fay@example.com", ""))
	_, err = member.Invite(ctx, "l", "ann@example.com", 1, "", "")
	wantRefusal(t, err, gateway.AllotmentExhausted)
	if left := must[gateway.Rounds](t)(member.RevokeInvite(ctx, "l", "ann@example.com", made.Invites[0].Code)); left != 1 {
		t.Errorf("%v", left)
	}
	must[gateway.List[gateway.InviteRow]](t)(member.Invites(ctx, "l", "ann@example.com", gateway.Page{Limit: 3}))
	must[gateway.List[gateway.ReferralRow]](t)(member.Referrals(ctx, "l", "ann@example.com", 3, gateway.Page{}))
	must[[]gateway.LeaderRow](t)(c.As("").Leaderboard(ctx, "l", 10))
	if _, err := member.RevokeInvite(ctx, "l", "ann@example.com", made.Invites[1].Code); err != nil {
		t.Error(err)
	}
	_, err = member.GrantInvites(ctx, "l", "ann@example.com", 1, "")
	wantRefusal(t, err, gateway.Unauthorized)
	if m := must[client.MemberNow](t)(c.GrantInvites(ctx, "l", "ann@example.com", 25, "top referrer")); m.Allotment != 27 {
		t.Errorf("%+v", m)
	}
	if m := must[client.MemberNow](t)(c.SetTier(ctx, "l", "ann@example.com", "vip", "")); m.Tier != "vip" {
		t.Errorf("%+v", m)
	}
	if m := must[client.MemberNow](t)(c.MemberNow(ctx, "l", "eve")); m.Member || m.Method != gateway.UnlockTrial || m.Remaining != 20 {
		t.Errorf("%+v", m)
	}
	must[gateway.List[gateway.MemberRow]](t)(c.Members(ctx, "l", gateway.MemberFilter{Email: "ann@example.com", Tier: "vip", Method: gateway.UnlockInvite}, gateway.Page{}))
	must[client.MemberNow](t)(c.EraseMember(ctx, "l", "ann@example.com", "asked to"))
	_, err = c.MemberNow(ctx, "l", "nobody")
	wantRefusal(t, err, gateway.MemberUnknown)
}

// TestMoney: what back ends, members and operators do with purchases.
func TestMoney(t *testing.T) {
	c, ctx := begin(t), t.Context()
	must[client.Launch](t)(c.CreateLaunch(ctx, client.YAML, []byte(`
launch: l
landing_url: https://l.example/signup
referrals: {invalid_code: ignore}
rewards: {qualifies: {minimum: {amount: 1000, currency: usd}}, pays: {referrer: 1000, referee: 1000, approval: true}}
`)))
	code := must[client.ReferralCode](t)(c.ReferralCode(ctx, "l", "ann"))
	if !strings.HasPrefix(code.ShareLink, "https://l.example/signup?ref=") || code.RemainingUses != 10 || len(code.Code) != 8 {
		t.Errorf("%+v", code)
	}
	if again := must[client.ReferralCode](t)(c.ReferralCode(ctx, "l", "ann")); again != code {
		t.Errorf("%+v", again)
	}
	if v := must[client.ReferralValidity](t)(c.As("").ValidateReferral(ctx, "l", code.Code)); !v.Valid || v.RemainingUses != 10 {
		t.Errorf("%+v", v)
	}
	if r := must[client.Redemption](t)(c.Redeem(ctx, "l", client.Redeem{Code: "WR0NG", Subject: "cid"})); r.Status != "registered" || r.Referred || r.Message == "" {
		t.Errorf("%+v", r)
	}
	if r := must[client.Redemption](t)(c.Redeem(ctx, "l", client.Redeem{Code: code.Code, Subject: "bob"})); !r.Referred {
		t.Errorf("%+v", r)
	}
	if p := must[client.Purchased](t)(c.Purchase(ctx, "l", client.Purchase{ID: "p", Subject: "bob", Amount: 1000, Currency: "usd"})); p.Reward != gateway.RewardPending || p.Known {
		t.Errorf("%+v", p)
	}
	if status := must[gateway.RewardStatus](t)(c.DecideReward(ctx, "l", "bob", gateway.ApproveReward, "it is fine")); status != gateway.RewardPaid {
		t.Errorf("%v", status)
	}
	if p := must[client.Purchased](t)(c.Purchase(ctx, "l", client.Purchase{ID: "p", Dispute: &client.Dispute{ID: "d", Status: gateway.DisputeOpen}})); p.Reward != gateway.RewardReversed {
		t.Errorf("%+v", p)
	}
	must[gateway.RewardStatus](t)(c.DecideReward(ctx, "l", "bob", gateway.RejectReward, ""))
	must[client.ReferralStats](t)(c.ReferralStats(ctx, "l", "ann"))
	must[gateway.List[gateway.RewardRow]](t)(c.Rewards(ctx, "l", gateway.RewardPaid, "ann", gateway.Page{}))
	_, err := c.As("").Purchase(ctx, "l", client.Purchase{ID: "p", Refunded: 1})
	wantRefusal(t, err, gateway.Unauthorized)
	_, err = c.Stripe(ctx, "l", []byte("{}"), "t=1,v1=ab")
	wantRefusal(t, err, gateway.Unauthorized)
	_, err = c.Gumroad(ctx, "l", "wrong", url.Values{"license_key": {"A-B"}})
	wantRefusal(t, err, gateway.Unauthorized)
}
