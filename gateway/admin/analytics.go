package admin

import (
	"bytes"
	"encoding/csv"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

// analytics answers JSON, or the funnels as CSV.
func (s *server) analytics(c *call) error {
	asCSV, err := c.wantsCSV()
	if err != nil {
		return err
	}
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	a, err := s.Ledger.Analytics(c.r.Context(), l.Name, time.Now())
	if err != nil {
		return err
	}
	if !asCSV {
		return c.answer(http.StatusOK, a)
	}
	body, err := funnelCSV(a)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", `attachment; filename="analytics.csv"`)
	c.raw(http.StatusOK, "text/csv; charset=utf-8", body)
	return nil
}

// wantsCSV reports what the query's format asks for or, where there is none,
// the first of the two that Accept names.
func (c *call) wantsCSV() (bool, error) {
	switch c.r.URL.Query().Get("format") {
	case "csv":
		return true, nil
	case "json":
		return false, nil
	case "":
	default:
		return false, gateway.Invalid("format", "Use json or csv.")
	}
	for _, accepted := range strings.Split(strings.Join(c.r.Header.Values("Accept"), ","), ",") {
		switch kind, _, _ := mime.ParseMediaType(accepted); kind {
		case "text/csv":
			return true, nil
		case "application/json":
			return false, nil
		}
	}
	return false, nil
}

// funnelCSV writes a row for each campaign, each channel and the launch.
// Conversions are parts of 1; an empty cell is one of nothing.
func funnelCSV(a gateway.Analytics) ([]byte, error) {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	rows := [][]string{{
		"level", "campaign", "channel", "issued", "opened", "codes_opened", "codes_redeemed", "redeemed", "by_link", "subjects", "activated", "paid",
		"day7_eligible", "day7_retained", "redeemed_of_issued", "redeemed_of_opened", "activated_of_redeemed", "paid_of_redeemed", "day7_retention",
	}}
	for _, f := range a.Campaigns {
		rows = append(rows, funnelRow("campaign", f.Campaign, f.Channel, f.Funnel))
	}
	for _, f := range a.Channels {
		rows = append(rows, funnelRow("channel", "", f.Channel, f.Funnel))
	}
	rows = append(rows, funnelRow("total", "", "", a.Total))
	err := out.WriteAll(rows)
	return b.Bytes(), err
}

func funnelRow(level, campaign, channel string, f gateway.Funnel) []string {
	cells := []string{level, plainCell(campaign), plainCell(channel)}
	for _, n := range []int{f.Issued, f.Opened, f.CodesOpened, f.CodesRedeemed, f.Redeemed, f.ByLink, f.Subjects, f.Activated, f.Paid, f.Matured, f.Retained} {
		cells = append(cells, strconv.Itoa(n))
	}
	v := f.Conversion
	for _, p := range []*float64{v.Issued, v.Opened, v.Activated, v.Paid, v.Retained} {
		if p == nil {
			cells = append(cells, "")
		} else {
			cells = append(cells, strconv.FormatFloat(*p, 'f', 4, 64))
		}
	}
	return cells
}
