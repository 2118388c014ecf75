package gateway

// VerifyReport is the comparison of a launch's state in Redis and in Postgres
// at one position.
type VerifyReport struct {
	Launch      string       `json:"launch"`
	Position    uint64       `json:"position"`
	Campaigns   int          `json:"campaigns"`
	Codes       int          `json:"codes"`
	Redemptions int          `json:"redemptions"`
	Entries     int          `json:"entries"`
	Members     int          `json:"members"`               // who have a record of their own
	Moving      int          `json:"moving"`                // changed too often to be compared; not differences
	Drift       int          `json:"drift"`                 // differences in all
	Differences []Difference `json:"differences,omitempty"` // the first 100 of them
}

// Difference is one thing that the two stores do not agree on.
type Difference struct {
	Kind     string `json:"kind"` // campaign, code, redemption, member, entry, place, release or position
	Key      string `json:"key"`
	Redis    string `json:"redis"`
	Postgres string `json:"postgres"`
}

// MaxDifferences is how many differences a report lists.
const MaxDifferences = 100

// Differ notes a difference.
func (r *VerifyReport) Differ(kind, key, redis, postgres string) {
	r.Drift++
	if len(r.Differences) < MaxDifferences {
		r.Differences = append(r.Differences, Difference{kind, key, redis, postgres})
	}
}
