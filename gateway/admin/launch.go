package admin

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"admitone/gateway"
)

// launchView is a launch as the API shows it.
type launchView struct {
	Name      string              `json:"name"`
	Version   uint64              `json:"version"`
	Open      bool                `json:"open"`
	Ahead     gateway.Duration    `json:"clock_ahead,omitzero"`
	Policy    gateway.Policy      `json:"policy"`
	Campaigns []*gateway.Campaign `json:"campaigns"`
}

func viewLaunch(l *gateway.Launch) launchView {
	return launchView{l.Name, l.Version, l.Open, gateway.Duration(l.Ahead), l.Policy, orEmpty(l.Campaigns)}
}

func (c *call) launch(s *server) (*gateway.Launch, error) {
	return s.Store.Launch(c.r.Context(), c.r.PathValue("launch"))
}

// policy reads a policy document, JSON or YAML by its content type.
func (c *call) policy() (gateway.Policy, error) {
	kind, err := c.mediaType("application/json", "application/yaml", "application/x-yaml", "text/yaml")
	if err != nil {
		return gateway.Policy{}, err
	}
	b, err := c.body(maxBody)
	if err != nil {
		return gateway.Policy{}, err
	}
	if kind != "application/json" {
		if len(b) > maxPolicy {
			return gateway.Policy{}, gateway.Invalid("body", "Send a policy of at most 64 KiB.")
		}
		if b, err = yamlToJSON(b); err != nil {
			return gateway.Policy{}, err
		}
	}
	return gateway.ParsePolicy(b)
}

// maxPolicy bounds a policy document, in bytes.
const maxPolicy = 64 << 10

// yamlToJSON reads a YAML document. Aliases are refused: a small document could
// name a large one with them.
func yamlToJSON(b []byte) ([]byte, error) {
	notYAML := func(err error) error {
		line, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
		return gateway.Invalid("body", "It is not valid YAML: "+line)
	}
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, notYAML(err)
	}
	if len(file.Docs) != 1 {
		return nil, gateway.Invalid("body", "Send one YAML document.")
	}
	aliases := findAliases{}
	ast.Walk(&aliases, file.Docs[0])
	if aliases.found {
		return nil, gateway.Invalid("body", "Write the policy without YAML aliases (*name).")
	}
	b, err = yaml.YAMLToJSON(b)
	if err != nil {
		return nil, notYAML(err)
	}
	return b, nil
}

type findAliases struct{ found bool }

// Visit implements ast.Visitor.
func (f *findAliases) Visit(n ast.Node) ast.Visitor {
	if n.Type() == ast.AliasType {
		f.found = true
	}
	return f
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
	c.r.SetPathValue("launch", l.Name)
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

// setClock sets a launch's clock ahead, so that a rehearsal plays weeks in
// minutes.
func (s *server) setClock(c *call) error {
	var body struct {
		Ahead gateway.Duration `json:"ahead"`
		noteBody
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if !s.Rehearsal {
		return &gateway.Error{Reason: gateway.Forbidden, Detail: "Clocks can be set in a rehearsal only: start the gateway with --rehearsal, never where real people redeem."}
	}
	if body.Ahead <= 0 || time.Duration(body.Ahead) > maxAhead {
		return gateway.Invalid("ahead", `Use a duration of at most 3650d, such as "48h": how far the launch's clock is to be ahead of the time of day.`)
	}
	l, err := s.Store.SetClock(c.r.Context(), c.r.PathValue("launch"), time.Duration(body.Ahead), c.by(body.Note))
	if errors.Is(err, gateway.Refuse(gateway.Conflict)) {
		return &gateway.Error{Reason: gateway.Conflict, Field: "ahead", Detail: "The clock is further ahead already, and time does not go back."}
	}
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewLaunch(l))
}

// maxAhead bounds a rehearsal.
const maxAhead = 3650 * 24 * time.Hour

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
	return checkNote(into.Note)
}

func checkNote(note string) error {
	if len(note) > maxNote {
		return gateway.Invalid("note", "Use at most 500 bytes.")
	}
	return nil
}
