package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

type conflictsCommand struct {
	remote
	Launch string `arg:""`
}

// exceptions are what did not come into Postgres as Redis decided it.
type exceptions struct {
	Conflicts []gateway.ConflictRow `json:"conflicts"`
	Parked    []gateway.ParkedRow   `json:"parked"`
}

// Run shows what did not come into Postgres as Redis decided it, newest first.
func (c *conflictsCommand) Run(ctx context.Context, api *client.Client) (err error) {
	var e exceptions
	if e.Conflicts, err = api.Conflicts(ctx, c.Launch); err != nil {
		return err
	}
	if e.Parked, err = api.Parked(ctx, c.Launch); err != nil {
		return err
	}
	return c.print(e, e.write)
}

func (e exceptions) write(w io.Writer) {
	if len(e.Conflicts)+len(e.Parked) == 0 {
		fmt.Fprintln(w, "none: Postgres holds everything as Redis decided it")
		return
	}
	row(w, "POSITION", "AT", "WHAT", "WHY")
	for _, c := range e.Conflicts {
		row(w, c.Position, c.At.Format(time.RFC3339), "conflict: "+c.Kind, c.Detail)
	}
	for _, p := range e.Parked {
		row(w, p.Position, p.At.Format(time.RFC3339), "parked", p.Error)
	}
}
