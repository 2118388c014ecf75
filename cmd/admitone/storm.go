package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"admitone/bench/storm"
	"admitone/gateway"
)

// stormCommand is load for a staging gateway.
type stormCommand struct {
	URL         string        `arg:"" help:"Public listener of a gateway: http://host:port."`
	Launch      string        `required:"" help:"Launch to redeem in."`
	Mix         string        `default:"redeem" enum:"redeem,validate,launch,poll" help:"What is sent: redeem, validate, launch (redemptions, exhausted codes, junk, repeats and validations, as on a launch day) or poll."`
	Code        []string      `help:"Code to use; several take turns." placeholder:"CODE"`
	CodesFile   string        `help:"File of codes, one a line; the first column of a CSV will do." placeholder:"FILE"`
	Exhausted   string        `help:"Code that is used up, for the mix launch." placeholder:"CODE"`
	Identity    string        `default:"subject" enum:"subject,email" help:"What the launch knows people by: subject (any id) or email (addresses at example.com), as its policy's identity says."`
	Tickets     string        `help:"File of waitlist tickets, one a line, for the mix poll." placeholder:"FILE"`
	Rate        float64       `default:"100" help:"Requests a second, whatever the answers do (open loop); 0 sends the next one when one is answered."`
	For         time.Duration `default:"10s" help:"How long is measured, 1h at most."`
	Warmup      time.Duration `default:"1s" help:"How long is not, before."`
	Connections int           `default:"64" help:"Open connections."`
	Timeout     time.Duration `default:"5s" help:"How long an answer is waited for."`
	JSON        bool          `name:"json" xor:"out" help:"Print JSON."`
	CSV         bool          `name:"csv" xor:"out" help:"Print the distribution of latencies as CSV."`
}

// Help is what --help says besides.
func (*stormCommand) Help() string {
	return `Aim it at a gateway of your own that nobody depends on: redemptions use codes up, and subjects named "storm-…" become members.

  admitone storm http://127.0.0.1:8080 --launch demo --code "$CODE" --rate 500 --for 10s

A rate that the gateway, or this machine, did not keep is not reported, and the command fails. So it does when answers are lost
or other than expected: the junk of the mix launch counts as failed attempts of this machine's address, so its launch needs a policy
that lets them pass (limits.failed_attempts.per_address: off). A gateway bounds the connections of one address (--per-address, 256 by default).`
}

// Validate refuses what cannot be sent.
func (c *stormCommand) Validate() error {
	switch {
	case !gateway.ValidLaunchName(c.Launch):
		return fmt.Errorf("--launch: %q is no name of a launch", c.Launch)
	case c.Mix == "poll" && c.Tickets == "":
		return errors.New("the mix poll needs --tickets")
	case c.Mix != "poll" && len(c.Code) == 0 && c.CodesFile == "":
		return fmt.Errorf("the mix %s needs --code or --codes-file", c.Mix)
	case c.Mix == "launch" && c.Exhausted == "":
		return errors.New("the mix launch needs --exhausted, a code that is used up")
	case c.Rate < 0 || c.Rate > storm.MaxRate:
		return fmt.Errorf("--rate: use 0 to %d", storm.MaxRate)
	case c.For <= 0 || c.Warmup < 0 || c.For+c.Warmup > storm.MaxFor:
		return fmt.Errorf("--for: use up to %v, the warm-up included", storm.MaxFor)
	case c.Connections < 1 || c.Connections > storm.MaxConnections:
		return fmt.Errorf("--connections: use 1 to %d", storm.MaxConnections)
	case c.Timeout <= 0:
		return errors.New("--timeout: use more than 0")
	}
	if _, err := storm.ParseTarget(c.URL); err != nil {
		return err
	}
	return storm.CheckText("--code", c.Code...)
}

// Run sends the storm. A rate that was not kept, a lost answer or an unexpected
// one is an error.
func (c *stormCommand) Run(ctx context.Context) error {
	target, err := storm.ParseTarget(c.URL)
	if err != nil {
		return err
	}
	m, err := c.mix(target)
	if err != nil {
		return err
	}
	o := storm.Options{
		Target: target, Mix: m, Connections: c.Connections, Rate: c.Rate, Warmup: c.Warmup, For: c.For, Timeout: c.Timeout,
		Seed: uint64(time.Now().UnixNano()),
	}
	live := terminal(os.Stderr)
	if live {
		o.Progress = func(p storm.Progress) {
			fmt.Fprintf(os.Stderr, "\r\x1b[K%s of %s   %.0f answers/s   p50 %s   p99 %s   unexpected %d   lost %d",
				p.Elapsed.Round(time.Second), p.Whole, p.Rate, p.P50.Round(10*time.Microsecond), p.P99.Round(10*time.Microsecond), p.Answered-p.Right, p.Lost)
		}
	}
	r, err := storm.Run(ctx, o)
	if live {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
	if err != nil {
		return err
	}
	if err := c.print(r); err != nil {
		return err
	}
	return verdict(r)
}

// verdict is the error of a run that was not what was asked for.
func verdict(r *storm.Result) error {
	switch {
	case r.Behind != "":
		return errors.New(r.Behind)
	case r.Lost > 0:
		return fmt.Errorf("%d answers were lost", r.Lost)
	case r.Unexpected > 0:
		return fmt.Errorf("%d of %d answers were not the expected ones", r.Unexpected, r.Answered)
	}
	return nil
}

func (c *stormCommand) print(r *storm.Result) error {
	w := bufio.NewWriter(os.Stdout)
	var err error
	switch {
	case c.JSON:
		err = r.JSON(w)
	case c.CSV:
		err = r.CSV(w)
	default:
		r.Print(w)
	}
	return errors.Join(err, w.Flush())
}

// mix is what --mix names. Its subjects have not been there before.
func (c *stormCommand) mix(t storm.Target) (*storm.Mix, error) {
	if c.Mix == "poll" {
		tickets, err := firstColumn("--tickets", c.Tickets)
		if err != nil {
			return nil, err
		}
		for i, ticket := range tickets {
			tickets[i] = "/v1/launches/" + c.Launch + "/waitlist/" + ticket
		}
		return storm.One("poll", storm.Get(t, tickets), 200, 304), nil
	}
	codes := c.Code
	if c.CodesFile != "" {
		more, err := firstColumn("--codes-file", c.CodesFile)
		if err != nil {
			return nil, err
		}
		codes = append(codes, more...)
	}
	prefix, domain := "storm-"+gateway.NewID(time.Now()).Short()+"-", map[string]string{"email": "example.com"}[c.Identity]
	people := func(kind string) storm.People { return storm.People{Prefix: prefix + kind, Domain: domain} }
	redeem := storm.Redeem(t, c.Launch, codes, people(""))
	switch c.Mix {
	case "validate":
		return storm.One("validate", storm.Validate(t, c.Launch, codes), 200), nil
	case "launch":
		if err := storm.CheckText("--exhausted", c.Exhausted); err != nil {
			return nil, err
		}
		return storm.LaunchDay(
			redeem, storm.Redeem(t, c.Launch, []string{c.Exhausted}, people("late-")), storm.Junk(t, c.Launch, min(len(codes[0]), storm.MaxJunk), people("junk-")),
			storm.Again(t, c.Launch, codes[0], people("again-"), 100), storm.Validate(t, c.Launch, codes)), nil
	}
	return storm.One("redeem", redeem, 201), nil
}

// firstColumn reads a list, or the first column of a CSV that may have a head.
func firstColumn(flag, path string) ([]string, error) {
	b, err := readInput(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	var list []string
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		first, _, _ := strings.Cut(s.Text(), ",")
		first = strings.Trim(strings.TrimSpace(first), `"`)
		if first != "" && (len(list) > 0 || first != "code" && first != "ticket") {
			list = append(list, first)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", flag)
	}
	return list, storm.CheckText(flag, list...)
}
