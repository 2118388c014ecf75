package gateway

import "time"

// AnomalyKind is what was unusual.
type AnomalyKind string

// The kinds of anomalies.
const (
	AnomalySpike     AnomalyKind = "spike"     // a campaign's redemptions in 5 minutes
	AnomalyFailures  AnomalyKind = "failures"  // percent of attempts that fail
	AnomalyAddress   AnomalyKind = "address"   // redemptions from one address
	AnomalyGeography AnomalyKind = "geography" // percent that come from other countries than usual
	AnomalySource    AnomalyKind = "source"    // percent that come from other sources than usual
)

// Anomaly is something unusual that was noticed, and went on until it ended.
type Anomaly struct {
	ID      ID          `json:"id"`
	Kind    AnomalyKind `json:"kind"`
	Subject string      `json:"subject,omitempty"` // the campaign, the address' key, the country or the source
	Value   float64     `json:"value"`
	Usual   float64     `json:"usual"`
	Bound   float64     `json:"bound"` // what value may be
	BeganAt time.Time   `json:"began_at"`
	SeenAt  time.Time   `json:"seen_at"`
	EndedAt time.Time   `json:"ended_at,omitzero"`
}

// ActivityBucket is the length of time by which activity is counted.
const ActivityBucket = 5 * time.Minute

// Activity is how much happened in one bucket of time.
type Activity struct {
	Dimension string // campaign, country, source or refused
	Subject   string
	At        time.Time // when the bucket begins
	N         int
}
