package gateway

import "time"

// Scheduled reports whether the policy releases by itself.
func (r *ReleasePolicy) Scheduled() bool { return r.Count > 0 }

// Due is the latest slot of the schedule that lies behind since and not after
// now; ok is false if there is none. Slots that were missed before it are not
// made up for.
func (r *ReleasePolicy) Due(since, now time.Time) (slot time.Time, ok bool) {
	from := since
	// Nothing before this can be the latest: there is a slot in every period,
	// but for the hours of a day that have none.
	if earliest := now.Add(-2*time.Duration(r.Every) - 2*24*time.Hour); earliest.After(from) && r.Every < day {
		from = earliest
	}
	for next := r.Next(since, from); !next.IsZero() && !next.After(now); next = r.Next(since, next) {
		slot, ok = next, true
	}
	return slot, ok
}

// Next is the first slot behind after. A schedule of days counts them from the
// day it was started or served last, since, by the calendar of its zone: at nine is nine
// o'clock before and after the clocks change.
func (r *ReleasePolicy) Next(since, after time.Time) time.Time {
	zone, err := time.LoadLocation(r.Zone)
	if err != nil || !r.Scheduled() || r.Every <= 0 {
		return time.Time{}
	}
	local := after.In(zone)
	at := func(days int, minute ClockTime) time.Time {
		return time.Date(local.Year(), local.Month(), local.Day()+days, int(minute)/60, int(minute)%60, 0, 0, zone)
	}
	if r.Every >= day {
		step := int(r.Every / day)
		first := since.In(zone)
		origin := time.Date(first.Year(), first.Month(), first.Day(), 0, 0, 0, 0, time.UTC)
		if time.Date(first.Year(), first.Month(), first.Day(), int(r.At)/60, int(r.At)%60, 0, 0, zone).Before(since) {
			origin = origin.AddDate(0, 0, 1) // today's time has passed already
		}
		for days := 0; days <= step+1; days++ {
			slot := at(days, r.At)
			date := time.Date(local.Year(), local.Month(), local.Day()+days, 0, 0, 0, 0, time.UTC)
			gone := int(date.Sub(origin) / (24 * time.Hour))
			if slot.After(after) && gone >= 0 && gone%step == 0 {
				return slot.UTC()
			}
		}
		// The first day lies further ahead than one period.
		return time.Date(origin.Year(), origin.Month(), origin.Day(), int(r.At)/60, int(r.At)%60, 0, 0, zone).UTC()
	}
	from, to := r.Hours.From, r.Hours.To
	if r.Hours == (ClockHours{}) {
		to = 24 * 60
	}
	for days := -1; days <= 2; days++ {
		begin, end := at(days, from), at(days, to)
		slot := begin
		if after.After(begin) {
			slot = begin.Add(after.Sub(begin).Truncate(time.Duration(r.Every)))
		}
		for !slot.After(after) {
			slot = slot.Add(time.Duration(r.Every))
		}
		if slot.Before(end) {
			return slot.UTC()
		}
	}
	return time.Time{}
}
