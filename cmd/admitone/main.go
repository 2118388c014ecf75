// Command admitone is the gateway and everything an operator does with it.
// Each command has a file of its own; config.go is the one reader of flags,
// environment and file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the zones of schedules, on machines that have none

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev"

// commands are what admitone does.
type commands struct {
	Config  configFile       `help:"YAML file of flags by their long names." placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve      serveCommand      `cmd:"" help:"Run a gateway against your Redis and Postgres."`
	Dev        devCommand        `cmd:"" help:"Run everything on this machine, with a demo launch, to try it out."`
	Launch     launchCommand     `cmd:"" help:"Make, change and show launches."`
	Campaign   campaignCommand   `cmd:"" help:"Make, change and show campaigns."`
	Codes      codesCommand      `cmd:"" help:"Mint, import, export, show and revoke codes."`
	Redemption redemptionCommand `cmd:"" help:"List redemptions and take them back."`
	Member     memberCommand     `cmd:"" help:"List and show members, grant invites, change tiers, erase."`
	Reward     rewardCommand     `cmd:"" help:"List rewards, approve and reject them."`
	Waitlist   waitlistCommand   `cmd:"" help:"Show the waitlist, boost, release, schedule, import and export."`
	Stats      statsCommand      `cmd:"" help:"Show a launch's figures."`
	Analytics  analyticsCommand  `cmd:"" help:"Show a launch's funnels, referrers, unlocks, rewards and time to first purchase."`
	Verify     verifyCommand     `cmd:"" help:"Compare a launch in Redis and in Postgres."`
	Heal       healCommand       `cmd:"" help:"Write launches anew in Redis from Postgres where Redis has lost something."`
	Key        keyCommand        `cmd:"" help:"Make, list and revoke API keys."`
	Webhook    webhookCommand    `cmd:"" help:"Send a launch's events to URLs of yours."`
	Mail       mailCommand       `cmd:"" help:"Show, resend and preview what is written to people."`
	Anomalies  anomaliesCommand  `cmd:"" help:"List what was unusual in a launch."`
	Storm      stormCommand      `cmd:"" help:"Send a gateway of your own as many requests as a launch day would."`
	Conflicts  conflictsCommand  `cmd:"" help:"Show what Postgres refused of what Redis decided, and records that could not be read."`
}

// Exit statuses: 0 done, 1 failed, 2 wrong usage.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	cli := &commands{}
	parser, err := newParser(cli)
	if err != nil {
		fmt.Fprintln(os.Stderr, "admitone:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "admitone:", err)
		fmt.Fprintln(os.Stderr, "Run admitone --help, or admitone COMMAND --help.")
		return 2
	}
	command.BindTo(ctx, (*context.Context)(nil))
	if err := command.Run(); err != nil && !errors.Is(err, context.Canceled) {
		explain(os.Stderr, err)
		return 1
	}
	return 0
}
