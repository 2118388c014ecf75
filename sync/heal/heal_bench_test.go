package heal

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// BenchmarkReload writes a million codes, a million redemptions and a million
// waiting entries anew in an empty Redis.
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
		`INSERT INTO entries (launch, key, email, name, source, status, arrival, priority, boosts, referrer, unconfirmed, counted, address_key, proof, joined_at, position)
			SELECT l.id, translate(substr(encode(sha256(i::text::bytea), 'base64'), 1, 16), '+/', '-_'), 'p' || i || '@x.example', '', 'web', 'waiting', i,
				CASE WHEN i % 3 = 0 THEN 10 ELSE 0 END, CASE WHEN i % 3 = 0 THEN 'r:10:1800000000:' ELSE '' END, '', false, i % 3 = 0, '', '', now(), 3
			FROM launches l, generate_series(1, 1000000) i`,
	} {
		err := pgx.BeginFunc(b.Context(), n.ledger.Pool(), func(tx pgx.Tx) error {
			if _, err := tx.Exec(b.Context(), `SET LOCAL statement_timeout = 0`); err != nil {
				return err
			}
			_, err := tx.Exec(b.Context(), sql)
			return err
		})
		if err != nil {
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
		if err != nil || !r.Healed || r.Codes < 999_000 || r.Redemptions != r.Codes || r.Entries != 1_000_000 {
			b.Fatalf("%+v, %v", r, err)
		}
		b.ReportMetric(r.Took.Seconds(), "s/reload")
	}
}
