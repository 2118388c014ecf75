package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"admitone/gateway"
	"admitone/gateway/client"
)

// tale is a story of one launch that is told in facts: each is checked, and
// printed with its numbers.
type tale struct {
	*stage
	launch string
	out    *tabwriter.Writer
	plain  io.Writer
	server *client.Client // with a server key
	people int
}

// tell plays a story of the launch whose policy is in the file of its name.
func tell(ctx context.Context, out io.Writer, launch, policy string, flags []string, chapters ...func(*tale, context.Context) error) error {
	s, err := open(ctx, flags...)
	if err != nil {
		return err
	}
	defer s.close()
	t := &tale{stage: s, launch: launch, plain: out, out: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	if _, err := t.command(ctx, "launch", "apply", "-f", filepath.Join(t.root, "examples", "policies", policy)); err != nil {
		return err
	}
	key, err := t.command(ctx, "key", "create", "story", "--scope", "server")
	if err != nil {
		return err
	}
	t.server = client.New(t.Public, t.Private, strings.TrimSpace(key), client.Options{})
	for _, chapter := range chapters {
		if err := chapter(t, ctx); err != nil {
			return errors.Join(err, t.out.Flush())
		}
	}
	if err := t.settled(ctx); err != nil {
		return err
	}
	verified, err := t.command(ctx, "verify", launch)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	t.fact("verify", "%s", strings.TrimSpace(verified))
	if err := t.out.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "Redis and Postgres agree.")
	return err
}

// fact prints what was shown.
func (t *tale) fact(what, format string, a ...any) { fmt.Fprintf(t.out, what+"\t"+format+"\t\n", a...) }

// want fails unless two values are the same.
func want[T comparable](what string, got, wanted T) error {
	if got != wanted {
		return fmt.Errorf("%s: %v instead of %v", what, got, wanted)
	}
	return nil
}

// refused fails unless the error is a refusal for this reason.
func refused(what string, err error, reason gateway.Reason) error {
	if !errors.Is(err, gateway.Refuse(reason)) {
		return fmt.Errorf("%s: %w instead of %s", what, orNothing(err), reason)
	}
	return nil
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("no refusal")
	}
	return err
}

// waits is how long a refusal says to wait.
func waits(err error) time.Duration {
	var e *gateway.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// address is an address that nobody used yet.
func (t *tale) address() string {
	t.people++
	return fmt.Sprintf("10.%d.%d.%d", t.people>>16&255, t.people>>8&255, t.people&255)
}

// redeem lets a subject in from an address of its own.
func (t *tale) redeem(ctx context.Context, code, subject string) (client.Redemption, error) {
	return t.server.Redeem(ctx, t.launch, client.Redeem{Code: code, Subject: subject, Name: "The " + subject, IP: t.address()})
}

// codes mints codes of a new campaign.
func (t *tale) codes(ctx context.Context, campaign string, n int, flags ...string) ([]string, error) {
	if _, err := t.command(ctx, append([]string{"campaign", "create", t.launch, campaign}, flags...)...); err != nil {
		return nil, err
	}
	text, err := t.command(ctx, "codes", "mint", t.launch, campaign, fmt.Sprint(n))
	return strings.Fields(text), err
}

// ahead sets the launch's clock ahead.
func (t *tale) ahead(ctx context.Context, d time.Duration) error {
	_, err := t.admin.SetClock(ctx, t.launch, d)
	return err
}

// change changes the launch's policy.
func (t *tale) change(ctx context.Context, change func(*gateway.Policy)) error {
	p, version, err := t.admin.Policy(ctx, t.launch)
	if err != nil {
		return err
	}
	change(&p)
	document, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, _, err = t.admin.PutPolicy(ctx, t.launch, "application/json", document, version)
	return err
}

// settled waits until Postgres holds what Redis does.
func (t *tale) settled(ctx context.Context) error {
	return t.until(ctx, "Postgres has caught up", func() (bool, error) {
		at, err := t.admin.Position(ctx, t.launch)
		return at.Entries == 0, err
	})
}

func (t *tale) until(ctx context.Context, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		ok, err := holds()
		if ok && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting in vain until %s: %w", what, orNothing(err))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// secretFile writes a file that only flags name.
func secretFile(text string) (path string, remove func(), err error) {
	f, err := os.CreateTemp("", "admitone-story-secret-")
	if err != nil {
		return "", nil, err
	}
	_, err = f.WriteString(text)
	return f.Name(), func() { os.Remove(f.Name()) }, errors.Join(err, f.Close())
}
