package heal

import (
	"testing"

	"admitone/gateway"
)

// BenchmarkReload writes a million codes and a million redemptions anew in an
// empty Redis.
//
//	go test ./sync/heal -run '^$' -bench Reload -benchtime 1x
func BenchmarkReload(b *testing.B) {
	n := open(b)
	if _, err := n.store.CreateLaunch(b.Context(), gateway.DefaultPolicy(launch), by); err != nil {
		b.Fatal(err)
	}
	campaign := gateway.Campaign{Name: "c", Kind: gateway.KindInvite, Type: gateway.TypeBulk, MaxUses: 1, Format: "{random:10}"}
	if _, err := n.store.CreateCampaign(b.Context(), launch, campaign, by); err != nil {
		b.Fatal(err)
	}
	stop := n.sync()
	n.caughtUp()
	stop()
	for _, sql := range []string{
		`INSERT INTO codes (launch, code, display, campaign, used, created_at, position)
			SELECT l.id, translate(upper(substr(md5(i::text), 1, 10)), 'ILO', '110'), translate(upper(substr(md5(i::text), 1, 10)), 'ILO', '110'), 1, 1, now(), 3
			FROM launches l, generate_series(1, 1000000) i ON CONFLICT DO NOTHING`,
		`INSERT INTO redemptions (id, launch, code, campaign, subject, email, name, source, subject_key, address_key, proof, status, created_at, position)
			SELECT gen_random_uuid(), c.launch, c.code, 1, c.code, '', '', '', substr(encode(sha256(c.code::bytea), 'base64'), 1, 16), '', '', 'committed', now(), 3 FROM codes c`,
		`UPDATE campaigns SET used = 1000000`,
	} {
		if _, err := n.ledger.Pool().Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		b.StopTimer()
		if err := n.redis.FlushAll(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		r, err := n.healer.Heal(b.Context(), launch)
		if err != nil || !r.Healed || r.Codes < 999_000 || r.Redemptions != r.Codes {
			b.Fatalf("%+v, %v", r, err)
		}
		b.ReportMetric(r.Took.Seconds(), "s/reload")
	}
}
