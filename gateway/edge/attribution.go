package edge

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

// The attribution cookie holds the code of the link that was visited last and
// when, in seconds of Unix time: CODE.SECONDS.MAC. The launch is part of what
// is signed, so one launch's cookie says nothing in another.

func attributionPurpose(launch string) string { return "attribution:" + launch }

func attributionValue(code gateway.Code, at time.Time) string {
	return string(code) + "." + strconv.FormatInt(at.Unix(), 10)
}

func attributionCookie(name, signed string, window time.Duration, secure bool) string {
	cookie := name + "=" + signed + "; Path=/; Max-Age=" + strconv.FormatInt(int64(window/time.Second), 10) + "; HttpOnly; SameSite=Lax"
	if secure {
		cookie += "; Secure"
	}
	return cookie
}

// attributed is the code in the request's attribution cookie; "" if there is
// none that this launch signed within its window. Another site of the same
// domain can plant a cookie of the same name before ours, so each is tried.
func (q *request) attributed() gateway.Code {
	p := &q.launch.Policy.Attribution
	for rest := q.head.cookie; len(rest) > 0; {
		var pair []byte
		pair, rest, _ = bytes.Cut(rest, []byte(";"))
		name, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
		if string(name) != p.Cookie || len(value) > 256 {
			continue
		}
		signed, ok := q.server.config.Keyring.Verify(attributionPurpose(q.launch.Name), string(value))
		if !ok {
			continue
		}
		code, seconds, _ := strings.Cut(signed, ".")
		at, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil || q.server.now().Add(q.launch.Ahead).Sub(time.Unix(at, 0)) > time.Duration(p.Window) {
			continue
		}
		if c, err := gateway.ReadCode(code); err == nil {
			return c
		}
	}
	return ""
}
