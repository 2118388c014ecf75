package jobs

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
)

// MemberMailLedger knows whom e-mails about invites, milestones and rewards go
// to, each as the transaction sees it.
type MemberMailLedger interface {
	// EmailPolicy is how the launch writes to people, and its landing page.
	EmailPolicy(ctx context.Context, tx pgx.Tx, launch string) (gateway.EmailPolicy, string, error)
	// MemberPeople reads who members are, by their keys; who was erased is "".
	MemberPeople(ctx context.Context, tx pgx.Tx, launch string, keys []string) (map[string]gateway.Person, error)
	// Recipients reads the addresses that codes are bound to.
	Recipients(ctx context.Context, tx pgx.Tx, launch string, codes []gateway.Code) (map[gateway.Code]string, error)
}

// memberMails writes to those whom a member invites by their address, and to
// members who crossed a milestone or earned something: as far as the policy
// sends e-mails of these kinds.
type memberMails struct {
	ledger MemberMailLedger
	links  links
	mail   func(ctx context.Context, tx pgx.Tx, mails ...gateway.Mail) error
}

// about is the kind of e-mail that an event is a reason for, and the member
// whom it speaks of; false for none.
func (m *memberMails) about(e gateway.Event) (kind gateway.MailKind, member string, ok bool) {
	switch e := e.(type) {
	case gateway.CodesMinted:
		return gateway.MailInvitation, e.Issuer, e.Issuer != "" && e.Recipient != ""
	case gateway.MilestoneCrossed:
		return gateway.MailMilestone, e.Subject, true
	case gateway.Credited:
		return gateway.MailReward, e.Subject, e.What == gateway.CreditReward
	}
	return "", "", false
}

// Follow implements ledger.Follower.
func (m *memberMails) Follow(ctx context.Context, tx pgx.Tx, launch string, events []gateway.Placed) error {
	var reasons []gateway.Placed
	for _, p := range events {
		if _, _, ok := m.about(p.Event); ok {
			reasons = append(reasons, p)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	policy, landing, err := m.ledger.EmailPolicy(ctx, tx, launch)
	if err != nil {
		return err
	}
	var sent []gateway.Placed
	var members []string
	var codes []gateway.Code
	for _, p := range reasons {
		kind, member, _ := m.about(p.Event)
		if !policy.Sends(kind) {
			continue
		}
		sent, members = append(sent, p), append(members, member)
		if e, ok := p.Event.(gateway.CodesMinted); ok {
			for _, c := range e.Codes {
				codes = append(codes, c.Code)
			}
		}
	}
	if len(sent) == 0 {
		return nil
	}
	people, err := m.ledger.MemberPeople(ctx, tx, launch, members)
	if err != nil {
		return err
	}
	recipients, err := m.ledger.Recipients(ctx, tx, launch, codes)
	if err != nil {
		return err
	}
	var mails []gateway.Mail
	for _, p := range sent {
		switch e := p.Event.(type) {
		case gateway.CodesMinted:
			for i, c := range e.Codes {
				mails = append(mails, gateway.Mail{
					Launch: launch, Kind: gateway.MailInvitation, Who: e.Recipient, To: recipients[c.Code],
					// The second word is whose name it holds: erasing the inviter finds it.
					Key: "invitation/" + e.Issuer + "/" + e.Recipient + "/" + strconv.FormatUint(p.Position, 10) + "." + strconv.Itoa(i),
					Data: gateway.MailData{
						Code: c.Display, ExpiresAt: e.ExpiresAt, Inviter: people[e.Issuer].Name,
						Link: m.links.to(landing, "i", launch, c.Display, "code"),
					},
				})
			}
		case gateway.MilestoneCrossed:
			mails = append(mails, gateway.Mail{
				Launch: launch, Kind: gateway.MailMilestone, Who: e.Subject, To: people[e.Subject].Email,
				Key:  "milestone/" + e.Subject + "/" + strconv.Itoa(e.Milestone),
				Data: gateway.MailData{Name: people[e.Subject].Name, Count: e.Milestone, Granted: e.Invites, Link: landing},
			})
		case gateway.Credited:
			// Once for each friend: a dispute that is won is not earning twice.
			mails = append(mails, gateway.Mail{
				Launch: launch, Kind: gateway.MailReward, Who: e.Subject, To: people[e.Subject].Email,
				Key:  "reward/" + e.Subject + "/" + e.Referee,
				Data: gateway.MailData{Name: people[e.Subject].Name, Amount: int64(e.Amount), Currency: e.Currency},
			})
		}
	}
	reachable := mails[:0]
	for _, one := range mails {
		if one.To != "" { // known by an id alone, or erased: the webhook tells of it
			reachable = append(reachable, one)
		}
	}
	return m.mail(ctx, tx, reachable...)
}
