package edge

import (
	"errors"
	"strings"

	"admitone/gateway"
	"admitone/gateway/keyring"
)

// maxBearer bounds a credential, in bytes.
const maxBearer = 1024

// bearer is the credential of the Authorization header; "" if there is none. A
// header that is there must be good: a mistyped key is not the public. It is a
// view of the request.
func (q *request) bearer() (string, error) {
	h := q.head.authorization
	if h == nil {
		return "", nil
	}
	const scheme = "bearer "
	if len(h) <= len(scheme) || len(h) > maxBearer || !fold(h[:len(scheme)], scheme) {
		return "", gateway.Refuse(gateway.Unauthorized)
	}
	return strings.TrimLeft(text(h[len(scheme):]), " "), nil
}

// authorizeServer notes the API key of a back end. No credential is the
// public, which may redeem and validate too.
func (q *request) authorizeServer() error {
	token, err := q.bearer()
	if token == "" || err != nil {
		return err
	}
	return q.checkKey(token, gateway.ScopeServer)
}

// authorizeOwner tells who asks about a redemption: a back end, noted as q.key,
// or the subject of a member token.
func (q *request) authorizeOwner(scopes ...gateway.Scope) (subject string, err error) {
	token, err := q.bearer()
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", gateway.Refuse(gateway.Unauthorized)
	case !strings.HasPrefix(token, keyring.TokenPrefix):
		return "", q.checkKey(token, scopes...)
	}
	subject, q.through, err = q.server.config.Keyring.OpenMemberToken(q.launch.Name, token, q.server.now())
	if err != nil {
		return "", gateway.Refuse(gateway.Unauthorized)
	}
	return subject, nil
}

// stillSpeaks refuses a member token whose redemption was released, by its
// holder or by time, or rolled back: whoever held a code in somebody's name and
// let it go, or was put out by an operator, does not speak for the member that
// the name belongs to later.
func (q *request) stillSpeaks(subject string) error {
	if q.through == (gateway.ID{}) {
		return nil // a back end vouched, or asks itself
	}
	r, err := q.server.config.Store.Redemption(q.server.running, q.launch.Name, q.through)
	switch {
	case errors.Is(err, gateway.Refuse(gateway.RedemptionUnknown)):
		return gateway.Refuse(gateway.Unauthorized) // released, and another one took its place
	case err != nil:
		return err
	case r.Status == gateway.Released, r.Status == gateway.RolledBack, r.SubjectKey != q.server.config.Keyring.Subject(q.launch.Name, subject):
		return gateway.Refuse(gateway.Unauthorized)
	}
	return nil
}

// checkKey notes an API key that has one of the scopes in this launch.
func (q *request) checkKey(token string, scopes ...gateway.Scope) error {
	keys := q.server.config.Keys
	if keys == nil || strings.HasPrefix(token, keyring.TokenPrefix) {
		return gateway.Refuse(gateway.Unauthorized)
	}
	key, err := keys.Check(q.server.running, token)
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if key.Allows(scope, q.launch.Name, q.server.now()) {
			q.key = key
			return nil
		}
	}
	return gateway.Refuse(gateway.Forbidden)
}
