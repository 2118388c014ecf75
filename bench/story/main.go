// Command story plays a whole campaign against a fresh AdmitOne on real
// servers, through the HTTP API and the command line, and ends by comparing
// what every client was told with what Redis and Postgres say.
//
//	go run ./bench/story lapse
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 || os.Args[1] != "lapse" {
		fmt.Fprintln(os.Stderr, "usage: story lapse")
		os.Exit(2)
	}
	if err := Lapse(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "story:", err)
		os.Exit(1)
	}
}
