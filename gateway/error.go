package gateway

import "time"

// Reason is the stable, machine-readable word of a refusal: the "code" field
// of a problem document, the label of a metric, the reason in the audit trail.
type Reason string

// Refusals that speak of the code. A policy with opaque refusals answers
// NotRedeemable for all of them.
const (
	CodeUnknown       Reason = "code_unknown"
	CodeNotStarted    Reason = "code_not_started"
	CodeExpired       Reason = "code_expired"
	CodeRevoked       Reason = "code_revoked"
	CodeExhausted     Reason = "code_exhausted"
	OwnCode           Reason = "own_code"
	RecipientMismatch Reason = "recipient_mismatch"
	CampaignPaused    Reason = "campaign_paused"
	CampaignFull      Reason = "campaign_full"
	NotRedeemable     Reason = "code_not_redeemable"
)

// Refusals that speak of the caller, the launch or the gateway.
const (
	AlreadyRedeemed        Reason = "already_redeemed"
	AddressAlreadyRedeemed Reason = "address_already_redeemed"
	EmailDisposable        Reason = "email_disposable"
	EmailDenied            Reason = "email_denied"
	AddressDenied          Reason = "address_denied"
	CountryDenied          Reason = "country_denied"
	ChallengeRequired      Reason = "challenge_required"
	InviterLimited         Reason = "inviter_limited"
	HoldsExceeded          Reason = "holds_exceeded"
	ActivitiesExceeded     Reason = "activities_exceeded"
	AttemptsExceeded       Reason = "attempts_exceeded"
	LaunchClosed           Reason = "launch_closed"
	Overloaded             Reason = "overloaded"
	NotAdmitted            Reason = "not_admitted"
	Unavailable            Reason = "unavailable"
	InvalidRequest         Reason = "invalid_request"
)

// Refusals of the waitlist.
const (
	WaitlistClosed    Reason = "waitlist_closed"
	JoinsExceeded     Reason = "joins_exceeded"
	TicketInvalid     Reason = "ticket_invalid"
	EntryUnknown      Reason = "entry_unknown"
	NotWaiting        Reason = "not_waiting"
	NoOffer           Reason = "no_offer"
	AlreadyRegistered Reason = "already_registered"
	BoostOutOfBounds  Reason = "boost_out_of_bounds"
	ReleaseUnknown    Reason = "release_unknown"
	ReleaseExists     Reason = "release_exists"
	SchedulePaused    Reason = "schedule_paused"
	ScheduleOver      Reason = "schedule_over"
	Paced             Reason = "paced"
)

// Refusals of the verbs around redemption and of the private side.
const (
	LaunchUnknown       Reason = "launch_unknown"
	LaunchExists        Reason = "launch_exists"
	CampaignUnknown     Reason = "campaign_unknown"
	CampaignExists      Reason = "campaign_exists"
	CodeExists          Reason = "code_exists"
	RedemptionUnknown   Reason = "redemption_unknown"
	MemberUnknown       Reason = "member_unknown"
	RoundsExhausted     Reason = "rounds_exhausted"
	AllotmentExhausted  Reason = "allotment_exhausted"
	InvitesPerDay       Reason = "invites_per_day_exceeded"
	HoldExpired         Reason = "hold_expired"
	NotHeld             Reason = "not_held"
	NotCommitted        Reason = "not_committed"
	Conflict            Reason = "conflict"
	Unauthorized        Reason = "unauthorized"
	Forbidden           Reason = "forbidden"
	NotFound            Reason = "not_found"
	IdempotencyMismatch Reason = "idempotency_mismatch"
	IdempotencyInFlight Reason = "idempotency_in_flight"
	Internal            Reason = "internal"
)

// sentences says each reason to a person.
var sentences = map[Reason]string{
	CodeUnknown:            "This code does not exist. Check it for typing errors.",
	CodeNotStarted:         "This code cannot be used yet.",
	CodeExpired:            "This code has expired.",
	CodeRevoked:            "This code has been revoked.",
	CodeExhausted:          "This code has already been used up.",
	OwnCode:                "You cannot redeem a code that you issued yourself.",
	RecipientMismatch:      "This code was issued to somebody else.",
	CampaignPaused:         "This campaign is paused. Try again later.",
	CampaignFull:           "This campaign has no places left.",
	NotRedeemable:          "This code cannot be redeemed.",
	AlreadyRedeemed:        "You have already redeemed another code.",
	AddressAlreadyRedeemed: "A code has already been redeemed from this address for another account.",
	EmailDisposable:        "Disposable e-mail addresses are not accepted. Use a lasting address.",
	EmailDenied:            "This e-mail domain is not accepted for this launch.",
	AddressDenied:          "This launch does not take requests from this address.",
	CountryDenied:          "This launch is not open to the country that this address is in.",
	InviterLimited:         "Many invitations of this member were used lately. Try again later.",
	HoldsExceeded:          "Too many codes were set aside from this address. Wait before you try again.",
	ActivitiesExceeded:     "That is enough for one day. Go on tomorrow, or let the app's back end tell it.",
	ChallengeRequired:      "Show that you are a person: solve the challenge and send its token as challenge.",
	AttemptsExceeded:       "Too many failed attempts. Wait before you try again.",
	LaunchClosed:           "This launch is closed.",
	Overloaded:             "The service is at its limit. Try again shortly.",
	NotAdmitted:            "The service is making its state right again. Try again shortly.",
	Unavailable:            "The outcome is not known. Repeat the same request: it is never counted twice.",
	InvalidRequest:         "The request is not valid.",
	WaitlistClosed:         "The waitlist takes nobody at present.",
	JoinsExceeded:          "Too many people have joined just now. Wait before you try again.",
	TicketInvalid:          "This ticket is not valid. Use the one that joining answered, whole.",
	EntryUnknown:           "There is no such entry on the waitlist.",
	NotWaiting:             "This entry does not wait any more.",
	NoOffer:                "This entry has no offer to decline.",
	AlreadyRegistered:      "This entry's offer has been redeemed already.",
	BoostOutOfBounds:       "The entry's points would be more than 1000000 or less than -1000000.",
	ReleaseUnknown:         "There is no release of this id.",
	ReleaseExists:          "A release of this id exists already.",
	SchedulePaused:         "Releases are paused. Resume them first.",
	ScheduleOver:           "The schedule has released as many as its cap allows.",
	Paced:                  "As many as may redeem in this time have done so. Come back when it says.",
	LaunchUnknown:          "There is no launch of this name.",
	LaunchExists:           "A launch of this name exists already.",
	CampaignUnknown:        "There is no campaign of this name or id in the launch.",
	CampaignExists:         "A campaign of this name exists already in the launch.",
	CodeExists:             "A code of this text exists already in the launch.",
	RedemptionUnknown:      "There is no redemption with this id.",
	MemberUnknown:          "Nobody of this name is a member of the launch.",
	AllotmentExhausted:     "You do not have that many invites left to give.",
	InvitesPerDay:          "That is too many invites for one day. Go on tomorrow.",
	RoundsExhausted:        "There are not enough rounds left.",
	HoldExpired:            "This hold has expired; the code is free again. Redeem it anew.",
	NotHeld:                "This redemption is not held any more.",
	NotCommitted:           "Only a committed redemption can be rolled back.",
	Conflict:               "Somebody changed this at the same time. Read it again and retry.",
	Unauthorized:           "This call needs a valid API key or member token. Send it as Authorization: Bearer KEY.",
	Forbidden:              "This credential does not allow the call.",
	NotFound:               "There is nothing at this address.",
	IdempotencyMismatch:    "This Idempotency-Key was used with another request.",
	IdempotencyInFlight:    "The request with this Idempotency-Key is still being worked on.",
	Internal:               "Something went wrong on our side.",
}

// Sentence says the reason to a person; "" for a reason that does not exist.
func (r Reason) Sentence() string { return sentences[r] }

// SpeaksOfCode reports whether the refusal tells something about the code, so
// that a policy with opaque refusals hides it behind NotRedeemable.
func (r Reason) SpeaksOfCode() bool {
	switch r {
	case CodeUnknown, CodeNotStarted, CodeExpired, CodeRevoked, CodeExhausted,
		OwnCode, RecipientMismatch, CampaignPaused, CampaignFull, InviterLimited:
		return true
	}
	return false
}

// Error is a refusal: why, of which field, and when to come back.
type Error struct {
	Reason     Reason
	Field      string        // the field of the request that is at fault; "" if none is
	Detail     string        // a sentence that names the remedy; "" for the reason's own sentence
	RetryAfter time.Duration // 0: waiting does not help
}

func (e *Error) Error() string {
	s := string(e.Reason)
	if e.Field != "" {
		s += ": " + e.Field
	}
	if d := e.Sentence(); d != "" {
		s += ": " + d
	}
	return s
}

// Is makes errors.Is compare by reason alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// Sentence is the detail, or the reason's own sentence.
func (e *Error) Sentence() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Reason.Sentence()
}

// Refuse is the error of a reason alone.
func Refuse(r Reason) *Error { return &Error{Reason: r} }

// Invalid is an invalid_request that names the field and the remedy.
func Invalid(field, detail string) *Error {
	return &Error{Reason: InvalidRequest, Field: field, Detail: detail}
}
