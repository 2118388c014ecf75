package gateway

import "slices"

// A code that was generated carries check characters which nobody makes without
// the deployment's secret. In a launch that has generated codes only, a gateway
// tells a guess from a code by looking at it.

// maxShapes bounds the templates that a code is compared with; a launch with
// more lets every guess through to the store.
const maxShapes = 64

// maxEarlier bounds the templates that a campaign remembers.
const maxEarlier = 16

// Succeed keeps in a changed campaign what the codes minted before the change
// may look like. was is nil for a new campaign.
func (c *Campaign) Succeed(was *Campaign) {
	c.Earlier, c.Chosen = nil, false
	if was == nil {
		return
	}
	c.Earlier, c.Chosen = slices.Clone(was.Earlier), was.Chosen || was.Vanity
	if c.Format != was.Format && !slices.Contains(c.Earlier, was.Format) {
		c.Earlier = append(c.Earlier, was.Format)
	}
	if len(c.Earlier) > maxEarlier {
		c.Earlier, c.Chosen = nil, true // of any shape, then
	}
}

// Generated reports whether all codes of the campaign have been generated.
func (c *Campaign) Generated() bool { return !c.Vanity && !c.Chosen }

// setShapes collects what the launch's codes may look like; nil where a code
// may be anything.
func (l *Launch) setShapes() {
	l.shapes = nil
	var shapes []Template
	for _, c := range l.Campaigns {
		if !c.Generated() {
			return
		}
		for _, format := range append([]string{c.Format}, c.Earlier...) {
			t, err := ParseTemplate(format)
			if err != nil {
				return
			}
			if !slices.Contains(shapes, t) {
				shapes = append(shapes, t)
			}
		}
	}
	if len(shapes) <= maxShapes {
		l.shapes = shapes
	}
}

// Impossible reports whether no code of this snapshot's campaigns can be this
// one: none was chosen or imported, and none that was generated carries these
// characters. A later snapshot may have more campaigns: see Wider.
func (l *Launch) Impossible(c Checker, code Code) bool {
	if l.shapes == nil {
		return false
	}
	for i := range l.shapes {
		if l.shapes[i].Genuine(c, l.Name, code) {
			return false
		}
	}
	return true
}

// Wider reports whether a code may exist in this snapshot that was impossible
// in an earlier one; nil stands for one that is not known. A launch without
// campaigns is the earliest: in it, nothing is impossible.
func (l *Launch) Wider(was *Launch) bool {
	if was == nil {
		return len(l.Campaigns) > 0
	}
	if was.shapes == nil {
		return false
	}
	return l.shapes == nil || slices.ContainsFunc(l.shapes, func(t Template) bool { return !slices.Contains(was.shapes, t) })
}
