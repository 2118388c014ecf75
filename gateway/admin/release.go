package admin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"admitone/gateway"
)

// CohortLedger is what releases ask of Postgres.
type CohortLedger interface {
	Cohorts(ctx context.Context, launch string, observe time.Duration) ([]gateway.CohortRow, error)
}

// releaseWait is how long an answer waits for the offers of a release; a larger
// one goes on behind it.
const releaseWait = 3 * time.Second

// createRelease lets the next in line in. It answers 201 once the offers are
// made, or 202 while they are being made.
func (s *server) createRelease(c *call) error {
	var body struct {
		Count int                  `json:"count"`
		Order gateway.ReleaseOrder `json:"order"`
		Seed  string               `json:"seed"`
		noteBody
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.Count < 1 || body.Count > gateway.MaxRelease {
		return gateway.Invalid("count", "Use a whole number from 1 to 1000000.")
	}
	if len(body.Note) > maxNote {
		return gateway.Invalid("note", "Use at most 500 bytes.")
	}
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	r := gateway.Cohort{ID: c.workID().String(), Count: body.Count, Order: body.Order}
	switch r.Order {
	case "":
		r.Order = l.Policy.Waitlist.Release.Order
	case gateway.ByPriority, gateway.ByLottery:
	default:
		return gateway.Invalid("order", "Use priority or lottery.")
	}
	if r.Order == gateway.ByLottery {
		if r.Seed, err = lotterySeed(body.Seed); err != nil {
			return err
		}
	} else if body.Seed != "" {
		return gateway.Invalid("seed", "Only a lottery has a seed.")
	}
	_, err = s.Store.PutRelease(c.r.Context(), l.Name, r, 0, c.by(body.Note))
	if err != nil && !errors.Is(err, gateway.Refuse(gateway.ReleaseExists)) { // this request made it before
		return err
	}
	now, ended := s.waitRelease(c.r.Context(), l.Name, r.ID)
	status := http.StatusAccepted
	if ended {
		status = http.StatusCreated
	}
	now.ID = r.ID
	return c.answer(status, viewRelease(now))
}

// lotterySeed is the seed that was given, or a new one.
func lotterySeed(given string) (string, error) {
	if given == "" {
		var b [16]byte
		rand.Read(b[:])
		return hex.EncodeToString(b[:]), nil
	}
	if _, err := hex.DecodeString(given); err != nil || len(given) > 64 {
		return "", gateway.Invalid("seed", "Use up to 64 hexadecimal digits, an even number of them; or leave it out for a new one.")
	}
	return given, nil
}

// waitRelease waits for a release to end, for a moment.
func (s *server) waitRelease(ctx context.Context, launch, id string) (r gateway.Cohort, ended bool) {
	ctx, cancel := context.WithTimeout(ctx, releaseWait)
	defer cancel()
	for {
		now, err := s.Store.Release(ctx, launch, id)
		if err == nil {
			r = now
		}
		if r.Ended {
			return r, true
		}
		select {
		case <-ctx.Done():
			return r, false
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// releaseView is a release as it stands in Redis.
type releaseView struct {
	ID    string               `json:"id"`
	Count int                  `json:"count"`
	Done  int                  `json:"done"` // offers outstanding or redeemed
	Order gateway.ReleaseOrder `json:"order"`
	Seed  string               `json:"seed,omitempty"`
	Slot  time.Time            `json:"slot,omitzero"`
	At    time.Time            `json:"created_at"`
	Ended bool                 `json:"ended"`
}

func viewRelease(r gateway.Cohort) releaseView {
	return releaseView{r.ID, r.Count, r.Done, r.Order, r.Seed, r.Slot, r.At, r.Ended}
}

func (s *server) getRelease(c *call) error {
	r, err := s.Store.Release(c.r.Context(), c.r.PathValue("launch"), c.r.PathValue("release"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, viewRelease(r))
}

func (s *server) listReleases(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	list, err := s.Ledger.Cohorts(c.r.Context(), l.Name, time.Duration(l.Policy.Waitlist.Release.Observe))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"data": orEmpty(list), "has_more": false})
}

// scheduleView is what the schedule is about to do.
type scheduleView struct {
	gateway.Schedule
	Policy   gateway.ReleasePolicy `json:"policy"`
	Next     time.Time             `json:"next,omitzero"`
	HeldBack string                `json:"held_back,omitempty"` // why the next one waits
}

func (s *server) getSchedule(c *call) error {
	l, err := c.launch(s)
	if err != nil {
		return err
	}
	_, schedule, err := s.Store.Releases(c.r.Context(), l.Name)
	if err != nil {
		return err
	}
	now, err := s.Store.Now(c.r.Context(), l.Name)
	if err != nil {
		return err
	}
	v := scheduleView{Schedule: schedule, Policy: l.Policy.Waitlist.Release}
	if schedule.Running {
		v.Next = v.Policy.Next(schedule.Since, now)
		if slot, due := v.Policy.Due(schedule.Since, now); due {
			v.Next = slot
		}
	}
	if s.HeldBack != nil {
		v.HeldBack = s.HeldBack(l.Name)
	}
	return c.answer(http.StatusOK, v)
}

// setReleases pauses or resumes all releases of a launch.
func setReleases(running bool) func(*server, *call) error {
	return func(s *server, c *call) error {
		var body noteBody
		if err := c.decodeOptional(&body); err != nil {
			return err
		}
		l, err := c.launch(s)
		if err != nil {
			return err
		}
		if err := s.Store.SetSchedule(c.r.Context(), l.Name, running, c.by(body.Note)); err != nil {
			return err
		}
		return s.getSchedule(c)
	}
}
