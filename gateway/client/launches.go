package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"admitone/gateway"
)

// The content types of a policy document.
const (
	JSON = "application/json"
	YAML = "application/yaml"
)

// Launch is a launch as the admin API shows it. A list of launches leaves the
// campaigns out.
type Launch struct {
	Name      string              `json:"name"`
	Version   uint64              `json:"version"`
	Open      bool                `json:"open"`
	Policy    gateway.Policy      `json:"policy"`
	Campaigns []*gateway.Campaign `json:"campaigns"`
}

const launchesPath = adminPath + "/launches"

func (c *Client) privatePath(launch string, parts ...string) string {
	return path(launchesPath, append([]string{launch}, parts...)...)
}

// note is the body of a change that says why.
type note struct {
	Note string `json:"note,omitempty"`
}

// CreateLaunch makes a launch of a policy document, JSON or YAML.
func (c *Client) CreateLaunch(ctx context.Context, contentType string, document []byte) (Launch, error) {
	return answer[Launch](ctx, c, request{method: http.MethodPost, path: launchesPath, contentType: contentType, body: document})
}

// Launches lists the launches.
func (c *Client) Launches(ctx context.Context) ([]Launch, error) {
	list, err := get[gateway.List[Launch]](ctx, c, launchesPath, nil)
	return list.Data, err
}

// Launch reads a launch.
func (c *Client) Launch(ctx context.Context, launch string) (Launch, error) {
	return get[Launch](ctx, c, c.privatePath(launch), nil)
}

// Policy reads a launch's policy, and the version of the launch that it is of.
func (c *Client) Policy(ctx context.Context, launch string) (p gateway.Policy, version uint64, err error) {
	response, err := c.call(ctx, request{method: http.MethodGet, path: c.privatePath(launch, "policy"), repeatable: true}, &p)
	if err != nil {
		return p, 0, err
	}
	return p, versionOf(response), nil
}

func versionOf(response *http.Response) uint64 {
	version, _ := strconv.ParseUint(strings.Trim(response.Header.Get("ETag"), `"`), 10, 64)
	return version
}

// PutPolicy replaces a launch's policy. With a version other than 0 it returns
// conflict when somebody changed the launch since that version was read.
func (c *Client) PutPolicy(ctx context.Context, launch, contentType string, document []byte, version uint64) (p gateway.Policy, now uint64, err error) {
	q := request{
		method: http.MethodPut, path: c.privatePath(launch, "policy"), contentType: contentType, body: document,
		repeatable: version == 0, // the second one would meet the change that the first one made
	}
	if version != 0 {
		q.set("If-Match", `"`+strconv.FormatUint(version, 10)+`"`)
	}
	response, err := c.call(ctx, q, &p)
	if err != nil {
		return p, 0, err
	}
	return p, versionOf(response), nil
}

// CheckPolicy says what a policy document would come to, without putting it:
// its fields with all defaults. With create set it is checked for a launch that
// does not exist yet.
func (c *Client) CheckPolicy(ctx context.Context, launch, contentType string, document []byte, create bool) (gateway.Policy, error) {
	q := request{
		method: http.MethodPut, path: c.privatePath(launch, "policy"), query: url.Values{"dry_run": {"true"}},
		contentType: contentType, body: document, repeatable: true,
	}
	if create {
		q.method, q.path = http.MethodPost, launchesPath
	}
	out, err := answer[struct{ Policy gateway.Policy }](ctx, c, q)
	return out.Policy, err
}

// SetClock sets a launch's clock ahead of the time of day, where the gateway
// was started for a rehearsal.
func (c *Client) SetClock(ctx context.Context, launch string, ahead time.Duration) (Launch, error) {
	return answer[Launch](ctx, c, request{
		method: http.MethodPut, path: c.privatePath(launch, "clock"), repeatable: true, in: map[string]any{"ahead": gateway.Duration(ahead)},
	})
}

// OpenLaunch lets redemptions in; why is for the audit trail.
func (c *Client) OpenLaunch(ctx context.Context, launch, why string) (Launch, error) {
	return put[Launch](ctx, c, c.privatePath(launch, "open"), note{why})
}

// CloseLaunch refuses redemptions until it is opened.
func (c *Client) CloseLaunch(ctx context.Context, launch, why string) (Launch, error) {
	return put[Launch](ctx, c, c.privatePath(launch, "close"), note{why})
}
