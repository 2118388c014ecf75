package main

import (
	"context"
	"io"
	"strings"
	"testing"
)

// TestPolicies plays the stories of the policies that are about members.
func TestPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; run without -short")
	}
	for name, play := range map[string]func(context.Context, io.Writer) error{
		"biassecret": BiasSecret, "referral-credit": func(ctx context.Context, out io.Writer) error { return playReferralCredit(ctx, out, 2000) }, "invitation": Invitation, "controlled-launch": Controlled,
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := play(t.Context(), &out); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if !strings.HasSuffix(out.String(), "Redis and Postgres agree.\n") {
				t.Fatal(out.String())
			}
		})
	}
}
