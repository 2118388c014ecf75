package edge

import (
	"errors"
	"log/slog"
	"syscall"
)

// httpLog takes fasthttp's messages. Their arguments hold peers' addresses and
// pieces of headers, so only the message's own words pass, and the error of the
// operating system if there is one.
type httpLog struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (l httpLog) Printf(format string, args ...any) {
	for _, a := range args {
		if err, ok := a.(error); ok {
			if errno, ok := errors.AsType[syscall.Errno](err); ok {
				l.log.Warn("http listener", "event", format, "error", errno.Error())
				return
			}
		}
	}
	l.log.Debug("http listener", "event", format)
}
