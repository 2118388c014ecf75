package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"admitone/gateway"
)

// launchView is a launch as the API shows it.
type launchView struct {
	Name      string              `json:"name"`
	Version   uint64              `json:"version"`
	Open      bool                `json:"open"`
	Policy    gateway.Policy      `json:"policy"`
	Campaigns []*gateway.Campaign `json:"campaigns"`
}

func viewLaunch(l *gateway.Launch) launchView {
	return launchView{l.Name, l.Version, l.Open, l.Policy, orEmpty(l.Campaigns)}
}

func (c *call) launch(s *server) (*gateway.Launch, error) {
	return s.Store.Launch(c.r.Context(), c.r.PathValue("launch"))
}

// policy reads a policy document, JSON or YAML by its content type.
func (c *call) policy() (gateway.Policy, error) {
	b, err := c.body(maxBody)
	if err != nil {
		return gateway.Policy{}, err
	}
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	switch strings.TrimSpace(kind) {
	case "application/json":
	case "application/yaml", "application/x-yaml", "text/yaml":
		if len(b) > 64<<10 {
			return gateway.Policy{}, gateway.Invalid("body", "Send a policy of at most 64 KiB.")
		}
		if b, err = yaml.YAMLToJSON(b); err != nil {
			return gateway.Policy{}, gateway.Invalid("body", "It is not valid YAML: "+firstLine(yaml.FormatError(err, false, false)))
		}
	default:
		return gateway.Policy{}, gateway.Invalid("Content-Type", "Send application/json or application/yaml.")
	}
	return gateway.ParsePolicy(b)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (s *server) createLaunch(c *call) error {
	p, err := c.policy()
	if err != nil {
		return err
	}
	if c.dryRun() {
		return c.answer(http.StatusOK, map[string]any{"dry_run": true, "policy": p})
	}
	l, err := s.Store.CreateLaunch(c.r.Context(), p, c.by(""))
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, viewLaunch(l))
}

func (c *call) dryRun() bool {
	dry, _ := strconv.ParseBool(c.r.URL.Query().Get("dry_run"))
	return dry
}

func (s *server) listLaunches(c *call) error {
	names, err := s.Store.Launches(c.r.Context())
	if err != nil {
		return err
	}
	slices.Sort(names)
	list := []launchView{}
	for _, name := range names {
		l, err := s.Store.Launch(c.r.Context(), name)
		if err != nil {
			continue // named and never made, or not admitted now
		}
		v := viewLaunch(l)
		v.Campaigns = []*gateway.Campaign{}
		list = append(list, v)
	}
	return c.answer(http.StatusOK, map[string]any{"data": list, "has_more": false})
}

func (s *server) getLaunch(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewLaunch(l))
}

func (s *server) getPolicy(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", etag(l.Version))
	return c.answer(http.StatusOK, l.Policy)
}

func etag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// putPolicy replaces the policy. If-Match with the version that was read makes
// sure that nobody else's change is lost.
func (s *server) putPolicy(c *call) error {
	p, err := c.policy()
	if err != nil {
		return err
	}
	if name := c.r.PathValue("launch"); p.Launch != name {
		return gateway.Invalid("launch", "It must be the launch of the path: "+strconv.Quote(name)+".")
	}
	version, err := c.ifMatch()
	if err != nil {
		return err
	}
	if c.dryRun() {
		l, err := c.launch(s)
		if err != nil {
			return err
		}
		if version != 0 && version != l.Version {
			return gateway.Refuse(gateway.Conflict)
		}
		return c.answer(http.StatusOK, map[string]any{"dry_run": true, "policy": p})
	}
	l, err := s.Store.PutPolicy(c.r.Context(), p, version, c.by(""))
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", etag(l.Version))
	return c.answer(http.StatusOK, l.Policy)
}

func (c *call) ifMatch() (uint64, error) {
	h := c.r.Header.Get("If-Match")
	if h == "" || h == "*" {
		return 0, nil
	}
	version, err := strconv.ParseUint(strings.Trim(h, `"`), 10, 53)
	if err != nil || version == 0 {
		return 0, gateway.Invalid("If-Match", "Use the ETag of the policy that you read.")
	}
	return version, nil
}

func (s *server) openLaunch(c *call) error  { return s.setOpen(c, true) }
func (s *server) closeLaunch(c *call) error { return s.setOpen(c, false) }

func (s *server) setOpen(c *call, open bool) error {
	var body noteBody
	if err := c.decodeOptional(&body); err != nil {
		return err
	}
	l, err := s.Store.SetOpen(c.r.Context(), c.r.PathValue("launch"), open, c.by(body.Note))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewLaunch(l))
}

// noteBody is the body of a change that may say why.
type noteBody struct {
	Note string `json:"note"`
}

// maxNote bounds an operator's reason, in bytes.
const maxNote = 500

// decodeOptional reads a note where there is a body at all.
func (c *call) decodeOptional(into *noteBody) error {
	if c.r.ContentLength == 0 {
		return nil
	}
	if err := c.decode(into); err != nil {
		return err
	}
	if len(into.Note) > maxNote {
		return gateway.Invalid("note", "Use at most 500 bytes.")
	}
	return nil
}
