package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
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
	query := url.Values{}
	for name, value := range map[string]string{"status": string(f.Status), "source": f.Source, "release": f.Release, "q": f.Search, "after": p.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if p.Limit > 0 {
		query.Set("limit", strconv.Itoa(p.Limit))
	}
	var list gateway.List[gateway.EntryRow]
	err := c.get(ctx, c.waitlistPath(launch), query, &list)
	return list, err
}

// Entry finds an entry by its id or its e-mail address.
func (c *Client) Entry(ctx context.Context, launch, idOrEmail string) (EntryNow, error) {
	var e EntryNow
	err := c.get(ctx, c.waitlistPath(launch, "entries", idOrEmail), nil, &e)
	return e, err
}

// Boost moves an entry in the line; the person sees the reason. It is done once
// for an idempotency key.
func (c *Client) Boost(ctx context.Context, launch, idOrEmail string, points int, reason, idempotencyKey string) (EntryNow, error) {
	var e EntryNow
	q := request{method: http.MethodPost, base: c.private, path: c.waitlistPath(launch, "entries", idOrEmail, "boost"), repeatable: idempotencyKey != ""}
	q.set("Idempotency-Key", idempotencyKey)
	if err := q.json(map[string]any{"points": points, "reason": reason}); err != nil {
		return e, err
	}
	_, err := c.call(ctx, q, &e)
	return e, err
}

// Remove takes an entry off the list.
func (c *Client) Remove(ctx context.Context, launch, idOrEmail, why string) (EntryNow, error) {
	var e EntryNow
	err := c.put(ctx, c.waitlistPath(launch, "entries", idOrEmail, "remove"), note{why}, &e)
	return e, err
}

// ImportEntries puts a CSV of people on the list, in its order. It reports how
// many are new and how many were known.
func (c *Client) ImportEntries(ctx context.Context, launch string, csv []byte) (added, known int, err error) {
	var out struct{ Added, Known int }
	_, err = c.call(ctx, request{
		method: http.MethodPost, base: c.private, path: c.waitlistPath(launch, "import"), contentType: "text/csv", body: csv, repeatable: true,
	}, &out)
	return out.Added, out.Known, err
}

// ExportEntries writes the waitlist as CSV.
func (c *Client) ExportEntries(ctx context.Context, launch string, to io.Writer) error {
	response, err := c.send(ctx, request{method: http.MethodGet, base: c.private, path: c.waitlistPath(launch, "export"), repeatable: true})
	if err != nil {
		return err
	}
	defer finish(response)
	_, err = io.Copy(to, response.Body)
	return err
}

// WaitlistStats are a waitlist's figures.
func (c *Client) WaitlistStats(ctx context.Context, launch string) (gateway.WaitlistStats, error) {
	var s gateway.WaitlistStats
	err := c.get(ctx, c.waitlistPath(launch, "stats"), nil, &s)
	return s, err
}

// SignSource makes a source that the launch vouches for.
func (c *Client) SignSource(ctx context.Context, launch, source string) (signed string, err error) {
	var out struct{ Signed string }
	err = c.put(ctx, c.waitlistPath(launch, "sources"), map[string]string{"source": source}, &out)
	return out.Signed, err
}

// LetIn makes a release of so many; order and seed may be "". It is made once
// for an idempotency key. Larger ones go on behind the answer: WaitRelease
// waits.
func (c *Client) LetIn(ctx context.Context, launch string, count int, order gateway.ReleaseOrder, seed, why, idempotencyKey string) (Release, error) {
	var r Release
	q := request{method: http.MethodPost, base: c.private, path: c.waitlistPath(launch, "releases"), repeatable: idempotencyKey != ""}
	q.set("Idempotency-Key", idempotencyKey)
	err := q.json(struct {
		Count int                  `json:"count"`
		Order gateway.ReleaseOrder `json:"order,omitempty"`
		Seed  string               `json:"seed,omitempty"`
		note
	}{count, order, seed, note{why}})
	if err != nil {
		return r, err
	}
	_, err = c.call(ctx, q, &r)
	return r, err
}

// WaitRelease waits until the offers of a release are made, and tells how many
// there are.
func (c *Client) WaitRelease(ctx context.Context, launch, id string, progress func(Release)) (Release, error) {
	for {
		var r Release
		err := c.get(ctx, c.waitlistPath(launch, "releases", id), nil, &r)
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
	var list gateway.List[gateway.CohortRow]
	err := c.get(ctx, c.waitlistPath(launch, "releases"), nil, &list)
	return list.Data, err
}

// Schedule is what the policy's schedule is about to do.
func (c *Client) Schedule(ctx context.Context, launch string) (Schedule, error) {
	var s Schedule
	err := c.get(ctx, c.waitlistPath(launch, "schedule"), nil, &s)
	return s, err
}

// PauseReleases stops all releases; ResumeReleases lets them go on.
func (c *Client) PauseReleases(ctx context.Context, launch, why string) (Schedule, error) {
	var s Schedule
	err := c.put(ctx, c.waitlistPath(launch, "pause"), note{why}, &s)
	return s, err
}

// ResumeReleases lets releases go on, the schedule's from now on.
func (c *Client) ResumeReleases(ctx context.Context, launch, why string) (Schedule, error) {
	var s Schedule
	err := c.put(ctx, c.waitlistPath(launch, "resume"), note{why}, &s)
	return s, err
}
