package lua

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"admitone/bench/rig"
	"admitone/gateway"
)

// guessing is a launch whose codes are all generated, or one where any code may
// exist, with the same limits.
func guessing(t *testing.T, s *Store, name string, vanity bool) gateway.Code {
	t.Helper()
	p := gateway.DefaultPolicy(name)
	p.Limits.FailedAttempts.PerSubject.Count = 5
	if _, err := s.CreateLaunch(t.Context(), p, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	c, err := s.CreateCampaign(t.Context(), name, gateway.Campaign{
		Name: "c", Kind: gateway.KindInvite, Type: gateway.TypeLink, MaxUses: 1000, Format: "{random:10}", Vanity: vanity,
	}, gateway.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	return mintOne(t, s, name, c)
}

func mintOne(t *testing.T, s *Store, launch string, c *gateway.Campaign) gateway.Code {
	t.Helper()
	template, err := gateway.ParseTemplate(c.Format)
	if err != nil {
		t.Fatal(err)
	}
	code := template.Generate(s.keyring, launch)
	if _, err := s.Mint(t.Context(), launch, c.Number, []gateway.NewCode{{Code: code}}, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	return code
}

// vouched makes a reply vouch for the launch's snapshot, as traffic does.
func vouched(t *testing.T, s *Store, name string) *launch {
	t.Helper()
	l, err := s.launch(t.Context(), name)
	if err == nil {
		err = s.settleGuesses(l)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func reason(err error) string {
	var e *gateway.Error
	if errors.As(err, &e) {
		return string(e.Reason)
	}
	return fmt.Sprint(err)
}

// TestGuessesAsDecided: guesses are answered the same by the gateway's own
// knowledge and by the decision, whoever makes them, with real codes between.
func TestGuessesAsDecided(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	launches := []string{"decided", "guessed"}
	real := map[string]gateway.Code{"decided": guessing(t, s, "decided", true), "guessed": guessing(t, s, "guessed", false)}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 600 {
		vouches := random.IntN(3) > 0
		verb, who, where := random.IntN(3), fmt.Sprint("subject-", random.IntN(12)), random.IntN(5)
		junk, genuine := gateway.Code(fmt.Sprintf("JUNK%06d", i)), random.IntN(6) == 0
		var answers []string
		for _, name := range launches {
			vouched(t, s, name)
			code := junk
			if genuine {
				code = real[name]
			}
			var address netip.Prefix
			if where > 0 {
				address = netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", where))
			}
			if verb == 0 {
				_, err := s.Validate(t.Context(), name, gateway.Validate{Code: code, Address: address})
				answers = append(answers, reason(err))
			} else {
				r, err := s.Redeem(t.Context(), name, &gateway.Redeem{Code: code, Subject: who, Address: address, Vouched: vouches})
				answers = append(answers, fmt.Sprint(reason(err), r.Replayed))
			}
		}
		if answers[0] != answers[1] {
			t.Fatalf("attempt %d: decided %q, guessed %q (verb %d, %s, vouched %v, address %d, genuine %v)", i, answers[0], answers[1], verb, who, vouches, where, genuine)
		}
	}
}

// calls is how many scripts Redis has run.
func calls(t *testing.T, s *Store) string {
	t.Helper()
	info, err := s.redis.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_evalsha:calls="); ok {
			n, _, _ := strings.Cut(rest, ",")
			return n
		}
	}
	return "0"
}

// TestGuessesStayAway: whom Redis has told to wait, it does not hear of again;
// and a guess that nobody is counted for does not reach it at all.
func TestGuessesStayAway(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	guessing(t, s, "l", false)
	address := netip.MustParsePrefix("192.0.2.1/32")
	l := vouched(t, s, "l")
	for i := range 3 {
		if _, err := s.Validate(t.Context(), "l", gateway.Validate{Code: "JUNK", Address: address}); reason(err) != "code_unknown" {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	l.vouch(s.mono() + int64(time.Hour)) // no reply is needed from here on
	before := calls(t, s)
	for range 100 {
		var e *gateway.Error
		_, err := s.Validate(t.Context(), "l", gateway.Validate{Code: "JUNK", Address: address})
		if !errors.As(err, &e) || e.Reason != gateway.AttemptsExceeded || e.RetryAfter < 59*time.Minute || e.RetryAfter > time.Hour {
			t.Fatalf("a guess of a blocked address: %v", err)
		}
		if _, err := s.Validate(t.Context(), "l", gateway.Validate{Code: "JUNK"}); reason(err) != "code_unknown" {
			t.Fatalf("a guess of nobody: %v", err)
		}
	}
	if after := calls(t, s); after != before {
		t.Fatalf("Redis ran %s scripts, and %s before", after, before)
	}
	// The limits changed: what was known of them is not.
	p := l.snapshot.Load().Policy
	p.Limits.FailedAttempts.PerAddress.Count = 4
	if _, err := s.PutPolicy(t.Context(), p, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Validate(t.Context(), "l", gateway.Validate{Code: "JUNK", Address: address}); reason(err) != "code_unknown" {
		t.Fatalf("under a wider limit: %v", err)
	}
}

// TestGuessesOfAll: together with many, and in more than one gateway, an
// address gets as many guesses as the policy says, and a subject of a back end
// no more real codes than that, whatever was counted late.
func TestGuessesOfAll(t *testing.T) {
	addr := rig.TestRedis(t).Addr()
	stores := []*Store{openStore(t, addr), openStore(t, addr)}
	real := guessing(t, stores[0], "l", false)
	address := netip.MustParsePrefix("192.0.2.1/32")
	count := func(ask func(s *Store, i int) error) map[string]int {
		var mu sync.Mutex
		answers := map[string]int{}
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				err := ask(stores[i%2], i)
				mu.Lock()
				answers[reason(err)]++
				mu.Unlock()
			})
		}
		all.Wait()
		return answers
	}
	for _, s := range stores {
		vouched(t, s, "l")
	}
	got := count(func(s *Store, i int) error {
		_, err := s.Redeem(context.Background(), "l", &gateway.Redeem{Code: gateway.Code(fmt.Sprintf("JUNK%d", i)), Subject: fmt.Sprint("s", i), Address: address})
		return err
	})
	if got["code_unknown"] != 3 || got["attempts_exceeded"] != 197 {
		t.Fatalf("one address: %v", got)
	}
	got = count(func(s *Store, i int) error {
		_, err := s.Redeem(context.Background(), "l", &gateway.Redeem{Code: gateway.Code(fmt.Sprintf("JUNK%d", i)), Subject: "one", Vouched: true})
		return err
	})
	// One guess of each gateway may be answered before it is counted.
	if got["code_unknown"] < 5 || got["code_unknown"] > 7 || got["code_unknown"]+got["attempts_exceeded"] != 200 {
		t.Fatalf("one subject: %v", got)
	}
	for _, s := range stores {
		if _, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: real, Subject: "one", Vouched: true}); reason(err) != "attempts_exceeded" {
			t.Fatalf("a real code after the limit: %v", err)
		}
	}
}

// TestNewShapes: a code of a campaign that was made elsewhere a moment ago is
// not taken for a guess, in a gateway that has not heard of the campaign.
func TestNewShapes(t *testing.T) {
	addr := rig.TestRedis(t).Addr()
	here, there := openStore(t, addr), openStore(t, addr)
	guessing(t, here, "l", false)
	for i := range 5 {
		vouched(t, there, "l") // holds a lease on a snapshot without the campaign
		c, err := here.CreateCampaign(t.Context(), "l", gateway.Campaign{
			Name: fmt.Sprint("new-", i), Kind: gateway.KindInvite, Type: gateway.TypeLink, MaxUses: 9, Format: fmt.Sprintf("NEW%d-{random:10}", i),
		}, gateway.Actor{})
		if err != nil {
			t.Fatal(err)
		}
		code := mintOne(t, here, "l", c)
		if _, err := there.Validate(t.Context(), "l", gateway.Validate{Code: code}); err != nil {
			t.Fatalf("campaign %d: a code that exists is answered %v", i, err)
		}
	}
}

// TestChosenLater: what a campaign's codes may look like is never narrowed by a
// change of the campaign, and where none may be chosen none can be minted.
func TestChosenLater(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	old := guessing(t, s, "l", false)
	edit := func(change func(*gateway.Campaign)) {
		t.Helper()
		c := *vouched(t, s, "l").snapshot.Load().Campaign(1)
		change(&c)
		if _, err := s.PutCampaign(t.Context(), "l", c, 0, gateway.Actor{}); err != nil {
			t.Fatal(err)
		}
	}
	works := func(codes ...gateway.Code) {
		t.Helper()
		for _, c := range codes {
			vouched(t, s, "l")
			if _, err := s.Validate(t.Context(), "l", gateway.Validate{Code: c}); err != nil {
				t.Fatalf("%s: %v", c, err)
			}
		}
	}
	edit(func(c *gateway.Campaign) { c.Format = "X-{random:12}" })
	works(old)
	if _, err := s.Mint(t.Context(), "l", 1, []gateway.NewCode{{Code: "CH0SEN"}}, gateway.Actor{}); reason(err) != "invalid_request" {
		t.Fatalf("a chosen code in a campaign without vanity: %v", err)
	}
	edit(func(c *gateway.Campaign) { c.Vanity = true })
	if _, err := s.Mint(t.Context(), "l", 1, []gateway.NewCode{{Code: "CH0SEN"}}, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	edit(func(c *gateway.Campaign) { c.Vanity = false })
	works(old, "CH0SEN")
	if c := vouched(t, s, "l").snapshot.Load().Campaign(1); !c.Chosen || !slices.Equal(c.Earlier, []string{"{random:10}"}) {
		t.Fatalf("the campaign remembers %v, %v", c.Chosen, c.Earlier)
	}
}

// TestCountedBefore: a guess that was answered at once is counted before a real
// code of the same subject is looked at.
func TestCountedBefore(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	real := guessing(t, s, "l", false)
	p := vouched(t, s, "l").snapshot.Load().Policy
	p.Limits.FailedAttempts.PerSubject.Count = 1
	if _, err := s.PutPolicy(t.Context(), p, 0, gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		who := fmt.Sprint("subject-", i)
		vouched(t, s, "l")
		if _, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "JUNK", Subject: who, Vouched: true}); reason(err) != "code_unknown" {
			t.Fatal(err)
		}
		if _, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: real, Subject: who, Vouched: true}); reason(err) != "attempts_exceeded" {
			t.Fatalf("subject %d: a real code after a guess too many: %v", i, err)
		}
	}
}
