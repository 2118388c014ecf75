package main

import (
	"reflect"
	"testing"
)

func TestLaunchSecrets(t *testing.T) {
	const one, two = "whsec_0123456789", "whsec_9876543210"
	for text, want := range map[string]map[string][]string{
		"":              nil,
		"writer " + one: {"writer": {one}},
		"writer " + one + "\nwriter " + two + ",app " + one: {"writer": {one, two}, "app": {one}},
	} {
		t.Setenv("ADMITONE_STRIPE_SECRETS", text)
		if got, err := launchSecrets("", "ADMITONE_STRIPE_SECRETS"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"writer", "writer short", "Writer " + one, "writer " + one + " app"} {
		t.Setenv("ADMITONE_STRIPE_SECRETS", text)
		if _, err := launchSecrets("", "ADMITONE_STRIPE_SECRETS"); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
