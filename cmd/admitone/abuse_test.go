package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"admitone/gateway"
	"admitone/gateway/client"
)

// TestAbuse: rules of countries act with a database, and what a process cannot
// do is said in /readyz.
func TestAbuse(t *testing.T) {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, network, _ := net.ParseCIDR("192.0.2.0/24")
	if err := tree.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("FR")}}); err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "country.mmdb")
	f, err := os.Create(database)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	up := startDev(t, dataDir(t), "--country-database", database)
	const policy = `{"launch":"demo","abuse":{"countries":{"deny":["FR"]},"challenge":{"provider":"turnstile","site_key":"k"}},"limits":{"address_dedup":{"action":"challenge"}}}`
	if _, _, err := up.api.PutPolicy(t.Context(), up.Launch, client.JSON, []byte(policy), 0); err != nil {
		t.Fatal(err)
	}
	codes := up.freshCodes(t, 2)
	redeem := func(code, subject, ip string) error {
		_, err := up.api.Redeem(t.Context(), up.Launch, client.Redeem{Code: code, Subject: subject, IP: ip})
		return err
	}
	if err := redeem(codes[0], "ann", "192.0.2.7"); !errors.Is(err, gateway.Refuse(gateway.CountryDenied)) {
		t.Errorf("from a denied country: %v", err)
	}
	if err := redeem(codes[0], "ann", "198.51.100.7"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
	if err := redeem(codes[1], "bob", "198.51.100.7"); !errors.Is(err, gateway.Refuse(gateway.ChallengeRequired)) {
		t.Errorf("from a shared address: %v", err)
	}
	ready, err := up.api.Ready(t.Context())
	if err != nil || len(ready.Warnings) != 1 || !strings.Contains(ready.Warnings[0], "ADMITONE_CHALLENGE_SECRET") {
		t.Errorf("%+v, %v", ready, err)
	}
	var list gateway.List[gateway.Anomaly]
	output(t, up, &list, "anomalies", up.Launch, "--open")
	if len(list.Data) != 0 {
		t.Errorf("%+v", list)
	}
}
