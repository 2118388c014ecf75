package main

import (
	"context"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"

	"admitone/gateway"
	"admitone/gateway/client"
)

type launchCommand struct {
	Apply launchApply `cmd:"" help:"Make a launch of a policy file, or change its policy."`
	List  launchList  `cmd:"" help:"List the launches."`
	Show  launchShow  `cmd:"" help:"Show a launch's policy."`
	Open  launchOpen  `cmd:"" help:"Open a launch."`
	Close launchClose `cmd:"" help:"Close a launch: everything is refused."`
}

type launchApply struct {
	remote
	File   string `short:"f" required:"" help:"Policy, YAML or JSON; - is standard input." placeholder:"FILE"`
	DryRun bool   `help:"Only check it."`
}

// Run makes or changes the launch that the policy names.
func (c *launchApply) Run(ctx context.Context, api *client.Client) error {
	document, err := readInput(c.File)
	if err != nil {
		return err
	}
	var named struct{ Launch string }
	if err := yaml.Unmarshal(document, &named); err != nil {
		return fmt.Errorf("%s is not valid YAML or JSON: %s", c.File, yaml.FormatError(err, false, true))
	}
	if named.Launch == "" {
		return fmt.Errorf("%s does not say which launch it is for: begin it with \"launch: NAME\"", c.File)
	}
	kind := contentType(document)
	_, version, err := api.Policy(ctx, named.Launch)
	create := isUnknown(err)
	if err != nil && !create {
		return err
	}
	verb := "changed"
	var p gateway.Policy
	switch {
	case c.DryRun:
		verb = "is valid; nothing was changed"
		p, err = api.CheckPolicy(ctx, named.Launch, kind, document, create)
	case create:
		verb = "made"
		l, createErr := api.CreateLaunch(ctx, kind, document)
		p, err = l.Policy, createErr
	default:
		p, _, err = api.PutPolicy(ctx, named.Launch, kind, document, version)
	}
	if err != nil {
		return err
	}
	return c.print(p, func(w io.Writer) { fmt.Fprintf(w, "launch %s: %s\n", named.Launch, verb) })
}

type launchList struct{ remote }

// Run lists the launches.
func (c *launchList) Run(ctx context.Context, api *client.Client) error {
	list, err := api.Launches(ctx)
	if err != nil {
		return err
	}
	return c.print(list, func(w io.Writer) {
		row(w, "LAUNCH", "NAME", "STATE", "VERSION")
		for _, l := range list {
			row(w, l.Name, l.Policy.Name, openWord(l.Open), l.Version)
		}
	})
}

func openWord(open bool) string {
	if open {
		return "open"
	}
	return "closed"
}

type launchShow struct {
	remote
	Launch string `arg:""`
}

// Run prints the whole policy, as a file that launch apply takes.
func (c *launchShow) Run(ctx context.Context, api *client.Client) error {
	p, _, err := api.Policy(ctx, c.Launch)
	if err != nil {
		return err
	}
	text, err := yaml.MarshalWithOptions(p, yaml.UseJSONMarshaler())
	if err != nil {
		return err
	}
	return c.print(p, func(w io.Writer) { fmt.Fprintf(w, "%s", text) })
}

type launchOpen struct {
	remote
	Launch string `arg:""`
	Note   string `help:"Why, for the audit trail."`
}

// Run opens the launch.
func (c *launchOpen) Run(ctx context.Context, api *client.Client) error {
	l, err := api.OpenLaunch(ctx, c.Launch, c.Note)
	if err != nil {
		return err
	}
	return c.print(l, func(w io.Writer) { fmt.Fprintf(w, "launch %s is open\n", c.Launch) })
}

type launchClose struct {
	remote
	Launch string `arg:""`
	Note   string `help:"Why, for the audit trail."`
}

// Run closes the launch.
func (c *launchClose) Run(ctx context.Context, api *client.Client) error {
	l, err := api.CloseLaunch(ctx, c.Launch, c.Note)
	if err != nil {
		return err
	}
	return c.print(l, func(w io.Writer) { fmt.Fprintf(w, "launch %s is closed\n", c.Launch) })
}
