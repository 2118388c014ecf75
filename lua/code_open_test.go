package lua

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"admitone/bench/rig"
)

// TestOpenRecords: visits come as fast as they like, all are counted, and the
// journal grows by a record an interval.
func TestOpenRecords(t *testing.T) {
	s := openStore(t, rig.TestRedis(t).Addr())
	launchForTest(t, s, "l", 1)
	const visits = 200
	began, count := time.Now(), regexp.MustCompile(`(?m)^opened\tH0T\t1\t(\d+)$`)
	for range visits {
		if err := s.Open(t.Context(), "l", "H0T"); err != nil {
			t.Fatal(err)
		}
		s.redis.Ping(t.Context()) // a visit a round trip
	}
	for {
		journal, err := s.redis.XRange(t.Context(), newKeys("l").journal, "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		records, counted := 0, 0
		for _, record := range journal {
			for _, found := range count.FindAllStringSubmatch(record.Values["r"].(string), -1) {
				n, _ := strconv.Atoi(found[1])
				records, counted = records+1, counted+n
			}
		}
		if most := int(time.Since(began)/openEvery) + 1; records > most {
			t.Fatalf("%d records within %d intervals", records, most)
		}
		if counted == visits {
			return
		}
	}
}
