package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"admitone/gateway"
)

// ChosenCode is a code to be minted whose text somebody chose.
type ChosenCode struct {
	Code      string    `json:"code"`
	MaxUses   int       `json:"max_uses,omitempty"`  // 0: the campaign's
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: as the campaign's codes do
	Recipient string    `json:"recipient,omitempty"` // e-mail address or subject it is bound to
	Issuer    string    `json:"issuer,omitempty"`    // subject who gives it away
}

// Minted is a code that was minted.
type Minted struct {
	Code      string    `json:"code"` // as written to people
	MaxUses   int       `json:"max_uses,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Code is one code's record.
type Code struct {
	Code      string            `json:"code"`
	Campaign  string            `json:"campaign"`
	State     gateway.CodeState `json:"state"`
	Used      int               `json:"used"` // held ones included
	Held      int               `json:"held"`
	MaxUses   int               `json:"max_uses"`
	ExpiresAt time.Time         `json:"expires_at,omitzero"`
	Bound     bool              `json:"bound"`
	Issued    bool              `json:"issued_by_member"`
}

func (c *Client) codesPath(launch, campaign string, parts ...string) string {
	return c.privatePath(launch, append([]string{"campaigns", campaign, "codes"}, parts...)...)
}

// Mint mints so many generated codes. More than the gateway mints at once are a
// job: then there are no codes, and Job or WaitJob tells how far it is.
func (c *Client) Mint(ctx context.Context, launch, campaign string, count int) ([]Minted, *gateway.MintJob, error) {
	return c.mint(ctx, launch, campaign, struct {
		Count int `json:"count"`
	}{count})
}

// MintCodes mints chosen codes, all of them or none. The campaign must allow
// it. An *Error names the indexes of codes that exist already.
func (c *Client) MintCodes(ctx context.Context, launch, campaign string, codes []ChosenCode) ([]Minted, error) {
	minted, _, err := c.mint(ctx, launch, campaign, struct {
		Codes []ChosenCode `json:"codes"`
	}{codes})
	return minted, err
}

func (c *Client) mint(ctx context.Context, launch, campaign string, in any) ([]Minted, *gateway.MintJob, error) {
	return c.minted(ctx, request{method: http.MethodPost, path: c.codesPath(launch, campaign), in: in})
}

// ImportCodes mints the codes of a CSV, all of them or none. An *Error lists
// every line that is wrong.
func (c *Client) ImportCodes(ctx context.Context, launch, campaign string, csv []byte) ([]Minted, error) {
	minted, _, err := c.minted(ctx, request{
		method: http.MethodPost, path: c.codesPath(launch, campaign, "import"), contentType: "text/csv", body: csv,
	})
	return minted, err
}

func (c *Client) minted(ctx context.Context, q request) ([]Minted, *gateway.MintJob, error) {
	out, err := answer[struct {
		Codes []Minted         `json:"codes"`
		Job   *gateway.MintJob `json:"job"`
	}](ctx, c, q.under(fresh()))
	return out.Codes, out.Job, err
}

// Job reads how far a minting is.
func (c *Client) Job(ctx context.Context, launch string, id gateway.ID) (gateway.MintJob, error) {
	out, err := get[struct{ Job gateway.MintJob }](ctx, c, c.privatePath(launch, "jobs", id.String()), nil)
	return out.Job, err
}

// jobPoll is how often WaitJob asks.
const jobPoll = 250 * time.Millisecond

// WaitJob waits for a minting to end and tells its progress, which may be nil.
// A minting that failed is an error.
func (c *Client) WaitJob(ctx context.Context, launch string, id gateway.ID, progress func(gateway.MintJob)) (gateway.MintJob, error) {
	tick := time.NewTicker(jobPoll)
	defer tick.Stop()
	for {
		j, err := c.Job(ctx, launch, id)
		if err != nil {
			return j, err
		}
		if progress != nil {
			progress(j)
		}
		switch {
		case j.Error != "":
			return j, errors.New("client: the minting failed: " + j.Error)
		case !j.EndedAt.IsZero():
			return j, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return j, ctx.Err()
		}
	}
}

// ExportCodes writes a campaign's codes as CSV. An error may come after a part
// was written.
func (c *Client) ExportCodes(ctx context.Context, launch, campaign string, to io.Writer) error {
	response, err := c.send(ctx, request{method: http.MethodGet, path: c.codesPath(launch, campaign, "export"), repeatable: true})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(to, response.Body); err != nil {
		return fmt.Errorf("client: the export broke off: %w", err)
	}
	return nil
}

// Codes lists a campaign's codes.
func (c *Client) Codes(ctx context.Context, launch, campaign string, p gateway.Page) (gateway.List[gateway.CodeRow], error) {
	return get[gateway.List[gateway.CodeRow]](ctx, c, c.codesPath(launch, campaign), pageQuery(p))
}

// pageQuery asks for a page; filter is names and values, those that are "" left
// out.
func pageQuery(p gateway.Page, filter ...string) url.Values {
	q := url.Values{}
	for pair := range slices.Chunk(filter, 2) {
		if pair[1] != "" {
			q.Set(pair[0], pair[1])
		}
	}
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.After != "" {
		q.Set("after", p.After)
	}
	return q
}

// Code reads a code as it is now.
func (c *Client) Code(ctx context.Context, launch, code string) (Code, error) {
	return get[Code](ctx, c, c.privatePath(launch, "codes", code), nil)
}

// CodeEvents is the life of a code, oldest first.
func (c *Client) CodeEvents(ctx context.Context, launch, code string) ([]gateway.AuditEvent, error) {
	return all(func(p gateway.Page) (gateway.List[gateway.AuditEvent], error) {
		return get[gateway.List[gateway.AuditEvent]](ctx, c, c.privatePath(launch, "codes", code, "events"), pageQuery(p))
	})
}

// all reads a list to its end.
func all[T any](read func(gateway.Page) (gateway.List[T], error)) ([]T, error) {
	var rows []T
	for p := (gateway.Page{Limit: 100}); ; {
		list, err := read(p)
		if err != nil {
			return rows, err
		}
		rows = append(rows, list.Data...)
		if !list.HasMore {
			return rows, nil
		}
		p.After = list.Next
	}
}

// ChangeCodes revokes, reinstates or renews codes, all of them or none, and
// returns the launch's position behind the change. expires is for renewals;
// zero is with the campaign. An *Error names the indexes of codes that do not
// exist.
func (c *Client) ChangeCodes(ctx context.Context, launch string, change gateway.CodeChange, codes []string, expires time.Time, why string) (position uint64, err error) {
	verbs := map[gateway.CodeChange]string{gateway.Revoke: "revoke", gateway.Reinstate: "reinstate", gateway.Renew: "renew"}
	if verbs[change] == "" {
		return 0, fmt.Errorf("client: there is no change %q", change)
	}
	out, err := put[struct{ Position uint64 }](ctx, c, c.privatePath(launch, "codes", verbs[change]), struct {
		note
		Codes     []string  `json:"codes"`
		ExpiresAt time.Time `json:"expires_at,omitzero"`
	}{note{why}, codes, expires})
	return out.Position, err
}
