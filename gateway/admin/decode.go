package admin

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"admitone/gateway"
	"admitone/gateway/strictjson"
)

// body reads the request's body, of at most so many bytes.
func (c *call) body(most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &gateway.Error{Reason: gateway.BodyTooLarge, Detail: fmt.Sprintf("Send at most %d bytes.", most)}
	}
	if err != nil {
		return nil, gateway.Invalid("body", "It ended too early.")
	}
	return b, nil
}

// mediaType returns the content type of the body, if it is one of those that
// the call takes.
func (c *call) mediaType(takes ...string) (string, error) {
	given, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	for _, t := range takes {
		if err == nil && given == t {
			return t, nil
		}
	}
	return "", &gateway.Error{Reason: gateway.UnsupportedMediaType, Field: "Content-Type", Detail: "Send " + strings.Join(takes, " or ") + "."}
}

// decode reads a JSON body into a struct, strictly. No body is an empty object.
func (c *call) decode(into any) error {
	if _, err := c.mediaType("application/json"); err != nil {
		return err
	}
	b, err := c.body(maxBody)
	if err != nil {
		return err
	}
	return strictjson.Decode(b, into)
}
