package jobs

import (
	"fmt"
	"testing"

	"admitone/gateway"
)

// BenchmarkFollow is what an endpoint costs the copying of the journal: records
// of 500 redemptions, with nobody told and with one endpoint told of each.
func BenchmarkFollow(b *testing.B) {
	for _, told := range []bool{false, true} {
		b.Run(fmt.Sprintf("told=%v", told), func(b *testing.B) {
			h := beginHooks(b, loopback)
			if told {
				h.endpoint("http://127.0.0.1:1/", nil)
			}
			n := 0
			for b.Loop() {
				const size = 500
				minted := gateway.CodesMinted{Campaign: 1}
				events := []gateway.Event{nil}
				for range size {
					n++
					code := gateway.Code(fmt.Sprintf("C%09d", n))
					minted.Codes = append(minted.Codes, gateway.MintedCode{Code: code, Display: string(code)})
					events = append(events, h.redeemed(code, fmt.Sprint("subject-", n)))
				}
				events[0] = minted
				h.apply(events...)
			}
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "redemptions/s")
		})
	}
}
