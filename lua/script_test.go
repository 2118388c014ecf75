package lua

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
	"admitone/gateway"
)

// launchForTest makes a launch with one code of many uses.
func launchForTest(t testing.TB, s *Store, name string, uses int) {
	t.Helper()
	ctx, by := context.Background(), gateway.Actor{Name: "test"}
	p := gateway.DefaultPolicy(name)
	if _, err := s.CreateLaunch(ctx, p, by); err != nil {
		t.Fatal(err)
	}
	c, err := s.CreateCampaign(ctx, name, gateway.Campaign{Name: "c", Kind: gateway.KindInvite, Type: gateway.TypeLink, MaxUses: uses, Format: "{random:10}", Vanity: true}, by)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Mint(ctx, name, c.Number, []gateway.NewCode{{Code: "H0T"}}, by); err != nil {
		t.Fatal(err)
	}
}

// TestScriptFlush: a server that forgot the scripts costs nobody an answer.
func TestScriptFlush(t *testing.T) {
	server := rig.TestRedis(t)
	s := openStore(t, server.Addr())
	launchForTest(t, s, "l", 1000)
	done := make(chan struct{})
	var flushes sync.WaitGroup
	flushes.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				s.redis.ScriptFlush(context.Background())
			}
		}
	})
	for i := range 300 {
		if _, err := s.Redeem(t.Context(), "l", &gateway.Redeem{Code: "H0T", Subject: "s" + strconv.Itoa(i)}); err != nil {
			t.Errorf("redemption %d: %v", i, err)
		}
	}
	close(done)
	flushes.Wait()
	if info, err := s.Code(t.Context(), "l", "H0T"); err != nil || info.Used != 300 {
		t.Fatalf("used %d, %v", info.Used, err)
	}
}

// TestSentOnce: a script whose reply is lost is not sent again by the client,
// even one that retries everything else, standalone or Cluster.
func TestSentOnce(t *testing.T) {
	for name, open := range map[string]func(addr string) redis.UniversalClient{
		"standalone": func(addr string) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 5})
		},
		"cluster": func(addr string) redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{
				Addrs: []string{addr}, MaxRedirects: 5,
				ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
					return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: addr}}}}, nil
				},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr, sent := deafServer(t)
			client := open(addr)
			defer client.Close()
			_, err := launchRead.run(t.Context(), client, introduction{}, []string{"ao:{l}:meta", "ao:{l}:config"}, nil)
			if !errors.Is(err, errUnknownOutcome) {
				t.Fatalf("a lost reply: %v", err)
			}
			if n := sent.Load(); n != 1 {
				t.Fatalf("the script was sent %d times", n)
			}
		})
	}
}

// deafServer takes commands and hangs up on scripts without an answer. It
// counts the scripts.
func deafServer(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	sent := new(atomic.Int32)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go deaf(conn, sent)
		}
	}()
	return l.Addr().String(), sent
}

func deaf(conn net.Conn, sent *atomic.Int32) {
	defer conn.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		text := string(b[:n])
		switch {
		case strings.Contains(strings.ToLower(text), "evalsha"):
			sent.Add(1)
			return
		case strings.Contains(text, "hello"):
			conn.Write([]byte("-ERR unknown command\r\n"))
		default:
			for range strings.Count("\r\n"+text, "\r\n*") {
				conn.Write([]byte("+OK\r\n"))
			}
		}
	}
}
