package gateway

import "encoding/json"

// This file is the one place that says what webhooks tell of which event: the
// types that exist, an event's type, and what its data holds.

// WebhookTypes are the types of events that an endpoint may ask for.
var WebhookTypes = []string{
	"redemption.committed", "redemption.held", "redemption.released", "redemption.rolled_back",
	"code.minted", "code.revoked", "code.reinstated", "code.renewed",
	"campaign.changed", "launch.changed",
	"waitlist.joined", "waitlist.boosted", "waitlist.confirmed", "waitlist.waiting", "waitlist.invited", "waitlist.registered",
	"waitlist.declined", "waitlist.expired", "waitlist.left",
	"release.made", "release.ended",
	"member.joined", "member.left", "member.referred", "member.unreferred", "member.granted", "member.tier", "member.trial", "member.erased",
	"referral.milestone", "reward.paid", "reward.reversed",
	AnomalyBegan, AnomalyEnded,
}

// What is told of anomalies, which come from statistics and not from the
// journal.
const (
	AnomalyBegan = "anomaly.began"
	AnomalyEnded = "anomaly.ended"
)

// AnomalyData is what a message of an anomaly holds as its data.
func AnomalyData(a Anomaly) map[string]any {
	data := map[string]any{"anomaly": a.ID, "kind": a.Kind, "subject": a.Subject, "value": a.Value, "usual": a.Usual, "bound": a.Bound, "began_at": a.BeganAt}
	if !a.EndedAt.IsZero() {
		data["ended_at"] = a.EndedAt
	}
	return data
}

// WebhookType is the type of an event; "" for one that webhooks do not tell.
func WebhookType(e Event) string {
	switch e := e.(type) {
	case Redeemed:
		return "redemption." + string(e.Status)
	case Settled:
		return "redemption." + string(e.To)
	case CodesMinted:
		return "code.minted"
	case CodesChanged:
		return "code." + string(e.Change)
	case CampaignPut:
		return "campaign.changed"
	case LaunchPut:
		return "launch.changed"
	case EntryJoined:
		return "waitlist.joined"
	case EntryBoosted:
		return "waitlist.boosted"
	case EntryConfirmed:
		return "waitlist.confirmed"
	case EntryMoved:
		return "waitlist." + string(e.To)
	case OfferMade:
		return "waitlist.invited"
	case ReleasePut:
		return "release.made"
	case ReleaseEnded:
		return "release.ended"
	case MilestoneCrossed:
		return "referral.milestone"
	case Credited:
		if e.What == CreditClawback {
			return "reward.reversed"
		}
		return "reward.paid"
	case MemberChanged:
		switch e.Cause {
		case MemberJoined, MemberLeft, MemberReferred, MemberUnreferred, MemberGranted, MemberTier, MemberTrial, MemberErased:
			return "member." + string(e.Cause)
		}
		return "" // every round and every code: too many to tell
	}
	return ""
}

// WebhookSubject is the key of whom a message of the event names; "" if it
// names nobody.
func WebhookSubject(e Event) string {
	switch e := e.(type) {
	case Redeemed:
		return e.Subject
	case Settled:
		return e.Subject
	case MemberChanged:
		return e.Subject
	case MilestoneCrossed:
		return e.Subject
	case Credited:
		return e.Subject
	case EntryJoined:
		return e.Key
	case EntryBoosted:
		return e.Key
	case EntryConfirmed:
		return e.Key
	case EntryMoved:
		return e.Key
	case OfferMade:
		return e.Key
	}
	return ""
}

// WebhookRefs are the rows that events speak of, and that are looked up once
// for all of them.
type WebhookRefs struct {
	Redemptions []ID
	Entries     []string // keys
	Members     []string // subjects' keys
	Payments    []string // keys
}

// Add notes the rows of one more event.
func (r *WebhookRefs) Add(e Event) {
	switch e := e.(type) {
	case Redeemed:
		r.Redemptions = append(r.Redemptions, e.ID)
	case Settled:
		r.Redemptions = append(r.Redemptions, e.ID)
	case MemberChanged:
		r.Members = append(r.Members, e.Subject)
	case MilestoneCrossed:
		r.Members = append(r.Members, e.Subject)
	case Credited:
		r.Members, r.Payments = append(r.Members, e.Subject), append(r.Payments, e.Payment)
	default:
		if key := WebhookSubject(e); key != "" {
			r.Entries = append(r.Entries, key)
		}
	}
}

// WebhookLookup knows the rows that an event speaks of.
type WebhookLookup struct {
	Redemptions map[ID]RedemptionRow
	Campaigns   map[uint32]string // names
	Entries     map[string]WebhookEntry
	Members     map[string]string // subjects
	Payments    map[string]string // ids
	Reveal      bool              // codes are shown in full
}

// WebhookEntry is who an entry of the waitlist is.
type WebhookEntry struct{ Email, Source string }

// code is a code as the receiver may see it.
func (l *WebhookLookup) code(written string) string {
	if l.Reveal {
		return written
	}
	return MaskCode(written)
}

// MaskCode leaves so much of a code that a person can tell it from another one,
// and nobody can redeem it: its last two characters, which check the others.
func MaskCode(written string) string {
	if len(written) < 6 {
		return "…"
	}
	return "…" + written[len(written)-2:]
}

// webhookCodes bounds the list of codes that one message holds.
const webhookCodes = 100

func (l *WebhookLookup) codes(list []Code) []string {
	list = list[:min(len(list), webhookCodes)]
	written := make([]string, len(list))
	for i, c := range list {
		written[i] = l.code(string(c))
	}
	return written
}

// WebhookData is what a message of an event holds as its data.
func WebhookData(e Event, l *WebhookLookup) map[string]any {
	switch e := e.(type) {
	case Redeemed:
		data := l.redemption(e.ID, e.Status)
		if !e.ExpiresAt.IsZero() {
			data["expires_at"] = e.ExpiresAt
		}
		return data
	case Settled:
		data := l.redemption(e.ID, e.To)
		data["cause"] = e.Cause
		if e.By.Note != "" {
			data["note"] = e.By.Note
		}
		return data
	case CodesMinted:
		return map[string]any{"campaign": l.Campaigns[e.Campaign], "count": len(e.Codes), "actor": e.By.Name}
	case CodesChanged:
		data := map[string]any{"count": len(e.Codes), "codes": l.codes(e.Codes), "actor": e.By.Name, "note": e.By.Note}
		if !e.ExpiresAt.IsZero() {
			data["expires_at"] = e.ExpiresAt
		}
		return data
	case CampaignPut:
		return map[string]any{"campaign": json.RawMessage(e.Campaign), "actor": e.By.Name, "note": e.By.Note}
	case LaunchPut:
		return map[string]any{"version": e.Version, "open": e.Open, "actor": e.By.Name, "note": e.By.Note}
	case ReleasePut:
		return map[string]any{"release": e.ID, "count": e.Count, "order": e.Order, "actor": e.By.Name, "note": e.By.Note}
	case ReleaseEnded:
		return map[string]any{"release": e.ID, "count": e.Done}
	case MilestoneCrossed:
		return map[string]any{"subject": l.Members[e.Subject], "milestone": e.Milestone, "referrals": e.Referrals, "invites": e.Invites}
	case Credited:
		// The friend is not named: the message is the member's, and goes with it
		// when it is erased. The payment's id says whose purchase it was.
		role := "referrer"
		if e.Subject == e.Referee {
			role = "referee"
		}
		return map[string]any{"subject": l.Members[e.Subject], "role": role, "payment": l.Payments[e.Payment], "amount": e.Amount, "currency": e.Currency}
	case MemberChanged:
		return l.member(&e)
	}
	return l.waitlist(e)
}

// member is what a message of a member holds: whose, and what it is from then
// on. One that was erased has no name any more.
func (l *WebhookLookup) member(e *MemberChanged) map[string]any {
	m := &e.Member
	data := map[string]any{"method": m.Method, "rounds": m.Rounds, "used_rounds": m.Used, "allotment": m.Allotment, "referrals": m.Referrals}
	if subject := l.Members[e.Subject]; subject != "" {
		data["subject"] = subject
	}
	if m.Tier != "" {
		data["tier"] = m.Tier
	}
	if name := l.Campaigns[m.Campaign]; name != "" {
		data["campaign"] = name
	}
	if !m.Until.IsZero() {
		data["unlocked_until"] = m.Until
	}
	if e.By.Name != "" {
		data["actor"], data["note"] = e.By.Name, e.By.Note
	}
	return data
}

// waitlist is what a message of an entry holds. Nothing names an entry but its
// e-mail address.
func (l *WebhookLookup) waitlist(e Event) map[string]any {
	about := func(key string) map[string]any {
		data := map[string]any{"email": l.Entries[key].Email}
		if source := l.Entries[key].Source; source != "" {
			data["source"] = source
		}
		return data
	}
	switch e := e.(type) {
	case EntryJoined:
		data := about(e.Key)
		data["priority"], data["referred"], data["confirmed"] = e.Priority, e.Referrer != "", !e.Unconfirmed
		return data
	case EntryBoosted:
		data := about(e.Key)
		data["cause"], data["points"], data["priority"], data["referrals"] = e.Cause, e.Points, e.Priority, e.Referrals
		if e.By.Note != "" {
			data["note"] = e.By.Note
		}
		return data
	case EntryConfirmed:
		return about(e.Key)
	case EntryMoved:
		data := about(e.Key)
		data["before"], data["cause"] = e.From, e.Cause
		return data
	case OfferMade:
		data := about(e.Key)
		data["release"], data["code"], data["campaign"], data["expires_at"] = e.Release, l.code(e.Display), l.Campaigns[e.Campaign], e.ExpiresAt
		return data
	}
	return nil
}

// redemption is what every message about a redemption holds. Who redeemed is
// named by subject alone: the back end knows the rest, or asks for it.
func (l *WebhookLookup) redemption(id ID, status Status) map[string]any {
	data := map[string]any{"redemption": id, "status": status}
	row, ok := l.Redemptions[id]
	if !ok {
		return data
	}
	data["code"], data["campaign"], data["subject"] = l.code(row.Code), row.Campaign, row.Subject
	if row.Channel != "" {
		data["channel"] = row.Channel
	}
	if row.Source != "" {
		data["source"] = row.Source
	}
	return data
}
