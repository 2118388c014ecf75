package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in whole milliseconds, 0 or more. Its text
// counts days, hours, minutes and seconds: "30d", "1d12h", "15m". Zero is "".
type Duration time.Duration

// durationUnits stand in the order in which a text may use them, each once.
var durationUnits = []struct {
	unit string
	size time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// exact reports whether the text form says all of a duration.
func (d Duration) exact() bool { return d >= 0 && d%Duration(time.Millisecond) == 0 }

// String is the text form, and Go's for a duration that has none.
func (d Duration) String() string {
	b, err := d.MarshalText()
	if err != nil {
		return time.Duration(d).String()
	}
	return string(b)
}

// MarshalText writes the one text of a duration: the largest units first, none
// of them zero.
func (d Duration) MarshalText() ([]byte, error) {
	if !d.exact() {
		return nil, fmt.Errorf("%v is not a duration of whole milliseconds", time.Duration(d))
	}
	b, rest := []byte{}, time.Duration(d)
	for _, u := range durationUnits {
		if n := rest / u.size; n > 0 {
			b = strconv.AppendInt(b, int64(n), 10)
			b = append(b, u.unit...)
			rest %= u.size
		}
	}
	return b, nil
}

func (*Duration) expected() string { return `a duration such as "30d", "72h" or "15m"` }

// UnmarshalText reads the text form.
func (d *Duration) UnmarshalText(text []byte) error {
	wrong := errors.New("use " + d.expected())
	total, rest, units := time.Duration(0), string(text), durationUnits
	for rest != "" {
		digits, after := run(rest, true)
		unit, next := run(after, false)
		n, err := strconv.ParseInt(digits, 10, 64)
		for len(units) > 0 && units[0].unit != unit {
			units = units[1:]
		}
		if err != nil || len(units) == 0 {
			return wrong
		}
		size := units[0].size
		if n > int64(math.MaxInt64/size) || total > math.MaxInt64-time.Duration(n)*size {
			return wrong
		}
		total, rest, units = total+time.Duration(n)*size, next, units[1:]
	}
	*d = Duration(total)
	return nil
}

// run cuts off what a text begins with: its digits, or what comes before them.
func run(s string, digits bool) (head, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9') == digits {
		i++
	}
	return s[:i], s[i:]
}

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

func (*Rate) expected() string { return `a rate such as "3/1h" or "off"` }

// UnmarshalText reads the text form; "" and "off" are no limit.
func (r *Rate) UnmarshalText(text []byte) error {
	if s := string(text); s == "" || s == "off" {
		*r = Rate{}
		return nil
	}
	count, window, ok := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(count, 10, 31)
	var d Duration
	if !ok || err != nil || n < 1 || d.UnmarshalText([]byte(window)) != nil || d == 0 {
		return errors.New("use " + r.expected())
	}
	*r = Rate{int(n), d}
	return nil
}

// Rounds is how many rounds an unlock grants: a whole number or "unlimited".
type Rounds int64

// Unlimited rounds never run out.
const Unlimited Rounds = -1

// MarshalJSON writes a number or "unlimited".
func (r Rounds) MarshalJSON() ([]byte, error) {
	if r == Unlimited {
		return []byte(`"unlimited"`), nil
	}
	return strconv.AppendInt(nil, int64(r), 10), nil
}

// UnmarshalJSON reads what MarshalJSON writes, and a number in quotes.
func (r *Rounds) UnmarshalJSON(b []byte) error {
	return r.UnmarshalText([]byte(strings.Trim(string(b), `"`)))
}

func (*Rounds) expected() string { return `a whole number or "unlimited"` }

// UnmarshalText reads digits or "unlimited".
func (r *Rounds) UnmarshalText(text []byte) error {
	if string(text) == "unlimited" {
		*r = Unlimited
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil {
		return errors.New("use " + r.expected())
	}
	*r = Rounds(n)
	return nil
}

// Domains is a list of domain names. A nil one is written as an empty list, so
// that what a policy marshals to always reads back.
type Domains []string

// MarshalJSON writes a list.
func (d Domains) MarshalJSON() ([]byte, error) {
	if d == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(d))
}

// Milestone is a number of referrals and the invites that crossing it gives.
type Milestone struct{ Referrals, Invites int }

// Milestones are in the order of their referrals. They are written as an
// object: {"3": 3, "10": 5}.
type Milestones []Milestone

// maxMilestones bounds a policy's milestones.
const maxMilestones = 50

// MarshalJSON writes an object.
func (m Milestones) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, one := range m {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"%d":%d`, one.Referrals, one.Invites)
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Milestones) UnmarshalJSON(b []byte) error {
	var all map[string]int
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*m = Milestones{}
	for text, invites := range all {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return errors.New("use whole numbers of referrals")
		}
		*m = append(*m, Milestone{int(n), invites})
	}
	m.sort()
	return nil
}

func (m Milestones) sort() {
	slices.SortFunc(m, func(a, b Milestone) int { return a.Referrals - b.Referrals })
}
