package lua

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
)

// BenchmarkRedeem compares group commit with one script call a request, on the
// same real Redis with an append-only file, 256 callers at once.
//
//	go test ./lua -run '^$' -bench Redeem -benchtime 3s
func BenchmarkRedeem(b *testing.B) {
	for _, way := range []struct {
		name    string
		options Options
	}{{"group", Options{}}, {"one-call-each", Options{Batch: 1, Flights: 256}}} {
		for _, code := range []string{"hot", "distinct"} {
			b.Run(code+"/"+way.name, func(b *testing.B) {
				o := way.options
				o.Redis = NewClient(&redis.UniversalOptions{Addrs: []string{rig.TestRedis(b).Addr()}, PoolSize: 256})
				defer o.Redis.Close()
				o.Keyring, o.JournalBytes = testRing(b), 1<<40
				s := New(o)
				launchForTest(b, s, "l", gateway.MaxUses)
				codes := []gateway.Code{"H0T"}
				if code == "distinct" {
					codes = distinct(b, s, b.N)
				}
				var next atomic.Int64
				b.SetParallelism(128)
				before := spent(b, s)
				b.ResetTimer()
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						n := int(next.Add(1)) - 1
						r := gateway.Redeem{Code: codes[n%len(codes)], Subject: "subject-" + strconv.Itoa(n), Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)}
						if _, err := s.Redeem(context.Background(), "l", &r); err != nil {
							b.Error(err)
						}
					}
				})
				b.StopTimer()
				after := spent(b, s)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "redemptions/s")
				b.ReportMetric((after.redis-before.redis)/float64(b.N), "redis-µs/op")
				b.ReportMetric((after.script-before.script)/float64(b.N), "script-µs/op")
				b.ReportMetric((after.gateway-before.gateway)/float64(b.N), "store-µs/op")
			})
		}
	}
}

// spending is CPU time in microseconds: of Redis, of its scripts alone, and of
// this process, callers included.
type spending struct{ redis, script, gateway float64 }

func spent(b *testing.B, s *Store) (all spending) {
	b.Helper()
	for _, section := range []string{"cpu", "commandstats"} {
		info, err := s.redis.Info(b.Context(), section).Result()
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(info) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			switch name {
			case "used_cpu_user", "used_cpu_sys":
				seconds, _ := strconv.ParseFloat(value, 64)
				all.redis += seconds * 1e6
			case "cmdstat_evalsha":
				_, rest, _ := strings.Cut(value, "usec=")
				usec, _, _ := strings.Cut(rest, ",")
				all.script, _ = strconv.ParseFloat(usec, 64)
			}
		}
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	all.gateway = float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e3
	return all
}

// distinct mints n codes of one use each.
func distinct(b *testing.B, s *Store, n int) []gateway.Code {
	b.Helper()
	codes := make([]gateway.Code, 0, n)
	for len(codes) < n {
		chunk := make([]gateway.NewCode, 0, MaxMint)
		for range min(MaxMint, n-len(codes)) {
			c := gateway.Code(fmt.Sprintf("D%09d", len(codes)))
			codes, chunk = append(codes, c), append(chunk, gateway.NewCode{Code: c, MaxUses: 1})
		}
		if _, err := s.Mint(b.Context(), "l", 1, chunk, gateway.Actor{}); err != nil {
			b.Fatal(err)
		}
	}
	return codes
}

// BenchmarkMemory tells how much memory Redis takes for a million codes and a
// million members, the journal left out.
//
//	go test ./lua -run '^$' -bench Memory -benchtime 1x
func BenchmarkMemory(b *testing.B) {
	const million = 1_000_000
	for b.Loop() {
		s := openStore(b, rig.TestRedis(b).Addr()) // emptied
		s.options.JournalBytes = 1 << 40
		launchForTest(b, s, "l", 1)
		empty := used(b, s)
		codes := make([]gateway.Code, 0, million)
		template, err := gateway.ParseTemplate("{random:10}")
		if err != nil {
			b.Fatal(err)
		}
		for len(codes) < million {
			chunk := make([]gateway.NewCode, MaxMint)
			for i := range chunk {
				chunk[i].Code = template.Generate(s.keyring, "l")
				codes = append(codes, chunk[i].Code)
			}
			if _, err := s.Mint(b.Context(), "l", 1, chunk, gateway.Actor{}); err != nil {
				b.Fatal(err)
			}
		}
		s.redis.Del(b.Context(), newKeys("l").journal)
		withCodes := used(b, s)
		b.ReportMetric(float64(withCodes-empty)/1e6, "MB/million-codes")
		var next atomic.Int64
		done := make(chan struct{})
		for range 128 {
			go func() {
				defer func() { done <- struct{}{} }()
				for {
					n := int(next.Add(1)) - 1
					if n >= million/4 {
						return
					}
					if _, err := s.Redeem(context.Background(), "l", &gateway.Redeem{Code: codes[n], Subject: "subject-" + strconv.Itoa(n)}); err != nil {
						b.Error(err)
						return
					}
				}
			}()
		}
		for range 128 {
			<-done
		}
		s.redis.Del(b.Context(), newKeys("l").journal)
		b.ReportMetric(4*float64(used(b, s)-withCodes)/1e6, "MB/million-members")
	}
}

func used(b *testing.B, s *Store) int64 {
	b.Helper()
	info, err := s.redis.Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			bytes, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return bytes
		}
	}
	b.Fatal("Redis does not tell its memory")
	return 0
}
