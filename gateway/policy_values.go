package gateway

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time whose text is made of whole days, hours,
// minutes and seconds: "30d", "1d12h", "15m". Zero is "".
type Duration time.Duration

var durationUnits = []struct {
	unit string
	size time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// String is the shortest exact text.
func (d Duration) String() string {
	b, _ := d.MarshalText()
	return string(b)
}

// MarshalText writes the text form.
func (d Duration) MarshalText() ([]byte, error) {
	rest := time.Duration(d)
	if rest == 0 {
		return nil, nil
	}
	var b []byte
	for _, u := range durationUnits {
		if n := rest / u.size; n > 0 {
			b = strconv.AppendInt(b, int64(n), 10)
			b = append(b, u.unit...)
			rest %= u.size
		}
	}
	return b, nil
}

// UnmarshalText reads the text form.
func (d *Duration) UnmarshalText(text []byte) error {
	total, rest := time.Duration(0), string(text)
	for rest != "" {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return errDuration
		}
		rest = rest[digits:]
		letters := 0
		for letters < len(rest) && (rest[letters] < '0' || rest[letters] > '9') {
			letters++
		}
		size := time.Duration(0)
		for _, u := range durationUnits {
			if u.unit == rest[:letters] {
				size = u.size
			}
		}
		if size == 0 || n > int64(math.MaxInt64/size) || total > math.MaxInt64-time.Duration(n)*size {
			return errDuration
		}
		total, rest = total+time.Duration(n)*size, rest[letters:]
	}
	*d = Duration(total)
	return nil
}

var errDuration = errors.New(`use a duration such as "30d", "72h" or "15m"`)

// Rate is so many in a window of time: "3/1h". The zero Rate is "off".
type Rate struct {
	Count  int
	Window Duration
}

// MarshalText writes the text form.
func (r Rate) MarshalText() ([]byte, error) {
	if r.Count == 0 {
		return []byte("off"), nil
	}
	return fmt.Appendf(nil, "%d/%v", r.Count, r.Window), nil
}

// UnmarshalText reads the text form; "" and "off" are no limit.
func (r *Rate) UnmarshalText(text []byte) error {
	if s := string(text); s == "" || s == "off" {
		*r = Rate{}
		return nil
	}
	count, window, ok := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(count)
	var d Duration
	if !ok || err != nil || n < 1 || d.UnmarshalText([]byte(window)) != nil || d == 0 {
		return errors.New(`use a rate such as "3/1h", or "off"`)
	}
	*r = Rate{n, d}
	return nil
}

// Rounds is how many rounds an unlock grants: a whole number or "unlimited".
type Rounds int64

// Unlimited rounds never run out.
const Unlimited Rounds = -1

// MarshalText writes the text form.
func (r Rounds) MarshalText() ([]byte, error) {
	if r == Unlimited {
		return []byte("unlimited"), nil
	}
	return strconv.AppendInt(nil, int64(r), 10), nil
}

// UnmarshalText reads the text form.
func (r *Rounds) UnmarshalText(text []byte) error {
	if string(text) == "unlimited" {
		*r = Unlimited
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil {
		return errors.New(`use a whole number, or "unlimited"`)
	}
	*r = Rounds(n)
	return nil
}
