package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer that is not streamed, in bytes.
const maxAnswer = 32 << 20

// Client is safe for concurrent use. Its connections are kept alive and shared
// with the clients that As makes.
type Client struct {
	public, private string
	credential      string
	http            *http.Client
	retries         int
	patience        time.Duration
}

// Options are what New may be told besides.
type Options struct {
	// HTTP sends the requests; nil is a client with up to 256 idle connections
	// a host. It should have no timeout of its own: contexts bound the calls.
	HTTP *http.Client
	// Retries is how often a request that may be repeated is sent again. 0 is
	// 3 times, less than 0 never.
	Retries int
	// Patience is the longest Retry-After that is waited for. 0 is 5 s.
	Patience time.Duration
}

// New makes a client of a public and a private listener, "http://host:port"
// each; one that is "" is not called. key is an API key, "" for none.
func New(publicURL, privateURL, key string, o Options) *Client {
	if o.HTTP == nil {
		o.HTTP = &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
				MaxIdleConns:        512,
				MaxIdleConnsPerHost: 256,
				IdleConnTimeout:     50 * time.Second, // below the servers' 60 s: they never close first
				TLSHandshakeTimeout: 5 * time.Second,
				DisableCompression:  true,
			},
			// An invitation link answers with a redirect that the caller reads.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	switch {
	case o.Retries == 0:
		o.Retries = 3
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	return &Client{
		public: strings.TrimRight(publicURL, "/"), private: strings.TrimRight(privateURL, "/"), credential: key,
		http: o.HTTP, retries: o.Retries, patience: o.Patience,
	}
}

// As is the same client under another credential: an API key, a member token,
// or "" for the public.
func (c *Client) As(credential string) *Client {
	other := *c
	other.credential = credential
	return &other
}

// Close ends the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one call before it is sent.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	in           any    // made the body as JSON, unless it is nil
	contentType  string // of body
	body         []byte
	// repeatable says that sending it twice does what sending it once does.
	repeatable bool
}

// What the paths of the private listener's calls begin with.
const adminPath = "/admin/v1"

// path escapes the parts of a path behind a prefix.
func path(prefix string, parts ...string) string {
	var b strings.Builder
	b.WriteString(prefix)
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}

func (r *request) set(name, value string) {
	if value == "" {
		return
	}
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
}

// under gives the request an Idempotency-Key, under which it may be repeated;
// "" is none.
func (r request) under(key string) request {
	r.set("Idempotency-Key", key)
	r.repeatable = r.repeatable || key != ""
	return r
}

// json makes in the body.
func (r *request) json(in any) error {
	b, err := json.Marshal(in)
	r.contentType, r.body = "application/json", b
	return err
}

// get reads something.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return answer[T](ctx, c, request{method: http.MethodGet, path: path, query: query, repeatable: true})
}

// put posts what brings something to a state that posting it twice does not
// change further.
func put[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	return answer[T](ctx, c, request{method: http.MethodPost, path: path, repeatable: true, in: in})
}

// answer sends a request and decodes its answer.
func answer[T any](ctx context.Context, c *Client, r request) (out T, err error) {
	_, err = c.call(ctx, r, &out)
	return out, err
}

// call sends a request and decodes its answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, r request, out any) (*http.Response, error) {
	if r.in != nil {
		if err := r.json(r.in); err != nil {
			return nil, err
		}
	}
	response, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer finish(response)
	if out == nil {
		return response, nil
	}
	if err := decode(response.Body, out); err != nil {
		return nil, err
	}
	return response, nil
}

func decode(body io.Reader, out any) error {
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("client: reading the answer: %w", err)
	case len(b) > maxAnswer:
		return errors.New("client: the answer is larger than 32 MiB")
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("client: the answer is not what was expected: %w", err)
	}
	return nil
}

// finish reads what is left of a body, so that the connection is used again.
func finish(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	response.Body.Close()
}

// once sends a request one time.
func (c *Client) once(ctx context.Context, r request) (*http.Response, error) {
	target := c.public
	if strings.HasPrefix(r.path, adminPath) {
		target = c.private
	}
	if target == "" {
		return nil, errors.New("client: no URL was given for the listener of this call")
	}
	target += r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, errors.New("client: the URL of the gateway is not valid")
	}
	for name, values := range r.header {
		q.Header[name] = values
	}
	if r.contentType != "" {
		q.Header.Set("Content-Type", r.contentType)
	}
	if c.credential != "" {
		q.Header.Set("Authorization", "Bearer "+c.credential)
	}
	q.Header.Set("Accept", "application/json, application/problem+json")
	response, err := c.http.Do(q)
	if err != nil {
		return nil, quiet(err)
	}
	if response.StatusCode >= 400 {
		defer finish(response)
		return nil, readProblem(response)
	}
	return response, nil
}

// quiet drops the URL of a failed request from its error: it may hold a code.
func quiet(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return fmt.Errorf("client: %w", at.Err)
	}
	return err
}
