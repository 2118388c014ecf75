package ledger

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// EmailPolicy is how a launch writes to people, and its landing page, as the
// transaction sees them.
func (l *Ledger) EmailPolicy(ctx context.Context, tx pgx.Tx, launch string) (p gateway.EmailPolicy, landing string, err error) {
	var document []byte
	err = tx.QueryRow(ctx, `SELECT coalesce(policy -> 'email', '{}'), coalesce(policy ->> 'landing_url', '') FROM launches WHERE name = $1`, launch).Scan(&document, &landing)
	if err != nil {
		return p, "", err
	}
	return p, landing, json.Unmarshal(document, &p)
}

// MemberPeople reads who members are, by their keys, as the transaction sees
// them. Who was erased has no words left.
func (l *Ledger) MemberPeople(ctx context.Context, tx pgx.Tx, launch string, keys []string) (map[string]gateway.Person, error) {
	rows, err := tx.Query(ctx, `SELECT subject_key, subject, email, name FROM members WHERE launch = (SELECT id FROM launches WHERE name = $1) AND subject_key = ANY ($2)`, launch, keys)
	if err != nil {
		return nil, err
	}
	people := map[string]gateway.Person{}
	var key string
	var p gateway.Person
	_, err = pgx.ForEachRow(rows, []any{&key, &p.Subject, &p.Email, &p.Name}, func() error {
		people[key] = p
		return nil
	})
	return people, err
}

// Recipients reads the addresses that codes are bound to, as the transaction
// sees them.
func (l *Ledger) Recipients(ctx context.Context, tx pgx.Tx, launch string, codes []gateway.Code) (map[gateway.Code]string, error) {
	bound := map[gateway.Code]string{}
	if len(codes) == 0 {
		return bound, nil
	}
	rows, err := tx.Query(ctx, `SELECT code, recipient FROM codes WHERE launch = (SELECT id FROM launches WHERE name = $1) AND code = ANY ($2)`, launch, codes)
	if err != nil {
		return nil, err
	}
	var code gateway.Code
	var recipient string
	_, err = pgx.ForEachRow(rows, []any{&code, &recipient}, func() error {
		bound[code] = recipient
		return nil
	})
	return bound, err
}
