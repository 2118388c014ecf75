package admin

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"

	"admitone/gateway"
)

// TestFunnelCSV: a row for each campaign, each channel and all; a spreadsheet
// takes no text for a formula.
func TestFunnelCSV(t *testing.T) {
	f := gateway.Funnel{Issued: 4, Opened: 3, CodesOpened: 2, CodesRedeemed: 1, Redeemed: 5, ByLink: 1, Subjects: 3, Activated: 2, Paid: 1}
	f.Convert()
	body, err := funnelCSV(gateway.Analytics{
		Total: f, Campaigns: []gateway.CampaignFunnel{{Campaign: "-c", Channel: "=HYPERLINK(1)", Funnel: f}}, Channels: []gateway.ChannelFunnel{{Channel: "@x,\"y", Funnel: f}},
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%v, %v", rows, err)
	}
	const figures = "4 3 2 1 5 1 3 2 1 0 0 0.2500 0.3333 0.6667 0.3333 "
	for i, want := range [][3]string{{"campaign", "'-c", "'=HYPERLINK(1)"}, {"channel", "", "'@x,\"y"}, {"total", "", ""}} {
		r := rows[i+1]
		if [3]string(r[:3]) != want || strings.Join(r[3:], " ") != figures || len(r) != len(rows[0]) {
			t.Errorf("%q, want %q %s", r, want, figures)
		}
	}
}

// TestAnalyticsForm: the query decides between JSON and CSV, then Accept.
func TestAnalyticsForm(t *testing.T) {
	for _, c := range []struct {
		query, accept string
		csv, refused  bool
	}{
		{"", "", false, false},
		{"", "*/*", false, false},
		{"", "text/csv", true, false},
		{"", "text/html, text/csv;q=0.9, application/json", true, false},
		{"", "application/json, text/csv", false, false},
		{"?format=json", "text/csv", false, false},
		{"?format=csv", "application/json", true, false},
		{"?format=xls", "", false, true},
	} {
		r, _ := http.NewRequest(http.MethodGet, "/"+c.query, nil)
		r.Header.Set("Accept", c.accept)
		if got, err := (&call{r: r}).wantsCSV(); got != c.csv || (err != nil) != c.refused {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	w := begin(t, nil)
	w.history()
	const path = "/admin/v1/launches/l/analytics"
	if a := w.want(200, w.do("GET", path+"?format=csv", "")); !strings.HasPrefix(string(a.body), "level,campaign,") || !strings.Contains(a.header.Get("Content-Type"), "text/csv") {
		t.Errorf("%v: %s", a.header, a.body)
	}
	w.want(400, w.do("GET", path+"?format=xls", ""), "field", "format")
	w.want(404, w.do("GET", "/admin/v1/launches/unknown/analytics", ""), "code", "launch_unknown")
}
