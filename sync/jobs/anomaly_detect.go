package jobs

import (
	"maps"
	"math"
	"slices"
	"time"

	"admitone/gateway"
)

// What has to have happened before anything is called unusual: a few
// redemptions more or less mean nothing.
const (
	spikeHistory  = 12               // buckets, an hour, since the campaign's first redemption
	spikeLeast    = 20               // redemptions in a bucket
	failureWindow = 15 * time.Minute // of attempts
	failureLeast  = 30               // failed ones
	shiftWindow   = time.Hour        // of redemptions that are held against those before
	shiftRecent   = 50               // redemptions within it
	shiftUsual    = 100              // redemptions before it

	spikeBack = 24 * time.Hour // of history
	shiftBack = 7 * 24 * time.Hour
)

// detect finds what is unusual in activity up to now.
func detect(p *gateway.AnomaliesPolicy, list []gateway.Activity, now time.Time) []gateway.Anomaly {
	var found []gateway.Anomaly
	if p.Spike > 0 {
		found = append(found, spikes(list, now, float64(p.Spike))...)
	}
	if p.Failures > 0 {
		found = append(found, failures(list, now, float64(p.Failures))...)
	}
	if p.Shift > 0 {
		found = append(found, shift(list, "country", gateway.AnomalyGeography, now, float64(p.Shift))...)
		found = append(found, shift(list, "source", gateway.AnomalySource, now, float64(p.Shift))...)
	}
	return found
}

// spikes holds each campaign's last bucket, and the one that is not over yet,
// against the median of its own last day. What counts as far away is the
// median absolute deviation, as large as that of a normal distribution, and no
// less than chance alone would make it.
func spikes(list []gateway.Activity, now time.Time, times float64) (found []gateway.Anomaly) {
	current := now.Truncate(gateway.ActivityBucket)
	last := current.Add(-gateway.ActivityBucket)
	counts := map[string]map[time.Time]int{}
	for _, a := range list {
		if a.Dimension == "campaign" && a.At.After(now.Add(-spikeBack)) {
			if counts[a.Subject] == nil {
				counts[a.Subject] = map[time.Time]int{}
			}
			counts[a.Subject][a.At.UTC()] = a.N
		}
	}
	for _, campaign := range slices.Sorted(maps.Keys(counts)) {
		count := counts[campaign]
		first := slices.MinFunc(slices.Collect(maps.Keys(count)), time.Time.Compare)
		var history []float64
		for at := first; at.Before(last); at = at.Add(gateway.ActivityBucket) {
			history = append(history, float64(count[at]))
		}
		value := float64(max(count[last.UTC()], count[current.UTC()]))
		if len(history) < spikeHistory || value < spikeLeast {
			continue
		}
		usual := median(history)
		away := make([]float64, len(history))
		for i, n := range history {
			away[i] = math.Abs(n - usual)
		}
		bound := usual + times*max(1.4826*median(away), math.Sqrt(max(usual, 1)))
		if value > bound {
			found = append(found, gateway.Anomaly{Kind: gateway.AnomalySpike, Subject: campaign, Value: value, Usual: usual, Bound: bound})
		}
	}
	return found
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// failures is the share of the last attempts that were failed guesses.
func failures(list []gateway.Activity, now time.Time, percent float64) []gateway.Anomaly {
	var recent, before [2]float64 // redeemed, failed
	for _, a := range list {
		kind := slices.Index([]string{"campaign", "refused"}, a.Dimension)
		switch {
		case kind < 0 || a.At.Before(now.Add(-spikeBack)):
		case a.At.After(now.Add(-failureWindow)):
			recent[kind] += float64(a.N)
		default:
			before[kind] += float64(a.N)
		}
	}
	share := func(n [2]float64) float64 { return 100 * n[1] / max(n[0]+n[1], 1) }
	if recent[1] < failureLeast || share(recent) < percent {
		return nil
	}
	return []gateway.Anomaly{{Kind: gateway.AnomalyFailures, Value: share(recent), Usual: share(before), Bound: percent}}
}

// shift is how many percent of the last hour's redemptions would have to come
// from elsewhere to be spread as those of the week before. What grew most is
// named.
func shift(list []gateway.Activity, dimension string, kind gateway.AnomalyKind, now time.Time, percent float64) []gateway.Anomaly {
	recent, usual := map[string]float64{}, map[string]float64{}
	var recently, usually float64
	for _, a := range list {
		switch {
		case a.Dimension != dimension || a.At.Before(now.Add(-shiftBack)):
		case a.At.After(now.Add(-shiftWindow)):
			recent[a.Subject] += float64(a.N)
			recently += float64(a.N)
		default:
			usual[a.Subject] += float64(a.N)
			usually += float64(a.N)
		}
	}
	if recently < shiftRecent || usually < shiftUsual {
		return nil
	}
	total, most, subject := 0.0, 0.0, ""
	for _, s := range slices.Sorted(maps.Keys(recent)) {
		more := 100 * (recent[s]/recently - usual[s]/usually)
		if more <= 0 {
			continue
		}
		total += more
		if more > most {
			most, subject = more, s
		}
	}
	if total < percent {
		return nil
	}
	return []gateway.Anomaly{{Kind: kind, Subject: subject, Value: total, Usual: 100 * usual[subject] / usually, Bound: percent}}
}
