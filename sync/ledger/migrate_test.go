package ledger

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"admitone/bench/rig"
)

// TestUpgrade: a database of the first release, with a launch and its people in
// it, and of a release that had some of the later migrations only, are brought
// up to date; what was there is there.
func TestUpgrade(t *testing.T) {
	for name, before := range map[string][]int64{"the first release": {1}, "features side by side": {1, 4, 8}} {
		t.Run(name, func(t *testing.T) {
			ctx, url := t.Context(), rig.TestPostgres(t)
			pool, err := pgxpool.New(ctx, url)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			migrateTo(t, pool, before)
			for _, sql := range []string{
				`INSERT INTO launches (name, version, open, policy, updated_at) VALUES ('l', 3, true, '{"launch":"l"}', now())`,
				`INSERT INTO positions (launch, seq, epoch, bytes) VALUES (1, 7, 5, 700)`,
				`INSERT INTO campaigns (launch, number, id, name, channel, max_uses, cap, used, document) VALUES (1, 1, gen_random_uuid(), 'c', '', 2, 0, 1, '{"number":1,"name":"c"}')`,
				`INSERT INTO codes (launch, code, display, campaign, used, created_at, position) VALUES (1, 'A', 'A', 1, 1, now(), 1)`,
				`INSERT INTO redemptions (id, launch, code, campaign, subject, email, name, source, subject_key, address_key, proof, status, created_at, position)
					VALUES (gen_random_uuid(), 1, 'A', 1, 's', '', '', '', 'key', '', '', 'committed', now(), 2)`,
			} {
				if _, err := pool.Exec(ctx, sql); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // as the second gateway of an upgrade does
				l, err := Open(ctx, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				at, ok, err := l.Position(ctx, "l")
				if err != nil || !ok || at.Seq != 7 || at.Epoch != 5 {
					t.Errorf("%+v, %v, %v", at, ok, err)
				}
				l.Close()
			}
			var uses int
			if err := pool.QueryRow(ctx, `SELECT count(*) FROM redemptions r JOIN codes c USING (launch, code) WHERE c.used = 1`).Scan(&uses); err != nil || uses != 1 {
				t.Error(uses, err)
			}
		})
	}
}

// migrateTo applies some migrations only.
func migrateTo(t *testing.T, pool *pgxpool.Pool, versions []int64) {
	t.Helper()
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, sub, goose.WithAllowOutofOrder(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		if _, err := provider.ApplyVersion(t.Context(), v, true); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	takesAway = regexp.MustCompile(`(?i)\bDROP\s+(TABLE|COLUMN)|\bRENAME\b|ALTER\s+COLUMN\s+\w+\s+TYPE|SET\s+NOT\s+NULL`)
	newColumn = regexp.MustCompile(`(?i)ADD COLUMN[^;]*?NOT NULL[^;]*`)
)

// TestMigrationsAdd: gateways of the release before go on writing while the
// schema is newer, so a migration takes nothing away, and a new column that
// must have a value has one by default.
func TestMigrationsAdd(t *testing.T) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(migrations, file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(regexp.MustCompile(`(?m)--.*$`).ReplaceAllStringFunc(string(text), func(c string) string {
			if strings.HasPrefix(c, "-- +goose Down") {
				return "\x00"
			}
			return ""
		}), "\x00")
		if bad := takesAway.FindString(up); bad != "" {
			t.Errorf("%s: %q breaks gateways of the release before", file, bad)
		}
		for _, column := range newColumn.FindAllString(up, -1) {
			if !strings.Contains(strings.ToUpper(column), "DEFAULT") {
				t.Errorf("%s: %q has no default", file, column)
			}
		}
	}
}
