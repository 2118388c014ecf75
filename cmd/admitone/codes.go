package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

type codesCommand struct {
	Mint      codesMint      `cmd:"" help:"Mint generated codes."`
	Import    codesImport    `cmd:"" help:"Import codes from CSV, all of them or none."`
	Export    codesExport    `cmd:"" help:"Export a campaign's codes as CSV."`
	Show      codesShow      `cmd:"" help:"Show a code and its history."`
	Revoke    codesRevoke    `cmd:"" help:"Revoke codes."`
	Reinstate codesReinstate `cmd:"" help:"Take the revocation of codes back."`
	Renew     codesRenew     `cmd:"" help:"Give codes another expiry."`
}

type codesMint struct {
	remote
	Launch   string `arg:""`
	Campaign string `arg:"" help:"Name or id."`
	Count    int    `arg:""`
}

// Run mints and prints the codes; more than 10,000 are made by the gateway in
// the background, and can be exported.
func (c *codesMint) Run(ctx context.Context, api *client.Client) error {
	minted, job, err := api.Mint(ctx, c.Launch, c.Campaign, c.Count)
	if err != nil {
		return err
	}
	if job == nil {
		return c.printCodes(minted)
	}
	done, err := api.WaitJob(ctx, c.Launch, job.ID, func(j gateway.MintJob) { progress("minting", j.Done, j.Count) })
	if err != nil {
		return err
	}
	if done.Error != "" {
		return errors.New(done.Error)
	}
	return c.print(done, func(w io.Writer) {
		fmt.Fprintf(w, "%d codes are minted; admitone codes export %s %s writes them\n", done.Done, c.Launch, c.Campaign)
	})
}

func (r remote) printCodes(list []client.Minted) error {
	return r.print(list, func(w io.Writer) {
		for _, m := range list {
			fmt.Fprintln(w, m.Code)
		}
	})
}

type codesImport struct {
	remote
	Launch   string `arg:""`
	Campaign string `arg:"" help:"Name or id; made with --vanity."`
	File     string `arg:"" help:"CSV: code, max_uses, expires_at, recipient; - is standard input."`
}

// Run imports the file.
func (c *codesImport) Run(ctx context.Context, api *client.Client) error {
	csv, err := readInput(c.File)
	if err != nil {
		return err
	}
	list, err := api.ImportCodes(ctx, c.Launch, c.Campaign, csv)
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) { fmt.Fprintf(w, "%d codes are imported\n", len(list)) })
}

type codesExport struct {
	remote
	Launch   string `arg:""`
	Campaign string `arg:"" help:"Name or id."`
	Out      string `short:"o" help:"File to write; standard output if not given." placeholder:"FILE"`
}

// Run exports the codes.
func (c *codesExport) Run(ctx context.Context, api *client.Client) error {
	if c.Out == "" {
		return api.ExportCodes(ctx, c.Launch, c.Campaign, os.Stdout)
	}
	return writeFile(c.Out, 0o600, func(w io.Writer) error { return api.ExportCodes(ctx, c.Launch, c.Campaign, w) })
}

type codesShow struct {
	remote
	Launch string `arg:""`
	Code   string `arg:""`
}

// Run shows a code as Redis has it, and its history as Postgres has it.
func (c *codesShow) Run(ctx context.Context, api *client.Client) error {
	code, err := api.Code(ctx, c.Launch, c.Code)
	if err != nil {
		return err
	}
	events, err := api.CodeEvents(ctx, c.Launch, c.Code)
	if err != nil {
		return err
	}
	return c.print(map[string]any{"code": code, "events": events}, func(w io.Writer) {
		row(w, "CODE", "CAMPAIGN", "STATE", "USED", "HELD", "OF", "EXPIRES")
		row(w, code.Code, code.Campaign, code.State, code.Used, code.Held, code.MaxUses, when(code.ExpiresAt))
		fmt.Fprintln(w)
		row(w, "TIME", "EVENT", "SUBJECT", "BY", "NOTE")
		for _, e := range events {
			row(w, when(e.At), e.Kind, e.Subject, e.Actor, e.Note)
		}
	})
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// codesChange names codes that change together.
type codesChange struct {
	remote
	Launch string   `arg:""`
	Codes  []string `arg:"" optional:""`
	File   string   `short:"f" help:"File of codes, one a line; - is standard input." placeholder:"FILE"`
	Note   string   `help:"Why, for the audit trail."`
}

func (c *codesChange) change(ctx context.Context, api *client.Client, how gateway.CodeChange, expires time.Time) error {
	codes := c.Codes
	if c.File != "" {
		b, err := readInput(c.File)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			if line = strings.TrimSpace(line); line != "" {
				codes = append(codes, line)
			}
		}
	}
	if len(codes) == 0 {
		return errors.New("no codes: name them, or give --file")
	}
	position, err := api.ChangeCodes(ctx, c.Launch, how, codes, expires, c.Note)
	if err != nil {
		return err
	}
	return c.print(map[string]any{"changed": len(codes), "position": position}, func(w io.Writer) { fmt.Fprintf(w, "%d codes are %s\n", len(codes), how) })
}

type (
	codesRevoke    struct{ codesChange }
	codesReinstate struct{ codesChange }
	codesRenew     struct {
		codesChange
		Expires time.Time `help:"When they expire; with the campaign if not given." placeholder:"TIME"`
	}
)

// Run revokes the codes.
func (c *codesRevoke) Run(ctx context.Context, api *client.Client) error {
	return c.change(ctx, api, gateway.Revoke, time.Time{})
}

// Run takes the revocation back.
func (c *codesReinstate) Run(ctx context.Context, api *client.Client) error {
	return c.change(ctx, api, gateway.Reinstate, time.Time{})
}

// Run renews the codes.
func (c *codesRenew) Run(ctx context.Context, api *client.Client) error {
	return c.change(ctx, api, gateway.Renew, c.Expires)
}
