package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/gateway/gatewaytest"
)

// checker is what the keyring does, without a secret.
type checker struct{}

func (checker) Check(_, body string) [2]byte { return [2]byte{body[0], body[len(body)-1]} }

// minter mints in a model and notes what came to be. With fail set, a call
// fails before or after it did its work.
type minter struct {
	*gatewaytest.Model
	minted map[gateway.Code]gateway.NewCode
	calls  int
	fail   func(call int) (before, after bool)
}

func (m *minter) Mint(ctx context.Context, launch string, campaign uint32, codes []gateway.NewCode, by gateway.Actor) (uint64, error) {
	m.calls++
	before, after := false, false
	if m.fail != nil {
		before, after = m.fail(m.calls)
	}
	if before {
		return 0, gateway.Refuse(gateway.Unavailable)
	}
	position, err := m.Model.Mint(ctx, launch, campaign, codes, by)
	if err != nil {
		return 0, err
	}
	for _, c := range codes {
		m.minted[c.Code] = c
	}
	if after {
		return 0, gateway.Refuse(gateway.Unavailable)
	}
	return position, nil
}

var mintNow = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)

// beginMint is a minting in a fresh launch with two campaigns of one template.
func beginMint(t *testing.T, format string, expires gateway.Duration) (*minter, *gateway.Minting) {
	t.Helper()
	m := &minter{Model: gatewaytest.NewModel(mintNow), minted: map[gateway.Code]gateway.NewCode{}}
	if _, err := m.CreateLaunch(t.Context(), gateway.DefaultPolicy("l"), gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ours", "theirs"} {
		if _, err := m.CreateCampaign(t.Context(), "l", gateway.Campaign{
			Name: name, Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: 1, Format: format, Expires: expires,
		}, gateway.Actor{}); err != nil {
			t.Fatal(err)
		}
	}
	l, err := m.Launch(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	return m, &gateway.Minting{Store: m, Checker: checker{}, Launch: l, Campaign: l.Campaign(1)}
}

func TestGenerate(t *testing.T) {
	m, minting := beginMint(t, "NEW-{random:10}", gateway.Duration(time.Hour))
	codes, err := minting.Generate(t.Context(), 2500, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(codes) != 2500 || len(m.minted) != 2500 {
		t.Fatalf("%d codes answered, %d minted", len(codes), len(m.minted))
	}
	for _, c := range codes {
		if !m.minted[c.Code].ExpiresAt.Equal(mintNow.Add(time.Hour)) || !strings.HasPrefix(c.Display, "NEW-") {
			t.Fatalf("%+v", c)
		}
	}
	if _, err := minting.Generate(t.Context(), 1, 200_000_000); !errors.Is(err, gateway.Refuse(gateway.InvalidRequest)) {
		t.Errorf("more codes than the template can hide: %v", err)
	}
	m.fail = func(int) (before, after bool) { return len(m.minted) >= 3500, false }
	if codes, err = minting.Generate(t.Context(), 2000, 0); err == nil || len(codes) != 1000 {
		t.Errorf("%d codes and %v, want what was minted and the error", len(codes), err)
	}
}

// TestGenerateTaken: what exists already is made anew.
func TestGenerateTaken(t *testing.T) {
	_, minting := beginMint(t, "{random:10}", 0)
	busy := &takenOnce{Minter: minting.Store}
	minting.Store = busy
	codes, err := minting.Generate(t.Context(), 50, 0)
	if err != nil || len(codes) != 50 {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
}

// takenOnce says of the first call that some of its codes exist.
type takenOnce struct {
	gateway.Minter
	told bool
}

func (m *takenOnce) Mint(ctx context.Context, launch string, campaign uint32, codes []gateway.NewCode, by gateway.Actor) (uint64, error) {
	if !m.told {
		m.told = true
		return 0, &gateway.CodesExist{Indexes: []int{0, 7, 49}}
	}
	return m.Minter.Mint(ctx, launch, campaign, codes, by)
}

// TestDerive: a job that is interrupted anywhere, and meets other codes on its
// way, comes to exactly as many codes as were ordered.
func TestDerive(t *testing.T) {
	const n = 3500
	key := []byte("a key")
	m, minting := beginMint(t, "{random:10}", 0)
	template, err := gateway.ParseTemplate(minting.Campaign.Format)
	if err != nil {
		t.Fatal(err)
	}
	// Others have codes that the job would make: one in its own campaign, one
	// in another, and one that it would take in its place.
	for i, theirs := range []struct {
		campaign uint32
		number   uint64
	}{{1, 5}, {2, 1200}, {2, 5 + 1<<32}} {
		code := template.Nth(checker{}, "l", key, theirs.number)
		if _, err := m.Model.Mint(t.Context(), "l", theirs.campaign, []gateway.NewCode{{Code: code}}, gateway.Actor{}); err != nil {
			t.Fatal(i, err)
		}
	}
	m.fail = func(call int) (before, after bool) { return call%4 == 1, call%4 == 3 }
	done, attempts := 0, 0
	for ; ; attempts++ {
		if attempts > 20 {
			t.Fatal("it does not come to an end")
		}
		was := done
		err := minting.Derive(t.Context(), key, done, n, func(d int) error {
			if done = d; d > n/2 && was < n/2 {
				return errors.New("progress is not noted")
			}
			return nil
		})
		if done > n/2 && was < n/2 {
			done = was // it was not
		}
		if err == nil {
			break
		}
	}
	if attempts < 4 {
		t.Errorf("only %d attempts: nothing was interrupted", attempts)
	}
	if len(m.minted) != n || done != n {
		t.Errorf("%d codes, %d done, want %d", len(m.minted), done, n)
	}
}

func TestReadCodes(t *testing.T) {
	canonical := func(s string) (string, error) {
		if strings.Contains(s, "bad") {
			return "", errors.New("use an address")
		}
		return strings.ToLower(s), nil
	}
	t.Run("good", func(t *testing.T) {
		for name, document := range map[string]string{
			"a column":         "abc\ndef\n",
			"a header":         "code\nabc\ndef\n",
			"mark, CRLF":       "\ufeffcode\r\nabc\r\ndef\r\n",
			"quotes, no end":   "\"code\"\n\"abc\"\n\"def\"",
			"blank lines":      "code\n\nabc\n\n\ndef\n",
			"columns":          "max_uses,code\n,abc\n,def\n",
			"columns left out": "code,recipient\nabc\ndef\n",
		} {
			read, err := gateway.ReadCodes(strings.NewReader(document), canonical)
			if err != nil || read.Problems != nil || len(read.Codes) != 2 || read.Codes[0].Code != "ABC" || read.Codes[1].Code != "DEF" {
				t.Errorf("%s: %+v, %v", name, read, err)
			}
		}
	})
	t.Run("everything", func(t *testing.T) {
		read, err := gateway.ReadCodes(strings.NewReader("code,max_uses,expires_at,recipient\nAnn-2027,3,2027-05-06T07:08:09+02:00,Ann@X.example\n"), canonical)
		if err != nil || len(read.Codes) != 1 {
			t.Fatalf("%+v, %v", read, err)
		}
		c := read.Codes[0]
		if c.Code != "ANN2027" || c.Display != "Ann-2027" || c.MaxUses != 3 || c.Recipient != "ann@x.example" || !c.ExpiresAt.Equal(time.Date(2027, 5, 6, 5, 8, 9, 0, time.UTC)) {
			t.Errorf("%+v", c)
		}
	})
	t.Run("every bad line", func(t *testing.T) {
		read, err := gateway.ReadCodes(strings.NewReader("code,max_uses,expires_at,recipient\ngood\nb@d\nGO-OD\nx,0\ny,1,tomorrow\nz,1,,bad\n,2\nw,1,,,more\nfine\n"), canonical)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range read.Problems {
			got = append(got, fmt.Sprint(p.Line, " ", strings.SplitN(p.Message, ":", 2)[0]))
		}
		want := []string{"3 code", "4 the same code as in line 2", "5 max_uses", "6 expires_at", "7 recipient", "8 code", "9 5 columns where 4 are expected"}
		if strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if len(read.Codes) != 2 || read.Lines[1] != 10 {
			t.Errorf("%+v", read)
		}
	})
	t.Run("too many", func(t *testing.T) {
		var b strings.Builder
		for i := range gateway.MaxImport + 1 {
			fmt.Fprintf(&b, "CODE%d\n", i)
		}
		if _, err := gateway.ReadCodes(strings.NewReader(b.String()), canonical); !errors.Is(err, gateway.Refuse(gateway.InvalidRequest)) {
			t.Errorf("%v", err)
		}
	})
	t.Run("not CSV", func(t *testing.T) {
		if _, err := gateway.ReadCodes(strings.NewReader("code\n\"a\nb"), canonical); !errors.Is(err, gateway.Refuse(gateway.InvalidRequest)) {
			t.Errorf("%v", err)
		}
	})
}
