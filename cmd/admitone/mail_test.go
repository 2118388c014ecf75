package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"admitone/gateway"
	"admitone/gateway/gatewaytest"
	"admitone/gateway/keyring"
	"admitone/sync/jobs"
	"admitone/sync/ledger"
)

// launches is a store of launches alone: what queues asks for no more.
type launches struct{ *gatewaytest.Model }

// TestMailCommands: what is queued in dev becomes a file, and is listed and
// previewed on the command line.
func TestMailCommands(t *testing.T) {
	data := dataDir(t)
	up := startDev(t, data)
	var previewed gateway.RenderedMail
	output(t, up, &previewed, "mail", "preview", up.Launch, "offer")
	if previewed.Subject != "Your place in Demo is ready" || !strings.Contains(previewed.HTML, "ABCD-2345-EF") {
		t.Errorf("%+v", previewed)
	}
	own := filepath.Join(t.TempDir(), "offer.txt")
	if err := os.WriteFile(own, []byte("{{.code}} it is"), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, up, &previewed, "mail", "preview", up.Launch, "offer", "--text", own)
	if previewed.Text != "ABCD-2345-EF it is" {
		t.Errorf("%+v", previewed)
	}

	// Another process queues an e-mail; dev sends it.
	ring, err := keyring.New([]byte("a secret of at least thirty-two bytes"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), up.Postgres, ring)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	q, err := jobs.New(t.Context(), jobs.Options{Pool: l.Pool(), Store: launches{gatewaytest.NewModel(time.Now())}, Ledger: l, Keyring: ring, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(t.Context(), l.Pool(), func(tx pgx.Tx) error {
		return q.MailTx(t.Context(), tx, gateway.Mail{
			Launch: up.Launch, Kind: gateway.MailOffer, Key: "a test", To: "ann@people.example", Data: gateway.MailData{Code: "CODE-ann"},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	var list gateway.List[gateway.MailRow]
	for deadline := time.Now().Add(time.Minute); len(list.Data) == 0 && time.Now().Before(deadline); {
		output(t, up, &list, "mail", "list", up.Launch, "--status", "sent", "--to", "ann@people.example")
	}
	if len(list.Data) != 1 || list.Data[0].Attempts != 1 {
		t.Fatalf("%+v", list)
	}
	files, err := filepath.Glob(filepath.Join(data, mailDir, "*.eml"))
	if err != nil || len(files) != 1 || filepath.Base(files[0]) != list.Data[0].ID.String()+".eml" {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(b), "CODE-ann") {
		t.Errorf("%s, %v", b, err)
	}
	var replayed map[string]int
	output(t, up, &replayed, "mail", "replay", up.Launch, "--since", "2020-01-01T00:00:00Z", "--kind", "offer")
	if replayed["replayed"] != 0 {
		t.Errorf("%v", replayed)
	}
	if code := run(t.Context(), []string{"mail", "replay", up.Launch, list.Data[0].ID.String(), "--admin-url", up.Private}); code != 1 {
		t.Errorf("what was sent is sent again: %d", code)
	}
}
