package ledger

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// membership is what a list of events comes to for members.
type membership struct {
	members      map[string]placed // by subject, the last record
	memberEvents []placed
	letIn        map[string]string // by subject, the redemption
	begun        map[string][]byte // by subject, who it is
	erased       map[string]uint64 // by subject, where
	milestones   []placed
	activities   []placed
}

func newMembership() membership {
	return membership{members: map[string]placed{}, letIn: map[string]string{}, begun: map[string][]byte{}, erased: map[string]uint64{}}
}

// gatherMember notes an event of members.
func (s *set) gatherMember(p placed) {
	switch e := p.Event.(type) {
	case gateway.MemberChanged:
		s.members[e.Subject] = p
		s.memberEvents = append(s.memberEvents, p)
		switch e.Cause {
		case gateway.MemberJoined:
			s.letIn[e.Subject] = e.Ref
		case gateway.MemberErased:
			s.erased[e.Subject] = p.record.Seq
		}
		if len(e.Sealed) > 0 {
			s.begun[e.Subject] = e.Sealed
		}
	case gateway.MilestoneCrossed:
		s.milestones = append(s.milestones, p)
	case gateway.MemberActed:
		s.activities = append(s.activities, p)
	}
}

// putMembers writes the last record of each member.
func (a *applier) putMembers(ctx context.Context, s *set) error {
	keys := slices.Sorted(maps.Keys(s.members))
	n := len(keys)
	if n == 0 {
		return nil
	}
	tier, method, inviter, code, record := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	campaign, rounds, used, allotment, referrals, position := make([]int32, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	until, joined, private := make([]*time.Time, n), make([]*time.Time, n), make([]bool, n)
	for i, key := range keys {
		p := s.members[key]
		e := p.Event.(gateway.MemberChanged)
		m := e.Member
		tier[i], method[i], inviter[i], code[i], record[i] = printable(m.Tier), string(m.Method), m.Inviter, string(m.Code), printable(e.Record)
		campaign[i], rounds[i], used[i], allotment[i], referrals[i] = int32(m.Campaign), int64(m.Rounds), int64(m.Used), int64(m.Allotment), int64(m.Referrals)
		position[i], private[i] = int64(p.record.Seq), m.Private
		if !m.Until.IsZero() {
			until[i] = &m.Until
		}
		if !m.Joined.IsZero() {
			joined[i] = &m.Joined
		}
	}
	_, err := a.tx.Exec(ctx, `
		INSERT INTO members (launch, subject_key, tier, method, inviter_key, code, record, campaign, rounds, used, allotment, referrals, position, until, joined_at, private)
		SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::bigint[], $10::bigint[],
			$11::bigint[], $12::bigint[], $13::bigint[], $14::timestamptz[], $15::timestamptz[], $16::bool[])
		ON CONFLICT (launch, subject_key) DO UPDATE SET tier = excluded.tier, method = excluded.method, inviter_key = excluded.inviter_key,
			code = excluded.code, record = excluded.record, campaign = excluded.campaign, rounds = excluded.rounds, used = excluded.used,
			allotment = excluded.allotment, referrals = excluded.referrals, position = excluded.position, until = excluded.until,
			joined_at = excluded.joined_at, private = excluded.private`,
		a.launch, keys, tier, method, inviter, code, record, campaign, rounds, used, allotment, referrals, position, until, joined, private)
	if err != nil {
		return err
	}
	return a.nameMembers(ctx, s)
}

// nameMembers says who members are: as the redemption says that let them in,
// or the call that began their trial.
func (a *applier) nameMembers(ctx context.Context, s *set) error {
	if keys := slices.Sorted(maps.Keys(s.letIn)); len(keys) > 0 {
		ids := make([][16]byte, 0, len(keys))
		for _, key := range keys {
			id, err := gateway.ParseShort(s.letIn[key])
			if err != nil {
				return &conflict{"unreadable_member", "its redemption has no id"}
			}
			ids = append(ids, id)
		}
		_, err := a.tx.Exec(ctx, `
			UPDATE members m SET subject = r.subject, email = CASE WHEN r.email <> '' THEN r.email ELSE m.email END,
				name = CASE WHEN r.name <> '' THEN r.name ELSE m.name END, erased_at = NULL
			FROM unnest($2::text[], $3::uuid[]) AS d (key, id), redemptions r
			WHERE m.launch = $1 AND m.subject_key = d.key AND r.launch = $1 AND r.id = d.id`, a.launch, keys, ids)
		if err != nil {
			return err
		}
	}
	keys := slices.Sorted(maps.Keys(s.begun))
	if len(keys) == 0 {
		return nil
	}
	subjects, emails := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		p := a.person(s.begun[key])
		subjects[i], emails[i] = p.Subject, p.Email
	}
	_, err := a.tx.Exec(ctx, `
		UPDATE members m SET subject = d.subject, email = d.email FROM unnest($2::text[], $3::text[], $4::text[]) AS d (key, subject, email)
		WHERE m.launch = $1 AND m.subject_key = d.key AND m.subject = ''`, a.launch, keys, subjects, emails)
	return err
}

// tellMembers keeps why records changed, milestones and activity.
func (a *applier) tellMembers(ctx context.Context, s *set) error {
	rows := make([][]any, len(s.memberEvents))
	for i, p := range s.memberEvents {
		e := p.Event.(gateway.MemberChanged)
		rows[i] = []any{a.launch, p.record.Seq, p.ordinal, p.record.At, e.Subject, string(e.Cause), printable(e.Ref)}
	}
	if err := a.copy(ctx, "member_events", []string{"launch", "position", "ordinal", "at", "subject_key", "cause", "ref"}, rows); err != nil {
		return err
	}
	rows = rows[:0]
	for _, p := range s.milestones {
		e := p.Event.(gateway.MilestoneCrossed)
		rows = append(rows, []any{a.launch, e.Subject, e.Milestone, e.Invites, p.record.At, p.record.Seq})
	}
	if err := a.copy(ctx, "milestones", []string{"launch", "subject_key", "milestone", "invites", "at", "position"}, rows); err != nil {
		return err
	}
	rows = rows[:0]
	for _, p := range s.activities {
		e := p.Event.(gateway.MemberActed)
		rows = append(rows, []any{a.launch, p.record.At, e.Subject, printable(e.Name), p.record.Seq})
	}
	return a.copy(ctx, "activities", []string{"launch", "at", "subject_key", "name", "position"}, rows)
}

// copy inserts rows; none is no error.
func (a *applier) copy(ctx context.Context, table string, columns []string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := a.tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
	return err
}
