package admin

import (
	"testing"

	"admitone/gateway"
)

func TestReports(t *testing.T) {
	w := begin(t, nil)
	redeemed := w.history()
	const path = "/admin/v1/launches/l"
	w.want(200, w.do("GET", path+"/redemptions", ""), "data.0.subject", "ann@x.example", "data.0.id", redeemed.ID.String(), "data.0.code", "AAA", "data.0.channel", "e-mail", "data.1", nil, "has_more", false)
	for query, found := range map[string]bool{
		"campaign=c": true, "campaign=d": false, "status=committed": true, "status=held": false, "code=aaa": true, "code=BBB": false,
		"subject=Ann%2Btag@x.example": true, "subject=bob": false,
	} {
		a := w.want(200, w.do("GET", path+"/redemptions?"+query, ""))
		if (a.get("data.0") != nil) != found {
			t.Errorf("%s: %s", query, a.body)
		}
	}
	a := w.want(200, w.do("GET", path+"/campaigns/c/codes?limit=2", ""), "data.0.code", "AAA", "data.1.code", "-BBB", "data.2", nil, "has_more", true)
	w.want(200, w.do("GET", path+"/campaigns/c/codes?limit=2&after="+a.get("next").(string), ""), "data.0.code", "CCC", "data.1", nil, "has_more", false)
	w.want(200, w.do("GET", path+"/stats", ""), "position", 5.0, "campaigns.0.issued", 3.0, "campaigns.0.redeemed", 1.0, "refused.code_unknown", 1.0)
	w.want(200, w.do("GET", path+"/analytics", ""), "position", 5.0, "total.issued", 3.0, "campaigns.0.redeemed", 1.0, "channels.0.channel", "e-mail",
		"total.conversion.activated_of_redeemed", 0.0, "total.conversion.day7_retention", nil, "unlocks.0.share", 1.0)
	a = w.want(200, w.do("GET", path+"/events?limit=2", ""), "data.0.event", "minted", "data.1.event", "campaign", "has_more", true)
	w.want(200, w.do("GET", path+"/events?after="+a.get("next").(string), ""), "data.0.event", "launch", "data.0.actor", "ops", "data.0.note", "why")
	w.want(200, w.do("GET", path+"/conflicts", ""), "data.0", nil)
	w.want(200, w.do("GET", path+"/parked", ""), "data.0", nil)
	w.want(200, w.do("GET", path+"/position", ""), "position", 2.0)
	w.want(200, w.do("POST", path+"/verify", ""), "drift", 1.0, "differences.0.key", "A")

	w.want(201, w.do("POST", path+"/campaigns/c/codes", `{"codes":["AAA"]}`)) // in Redis too
	w.want(200, w.do("GET", path+"/codes/AAA/events", ""), "data.0.event", "issued", "data.1.event", "redeemed", "data.2", nil)
}

func TestRollback(t *testing.T) {
	w := begin(t, nil)
	w.want(201, w.do("POST", "/admin/v1/launches/l/campaigns/c/codes", `{"codes":["AAA"]}`))
	r, err := w.store.Redeem(t.Context(), "l", &gateway.Redeem{Code: "AAA", Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	path := "/admin/v1/launches/l/redemptions/" + r.ID.String()
	w.want(200, w.do("GET", path, ""), "status", "committed", "code", "AAA", "campaign", "c")
	w.want(200, w.do("POST", path+"/rollback", `{"note":"a refund"}`), "status", "rolled_back")
	w.want(200, w.do("GET", "/admin/v1/launches/l/codes/AAA", ""), "used", 0.0, "state", "active")
}
