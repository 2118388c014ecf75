package storm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts a server and returns what to aim at.
func serve(t *testing.T, h http.HandlerFunc) Target {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	target, err := ParseTarget(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// book keeps what a server was asked for.
type book struct {
	mu       sync.Mutex
	subjects map[string]int
	codes    map[string]int
}

func (b *book) note(r *http.Request) error {
	var body struct{ Code, Subject string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subjects[body.Subject]++
	b.codes[body.Code]++
	return nil
}

func newBook() *book { return &book{subjects: map[string]int{}, codes: map[string]int{}} }

// TestClosedLoop: what the generator counts is what the server answered, no
// subject comes twice, and codes take turns.
func TestClosedLoop(t *testing.T) {
	b := newBook()
	var answered atomic.Uint64
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/launches/l/redemptions" || r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		if err := b.note(r); err != nil {
			t.Error(err)
		}
		answered.Add(1)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"id":"x"}`)
	})
	var marks []bool
	r, err := Run(t.Context(), Options{
		Target: target, Mix: One("redeem", Redeem(target, "l", []string{"AAA", "BBBB"}, People{Prefix: "s-"}), 201), Connections: 8,
		Warmup: 50 * time.Millisecond, For: 200 * time.Millisecond, Window: func(begins bool) { marks = append(marks, begins) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Total != answered.Load() || r.Statuses[201] != r.Total || r.Lost != 0 || r.Unexpected != 0 {
		t.Errorf("the server answered %d: %+v", answered.Load(), r)
	}
	if uint64(len(b.subjects)) != r.Total {
		t.Errorf("%d subjects in %d requests", len(b.subjects), r.Total)
	}
	if d := b.codes["AAA"] - b.codes["BBBB"]; d < 0 || d > 1 || b.codes["AAA"] == 0 {
		t.Errorf("codes: %v", b.codes)
	}
	if r.Rate <= 0 || r.Right == 0 || r.Right > r.Total || r.Latency.P50 <= 0 || r.CPUMicros <= 0 {
		t.Errorf("%+v", r)
	}
	if len(marks) != 2 || !marks[0] || marks[1] {
		t.Errorf("the measured time is marked %v", marks)
	}
}

// TestOpenLoopCountsFromTheSchedule: a server that stands still once delays
// everybody who was due then, not only who was on the way.
func TestOpenLoopCountsFromTheSchedule(t *testing.T) {
	const stall = 300 * time.Millisecond
	var n, until atomic.Int64
	target := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 20 {
			until.Store(time.Now().Add(stall).UnixNano())
		}
		time.Sleep(time.Until(time.Unix(0, until.Load())))
		w.WriteHeader(http.StatusOK)
	})
	r, err := Run(t.Context(), Options{
		Target: target, Mix: One("poll", Get(target, []string{"/"}), 200), Connections: 2, Rate: 200, For: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	slow := int64(0)
	for _, b := range r.histogram.Distribution() {
		if b.From >= stall.Microseconds()/3 {
			slow += b.Count
		}
	}
	// About 40 were due in the first two thirds of it; two were on the way.
	if slow < 10 {
		t.Errorf("%d of %d felt a stall of %v: %+v", slow, r.Answered, stall, r.Latency)
	}
}

// TestBehind: a schedule that was not kept has no rate.
func TestBehind(t *testing.T) {
	target := serve(t, func(w http.ResponseWriter, _ *http.Request) { time.Sleep(10 * time.Millisecond) })
	r, err := Run(t.Context(), Options{
		Target: target, Mix: One("poll", Get(target, []string{"/"}), 200), Connections: 1, Rate: 2000, For: 500 * time.Millisecond, Timeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Behind == "" || r.Rate != 0 {
		t.Errorf("%+v", r)
	}
	var out bytes.Buffer
	r.Print(&out)
	if !strings.Contains(out.String(), "no rate: the schedule was") {
		t.Error(out.String())
	}
}

// TestMixCounts: every kind comes as often as its weight says, and an answer
// that was not expected is counted as such.
func TestMixCounts(t *testing.T) {
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "validations") {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	m := LaunchDay(
		Redeem(target, "l", []string{"A"}, People{Prefix: "s"}), Redeem(target, "l", []string{"B"}, People{Prefix: "x"}), Junk(target, "l", 10, People{Prefix: "j"}),
		Again(target, "l", "A", People{Prefix: "d"}, 3), Validate(target, "l", []string{"A"}))
	r, err := Run(t.Context(), Options{Target: target, Mix: m, Connections: 4, For: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.order) != 100 {
		t.Fatalf("%d", len(m.order))
	}
	for _, k := range r.Kinds {
		right := k.Name == "redeem" || k.Name == "again"
		if right && k.Unexpected > 0 || !right && k.Right > 0 || k.Answered == 0 {
			t.Errorf("%+v", k)
		}
	}
}

// TestJunkIsDrawnAnew: made-up codes differ, and have the length asked for.
func TestJunkIsDrawnAnew(t *testing.T) {
	target := Target{Host: "h"}
	seen := map[string]bool{}
	w := Junk(target, "l", 20, People{Prefix: "s"})
	for n := range uint64(1000) {
		_, body, _ := bytes.Cut(w(nil, n), []byte("\r\n\r\n"))
		var v struct{ Code string }
		if err := json.Unmarshal(body, &v); err != nil || len(v.Code) != 20 {
			t.Fatalf("%s: %v", body, err)
		}
		seen[v.Code] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000 differ", len(seen))
	}
}

// TestWritersAllocateNothing: a request costs the generator no garbage.
func TestWritersAllocateNothing(t *testing.T) {
	target := Target{Host: "127.0.0.1:8080"}
	for name, w := range map[string]Writer{
		"redeem": Redeem(target, "l", []string{"A", "BB"}, People{Prefix: "s"}), "again": Again(target, "l", "A", People{Prefix: "s"}, 9), "junk": Junk(target, "l", 10, People{Prefix: "s"}),
		"validate": Validate(target, "l", []string{"A"}), "get": Get(target, []string{"/x"}),
		"by e-mail": Redeem(target, "l", []string{"A"}, People{"s-", "example.com"}),
	} {
		buffer := make([]byte, 0, 1024)
		n := uint64(0)
		if a := testing.AllocsPerRun(100, func() { buffer = w(buffer[:0], n); n++ }); a != 0 {
			t.Errorf("%s: %v allocations", name, a)
		}
		head, body, _ := bytes.Cut(buffer, []byte("\r\n\r\n"))
		if want := fmt.Sprintf("Content-Length: %d", len(body)); len(body) > 0 && !strings.HasSuffix(string(head), want) {
			t.Errorf("%s: %s is not the length of %s", name, head, body)
		}
	}
}

// TestPeople: a body names its person as the launch knows people.
func TestPeople(t *testing.T) {
	for want, p := range map[string]People{
		`{"code":"A","subject":"s-000000000007"}`:           {Prefix: "s-"},
		`{"code":"A","email":"s-000000000007@example.com"}`: {Prefix: "s-", Domain: "example.com"},
	} {
		_, body, _ := bytes.Cut(Redeem(Target{Host: "h"}, "l", []string{"A"}, p)(nil, 7), []byte("\r\n\r\n"))
		if string(body) != want {
			t.Errorf("%s, want %s", body, want)
		}
	}
}

// TestAnswersInPieces: an answer is understood however it is cut up, and what
// is no HTTP is refused.
func TestAnswersInPieces(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\nX: y\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
		"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
	} {
		for cut := 1; cut < len(answer); cut++ {
			for again := cut; again < len(answer); again += 7 {
				c := &conn{}
				c.begin()
				whole := false
				for i, piece := range []string{answer[:cut], answer[cut:again], answer[again:]} {
					if whole && i < 3 && piece != "" {
						t.Fatalf("%q is whole too early, cut at %d and %d", answer, cut, again)
					}
					if piece == "" {
						continue
					}
					var err error
					if whole, err = c.take([]byte(piece)); err != nil {
						t.Fatalf("%q, cut at %d and %d: %v", answer, cut, again, err)
					}
				}
				if !whole || fmt.Sprint(c.status) != answer[9:12] || c.closing != strings.Contains(answer, "close") {
					t.Fatalf("%q, cut at %d and %d: %+v", answer, cut, again, c)
				}
			}
		}
	}
	for _, answer := range []string{
		"SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n", "HTTP/1.1 201 Created\r\n\r\n", "HTTP/1.1 201 Created\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		c := &conn{}
		c.begin()
		if _, err := c.take([]byte(answer)); err == nil {
			t.Errorf("%q is taken", answer)
		}
	}
}

// TestServerThatGoesAway: requests whose answers do not come are lost, not
// forgotten, and the generator comes back to a server that does.
func TestServerThatGoesAway(t *testing.T) {
	var n atomic.Int64
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%10 == 0 {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
			return
		}
		if n.Load()%10 == 5 {
			w.Header().Set("Connection", "close") // in order: nothing is lost
		}
		w.WriteHeader(http.StatusOK)
	})
	r, err := Run(t.Context(), Options{Target: target, Mix: One("poll", Get(target, []string{"/"}), 200), Connections: 3, For: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Lost == 0 || r.Total+r.Lost != uint64(n.Load()) {
		t.Errorf("the server was asked %d times: answered %d, lost %d (%v)", n.Load(), r.Total, r.Lost, r.Losses)
	}
}

// TestNobodyThere: a port where nothing listens is an error, at once.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target, err := ParseTarget("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = Run(t.Context(), Options{Target: target, Mix: One("poll", Get(target, []string{"/"}), 200)})
	if err == nil || !strings.Contains(err.Error(), "takes no connections") {
		t.Errorf("%v", err)
	}
}

// TestTargets: only plain http to a host is aimed at.
func TestTargets(t *testing.T) {
	for _, s := range []string{"https://127.0.0.1", "ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://127.0.0.1/v1", "http://a:b@127.0.0.1", "http://127.0.0.1?x=y", ":"} {
		if _, err := ParseTarget(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
	if target, err := ParseTarget("http://127.0.0.1"); err != nil || target.Addr.Port != 80 {
		t.Errorf("%+v %v", target, err)
	}
}

// TestLimits: what is asked too much for is refused.
func TestLimits(t *testing.T) {
	target := Target{Host: "h", Addr: &net.TCPAddr{}}
	m := One("poll", Get(target, []string{"/"}), 200)
	for i, o := range []Options{
		{Mix: m}, {Target: target}, {Target: target, Mix: m, Rate: MaxRate + 1}, {Target: target, Mix: m, For: 2 * MaxFor}, {Target: target, Mix: m, Connections: MaxConnections + 1},
	} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%d is taken", i)
		}
	}
	for _, text := range []string{"", "a b", `a"b`, "ü", "a\nb"} {
		if CheckText("code", "A", text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestOutputs: what is written as JSON and CSV says the same.
func TestOutputs(t *testing.T) {
	target := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	progress := make(chan Progress, 10)
	r, err := Run(t.Context(), Options{
		Target: target, Mix: One("poll", Get(target, []string{"/"}), 200), Connections: 2, Rate: 500, For: 2200 * time.Millisecond,
		Progress: func(p Progress) { progress <- p },
	})
	if err != nil {
		t.Fatal(err)
	}
	var j, c, text bytes.Buffer
	if err := r.JSON(&j); err != nil {
		t.Fatal(err)
	}
	if err := r.CSV(&c); err != nil {
		t.Fatal(err)
	}
	r.Print(io.MultiWriter(&text, os.Stderr))
	var read struct {
		Right     uint64
		Histogram []Step
	}
	if err := json.Unmarshal(j.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Right != r.Right || len(read.Histogram) != strings.Count(c.String(), "\n")-1 {
		t.Errorf("%+v\n%s", read, c.String())
	}
	if !strings.Contains(text.String(), "█") {
		t.Error(text.String())
	}
	select {
	case p := <-progress:
		if p.Answered == 0 || p.P50 == 0 {
			t.Errorf("%+v", p)
		}
	default:
		t.Error("no progress in two seconds")
	}
}

// TestIdleConnections: a server that takes leave of connections which nobody
// has used yet, with an answer to nothing, has answered nobody wrongly.
func TestIdleConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var left atomic.Uint64
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 4096)
				c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				for {
					if _, err := c.Read(b); errors.Is(err, os.ErrDeadlineExceeded) {
						left.Add(1)
						io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
						return
					} else if err != nil {
						return
					}
					c.SetReadDeadline(time.Time{})
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	target, err := ParseTarget("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Options{Target: target, Mix: One("get", Get(target, []string{"/"}), 200), Connections: 8, Rate: 100, For: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Unexpected != 0 || r.Lost != 0 || r.Statuses[200] != r.Total || r.Total == 0 || left.Load() == 0 {
		t.Errorf("the server took leave %d times: %+v", left.Load(), r)
	}
}
