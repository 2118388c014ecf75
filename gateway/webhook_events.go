package gateway

import "encoding/json"

// This file is the one place that says what webhooks tell of which event: the
// types that exist, an event's type, and what its data holds.

// WebhookTypes are the types of events that an endpoint may ask for.
var WebhookTypes = []string{
	"redemption.committed", "redemption.held", "redemption.released", "redemption.rolled_back",
	"code.minted", "code.revoked", "code.reinstated", "code.renewed",
	"campaign.changed", "launch.changed",
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
	}
	return ""
}

// WebhookLookup knows the rows that an event speaks of.
type WebhookLookup struct {
	Redemptions map[ID]RedemptionRow
	Campaigns   map[uint32]string // names
	Reveal      bool              // codes are shown in full
}

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
