package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"time"

	"github.com/alecthomas/kong"

	"admitone/gateway"
)

// values reads the values of flags that a person writes by hand, and says in
// the words of the documents what one looks like.
func values() []kong.Option {
	return []kong.Option{
		kong.TypeMapper(reflect.TypeFor[time.Duration](), mapper(parseDuration)),
		kong.TypeMapper(reflect.TypeFor[time.Time](), mapper(parseTime)),
		kong.TypeMapper(reflect.TypeFor[*time.Time](), mapper(func(text string) (*time.Time, error) {
			at, err := parseTime(text)
			return &at, err
		})),
		kong.TypeMapper(reflect.TypeFor[slog.Level](), mapper(parseLevel)),
	}
}

// mapper sets a flag to what its text means.
func mapper[T any](parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("text", &text); err != nil {
			return err
		}
		v, err := parse(text)
		if err != nil {
			return err
		}
		target.Set(reflect.ValueOf(v))
		return nil
	}
}

// parseDuration reads what Go writes, and days as policies do.
func parseDuration(text string) (time.Duration, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	var d gateway.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil || text == "" {
		return 0, fmt.Errorf("%q is no duration; use one such as 30d, 72h or 15m", text)
	}
	return time.Duration(d), nil
}

// parseTime reads a moment, or a day for its beginning in UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; use one such as 2026-11-21T09:00:00Z, or a day such as 2026-11-21, which begins at midnight UTC", text)
}

func parseLevel(text string) (level slog.Level, err error) {
	if level.UnmarshalText([]byte(text)) != nil {
		return 0, fmt.Errorf("%q is no level; use debug, info, warn or error", text)
	}
	return level, nil
}

// checkAdminURL refuses an address that no call could be sent to.
func checkAdminURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("--admin-url: use http://host:port, the private listener of a gateway")
	}
	return nil
}
