// Command story plays a whole campaign against a fresh AdmitOne on real
// servers, through the HTTP API and the command line, and ends by comparing
// what every client was told with what Redis and Postgres say.
//
//	go run ./bench/story lapse
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stories := map[string]func(context.Context, io.Writer) error{
		"lapse": Lapse, "launch": Waitlist, "controlled-launch": Controlled, "biassecret": BiasSecret, "referral-credit": ReferralCredit, "invitation": Invitation,
	}
	if len(os.Args) != 2 || stories[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: story", strings.Join(slices.Sorted(maps.Keys(stories)), "|"))
		os.Exit(2)
	}
	if err := stories[os.Args[1]](ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "story:", err)
		os.Exit(1)
	}
}
