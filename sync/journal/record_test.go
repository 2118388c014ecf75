package journal

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
)

const head = "1\t7\t1700000000123\t1800000000456\t4096\n"

func TestParse(t *testing.T) {
	id := gateway.NewID(time.Unix(1_800_000_000, 0))
	by := gateway.Actor{Name: "ann", Note: "a\tb & c"}
	for line, want := range map[string]gateway.Event{
		"launch\t3\t1\tann\ta%09b+%26+c\t{\"launch\":\"l\"}":                                        gateway.LaunchPut{Version: 3, Open: true, By: by, Policy: []byte(`{"launch":"l"}`)},
		"clock\t4\t172800000\tann\ta%09b+%26+c":                                                     gateway.ClockSet{Version: 4, Ahead: 48 * time.Hour, By: by},
		"campaign\t4\tann\ta%09b+%26+c\t{}":                                                         gateway.CampaignPut{Version: 4, By: by, Campaign: []byte("{}")},
		"minted\t2\t5\t1800000000000\tkey\t\tsealed\tann\ta%09b+%26+c\tAB,CD=c-d":                   gateway.CodesMinted{Campaign: 2, MaxUses: 5, ExpiresAt: time.UnixMilli(1_800_000_000_000).UTC(), Recipient: "key", Sealed: []byte("sealed"), By: by, Codes: []gateway.MintedCode{{Code: "AB", Display: "AB"}, {Code: "CD", Display: "c-d"}}},
		"changed\trevoked\t\tann\ta%09b+%26+c\tAB,CD":                                               gateway.CodesChanged{Change: gateway.Revoke, By: by, Codes: []gateway.Code{"AB", "CD"}},
		"redeemed\t" + id.Short() + "\theld\tAB\t2\tsubject\taddress\tproof\t1800000000000\tsealed": gateway.Redeemed{ID: id, Status: gateway.Held, Code: "AB", Campaign: 2, Subject: "subject", Address: "address", Proof: "proof", ExpiresAt: time.UnixMilli(1_800_000_000_000).UTC(), Sealed: []byte("sealed")},
		"settled\t" + id.Short() + "\theld\treleased\texpire\tAB\t2\tsubject\tann\ta%09b+%26+c":     gateway.Settled{ID: id, From: gateway.Held, To: gateway.Released, Cause: gateway.Expire, Code: "AB", Campaign: 2, Subject: "subject", By: by},
		"refused\tcode_unknown\t1\tvalidate\tAB\t\taddress":                                         gateway.Refused{Reason: gateway.CodeUnknown, Counted: true, Verb: "validate", Code: "AB", Address: "address"},
		"signal\tshared_address\t" + id.Short() + "\tAB\t2\tsubject\taddress":                       gateway.Signalled{What: "shared_address", Redemption: id, Code: "AB", Campaign: 2, Subject: "subject", Address: "address"},
		"opened\tAB\t2\t9": gateway.Opened{Code: "AB", Campaign: 2, Count: 9},
		"joined\tAAAAAAAAAAAAAAAA\t9\t15\tproduct+hunt\t5\tBBBBBBBBBBBBBBBB\tc\taddress\tproof\ts:5:1800000000:x\tsealed": gateway.EntryJoined{
			Key: "AAAAAAAAAAAAAAAA", Arrival: 9, Priority: 15, Source: "product hunt", Points: 5, Referrer: "BBBBBBBBBBBBBBBB", Counted: true,
			Address: "address", Proof: "proof", Boosts: "s:5:1800000000:x", Sealed: []byte("sealed"),
		},
		"boosted\tAAAAAAAAAAAAAAAA\th\t-5\t-2\t3\th:-5:1800000000:x\tann\ta%09b+%26+c": gateway.EntryBoosted{
			Key: "AAAAAAAAAAAAAAAA", Cause: gateway.BoostByHand, Points: -5, Priority: -2, Referrals: 3, Boosts: "h:-5:1800000000:x", By: by,
		},
		"confirmed\tAAAAAAAAAAAAAAAA\tc": gateway.EntryConfirmed{Key: "AAAAAAAAAAAAAAAA", Counted: true},
		"entry\tAAAAAAAAAAAAAAAA\tinvited\tdeclined\tdecline\tAB\t1\tr1\tann\ta%09b+%26+c": gateway.EntryMoved{
			Key: "AAAAAAAAAAAAAAAA", From: gateway.EntryInvited, To: gateway.EntryDeclined, Cause: "decline", Code: "AB", Revoked: true, Refill: "r1", By: by,
		},
		"release\tr1\t100\tlottery\tfeed\t7\t1800000000000\tann\ta%09b+%26+c": gateway.ReleasePut{
			ID: "r1", Count: 100, Order: gateway.ByLottery, Seed: "feed", Upto: 7, Slot: time.UnixMilli(1_800_000_000_000).UTC(), By: by,
		},
		"offered\tr1\tAAAAAAAAAAAAAAAA\tAB\ta-b\t2\t1800000000000\t~AAAAAAAAAAAAAAAA": gateway.OfferMade{
			Release: "r1", Key: "AAAAAAAAAAAAAAAA", Code: "AB", Display: "a-b", Campaign: 2, ExpiresAt: time.UnixMilli(1_800_000_000_000).UTC(), Recipient: "~AAAAAAAAAAAAAAAA",
		},
		"released\tr1\t99": gateway.ReleaseEnded{ID: "r1", Done: 99},
		"schedule\ton\t1800000000000\tann\ta%09b+%26+c": gateway.SchedulePut{Running: true, Since: time.UnixMilli(1_800_000_000_000).UTC(), By: by},
	} {
		r, err := Parse("l", head+line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if r.Launch != "l" || r.Seq != 7 || r.Epoch != 1_700_000_000_123 || r.Bytes != 4096 || !r.At.Equal(time.UnixMilli(1_800_000_000_456)) {
			t.Errorf("head: %+v", r)
		}
		if !reflect.DeepEqual(r.Events, []gateway.Event{want}) {
			t.Errorf("%s\n got %+v\nwant %+v", line, r.Events, want)
		}
		words := strings.Count(line, "\t")
		if _, err := Parse("l", head+line[:strings.LastIndex(line, "\t")]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.10s with %d words: %v", line, words-1, err)
		}
		if _, err := Parse("l", head+line+"\tmore"); !errors.Is(err, ErrVersion) {
			t.Errorf("%.10s with a word that came later: %v", line, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for raw, want := range map[string]error{
		"2\t7\tx\ty\tz\nwhat comes later":       ErrVersion,
		"":                                      ErrMalformed,
		head[:len(head)-1]:                      ErrMalformed,
		head:                                    ErrMalformed,
		"1\t7\t1\t1\t1\tlater\nopened\tA\t1\t1": ErrVersion,
		head + "unknown\tx":                     ErrVersion,
		head + "opened\tA\t1\t1\nunknown":       ErrVersion,
		head + "UNKNOWN\tx":                     ErrMalformed,
		head + "\t":                             ErrMalformed,
		head + "member\ts\tjoined\t\t" + strings.Repeat(";", memberFields) + "x\t\t\t": ErrVersion,
		head + "member\ts\tjoined\t\t;x\t\t\t":                                         ErrVersion,
		head + "member\ts\tjoined\t\t;;-1\t\t\t":                                       ErrMalformed,
		"1\t0\t1\t1\t1\nopened\tA\t1\t1":                                               ErrMalformed,
		head + "opened\ta\t1\t1":                                                       ErrMalformed,
		head + "opened\tA\t0\t1":                                                       ErrMalformed,
		head + "opened\tA\t1\t-1":                                                      ErrMalformed,
		head + "changed\tburnt\t\t\t\tA":                                               ErrVersion,
		head + "changed\tBURNT\t\t\t\tA":                                               ErrMalformed,
		head + "opened\tA\t1\t1\n":                                                     ErrMalformed,
	} {
		if _, err := Parse("l", raw); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", raw, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(head + "opened\tAB\t2\t9\nrefused\tcode_unknown\t1\tvalidate\tAB\t\taddress")
	f.Add(head + "minted\t2\t5\t1800000000000\tkey\t\tsealed\tann\t\tAB,CD=c-d")
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := Parse("l", raw)
		if err == nil && (r.Seq == 0 || len(r.Events) == 0 || r.Raw != raw) {
			t.Errorf("%q is taken for a record: %+v", raw, r)
		}
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
			t.Errorf("%q: %v", raw, err)
		}
	})
}
