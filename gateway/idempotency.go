package gateway

// Answered is an answer of the admin API, kept under an Idempotency-Key.
type Answered struct {
	Status      int
	ContentType string
	Body        []byte
}
