package gateway

import "net/http"

// Refusals that only HTTP knows. Each comes with a detail.
const (
	MethodNotAllowed     Reason = "method_not_allowed"
	UnsupportedMediaType Reason = "unsupported_media_type"
	BodyTooLarge         Reason = "body_too_large"
)

// statuses is the one table from a reason to an HTTP status.
var statuses = map[Reason]int{
	CodeUnknown:       http.StatusNotFound,
	CodeNotStarted:    http.StatusConflict,
	CodeExpired:       http.StatusGone,
	CodeRevoked:       http.StatusGone,
	CodeExhausted:     http.StatusConflict,
	OwnCode:           http.StatusConflict,
	RecipientMismatch: http.StatusForbidden,
	CampaignPaused:    http.StatusConflict,
	CampaignFull:      http.StatusConflict,
	NotRedeemable:     http.StatusNotFound,

	AlreadyRedeemed:        http.StatusConflict,
	AddressAlreadyRedeemed: http.StatusConflict,
	EmailDisposable:        http.StatusUnprocessableEntity,
	EmailDenied:            http.StatusUnprocessableEntity,
	AddressDenied:          http.StatusForbidden,
	CountryDenied:          http.StatusForbidden,
	ChallengeRequired:      http.StatusForbidden,
	InviterLimited:         http.StatusTooManyRequests,
	HoldsExceeded:          http.StatusTooManyRequests,
	ActivitiesExceeded:     http.StatusTooManyRequests,
	AttemptsExceeded:       http.StatusTooManyRequests,
	LaunchClosed:           http.StatusConflict,
	Overloaded:             http.StatusServiceUnavailable,
	NotAdmitted:            http.StatusServiceUnavailable,
	Unavailable:            http.StatusServiceUnavailable,
	InvalidRequest:         http.StatusBadRequest,

	WaitlistClosed:    http.StatusConflict,
	JoinsExceeded:     http.StatusTooManyRequests,
	TicketInvalid:     http.StatusNotFound,
	EntryUnknown:      http.StatusNotFound,
	NotWaiting:        http.StatusConflict,
	NoOffer:           http.StatusConflict,
	AlreadyRegistered: http.StatusConflict,
	BoostOutOfBounds:  http.StatusUnprocessableEntity,
	ReleaseUnknown:    http.StatusNotFound,
	ReleaseExists:     http.StatusConflict,
	SchedulePaused:    http.StatusConflict,
	ScheduleOver:      http.StatusConflict,
	Paced:             http.StatusTooManyRequests,

	LaunchUnknown:       http.StatusNotFound,
	LaunchExists:        http.StatusConflict,
	CampaignUnknown:     http.StatusNotFound,
	CampaignExists:      http.StatusConflict,
	CodeExists:          http.StatusConflict,
	RedemptionUnknown:   http.StatusNotFound,
	MemberUnknown:       http.StatusNotFound,
	AllotmentExhausted:  http.StatusConflict,
	InvitesPerDay:       http.StatusTooManyRequests,
	RoundsExhausted:     http.StatusPaymentRequired,
	HoldExpired:         http.StatusGone,
	NotHeld:             http.StatusConflict,
	NotCommitted:        http.StatusConflict,
	Conflict:            http.StatusConflict,
	Unauthorized:        http.StatusUnauthorized,
	Forbidden:           http.StatusForbidden,
	NotFound:            http.StatusNotFound,
	IdempotencyMismatch: http.StatusUnprocessableEntity,
	IdempotencyInFlight: http.StatusConflict,
	Internal:            http.StatusInternalServerError,

	MethodNotAllowed:     http.StatusMethodNotAllowed,
	UnsupportedMediaType: http.StatusUnsupportedMediaType,
	BodyTooLarge:         http.StatusRequestEntityTooLarge,
}

// Status is the HTTP status of an answer with this reason.
func (r Reason) Status() int {
	if s := statuses[r]; s != 0 {
		return s
	}
	return http.StatusInternalServerError
}
