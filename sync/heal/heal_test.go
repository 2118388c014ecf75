package heal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/keyring"
	"admitone/lua"
	"admitone/sync/ledger"
	"admitone/sync/syncer"
)

func TestMain(m *testing.M) { rig.Run(m) }

// node is what a gateway process has of both stores.
type node struct {
	testing.TB
	redis  redis.UniversalClient
	ledger *ledger.Ledger
	store  *lua.Store
	healer *Healer
	ring   *keyring.Keyring
	url    string
}

const launch = "l"

func open(t testing.TB) *node {
	t.Helper()
	ring, err := keyring.New(bytes.Repeat([]byte{7}, keyring.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{TB: t, ring: ring, url: rig.TestPostgres(t)}
	n.redis = lua.NewClient(&redis.UniversalOptions{Addrs: []string{rig.TestRedis(t).Addr()}})
	t.Cleanup(func() { n.redis.Close() })
	if n.ledger, err = ledger.Open(t.Context(), n.url, ring); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.ledger.Close)
	n.store, n.healer = n.gateway()
	return n
}

// gateway is another process on the same stores.
func (n *node) gateway() (*lua.Store, *Healer) {
	h := &Healer{Ledger: n.ledger, Pool: n.ledger.Pool(), Log: slog.New(slog.DiscardHandler), ID: gateway.NewID(time.Now())}
	s := lua.New(lua.Options{Redis: n.redis, Keyring: n.ring, Admitter: h})
	h.Serve(s)
	return s, h
}

// sync runs a syncer until it is told to stop.
func (n *node) sync() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s := syncer.New(syncer.Options{Source: n.store, Ledger: n.ledger, Wait: 50 * time.Millisecond, Pause: 20 * time.Millisecond})
	var work sync.WaitGroup
	work.Go(func() { s.Lead(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
	})
	n.Cleanup(stop)
	return stop
}

// caughtUp waits until Postgres holds what Redis does.
func (n *node) caughtUp() {
	n.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		at, err := n.store.Position(n.Context(), launch)
		if err == nil && at.Entries == 0 {
			return
		}
		if time.Now().After(deadline) {
			n.Fatalf("Postgres does not catch up: %+v, %v", at, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var by = gateway.Actor{Name: "test"}

func (n *node) redeem(r gateway.Redeem) (gateway.Redemption, error) {
	return n.store.Redeem(n.Context(), launch, &r)
}

// populate makes a launch with a bit of everything in it, and tells what was
// answered.
func (n *node) populate() map[string]gateway.Redemption {
	n.Helper()
	must := func(err error) {
		n.Helper()
		if err != nil {
			n.Fatal(err)
		}
	}
	p := gateway.DefaultPolicy(launch)
	p.Limits.AddressDedup.Action = gateway.DedupRefuse
	p.Holds.PerAddress = gateway.Rate{Count: 1, Window: gateway.Duration(30 * 24 * time.Hour)}
	p.Codes.Personal.Allotment, p.Unlock.TrialRounds, p.Unlock.InviteRounds = 3, 30, 100
	p.Referrals.Milestones = gateway.Milestones{{Referrals: 1, Invites: 2}}
	_, err := n.store.CreateLaunch(n.Context(), p, by)
	must(err)
	for _, c := range []gateway.Campaign{
		{Name: "bulk", Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: 1, Format: "LPS-{random:8}", Vanity: true},
		{Name: "link", Kind: gateway.KindLicense, Type: gateway.TypeLink, MaxUses: 500, Format: "{random:10}", Cap: 400, Vanity: true},
	} {
		_, err := n.store.CreateCampaign(n.Context(), launch, c, by)
		must(err)
	}
	bulk := []gateway.NewCode{{Code: "B0UND", Recipient: "ann@example.com"}, {Code: "1SSUED", Issuer: "ann", MaxUses: 2}, {Code: "VAN1TY", Display: "Van-i-ty"}, {Code: "REV0KED"}, {Code: "MANY", MaxUses: 9}}
	for i := range 100 {
		bulk = append(bulk, gateway.NewCode{Code: gateway.Code(fmt.Sprintf("C%03d", i))})
	}
	_, err = n.store.Mint(n.Context(), launch, 1, bulk, by)
	must(err)
	_, err = n.store.Mint(n.Context(), launch, 2, []gateway.NewCode{{Code: "H0T"}}, by)
	must(err)
	_, err = n.store.ChangeCodes(n.Context(), launch, gateway.ChangeCodes{Change: gateway.Revoke, Codes: []gateway.Code{"REV0KED"}, By: by})
	must(err)
	answers := map[string]gateway.Redemption{}
	for i := range 60 {
		subject := fmt.Sprint("s", i)
		r := gateway.Redeem{Code: gateway.Code(fmt.Sprintf("C%03d", i)), Subject: subject, Proof: "key-" + subject}
		if i%5 == 0 {
			r.Mode = gateway.Hold
		}
		if i%3 == 0 {
			r.Address = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)
		}
		answers[subject], err = n.redeem(r)
		must(err)
	}
	for _, s := range []struct {
		subject string
		how     gateway.Settlement
	}{{"s0", gateway.Confirm}, {"s5", gateway.Release}, {"s1", gateway.Rollback}} {
		_, err := n.store.Settle(n.Context(), launch, answers[s.subject].ID, s.how, by)
		must(err)
	}
	answers["dan"], err = n.redeem(gateway.Redeem{Code: "1SSUED", Subject: "dan", Proof: "key-dan"})
	must(err)
	invited, err := gateway.MintInvites(n.Context(), n.store, n.ring, n.theLaunch(), gateway.Invite{Subject: "s4", Count: 3, Proof: "k"})
	must(err)
	answers["fay"], err = n.redeem(gateway.Redeem{Code: invited.Codes[0].Code, Subject: "fay", Proof: "key-fay"})
	must(err)
	_, err = n.store.RevokeInvite(n.Context(), launch, "s4", invited.Codes[1].Code)
	must(err)
	_, err = n.store.ChangeCodes(n.Context(), launch, gateway.ChangeCodes{Change: gateway.Renew, Codes: []gateway.Code{invited.Codes[2].Code}, ExpiresAt: time.Now().Add(time.Hour), By: by})
	must(err)
	_, err = gateway.ReferralCodeOf(n.Context(), n.store, n.ring, n.theLaunch(), gateway.Invite{Subject: "gil", Begin: true})
	must(err)
	for _, subject := range []string{"s2", "eve"} {
		_, err = n.store.UseRounds(n.Context(), launch, gateway.Use{Subject: subject, Rounds: 3, Proof: "k", Begin: true})
		must(err)
	}
	for _, c := range []gateway.ChangeMember{{Change: gateway.MemberGranted, Invites: 25}, {Change: gateway.MemberTier, Tier: "vip; gold"}, {Change: gateway.MemberPrivate, Private: true}} {
		c.Subject, c.By = "s3", by
		_, err = n.store.ChangeMember(n.Context(), launch, c)
		must(err)
	}
	for i := range 3 {
		_, err := n.redeem(gateway.Redeem{Code: "GUESS", Subject: fmt.Sprint("g", i), Address: netip.MustParsePrefix("192.0.2.9/32")})
		if !errors.Is(err, gateway.Refuse(gateway.CodeUnknown)) {
			n.Fatal(err)
		}
	}
	return answers
}

func (n *node) theLaunch() *gateway.Launch {
	n.Helper()
	l, err := n.store.Launch(n.Context(), launch)
	if err != nil {
		n.Fatal(err)
	}
	return l
}

// codes are all codes' records.
func (n *node) codes() map[gateway.Code]gateway.CodeInfo {
	n.Helper()
	list := []gateway.Code{"B0UND", "1SSUED", "VAN1TY", "REV0KED", "MANY", "H0T"}
	for i := range 100 {
		list = append(list, gateway.Code(fmt.Sprintf("C%03d", i)))
	}
	all := map[gateway.Code]gateway.CodeInfo{}
	for _, c := range list {
		info, err := n.store.Code(n.Context(), launch, c)
		if err != nil {
			n.Fatal(err)
		}
		all[c] = info
	}
	return all
}

// verified fails unless both stores agree on so many differences.
func (n *node) verified() gateway.VerifyReport {
	n.Helper()
	r, err := n.healer.Verify(n.Context(), launch)
	if err != nil || r.Drift != 0 || r.Moving != 0 {
		n.Fatalf("%+v, %v", r, err)
	}
	return r
}

// TestReload: an emptied Redis decides as before once it is healed.
func TestReload(t *testing.T) {
	n := open(t)
	n.sync()
	answers := n.populate()
	n.caughtUp()
	before := n.codes()
	n.verified()
	old, err := n.store.Position(t.Context(), launch)
	if err != nil {
		t.Fatal(err)
	}

	if err := n.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: "too early"}); !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
		t.Fatalf("an empty Redis was served: %v", err)
	}
	if after := n.codes(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("codes before %v\nafter %v", before, after)
	}
	at, err := n.store.Position(t.Context(), launch)
	if err != nil || at.Epoch <= old.Epoch || at.Seq < old.Seq {
		t.Errorf("position %+v, before %+v, %v", at, old, err)
	}
	for subject, was := range answers {
		want := was.Status
		switch subject {
		case "s0":
			want = gateway.Committed
		case "s5":
			want = gateway.Released
		case "s1":
			want = gateway.RolledBack
		}
		r, err := n.redeem(gateway.Redeem{Code: was.Code, Subject: subject, Proof: "key-" + subject})
		if err != nil || r.ID != was.ID || r.Status != want || !r.Proven {
			t.Errorf("%s: %+v, %v; it was %+v", subject, r, err, was)
		}
	}
	for name, c := range map[string]struct {
		ask  gateway.Redeem
		want gateway.Reason
	}{
		"a blocked guesser": {gateway.Redeem{Code: "H0T", Subject: "g9", Address: netip.MustParsePrefix("192.0.2.9/32")}, gateway.AttemptsExceeded},
		"a second account":  {gateway.Redeem{Code: "H0T", Subject: "x", Address: netip.MustParsePrefix("10.0.0.3/32")}, gateway.AddressAlreadyRedeemed},
		"a second hold":     {gateway.Redeem{Code: "H0T", Subject: "w", Address: netip.MustParsePrefix("10.0.0.15/32"), Mode: gateway.Hold}, gateway.HoldsExceeded},
		"a bound code":      {gateway.Redeem{Code: "B0UND", Subject: "y"}, gateway.RecipientMismatch},
		"an own code":       {gateway.Redeem{Code: "1SSUED", Subject: "ann"}, gateway.OwnCode},
		"a revoked code":    {gateway.Redeem{Code: "REV0KED", Subject: "z"}, gateway.CodeRevoked},
	} {
		if _, err := n.redeem(c.ask); !errors.Is(err, gateway.Refuse(c.want)) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if r, err := n.store.Settle(t.Context(), launch, answers["s10"].ID, gateway.Confirm, by); err != nil || r.Status != gateway.Committed {
		t.Errorf("a restored hold: %+v, %v", r, err)
	}
	n.caughtUp()
	n.verified()
}

// TestAdopt: another run of the server that holds the whole history goes on
// with it, under a new epoch, and the tail that Postgres lacks is not lost.
func TestAdopt(t *testing.T) {
	n := open(t)
	stop := n.sync()
	n.populate()
	n.caughtUp()
	stop()
	if _, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: "tail"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.ledger.Pool().Exec(t.Context(), `UPDATE positions SET identity = 'another run'`); err != nil {
		t.Fatal(err)
	}
	report, err := n.healer.Heal(t.Context(), launch)
	if err != nil || !report.Healed || !report.Adopted {
		t.Fatalf("%+v, %v", report, err)
	}
	if _, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: "late"}); !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
		t.Fatalf("the old epoch was served: %v", err)
	}
	n.sync()
	n.caughtUp()
	if r := n.verified(); r.Redemptions != 63 {
		t.Fatalf("%+v", r)
	}
	if again, err := n.healer.Heal(t.Context(), launch); err != nil || again.Healed {
		t.Fatalf("healing what is whole: %+v, %v", again, err)
	}
}

// TestUnclaimed: a launch so new that Postgres does not say on which run of the
// server it lives: the gateway that served it knows, and another run begins a
// new epoch all the same.
func TestUnclaimed(t *testing.T) {
	n := open(t)
	dir := t.TempDir()
	server, err := rig.StartRedis(t.Context(), rig.RedisOptions{Dir: dir, AppendOnly: true, Fsync: "always"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { server.Kill() }()
	n.redis = lua.NewClient(&redis.UniversalOptions{Addrs: []string{server.Addr()}})
	t.Cleanup(func() { n.redis.Close() })
	n.store, n.healer = n.gateway()
	n.populate() // before a syncer runs: Postgres knows nothing
	n.sync()
	n.caughtUp()
	stored, _, err := n.ledger.Position(t.Context(), launch)
	if err != nil || stored.Identity != "" {
		t.Fatalf("somebody has noted the run already, so this shows nothing: %+v, %v", stored, err)
	}
	server.Kill()
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err = n.redeem(gateway.Redeem{Code: "H0T", Subject: "after"}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	now, _, err := n.ledger.Position(t.Context(), launch)
	if err != nil || now.Epoch <= stored.Epoch || now.Identity == "" {
		t.Fatalf("the other run went on in the same epoch: %+v, %v", now, err)
	}
	n.caughtUp()
	n.verified()
}

// TestClaim: the run on which a new launch lives is noted by whoever serves it.
func TestClaim(t *testing.T) {
	n := open(t)
	n.populate()
	n.sync()
	n.caughtUp()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	go n.healer.Watch(ctx, 10*time.Millisecond)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stored, _, err := n.ledger.Position(t.Context(), launch)
		if err == nil && stored.Identity != "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody noted the run: %+v, %v", stored, err)
		}
	}
}

// TestWitnesses: two gateways' answers that Redis lost are both there before
// either is served again, and a code's uses are not given twice.
func TestWitnesses(t *testing.T) {
	n := open(t)
	stop := n.sync()
	n.populate()
	n.caughtUp()
	stop()
	other, otherHealer := n.gateway()
	stores := []*lua.Store{n.store, other}
	var told [2]gateway.Redemption
	for i, s := range stores {
		var err error
		if told[i], err = s.Redeem(t.Context(), launch, &gateway.Redeem{Code: gateway.Code(fmt.Sprintf("C%03d", 90+i)), Subject: fmt.Sprint("w", i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []*Healer{n.healer, otherHealer} {
		if err := n.ledger.Beat(t.Context(), ledger.Beat{ID: h.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	// The first gateway alone would give the other one's code to a thief.
	if _, err := n.redeem(gateway.Redeem{Code: "C091", Subject: "thief"}); !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
		t.Fatalf("before the other gateway has told what it answered: %v", err)
	}
	watch, end := context.WithCancel(t.Context())
	defer end()
	go otherHealer.Watch(watch, 10*time.Millisecond)
	for {
		_, err := n.redeem(gateway.Redeem{Code: "C091", Subject: "thief"})
		if errors.Is(err, gateway.Refuse(gateway.CodeExhausted)) {
			break
		}
		if !errors.Is(err, gateway.Refuse(gateway.NotAdmitted)) {
			t.Fatalf("somebody else's use was given away: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for i, s := range stores {
		r, err := s.Redeem(t.Context(), launch, &gateway.Redeem{Code: told[i].Code, Subject: told[i].Subject})
		if err != nil || r.ID != told[i].ID {
			t.Errorf("gateway %d: %+v, %v; it had told %v", i, r, err, told[i].ID)
		}
	}
}

// TestVerifyFinds: every kind of corruption is found and named, and nothing
// else is.
func TestVerifyFinds(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	n.caughtUp()
	keys := func(pattern, field string) string {
		list, err := n.redis.Keys(t.Context(), pattern).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range list {
			if ok, _ := n.redis.HExists(t.Context(), k, field).Result(); ok {
				return k
			}
		}
		t.Fatalf("no key holds %s", field)
		return ""
	}
	subject := n.ring.Subject(launch, "s2")
	for name, c := range map[string]struct {
		spoil, mend func() error
		want        string
	}{
		"a code's counter": {
			func() error { return n.redis.HSet(t.Context(), keys("ao:{l}:c:*", "C007"), "C007", "1").Err() },
			func() error { return n.redis.HSet(t.Context(), keys("ao:{l}:c:*", "C007"), "C007", "1;1").Err() }, "C007",
		},
		"a missing code": {
			func() error { return n.redis.HDel(t.Context(), keys("ao:{l}:c:*", "C099"), "C099").Err() },
			func() error {
				return n.redis.HSet(t.Context(), "ao:{l}:c:"+bucketOf("C099"), "C099", "1").Err()
			}, "C099",
		},
		"a campaign's counter": {
			func() error { return n.redis.HIncrBy(t.Context(), "ao:{l}:campaigns", "2u", 1).Err() },
			func() error { return n.redis.HIncrBy(t.Context(), "ao:{l}:campaigns", "2u", -1).Err() }, "link",
		},
		"a row in Postgres": {
			func() error {
				_, err := n.ledger.Pool().Exec(t.Context(), `UPDATE codes SET revoked = true WHERE code = 'C050'`)
				return err
			},
			func() error {
				_, err := n.ledger.Pool().Exec(t.Context(), `UPDATE codes SET revoked = false WHERE code = 'C050'`)
				return err
			}, "C050",
		},
		"a code that only Redis has": {
			func() error { return n.redis.HSet(t.Context(), "ao:{l}:c:ffff", "EXTRA", "1").Err() },
			func() error { return n.redis.HDel(t.Context(), "ao:{l}:c:ffff", "EXTRA").Err() }, "count",
		},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		r, err := n.healer.Verify(t.Context(), launch)
		if err != nil || r.Drift == 0 || !strings.Contains(fmt.Sprint(r.Differences), c.want) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if err := c.mend(); err != nil {
			t.Fatal(err)
		}
		n.verified()
	}
	if err := n.redis.HSet(t.Context(), keys("ao:{l}:s:*", subject), subject, "x").Err(); err != nil {
		t.Fatal(err)
	}
	if r, err := n.healer.Verify(t.Context(), launch); err != nil || r.Drift == 0 || r.Differences[0].Kind != "redemption" {
		t.Errorf("a subject's record: %+v, %v", r, err)
	}
}

// TestPatrol: a sample finds what is corrupted, by itself.
func TestPatrol(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	n.caughtUp()
	found := make(chan int, 1000)
	ctx, end := context.WithCancel(t.Context())
	var patrol sync.WaitGroup
	patrol.Go(func() {
		n.healer.Patrol(ctx, 10*time.Millisecond, func(_ string, drift int) { found <- drift })
	})
	if drift := <-found; drift != 0 {
		t.Errorf("%d rows differ, of none that were touched", drift)
	}
	if err := n.redis.HSet(t.Context(), "ao:{l}:c:"+bucketOf("C007"), "C007", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); ; {
		select {
		case drift := <-found:
			if drift == 0 {
				continue
			}
		case <-deadline:
			t.Error("the patrol finds nothing")
		}
		break
	}
	end()
	patrol.Wait()
}

// bucketOf is where a code lies: FNV-1a, folded to 16 bits.
func bucketOf(code string) string {
	h := uint32(2166136261)
	for i := range len(code) {
		h = (h ^ uint32(code[i])) * 16777619
	}
	return fmt.Sprintf("%04x", uint16(h^h>>16))
}

// TestVerifyUnderTraffic: traffic is not taken for drift.
func TestVerifyUnderTraffic(t *testing.T) {
	n := open(t)
	n.sync()
	n.populate()
	ctx, end := context.WithCancel(t.Context())
	var crowd sync.WaitGroup
	for w := range 4 {
		crowd.Go(func() {
			for i := 0; i < 80 && ctx.Err() == nil; i++ {
				if _, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: fmt.Sprintf("t%d-%d", w, i)}); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		if r, err := n.healer.Verify(t.Context(), launch); err != nil || r.Drift != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	crowd.Wait()
	end()
	n.caughtUp()
	n.verified()
}

// TestOutage: while Postgres is away redemptions go on and the backlog shows;
// then it catches up, and nothing is missing or double.
func TestOutage(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	dir := t.TempDir()
	p, err := rig.StartPostgres(t.Context(), rig.PostgresOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { p.Kill() }()
	n := open(t)
	if n.ledger, err = ledger.Open(t.Context(), p.URL(), n.ring); err != nil {
		t.Fatal(err)
	}
	defer n.ledger.Close()
	n.store, n.healer = n.gateway()
	n.sync()
	n.populate()
	n.caughtUp()
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: fmt.Sprint("away", i)}); err != nil {
			t.Fatal(err)
		}
	}
	at, err := n.store.Position(t.Context(), launch)
	if err != nil || at.Entries == 0 || at.Bytes == 0 {
		t.Fatalf("the backlog does not show: %+v, %v", at, err)
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.caughtUp()
	if r := n.verified(); r.Redemptions != 262 {
		t.Fatalf("%+v", r)
	}
}

// TestBound: a journal that Postgres does not take is bounded by refusing new
// work; who is in is still told so.
func TestBound(t *testing.T) {
	n := open(t)
	n.store = lua.New(lua.Options{Redis: n.redis, Keyring: n.ring, JournalBytes: 40_000})
	n.populate()
	admitted := 0
	for i := range 400 {
		_, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: fmt.Sprint("b", i)})
		var e *gateway.Error
		if errors.As(err, &e) && e.Reason == gateway.Overloaded && e.RetryAfter > 0 {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		admitted++
	}
	if admitted == 0 || admitted == 400 {
		t.Fatalf("%d were admitted without a syncer", admitted)
	}
	if r, err := n.redeem(gateway.Redeem{Code: "H0T", Subject: "b0"}); err != nil || !r.Replayed {
		t.Fatalf("who is in: %+v, %v", r, err)
	}
	at, err := n.store.Position(t.Context(), launch)
	if err != nil || at.Bytes > 50_000 {
		t.Fatalf("%+v, %v", at, err)
	}
}
