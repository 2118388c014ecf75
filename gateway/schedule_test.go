package gateway

import (
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	parse := func(s string) time.Time {
		at, err := time.Parse("2006-01-02 15:04 MST", s)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, test := range []struct {
		name         string
		release      ReleasePolicy
		since, after string
		want         []string
	}{
		{
			"daily at nine in Berlin, over the change of the clocks",
			ReleasePolicy{Count: 1, Every: day, At: 9 * 60, Zone: "Europe/Berlin"},
			"2027-03-26 12:00 UTC", "2027-03-26 12:00 UTC",
			[]string{"2027-03-27 08:00 UTC", "2027-03-28 07:00 UTC", "2027-03-29 07:00 UTC"},
		},
		{
			"today, when its time is still to come",
			ReleasePolicy{Count: 1, Every: day, At: 9 * 60, Zone: "UTC"},
			"2027-01-01 08:59 UTC", "2027-01-01 08:59 UTC",
			[]string{"2027-01-01 09:00 UTC", "2027-01-02 09:00 UTC"},
		},
		{
			"every third day counts from the first",
			ReleasePolicy{Count: 1, Every: 3 * day, At: 0, Zone: "UTC"},
			"2027-01-01 00:00 UTC", "2027-01-01 00:00 UTC",
			[]string{"2027-01-04 00:00 UTC", "2027-01-07 00:00 UTC", "2027-01-10 00:00 UTC"},
		},
		{
			"every third day, asked later",
			ReleasePolicy{Count: 1, Every: 3 * day, At: 60, Zone: "UTC"},
			"2027-01-01 00:00 UTC", "2027-01-08 00:00 UTC",
			[]string{"2027-01-10 01:00 UTC"},
		},
		{
			"hourly within hours",
			ReleasePolicy{Count: 1, Every: Duration(90 * time.Minute), Hours: ClockHours{9 * 60, 12 * 60}, Zone: "UTC"},
			"2027-01-01 00:00 UTC", "2027-01-01 09:30 UTC",
			[]string{"2027-01-01 10:30 UTC", "2027-01-02 09:00 UTC", "2027-01-02 10:30 UTC"},
		},
		{
			"every quarter of an hour around midnight",
			ReleasePolicy{Count: 1, Every: Duration(15 * time.Minute), Zone: "UTC"},
			"2027-01-01 00:00 UTC", "2027-01-01 23:40 UTC",
			[]string{"2027-01-01 23:45 UTC", "2027-01-02 00:00 UTC"},
		},
	} {
		at := parse(test.after)
		for _, want := range test.want {
			if at = test.release.Next(parse(test.since), at); !at.Equal(parse(want)) {
				t.Errorf("%s: %v, want %s", test.name, at, want)
				break
			}
		}
	}
}

func TestScheduleDue(t *testing.T) {
	since := time.Date(2027, 1, 1, 8, 0, 0, 0, time.UTC)
	r := ReleasePolicy{Count: 1, Every: day, At: 9 * 60, Zone: "UTC"}
	if _, ok := r.Due(since, since.Add(59*time.Minute)); ok {
		t.Error("due before its time")
	}
	if slot, ok := r.Due(since, since.Add(time.Hour)); !ok || !slot.Equal(since.Add(time.Hour)) {
		t.Errorf("%v, %v at its time", slot, ok)
	}
	if slot, ok := r.Due(since, since.Add(100*time.Hour)); !ok || !slot.Equal(since.Add(97*time.Hour)) {
		t.Errorf("%v, %v after days of absence; want the latest", slot, ok)
	}
	r = ReleasePolicy{Count: 1, Every: Duration(time.Minute), Zone: "UTC"}
	if slot, ok := r.Due(since, since.AddDate(10, 0, 0).Add(30*time.Second)); !ok || !slot.Equal(since.AddDate(10, 0, 0)) {
		t.Errorf("%v, %v after ten years", slot, ok)
	}
	r.Count = 0
	if _, ok := r.Due(since, since.AddDate(1, 0, 0)); ok {
		t.Error("a launch without a schedule has a slot")
	}
}

func TestSchedulePolicy(t *testing.T) {
	for _, bad := range []string{
		`"every":"0s"`, `"every":"30s"`, `"every":"36h"`, `"zone":"Mars/Base"`, `"zone":"Local"`, `"count":-1`, `"count":1000000001`,
		`"every":"1h","hours":"09:00-09:30"`, `"hours":"17:00-09:00"`, `"hours":"09:00-17:00"`, `"order":"random"`, `"at":"9"`,
		`"one_by_one":true`, `"guard":{"url":"ftp://x"}`,
	} {
		if _, err := ParsePolicy([]byte(`{"launch":"l","waitlist":{"release":{` + bad + `}}}`)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	p, err := ParsePolicy([]byte(`{"launch":"l","waitlist":{"boosts":{"sources":{"producthunt":20}},"release":{"count":100,"every":"1d","at":"09:00","zone":"Europe/Berlin"}}}`))
	if err != nil || p.Waitlist.Boosts.Sources["producthunt"] != 20 || p.Waitlist.Release.At != 540 {
		t.Errorf("%+v, %v", p.Waitlist, err)
	}
}
