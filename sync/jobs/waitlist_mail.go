package jobs

import (
	"context"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// WaitlistMailLedger knows whom an entry's e-mails go to.
type WaitlistMailLedger interface {
	// EntryPeople reads entries within a transaction, by key.
	EntryPeople(ctx context.Context, tx pgx.Tx, launch string, keys []string) (map[string]gateway.EntryRow, error)
	// LandingURL is the launch's landing page, as the transaction sees it.
	LandingURL(ctx context.Context, tx pgx.Tx, launch string) (string, error)
}

// Ticketer makes the tickets of links in e-mails.
type Ticketer interface {
	Ticket(purpose, launch, key string) string
}

// waitlistMails writes to those who got an offer, and to those whose address is
// to be confirmed.
type waitlistMails struct {
	ledger  WaitlistMailLedger
	tickets Ticketer
	links   links
	mail    func(ctx context.Context, tx pgx.Tx, mails ...gateway.Mail) error
}

// Follow implements ledger.Follower.
func (w *waitlistMails) Follow(ctx context.Context, tx pgx.Tx, launch string, events []gateway.Placed) error {
	var keys []string
	for _, p := range events {
		switch e := p.Event.(type) {
		case gateway.OfferMade:
			keys = append(keys, e.Key)
		case gateway.EntryJoined:
			if e.Unconfirmed {
				keys = append(keys, e.Key)
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	people, err := w.ledger.EntryPeople(ctx, tx, launch, keys)
	if err != nil {
		return err
	}
	landing, err := w.ledger.LandingURL(ctx, tx, launch)
	if err != nil {
		return err
	}
	var mails []gateway.Mail
	for _, p := range events {
		m := gateway.Mail{Launch: launch}
		switch e := p.Event.(type) {
		case gateway.OfferMade:
			m.Kind, m.Who = gateway.MailOffer, e.Key
			m.Key = "offer/" + e.Release + "/" + e.Key + "/" + strconv.FormatUint(p.Position, 10)
			m.Data = gateway.MailData{Code: e.Display, ExpiresAt: e.ExpiresAt, Link: w.links.to(landing, "i", launch, e.Display, "code")}
		case gateway.EntryJoined:
			if !e.Unconfirmed {
				continue
			}
			ticket := w.tickets.Ticket(keyring.TicketConfirm, launch, e.Key)
			m.Kind, m.Who = gateway.MailConfirm, e.Key
			m.Key = "confirm/" + e.Key + "/" + strconv.FormatUint(e.Arrival, 10)
			if m.Data.Link = w.links.to(landing, "w", launch, ticket, "confirm"); m.Data.Link == "" {
				continue // there is nowhere to go
			}
		default:
			continue
		}
		person := people[m.Who]
		m.To, m.Data.Name = person.Email, person.Name
		mails = append(mails, m)
	}
	return w.mail(ctx, tx, mails...)
}

// links is the URL at which people reach the public listener; "" if nobody
// said.
type links func() string

// to leads to the public listener where its address is known, and to the
// landing page otherwise, with the word in its query.
func (l links) to(landing, path, launch, word, query string) string {
	if base := l(); base != "" {
		return base + "/" + path + "/" + launch + "/" + url.PathEscape(word)
	}
	u, err := url.Parse(landing)
	if landing == "" || err != nil {
		return ""
	}
	q := u.Query()
	q.Set(query, word)
	u.RawQuery = q.Encode()
	return u.String()
}
