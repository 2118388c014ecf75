package ledger

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// erase takes what names a person out of every row: the subject, the e-mail
// address and the display name, and the sealed copies of them in the journal's
// records. What counts stays under the subject's key, which nobody can turn
// back into a name without the deployment's secrets.
func (a *applier) erase(ctx context.Context, s *set) error {
	keys := slices.Sorted(maps.Keys(s.erased))
	if len(keys) == 0 {
		return nil
	}
	for _, key := range keys {
		a.erased[key] = s.erased[key]
	}
	for _, sql := range []string{
		`UPDATE members SET subject = '', email = '', name = '', erased_at = now() WHERE launch = $1 AND subject_key = ANY ($2)`,
		`UPDATE redemptions SET subject = '', email = '', name = '' WHERE launch = $1 AND subject_key = ANY ($2)`,
		`UPDATE entries SET email = '', name = '' WHERE launch = $1 AND key = ANY ($2)`,
		`UPDATE codes SET recipient = '' WHERE launch = $1 AND recipient_key = ANY ($2)`,
		eraseMails,
		eraseInviters,
	} {
		if _, err := a.tx.Exec(ctx, sql, a.launch, keys); err != nil {
			return err
		}
	}
	if _, err := a.tx.Exec(ctx, `
		UPDATE webhook_messages SET body = (body::jsonb #- '{data,subject}' #- '{data,email}')::text,
			revealed = CASE WHEN revealed = '' THEN '' ELSE (revealed::jsonb #- '{data,subject}' #- '{data,email}')::text END
		WHERE launch = $1 AND subject_key = ANY ($2)`, a.launchName, keys); err != nil {
		return err
	}
	return a.unseal(ctx, keys)
}

// unseal rewrites the journal's records in which a person's name lies sealed,
// and the copies of their lines beside it.
func (a *applier) unseal(ctx context.Context, keys []string) error {
	rows, err := a.tx.Query(ctx, `
		SELECT j.seq, j.epoch, j.at, j.record FROM journal j WHERE j.launch = $1 AND j.seq IN (
			SELECT position FROM redemptions WHERE launch = $1 AND subject_key = ANY ($2)
			UNION SELECT position FROM codes WHERE launch = $1 AND recipient_key = ANY ($2)
			UNION SELECT position FROM entries WHERE launch = $1 AND key = ANY ($2)
			UNION SELECT position FROM member_events WHERE launch = $1 AND subject_key = ANY ($2) AND cause = 'trial')`, a.launch, keys)
	if err != nil {
		return err
	}
	type kept struct {
		seq, epoch int64
		at         any
		record     string
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k kept, err error) {
		return k, row.Scan(&k.seq, &k.epoch, &k.at, &k.record)
	})
	if err != nil {
		return err
	}
	for _, k := range list {
		if text := withoutSeals(k.record, keys); text != k.record {
			if _, err := a.tx.Exec(ctx, `UPDATE journal SET record = $5 WHERE launch = $1 AND seq = $2 AND epoch = $3 AND at = $4`,
				a.launch, k.seq, k.epoch, k.at, text); err != nil {
				return err
			}
		}
	}
	for _, key := range keys {
		for _, table := range []string{"conflicts", "parked"} {
			column := map[string]string{"conflicts": "event", "parked": "record"}[table]
			if _, err := a.tx.Exec(ctx, `DELETE FROM `+table+` WHERE launch = $1 AND position(E'\t' || $2 || E'\t' in `+column+`) > 0`, a.launch, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealedWord is which word of a line, by its kind, holds a seal, and which the
// key of whom it names.
var sealedWord = map[string]struct{ seal, who int }{
	"redeemed": {9, 5}, "minted": {6, 4}, "member": {7, 1}, "joined": {11, 1},
}

// withoutSeals is a record without what names these subjects.
func withoutSeals(record string, keys []string) string {
	lines := strings.Split(record, "\n")
	for i, line := range lines {
		words := strings.Split(line, "\t")
		at, ok := sealedWord[words[0]]
		if ok && len(words) > at.seal && slices.Contains(keys, words[at.who]) {
			words[at.seal] = ""
			lines[i] = strings.Join(words, "\t")
		}
	}
	return strings.Join(lines, "\n")
}

// withoutErased is a record of this batch as the journal keeps it: without the
// names of whom the batch erases at or behind it.
func (a *applier) withoutErased(r gateway.Record) string {
	var keys []string
	for key, seq := range a.erased {
		if r.Seq <= seq {
			keys = append(keys, key)
		}
	}
	if keys == nil {
		return r.Raw
	}
	return withoutSeals(r.Raw, keys)
}
