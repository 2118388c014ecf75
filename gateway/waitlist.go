package gateway

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// EntryStatus is where a waitlist entry is:
// waiting → invited → registered | declined | expired, and left from waiting
// or invited.
type EntryStatus string

// The statuses of an entry. Who declined, expired or left may join again, at
// the end of the line.
const (
	EntryWaiting    EntryStatus = "waiting"
	EntryInvited    EntryStatus = "invited"
	EntryRegistered EntryStatus = "registered"
	EntryDeclined   EntryStatus = "declined"
	EntryExpired    EntryStatus = "expired"
	EntryLeft       EntryStatus = "left"
)

// BoostKind says what moved an entry in the line.
type BoostKind string

// The kinds of boosts.
const (
	BoostSource   BoostKind = "source"   // where the entry came from
	BoostReferred BoostKind = "referred" // somebody referred the entry
	BoostReferrer BoostKind = "referrer" // the entry referred others
	BoostByHand   BoostKind = "by_hand"  // an operator
)

// Boost is a change of priority with its reason.
type Boost struct {
	Points int       `json:"points"`
	Kind   BoostKind `json:"kind"`
	Reason string    `json:"reason,omitempty"` // the source, or the operator's words
	At     time.Time `json:"at"`               // of the latest change
}

// boostKinds are the letters of kinds in a packed list.
var boostKinds = map[byte]BoostKind{'s': BoostSource, 'r': BoostReferred, 'f': BoostReferrer, 'h': BoostByHand}

// ParseBoostKind reads the letter of a kind.
func ParseBoostKind(letter string) (BoostKind, bool) {
	if len(letter) != 1 {
		return "", false
	}
	k, ok := boostKinds[letter[0]]
	return k, ok
}

// ParseBoosts reads the list that the scripts write, kind:points:seconds:reason
// separated by commas; behind a reason an id may stand, after "|". What does not
// parse is left out.
func ParseBoosts(packed string) []Boost {
	if packed == "" {
		return nil
	}
	list := make([]Boost, 0, strings.Count(packed, ",")+1)
	for one := range strings.SplitSeq(packed, ",") {
		w := strings.SplitN(one, ":", 4)
		if len(w) != 4 {
			continue
		}
		kind, known := ParseBoostKind(w[0])
		points, err1 := strconv.Atoi(w[1])
		at, err2 := strconv.ParseInt(w[2], 10, 64)
		escaped, _, _ := strings.Cut(w[3], "|")
		reason, err3 := url.QueryUnescape(escaped)
		if known && err1 == nil && err2 == nil && err3 == nil {
			list = append(list, Boost{Points: points, Kind: kind, Reason: reason, At: time.Unix(at, 0).UTC()})
		}
	}
	return list
}

// Join asks for a place in the line.
type Join struct {
	Email    string       // canonical
	Name     string       // display name, kept for Postgres only
	Source   string       // the caller's word for where the person came from
	Points   int          // that the source is worth, 0 where its word does not count
	Referrer string       // key of the entry whose link was followed; "" if none
	Address  netip.Prefix // whom joins are counted against; the zero Prefix counts nobody
	Proof    string       // the caller's Idempotency-Key; "" if there was none
	Vouched  bool         // a back end asks: it may know who is on the list
}

// Joined is the answer to Join.
type Joined struct {
	Key      string // of the entry: keyring.Subject of the e-mail address
	Status   EntryStatus
	Known    bool   // it was on the list before this request
	Proven   bool   // made by this request, or known under the same Idempotency-Key
	Referred bool   // the referral counts
	Priority int    // sum of the boosts
	Place    int    // 1 is the front; 0 when it does not wait
	Total    int    // entries that wait
	Epoch    uint64 // of the history that Position stands in
	Position uint64 // of the journal record that holds it
}

// Entry is a place on the waitlist.
type Entry struct {
	Key         string
	Status      EntryStatus
	Arrival     uint64 // 1, 2, … in the order of joining
	Priority    int
	Boosts      []Boost
	Referrer    string // key; "" if none counts
	Referrals   int    // entries that it referred and that count
	Unconfirmed bool   // the address is yet to be confirmed
	JoinedAt    time.Time
	Offer       Code      // "" if none was made
	OfferEnds   time.Time // of the offer
	Release     string    // that made the offer
	Place       int       // 1 is the front; 0 when it does not wait
	Total       int       // entries that wait
	AsOf        time.Time // by the launch's clock
	Epoch       uint64    // of the history that Position stands in; of a change only
	Position    uint64    // of the journal, when it was read, or of what changed it
}

// EntryVerb changes an entry.
type EntryVerb string

// The verbs. Settle looks at an offer whose time is over or whose code was
// used; the gateways call it by themselves.
const (
	ConfirmEntry EntryVerb = "confirm" // the address is the person's
	LeaveEntry   EntryVerb = "leave"   // waiting or invited → left
	DeclineEntry EntryVerb = "decline" // invited → declined
	BoostEntry   EntryVerb = "boost"   // waiting only
	SettleEntry  EntryVerb = "settle"
)

// ChangeEntry asks for a change of one entry.
type ChangeEntry struct {
	Verb   EntryVerb
	Key    string
	Points int    // of a boost, -MaxPoints to MaxPoints, not 0
	Reason string // of a boost
	ID     string // of a boost: one with the same id counts once; "" for a new one
	By     Actor
}

// WaitlistCampaign is the campaign of the codes that offers get, made with the
// first release.
const WaitlistCampaign = "waitlist"

// MaxPoints bounds an entry's priority on both sides.
const MaxPoints = 1_000_000

// ReleaseOrder says who is let in first.
type ReleaseOrder string

// By priority is the order of the line. By lottery everybody who waited when
// the release was made has the same chance: those are drawn whose keys hash
// lowest together with the seed, so that a draw can be repeated.
const (
	ByPriority ReleaseOrder = "priority"
	ByLottery  ReleaseOrder = "lottery"
)

// Cohort is a release: so many to be let in together.
type Cohort struct {
	ID    string       // unique in the launch; a scheduled one's tells its slot
	Count int          // places, 1 to MaxRelease
	Order ReleaseOrder //
	Seed  string       // of a lottery, hex
	Slot  time.Time    // of the schedule; zero if made by hand
	Done  int          // offers made and neither declined nor expired
	Upto  uint64       // the last arrival that takes part
	Ended bool         // all offers are made, or nobody is left to let in
	At    time.Time    // when it was made
}

// OpenRelease is a release that has offers to make.
type OpenRelease struct {
	Launch string
	ID     string
	Made   int // offers so far
}

// MaxRelease is the most places of one release.
const MaxRelease = 1_000_000

// Offered is an invitation in the making: to whom, and the code that it gets.
type Offered struct {
	Key       string
	Code      Code
	Display   string // as it is written; "" as its campaign's template does
	Recipient bool   // the code is bound to the entry's address
}

// Schedule is whether releases run, and since when.
type Schedule struct {
	Running bool      `json:"running"`
	Since   time.Time `json:"since,omitzero"` // it was started, or the slot it last served
	Made    int       `json:"made"`           // places that the schedule has released
}
