package main

import (
	"fmt"
	"strings"

	"admitone/gateway"
	"admitone/gateway/edge"
)

// shops are the secrets of those who tell of purchases, by launch.
type shops struct {
	StripeSecretsFile string `help:"File of Stripe's signing secrets, a launch and a secret on each line; or ADMITONE_STRIPE_SECRETS." placeholder:"FILE"`
	GumroadTokensFile string `help:"File of the tokens in the addresses of Gumroad's pings, a launch and a token on each line; or ADMITONE_GUMROAD_TOKENS." placeholder:"FILE"`
}

// onto gives the public listener the secrets.
func (s shops) onto(c *edge.Config) (err error) {
	if c.StripeSecrets, err = launchSecrets(s.StripeSecretsFile, "ADMITONE_STRIPE_SECRETS"); err != nil {
		return err
	}
	c.GumroadTokens, err = launchSecrets(s.GumroadTokensFile, "ADMITONE_GUMROAD_TOKENS")
	return err
}

// minShopSecret is the least length of such a secret, in bytes.
const minShopSecret = 16

// launchSecrets reads pairs of a launch and a secret, separated by white space
// or commas. A launch may have several: all of them are good.
func launchSecrets(file, variable string) (map[string][]string, error) {
	text, err := secret(file, variable)
	if err != nil || text == "" {
		return nil, err
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r <= ' ' })
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("%s: give pairs of a launch and a secret", variable)
	}
	all := map[string][]string{}
	for i := 0; i < len(words); i += 2 {
		launch, one := words[i], words[i+1]
		if !gateway.ValidLaunchName(launch) || len(one) < minShopSecret {
			return nil, fmt.Errorf("%s: pair %d: give a launch's name and a secret of at least %d characters", variable, i/2+1, minShopSecret)
		}
		all[launch] = append(all[launch], one)
	}
	return all, nil
}
