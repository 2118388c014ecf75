package jobs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/gateway/gatewaytest"
)

var (
	noon     = time.Date(2026, 11, 21, 12, 2, 0, 0, time.UTC)
	watchful = gateway.DefaultPolicy("l").Anomalies
)

// poisson draws how many come where on average so many do.
func poisson(r *rand.Rand, mean float64) int {
	n, p := 0, r.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= r.Float64()
	}
	return n
}

// week is the activity of a launch that nothing is wrong with, up to noon:
// busy by day and quiet by night, two campaigns, three countries, two sources,
// a few wrong guesses.
func week(seed uint64) (list []gateway.Activity) {
	r := rand.New(rand.NewPCG(seed, 1))
	for at := noon.Add(-8 * 24 * time.Hour).Truncate(gateway.ActivityBucket); !at.After(noon); at = at.Add(gateway.ActivityBucket) {
		hour := float64(at.Hour()) + float64(at.Minute())/60
		mean := 12 + 10*math.Sin((hour-6)*math.Pi/12)
		add := func(dimension, subject string, mean float64) {
			if n := poisson(r, mean); n > 0 {
				list = append(list, gateway.Activity{Dimension: dimension, Subject: subject, At: at, N: n})
			}
		}
		add("campaign", "beta", mean)
		add("campaign", "vip", 0.1)
		add("country", "DE", 0.6*mean)
		add("country", "FR", 0.3*mean)
		add("country", "US", 0.1*mean)
		add("source", "", 0.7*mean)
		add("source", "mail", 0.3*mean)
		add("refused", "", 0.1*mean)
	}
	return list
}

// TestQuiet: a hundred quiet weeks raise nothing.
func TestQuiet(t *testing.T) {
	for seed := range uint64(100) {
		for _, a := range detect(&watchful, week(seed), noon) {
			t.Errorf("week %d: %+v", seed, a)
		}
	}
}

// TestPlanted: what is put into a quiet week is found, named, and alone.
func TestPlanted(t *testing.T) {
	last := noon.Truncate(gateway.ActivityBucket).Add(-gateway.ActivityBucket)
	for name, c := range map[string]struct {
		planted []gateway.Activity
		kind    gateway.AnomalyKind
		subject string
	}{
		"a spike":                       {[]gateway.Activity{{Dimension: "campaign", Subject: "beta", At: last, N: 200}}, gateway.AnomalySpike, "beta"},
		"a spike that has only begun":   {[]gateway.Activity{{Dimension: "campaign", Subject: "beta", At: last.Add(gateway.ActivityBucket), N: 200}}, gateway.AnomalySpike, "beta"},
		"a spike of a quiet campaign":   {[]gateway.Activity{{Dimension: "campaign", Subject: "vip", At: last, N: 25}}, gateway.AnomalySpike, "vip"},
		"guessing":                      {[]gateway.Activity{{Dimension: "refused", At: last, N: 500}}, gateway.AnomalyFailures, ""},
		"another country":               {[]gateway.Activity{{Dimension: "country", Subject: "XX", At: last, N: 1000}}, gateway.AnomalyGeography, "XX"},
		"more of a country than before": {[]gateway.Activity{{Dimension: "country", Subject: "US", At: last, N: 1000}}, gateway.AnomalyGeography, "US"},
		"another source":                {[]gateway.Activity{{Dimension: "source", Subject: "forum", At: last, N: 1000}}, gateway.AnomalySource, "forum"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(10) {
				found := detect(&watchful, append(week(seed), c.planted...), noon)
				if len(found) != 1 || found[0].Kind != c.kind || found[0].Subject != c.subject || found[0].Value <= found[0].Bound {
					t.Errorf("week %d: %+v", seed, found)
				}
			}
			if found := detect(&gateway.AnomaliesPolicy{}, append(week(0), c.planted...), noon); found != nil {
				t.Errorf("switched off: %+v", found)
			}
		})
	}
	// The first hour of a campaign has no history to be held against.
	if found := detect(&watchful, []gateway.Activity{{Dimension: "campaign", Subject: "new", At: last, N: 5000}}, noon); found != nil {
		t.Errorf("an opening: %+v", found)
	}
}

// TestAnomalies: from rows in Postgres to a row, a webhook and an end.
func TestAnomalies(t *testing.T) {
	h := beginHooks(t, loopback)
	r := receive(t, fine)
	e, _ := h.endpoint(r.URL, func(e *gateway.WebhookEndpoint) { e.Events = []string{"anomaly.*"} })
	model := gatewaytest.NewModel(time.Now())
	if _, err := model.CreateLaunch(t.Context(), gateway.DefaultPolicy("l"), gateway.Actor{}); err != nil {
		t.Fatal(err)
	}
	d := &detective{
		store: &store{Model: model}, ledger: h.ledger, hooks: &webhooks{h.ledger, h.deliver}, log: slog.New(slog.DiscardHandler), metrics: newAnomalyMetrics(nil),
	}
	l, err := model.Launch(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	look := func(after time.Duration) {
		t.Helper()
		if err := d.look(t.Context(), l, now.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	anomalies := func(open bool) []gateway.Anomaly {
		t.Helper()
		list, err := h.ledger.Anomalies(t.Context(), "l", open, gateway.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		return list.Data
	}
	redeemFrom := func(n int, address func(int) string) {
		t.Helper()
		var codes []gateway.MintedCode
		var events []gateway.Event
		for i := range n {
			code := gateway.Code(fmt.Sprintf("C%05d%04d", h.seq, i))
			person, err := json.Marshal(gateway.Person{Subject: string(code), Country: "DE"})
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, gateway.MintedCode{Code: code, Display: string(code)})
			events = append(events, gateway.Redeemed{
				ID: gateway.NewID(now), Status: gateway.Committed, Code: code, Campaign: 1, Subject: "key-" + string(code), Address: address(i), Sealed: h.keyring.Seal(nil, "l", person),
			})
		}
		h.apply(append([]gateway.Event{gateway.CodesMinted{Campaign: 1, Codes: codes}}, events...)...)
	}
	redeemFrom(19, func(int) string { return "busy" })
	redeemFrom(40, func(i int) string { return fmt.Sprint("quiet-", i) })
	look(0)
	if list := anomalies(false); len(list) != 0 {
		t.Fatalf("a quiet launch: %+v", list)
	}
	var n int
	if err := h.pool.QueryRow(t.Context(), `SELECT sum(n) FROM activity WHERE dimension = 'country' AND subject = 'DE'`).Scan(&n); err != nil || n != 59 {
		t.Errorf("%d redemptions were counted, %v", n, err)
	}
	redeemFrom(1, func(int) string { return "busy" })
	look(0)
	look(time.Minute)
	list := anomalies(true)
	if len(list) != 1 || list[0].Kind != gateway.AnomalyAddress || list[0].Subject != "busy" || list[0].Value != 20 || !list[0].SeenAt.After(list[0].BeganAt) {
		t.Fatalf("%+v", list)
	}
	look(2 * time.Hour)
	if list := anomalies(true); len(list) != 0 {
		t.Errorf("it goes on: %+v", list)
	}
	if list := anomalies(false); len(list) != 1 || list[0].EndedAt.IsZero() {
		t.Errorf("%+v", list)
	}
	h.work()
	h.ended(e, 2, gateway.WebhookDelivered)
}
