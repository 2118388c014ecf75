package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"admitone/bench/rig"
)

func TestMain(m *testing.M) { rig.Run(m) }

// client is what a test asks a peer through.
type client struct {
	url   string
	count func(context.Context) (Counts, error)
}

// redeem returns the answer's status, its code and the redemption's id.
func (c *client) redeem(code, subject string) (status int, reason, id string, err error) {
	body, err := json.Marshal(map[string]string{"code": code, "subject": subject})
	if err != nil {
		return 0, "", "", err
	}
	response, err := http.Post(c.url+"/v1/launches/bench/redemptions", "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", "", err
	}
	var answer struct{ ID, Code string }
	err = json.Unmarshal(b, &answer)
	return response.StatusCode, answer.Code, answer.ID, err
}

// open starts a peer for a test.
func open(t *testing.T, name string, codes []Code) *client {
	t.Helper()
	address := rig.TestRedis(t).Addr()
	if name == "nginx" {
		path, err := FindNginx()
		var missing *rig.MissingError
		if errors.As(err, &missing) {
			t.Skip(err)
		}
		_ = path
		r := redis.NewClient(&redis.Options{Addr: address})
		t.Cleanup(func() { r.Close() })
		sha, err := SeedRedis(t.Context(), r, codes)
		if err != nil {
			t.Fatal(err)
		}
		n, err := StartNginx(t.Context(), filepath.Join(t.TempDir(), "nginx"), address, sha)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Close)
		return &client{"http://" + n.Addr, func(ctx context.Context) (Counts, error) { return CountRedis(ctx, r) }}
	}
	s, err := Open(t.Context(), name, Options{Redis: address, Postgres: rig.TestPostgres(t), Codes: codes})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &client{"http://" + l.Addr().String(), s.Count}
}

var deciders = []string{"pg", "pg-coalesced", "direct", "autopipeline", "own", "nginx"}

// TestNeverOneMore: under racing clients every peer admits as many as the code
// has uses, and not one more; each subject once, with the same answer again.
func TestNeverOneMore(t *testing.T) {
	const uses, subjects, clients = 60, 100, 16
	for _, name := range deciders {
		t.Run(name, func(t *testing.T) {
			c := open(t, name, []Code{{"HOT0000000", uses}, {"D000000000", 1}})
			var (
				mu       sync.Mutex
				admitted = map[string]string{}
				answers  = map[string]int{}
				racing   sync.WaitGroup
			)
			for n := range clients {
				racing.Go(func() {
					for i := range subjects {
						subject := fmt.Sprintf("subject-%d", (i*7+n*13)%subjects)
						status, reason, id, err := c.redeem("HOT0000000", subject)
						mu.Lock()
						if status < 300 {
							reason = ""
						}
						answers[fmt.Sprint(status, " ", reason)]++
						if err != nil {
							t.Error(err)
						}
						if status == 201 || status == 200 {
							if before, ok := admitted[subject]; ok && before != id {
								t.Errorf("%s has two redemptions", subject)
							}
							admitted[subject] = id
						}
						mu.Unlock()
					}
				})
			}
			racing.Wait()
			if len(admitted) != uses || answers["201 "] != uses || answers["409 code_exhausted"] == 0 {
				t.Errorf("%d subjects are in: %v", len(admitted), answers)
			}
			counts, err := c.count(t.Context())
			if err != nil || counts != (Counts{uses, uses, uses}) {
				t.Errorf("the store holds %+v, %v", counts, err)
			}
		})
	}
}

// TestChecks: every peer makes the checks that a gateway makes.
func TestChecks(t *testing.T) {
	for _, name := range deciders {
		t.Run(name, func(t *testing.T) {
			c := open(t, name, []Code{{"HOT0000000", 10}, {"D000000000", 1}, {"D000000001", 1}})
			for i, step := range []struct {
				code, subject string
				status        int
				reason        string
			}{
				{"D000000000", "ann", 201, ""},
				{"D000000000", "ann", 200, ""},
				{"D000000000", "bob", 409, "code_exhausted"},
				{"D000000001", "ann", 409, "already_redeemed"},
				{"N0SUCHC0DE", "eve", 404, "code_unknown"},
				{"N0SUCHC0DF", "eve", 404, "code_unknown"},
				{"N0SUCHC0DG", "kim", 404, "code_unknown"},
				{"HOT0000000", "eve", 429, "attempts_exceeded"},
				{"D000000000", "ann", 200, ""},
			} {
				status, reason, _, err := c.redeem(step.code, step.subject)
				if err != nil || status != step.status || reason != step.reason && step.reason != "" {
					t.Errorf("step %d: %d %s, %v", i, status, reason, err)
				}
			}
		})
	}
}

// TestEchoSays: the bare server answers what it is told to, header by header.
func TestEchoSays(t *testing.T) {
	s, err := Open(t.Context(), "echo", Options{Says: &Says{Header: [][2]string{{"Content-Type", "application/json"}, {"ETag", `"12-3"`}}, Body: `{"position":12}`}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-ended
	}()
	response, err := http.Get("http://" + l.Addr().String() + "/v1/launches/bench/waitlist/aot_x")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil || string(b) != `{"position":12}` || response.Header.Get("ETag") != `"12-3"` || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v %s, %v", response.Header, b, err)
	}
}
