package gateway

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// MailKind says what an e-mail is about: which template writes it, and which
// of MailData's fields it shows.
type MailKind string

// The kinds of e-mail.
const (
	MailOffer      MailKind = "offer"      // a place on the waitlist came up: Code, Link, ExpiresAt, Position
	MailConfirm    MailKind = "confirm"    // an address is to be confirmed: Link
	MailInvitation MailKind = "invitation" // a member invites somebody: Inviter, Code, Link, ExpiresAt
	MailMilestone  MailKind = "milestone"  // a member brought so many: Count, Granted, Link
	MailReward     MailKind = "reward"     // a member earned something: Amount, Currency
)

// MailKinds are all of them.
var MailKinds = []MailKind{MailOffer, MailConfirm, MailInvitation, MailMilestone, MailReward}

// Mail is one e-mail to be sent. Of all mails of a launch with one Key, one is
// sent: the key names what happened, such as "offer/" and the offer's id. It
// holds no code and no address, because it stays when they are erased.
type Mail struct {
	Launch string
	Kind   MailKind
	Key    string // at most 200 bytes
	To     string // an address such as "ann@example.com", no display name
	Who    string // the key that the journal knows the recipient by: erasing them erases this
	Data   MailData
}

// MailData is what templates show. A kind uses the fields that MailKind names,
// and Name.
type MailData struct {
	Name      string    `json:"name,omitempty"` // of the recipient, as somebody typed it
	Code      string    `json:"code,omitempty"` // as people write it
	Link      string    `json:"link,omitempty"` // absolute
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Position  int       `json:"position,omitempty"`
	Inviter   string    `json:"inviter,omitempty"` // a display name, as somebody typed it
	Count     int       `json:"count,omitempty"`
	Granted   int       `json:"granted,omitempty"`  // invites
	Amount    int64     `json:"amount,omitempty"`   // minor units
	Currency  string    `json:"currency,omitempty"` // ISO 4217
}

// MailStatus is how far an e-mail has come.
type MailStatus string

// The states of an e-mail.
const (
	MailQueued     MailStatus = "queued"
	MailSent       MailStatus = "sent"       // the SMTP server took it
	MailDead       MailStatus = "dead"       // it was refused for good, or for three days
	MailSuppressed MailStatus = "suppressed" // there was nobody to send it to, or no reason any more
)

// MailStatuses are all of them.
var MailStatuses = []MailStatus{MailQueued, MailSent, MailDead, MailSuppressed}

// MailRow is an e-mail as operators see it: without its text and its code.
type MailRow struct {
	ID        ID         `json:"id"`
	Kind      MailKind   `json:"kind"`
	Recipient string     `json:"recipient,omitempty"`
	Status    MailStatus `json:"status"`
	Attempts  int        `json:"attempts"`
	Error     string     `json:"error,omitempty"` // of the last attempt, without addresses
	Created   time.Time  `json:"created_at"`
	TriedAt   time.Time  `json:"tried_at,omitzero"`
	NextAt    time.Time  `json:"next_at,omitzero"` // of the next attempt
	SentAt    time.Time  `json:"sent_at,omitzero"`
}

// MailFilter says which e-mails to list; "" is all.
type MailFilter struct {
	Status    MailStatus
	Kind      MailKind
	Recipient string
}

// Validate returns an invalid_request that names the field at fault.
func (f MailFilter) Validate() error {
	if f.Status != "" && !slices.Contains(MailStatuses, f.Status) {
		return Invalid("status", "Use one of: "+joinWords(MailStatuses)+".")
	}
	if f.Kind != "" && !slices.Contains(MailKinds, f.Kind) {
		return Invalid("kind", "Use one of: "+joinWords(MailKinds)+".")
	}
	return nil
}

// MailReplay says which e-mails are sent again: one, or all of a kind that are
// dead or suppressed and were made since a time.
type MailReplay struct {
	ID    ID
	Kind  MailKind
	Since time.Time
}

// MailDispatch is all that an attempt to send needs.
type MailDispatch struct {
	MailRow
	Launch string
	Data   MailData
	Round  int // attempts since the mail was made, or replayed
}

// MailDepth is what waits to be sent in a launch.
type MailDepth struct {
	Queued int
	Oldest time.Time // when the one that waits longest was made
}

func joinWords[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

// EmailPolicy says how a launch writes to people.
type EmailPolicy struct {
	From           string        `json:"from"`
	ReplyTo        string        `json:"reply_to"`
	Send           Mailings      `json:"send"`
	UnsubscribeURL string        `json:"unsubscribe_url"`
	Templates      MailTemplates `json:"templates"`
}

// Mailings are kinds of e-mail that a launch chooses to send. Offers and
// confirmations are sent in any case.
type Mailings []MailKind

// OptionalMails are the kinds to choose from.
var OptionalMails = Mailings{MailInvitation, MailMilestone, MailReward}

// MarshalJSON writes a list; a nil one is written as an empty one.
func (m Mailings) MarshalJSON() ([]byte, error) { return json.Marshal(append([]MailKind{}, m...)) }

func (*Mailings) example() (one, many string) { return "invitation", "kinds of e-mail" }

// Sends reports whether e-mails of a kind are sent: one that is chosen, or that
// the launch has written a text or a subject for.
func (e *EmailPolicy) Sends(kind MailKind) bool {
	return !slices.Contains(OptionalMails, kind) || slices.Contains(e.Send, kind) || e.Templates.For(kind) != MailTemplate{}
}

// MailTemplates are a launch's own texts.
type MailTemplates struct {
	Offer      MailTemplate `json:"offer"`
	Confirm    MailTemplate `json:"confirm"`
	Invitation MailTemplate `json:"invitation"`
	Milestone  MailTemplate `json:"milestone"`
	Reward     MailTemplate `json:"reward"`
}

// MailTemplate is how one kind of e-mail is written. An empty subject is the
// built-in one. An empty text is the built-in one with its HTML; a text of the
// launch's own without HTML is sent alone.
type MailTemplate struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

// For is the launch's own template of a kind, empty for an unknown one.
func (t *MailTemplates) For(kind MailKind) MailTemplate {
	switch kind {
	case MailOffer:
		return t.Offer
	case MailConfirm:
		return t.Confirm
	case MailInvitation:
		return t.Invitation
	case MailMilestone:
		return t.Milestone
	case MailReward:
		return t.Reward
	}
	return MailTemplate{}
}
