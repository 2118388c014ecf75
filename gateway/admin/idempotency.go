package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"time"

	"admitone/gateway"
)

// once answers a request that carries an Idempotency-Key a second time with
// what it was answered the first time.
func (s *server) once(route string, handle func(*call) error) func(*call) error {
	return func(c *call) error {
		key := c.r.Header.Get("Idempotency-Key")
		if key == "" {
			return handle(c)
		}
		if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return gateway.Invalid("Idempotency-Key", "Use 1 to 255 printable ASCII characters.")
		}
		body, err := c.body(2 * maxBody)
		if err != nil {
			return err
		}
		c.r.Body = io.NopCloser(bytes.NewReader(body))
		scope := c.key.ID.String() + " " + route
		request := sha256.Sum256(append([]byte(c.r.URL.String()+"\n"+c.r.Header.Get("Content-Type")+"\n"), body...))
		c.once = scope + " " + key + " " + string(request[:])
		before, err := s.Ledger.BeginOnce(c.r.Context(), scope, key, request)
		if err != nil {
			return err
		}
		if before != nil {
			c.w.Header().Set("Idempotency-Replayed", "true")
			c.raw(before.Status, before.ContentType, before.Body)
			return nil
		}
		finished := false
		defer func() {
			if !finished { // a panic: the key is free for another try
				_ = s.Ledger.FinishOnce(context.WithoutCancel(c.r.Context()), scope, key, gateway.Answered{Status: http.StatusInternalServerError})
			}
		}()
		record := &recorder{ResponseWriter: c.w}
		c.w = record
		if err := handle(c); err != nil {
			s.refuse(c, err)
		}
		finished = true
		return s.Ledger.FinishOnce(c.r.Context(), scope, key, gateway.Answered{
			Status: c.code, ContentType: record.Header().Get("Content-Type"), Body: record.body.Bytes(),
		})
	}
}

// workID is the id of what the call makes: the same one when a call under the
// same Idempotency-Key is worked on again, because nobody knows whether it was
// done the first time.
func (c *call) workID() gateway.ID {
	if c.once == "" {
		return gateway.NewID(time.Now())
	}
	return gateway.DerivedID(c.once)
}

// recorder keeps what is written.
type recorder struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}
