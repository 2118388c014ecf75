package client

import (
	"context"
	"io"
	"net/http"
	"time"

	"admitone/gateway"
)

// EntryNow is an entry of the waitlist as it stands in Redis, with what
// Postgres knows of the person.
type EntryNow struct {
	gateway.EntryRow
	Position int       `json:"position"`
	Total    int       `json:"total"`
	AsOf     time.Time `json:"as_of"`
	Offer    string    `json:"offer"` // its code
}

// Release is a cohort as it stands in Redis.
type Release struct {
	ID    string               `json:"id"`
	Count int                  `json:"count"`
	Done  int                  `json:"done"`
	Order gateway.ReleaseOrder `json:"order"`
	Seed  string               `json:"seed"`
	Slot  time.Time            `json:"slot,omitzero"`
	At    time.Time            `json:"created_at"`
	Ended bool                 `json:"ended"`
}

// Schedule is what the policy's schedule is about to do.
type Schedule struct {
	gateway.Schedule
	Policy   gateway.ReleasePolicy `json:"policy"`
	Next     time.Time             `json:"next,omitzero"`
	HeldBack string                `json:"held_back"`
}

func (c *Client) waitlistPath(launch string, parts ...string) string {
	return c.privatePath(launch, append([]string{"waitlist"}, parts...)...)
}

// Entries lists a waitlist: those that wait first, in their order.
func (c *Client) Entries(ctx context.Context, launch string, f gateway.EntryFilter, p gateway.Page) (gateway.List[gateway.EntryRow], error) {
	query := pageQuery(p, "status", string(f.Status), "source", f.Source, "release", f.Release, "q", f.Search)
	return get[gateway.List[gateway.EntryRow]](ctx, c, c.waitlistPath(launch), query)
}

// Entry finds an entry by its id or its e-mail address.
func (c *Client) Entry(ctx context.Context, launch, idOrEmail string) (EntryNow, error) {
	return get[EntryNow](ctx, c, c.waitlistPath(launch, "entries", idOrEmail), nil)
}

// Boost moves an entry in the line; the person sees the reason. It is done once
// for an idempotency key.
func (c *Client) Boost(ctx context.Context, launch, idOrEmail string, points int, reason, idempotencyKey string) (EntryNow, error) {
	q := request{method: http.MethodPost, path: c.waitlistPath(launch, "entries", idOrEmail, "boost"), in: map[string]any{"points": points, "reason": reason}}
	return answer[EntryNow](ctx, c, q.under(idempotencyKey))
}

// Remove takes an entry off the list.
func (c *Client) Remove(ctx context.Context, launch, idOrEmail, why string) (EntryNow, error) {
	return put[EntryNow](ctx, c, c.waitlistPath(launch, "entries", idOrEmail, "remove"), note{why})
}

// Imported is what came of an import.
type Imported struct {
	Added   int `json:"added"`
	Known   int `json:"known"`   // were on the list
	Skipped int `json:"skipped"` // do not wait, as the file says
}

// ImportEntries puts a CSV of people on the list, in its order: up to 20,000.
func (c *Client) ImportEntries(ctx context.Context, launch string, csv []byte) (Imported, error) {
	return answer[Imported](ctx, c, request{
		method: http.MethodPost, path: c.waitlistPath(launch, "import"), contentType: "text/csv", body: csv, repeatable: true,
	})
}

// ExportEntries writes the waitlist as CSV.
func (c *Client) ExportEntries(ctx context.Context, launch string, to io.Writer) error {
	response, err := c.send(ctx, request{method: http.MethodGet, path: c.waitlistPath(launch, "export"), repeatable: true})
	if err != nil {
		return err
	}
	defer finish(response)
	_, err = io.Copy(to, response.Body)
	return err
}

// WaitlistStats are a waitlist's figures.
func (c *Client) WaitlistStats(ctx context.Context, launch string) (gateway.WaitlistStats, error) {
	return get[gateway.WaitlistStats](ctx, c, c.waitlistPath(launch, "stats"), nil)
}

// SignSource makes a source that the launch vouches for.
func (c *Client) SignSource(ctx context.Context, launch, source string) (signed string, err error) {
	out, err := put[struct{ Signed string }](ctx, c, c.waitlistPath(launch, "sources"), map[string]string{"source": source})
	return out.Signed, err
}

// LetIn makes a release of so many; order and seed may be "". It is made once
// for an idempotency key. Larger ones go on behind the answer: WaitRelease
// waits.
func (c *Client) LetIn(ctx context.Context, launch string, count int, order gateway.ReleaseOrder, seed, why, idempotencyKey string) (Release, error) {
	return answer[Release](ctx, c, request{method: http.MethodPost, path: c.waitlistPath(launch, "releases"), in: struct {
		Count int                  `json:"count"`
		Order gateway.ReleaseOrder `json:"order,omitempty"`
		Seed  string               `json:"seed,omitempty"`
		note
	}{count, order, seed, note{why}}}.under(idempotencyKey))
}

// WaitRelease waits until the offers of a release are made, and tells how many
// there are.
func (c *Client) WaitRelease(ctx context.Context, launch, id string, progress func(Release)) (Release, error) {
	for {
		r, err := get[Release](ctx, c, c.waitlistPath(launch, "releases", id), nil)
		if err != nil || r.Ended {
			return r, err
		}
		if progress != nil {
			progress(r)
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Cohorts lists releases and what became of their offers, newest first.
func (c *Client) Cohorts(ctx context.Context, launch string) ([]gateway.CohortRow, error) {
	list, err := get[gateway.List[gateway.CohortRow]](ctx, c, c.waitlistPath(launch, "releases"), nil)
	return list.Data, err
}

// Schedule is what the policy's schedule is about to do.
func (c *Client) Schedule(ctx context.Context, launch string) (Schedule, error) {
	return get[Schedule](ctx, c, c.waitlistPath(launch, "schedule"), nil)
}

// PauseReleases stops all releases; ResumeReleases lets them go on.
func (c *Client) PauseReleases(ctx context.Context, launch, why string) (Schedule, error) {
	return put[Schedule](ctx, c, c.waitlistPath(launch, "pause"), note{why})
}

// ResumeReleases lets releases go on, the schedule's from now on.
func (c *Client) ResumeReleases(ctx context.Context, launch, why string) (Schedule, error) {
	return put[Schedule](ctx, c, c.waitlistPath(launch, "resume"), note{why})
}
