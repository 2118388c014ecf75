package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"admitone/bench/rig"
	"admitone/gateway"
	"admitone/gateway/gatewaytest"
	"admitone/gateway/gatewaytest/openapi"
	"admitone/sync/jobs"
	"admitone/sync/ledger"
)

func TestMain(m *testing.M) { rig.Run(m) }

// model is the store of these tests.
type model struct {
	*gatewaytest.Model
	mu    sync.Mutex
	names []string
}

func (m *model) CreateLaunch(ctx context.Context, p gateway.Policy, by gateway.Actor) (*gateway.Launch, error) {
	l, err := m.Model.CreateLaunch(ctx, p, by)
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.names = append(m.names, p.Launch)
	}
	return l, err
}

func (m *model) Launches(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.names), nil
}

// checker is what the keyring does, without a secret.
type checker struct{}

func (checker) Check(_, body string) [2]byte { return [2]byte{body[0], body[len(body)-1]} }

// plain opens seals that were never sealed.
type plain struct{}

func (plain) Open(_ string, sealed []byte) ([]byte, error) { return sealed, nil }

type verifier struct{}

func (verifier) Verify(_ context.Context, launch string) (gateway.VerifyReport, error) {
	r := gateway.VerifyReport{Launch: launch, Position: 7, Codes: 2}
	r.Differ("code", "A", "used 1", "used 2")
	return r, nil
}

// queue keeps jobs as the ledger does, and never works on them.
type queue struct {
	*jobs.Queue
	ledger *ledger.Ledger
}

func (q queue) Mint(ctx context.Context, j gateway.MintJob) error {
	_, err := q.ledger.Pool().Exec(ctx, `INSERT INTO mint_jobs (id, launch, campaign, count, actor) VALUES ($1, $2, $3, $4, $5)`,
		[16]byte(j.ID), j.Launch, j.Campaign, j.Count, j.Actor)
	return err
}

// world is the admin API over a model and a real Postgres.
type world struct {
	testing.TB
	config    Config
	store     *model
	ledger    *ledger.Ledger
	server    *httptest.Server
	logs      *bytes.Buffer
	described *openapi.Description
	seq       uint64 // of the journal that the ledger holds
}

const adminKey = "the admin key of these tests"

// begin makes a world with the launch "l" and its campaign "c", whose codes
// may be chosen.
func begin(t testing.TB, change func(*Config)) *world {
	t.Helper()
	l, err := ledger.Open(t.Context(), rig.TestPostgres(t), plain{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	w := &world{TB: t, ledger: l, store: &model{Model: gatewaytest.NewModel(time.Now())}, logs: new(bytes.Buffer), described: openapi.Load(t)}
	w.config = Config{
		Store: w.store, Ledger: l, Verifier: verifier{}, Queue: queue{ledger: l}, Keys: gateway.NewKeys(l, adminKey), Checker: checker{},
		Log: slog.New(slog.NewJSONHandler(&locked{buffer: w.logs}, nil)), Metrics: prometheus.NewRegistry(),
	}
	if change != nil {
		change(&w.config)
	}
	w.server = httptest.NewServer(New(w.config))
	t.Cleanup(w.server.Close)
	w.want(201, w.do("POST", "/admin/v1/launches", `{"launch":"l","name":"L"}`))
	w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns", `{"name":"c","vanity":true,"channel":"e-mail"}`))
	return w
}

// locked is a buffer that several requests may write to.
type locked struct {
	mu     sync.Mutex
	buffer *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(b)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get reads a field of a JSON answer: "codes.0.code".
func (a answer) get(path string) any {
	var v any
	if json.Unmarshal(a.body, &v) != nil {
		return nil
	}
	for name := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i := int(name[0] - '0')
			if i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// do sends a request as the admin, unless header lines say otherwise.
func (w *world) do(method, path, body string, header ...string) answer {
	w.Helper()
	a, err := w.try(method, path, body, header...)
	if err != nil {
		w.Fatal(method, " ", path, ": ", err)
	}
	return a
}

func (w *world) try(method, path, body string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+adminKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		if value == "" {
			r.Header.Del(name)
		} else {
			r.Header.Set(name, value)
		}
	}
	response, err := w.server.Client().Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{response.StatusCode, response.Header, b}
	w.conforms(r, a)
	return a, nil
}

// want checks an answer's status and, by pairs, its fields.
func (w *world) want(status int, a answer, fields ...any) answer {
	w.Helper()
	if a.status != status {
		w.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if got := a.get(fields[i].(string)); got != fields[i+1] {
			w.Errorf("%s is %v, want %v: %s", fields[i], got, fields[i+1], a.body)
		}
	}
	return a
}

// journal gives the ledger what a syncer would: one record of events.
func (w *world) journal(events ...gateway.Event) {
	w.Helper()
	w.seq++
	r := gateway.Record{Launch: "l", Seq: w.seq, Epoch: 1, At: time.UnixMilli(1_800_000_000_000 + int64(w.seq)).UTC(), Bytes: w.seq, Events: events, Raw: "raw"}
	if _, err := w.ledger.Apply(context.Background(), ledger.Batch{Launch: "l", Epoch: 1, After: w.seq - 1, Records: []gateway.Record{r}}); err != nil {
		w.Fatal(err)
	}
}

// history is a launch as the ledger knows it: one campaign, three codes, one
// of them redeemed.
func (w *world) history() gateway.Redeemed {
	w.Helper()
	l, err := w.store.Launch(context.Background(), "l")
	if err != nil {
		w.Fatal(err)
	}
	campaign, err := json.Marshal(l.Campaigns[0])
	if err != nil {
		w.Fatal(err)
	}
	person, err := json.Marshal(gateway.Person{Subject: "ann@x.example", Email: "ann@x.example", Name: "=Ann"})
	if err != nil {
		w.Fatal(err)
	}
	redeemed := gateway.Redeemed{ID: gateway.NewID(time.Now()), Status: gateway.Committed, Code: "AAA", Campaign: 1, Subject: "key", Sealed: person}
	w.journal(gateway.LaunchPut{Version: 1, Open: true, Policy: []byte(`{"launch":"l"}`), By: gateway.Actor{Name: "ops", Note: "why"}})
	w.journal(gateway.CampaignPut{Version: 2, Campaign: campaign})
	w.journal(gateway.CodesMinted{Campaign: 1, Codes: []gateway.MintedCode{{Code: "AAA", Display: "AAA"}, {Code: "BBB", Display: "-BBB"}, {Code: "CCC", Display: "CCC"}}})
	w.journal(redeemed)
	w.journal(gateway.Refused{Reason: gateway.CodeUnknown, Counted: true, Verb: "redeem", Code: "ZZZ"})
	return redeemed
}
