package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"admitone/gateway"
	"admitone/sync/ledger"
)

func TestMint(t *testing.T) {
	w := begin(t, nil)
	w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns", `{"name":"LPS","format":"{prefix}-{period}-{random:8}","prefix":"LPS","period":"2027Q3","expires":"60d","max_uses":3}`))
	a := w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns/LPS/codes", `{"count":3}`))
	code := a.get("codes.2.code").(string)
	if !strings.HasPrefix(code, "LPS-2027Q3-") || a.get("codes.3") != nil || a.get("codes.0.expires_at") == nil {
		t.Errorf("%s", a.body)
	}
	w.want(200, w.do("GET", "/admin/v1/launches/l/codes/"+strings.ToLower(code), ""), "code", code, "state", "active", "max_uses", 3.0, "campaign", "LPS")

	a = w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns/c/codes",
		`{"codes":["vip 1",{"code":"Ann-1","max_uses":2,"expires_at":"2099-01-01T00:00:00Z","recipient":"Ann@X.example"}]}`), "codes.1.code", "Ann-1", "codes.1.max_uses", 2.0)
	w.want(200, w.do("GET", "/admin/v1/launches/l/codes/ann1", ""), "bound", true, "max_uses", 2.0)
	w.want(200, w.do("GET", "/admin/v1/launches/l/codes/V1P1", ""), "bound", false)

	a = w.want(202, w.do("POST", "/admin/v1/launches/l/campaigns/c/codes", `{"count":10001}`), "job.count", 10001.0, "job.done", 0.0)
	w.want(200, w.do("GET", "/admin/v1/launches/l/jobs/"+a.get("job.id").(string), ""), "job.count", 10001.0)
	w.want(404, w.do("GET", "/admin/v1/launches/m/jobs/"+a.get("job.id").(string), ""))
	w.want(400, w.do("POST", "/admin/v1/launches/l/campaigns/LPS/codes", `{"count":1000000}`), "field", "format")
}

func TestImport(t *testing.T) {
	w := begin(t, nil)
	const path, kind = "/admin/v1/launches/l/campaigns/c/codes/import", "Content-Type: text/csv; charset=utf-8"
	w.want(201, w.do("POST", path, "\ufeffcode,max_uses,recipient\r\nONE,2,ann@x.example\r\nTWO,,\r\n", kind), "codes.0.code", "ONE", "codes.0.max_uses", 2.0, "codes.2", nil)
	a := w.want(400, w.do("POST", path, "code\nTHREE\nb@d\nthree\n", kind), "lines.0.line", 3.0, "lines.1.line", 4.0, "lines.2", nil)
	w.want(404, w.do("GET", "/admin/v1/launches/l/codes/THREE", ""))
	a = w.want(400, w.do("POST", path, "code\nTHREE\none\n", kind), "lines.0.line", 3.0)
	if !strings.Contains(string(a.body), "exists already") {
		t.Errorf("%s", a.body)
	}
	var b strings.Builder
	for i := range gateway.MaxImport {
		b.WriteString("BULK" + strconv.Itoa(i) + "\n")
	}
	w.want(201, w.do("POST", path, b.String(), kind))
}

func TestChangeCodes(t *testing.T) {
	w := begin(t, nil)
	w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns/c/codes", `{"codes":["AAA","BBB"]}`))
	const path = "/admin/v1/launches/l/codes"
	w.want(200, w.do("POST", path+"/aaa/revoke", `{"note":"leaked"}`), "state", "revoked")
	w.want(200, w.do("POST", path+"/AAA/reinstate", ""), "state", "active")
	w.want(200, w.do("POST", path+"/AAA/renew", `{"expires_at":"2020-01-01T00:00:00Z"}`), "state", "expired")
	w.want(200, w.do("POST", path+"/AAA/renew", ""), "state", "active", "expires_at", nil)
	w.want(200, w.do("POST", path+"/revoke", `{"codes":["AAA","BBB"]}`), "changed", 2.0)
	w.want(404, w.do("POST", path+"/reinstate", `{"codes":["AAA","NOPE"]}`), "indexes.0", 1.0)
	w.want(200, w.do("GET", path+"/BBB", ""), "state", "revoked")
	w.want(200, w.do("POST", path+"/reinstate", `{"codes":["AAA","BBB"]}`))
	w.want(200, w.do("POST", "/admin/v1/launches/l/campaigns/c/revoke", `{"note":"all"}`), "state", "revoked")
	w.want(200, w.do("GET", path+"/BBB", ""), "state", "revoked")
}

func TestExport(t *testing.T) {
	w := begin(t, nil)
	w.history()
	a := w.want(200, w.do("GET", "/admin/v1/launches/l/campaigns/c/codes/export", ""))
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%v: %s", err, a.body)
	}
	if rows[1][0] != "AAA" || rows[1][3] != "exhausted" || rows[2][0] != "'-BBB" || rows[2][3] != "active" {
		t.Errorf("%q", rows)
	}
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/csv") {
		t.Errorf("Content-Type %q", kind)
	}
}

// cutLedger fails in the middle of an export.
type cutLedger struct{ *ledger.Ledger }

func (l cutLedger) ExportCodes(_ context.Context, _ string, _ uint32, to func(gateway.CodeRow) error) error {
	for range 10_000 {
		if err := to(gateway.CodeRow{Code: "AAA", Created: time.Now()}); err != nil {
			return err
		}
	}
	return errors.New("the connection is gone")
}

// TestExportCut: half an export does not look like a whole one.
func TestExportCut(t *testing.T) {
	w := begin(t, func(c *Config) { c.Ledger = cutLedger{c.Ledger.(*ledger.Ledger)} })
	if a, err := w.try(http.MethodGet, "/admin/v1/launches/l/campaigns/c/codes/export", ""); err == nil {
		t.Errorf("%d bytes came as a whole", len(a.body))
	}
}

func TestPlainCell(t *testing.T) {
	for in, want := range map[string]string{"": "", "A": "A", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "a=1": "a=1"} {
		if got := plainCell(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
