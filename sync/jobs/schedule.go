package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"admitone/gateway"
)

// ScheduleStore is what a Scheduler asks of Redis.
type ScheduleStore interface {
	Launches(ctx context.Context) ([]string, error)
	Launch(ctx context.Context, name string) (*gateway.Launch, error)
	Now(ctx context.Context, launch string) (time.Time, error)
	Releases(ctx context.Context, launch string) ([]gateway.Cohort, gateway.Schedule, error)
	PutRelease(ctx context.Context, launch string, c gateway.Cohort, limit int, by gateway.Actor) (gateway.Cohort, error)
	SetSchedule(ctx context.Context, launch string, running bool, by gateway.Actor) error
}

// Scheduler makes the releases that policies' schedules ask for. Every gateway
// may run one: a slot is served once.
type Scheduler struct {
	Store      ScheduleStore
	Prometheus string // base URL of the server that guards' queries are put to; "" if there is none
	Log        *slog.Logger
	HTTP       *http.Client // nil: one with a timeout of 5 s

	held *prometheus.GaugeVec
	mu   sync.Mutex
	why  map[string]string    // by launch, why its next release is held back
	next map[string]time.Time // by launch, when its guard is asked again
}

// guardPause is how long an unhealthy guard is left alone.
const guardPause = 10 * time.Second

// Register makes the scheduler's metric.
func (s *Scheduler) Register(r prometheus.Registerer) {
	s.held = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "admitone_release_held_back", Help: "1 while a scheduled release waits for its guard or for the last cohort to have been observed.",
	}, []string{"launch"})
	r.MustRegister(s.held)
}

// Run looks at all schedules from time to time, until the context is over.
func (s *Scheduler) Run(ctx context.Context, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		names, err := s.Store.Launches(ctx)
		if err != nil {
			continue // the store logs it; the next tick asks again
		}
		for _, name := range names {
			if err := s.Look(ctx, name); err != nil && ctx.Err() == nil && !passing(err) {
				s.Log.Warn("a schedule could not be served", "launch", name, "error", err)
			}
		}
	}
}

func passing(err error) bool {
	var e *gateway.Error
	return errors.As(err, &e) && (passes(e) || e.Reason == gateway.LaunchUnknown)
}

// HeldBack is why a launch's next scheduled release waits; "" if it does not.
func (s *Scheduler) HeldBack(launch string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why[launch]
}

// Look makes a launch's release if one is due.
func (s *Scheduler) Look(ctx context.Context, launch string) error {
	l, err := s.Store.Launch(ctx, launch)
	if err != nil {
		return err
	}
	policy := &l.Policy.Waitlist.Release
	if !policy.Scheduled() || !l.Open {
		s.hold(launch, "")
		return nil
	}
	releases, schedule, err := s.Store.Releases(ctx, launch)
	if err != nil {
		return err
	}
	if schedule.Since.IsZero() {
		return s.Store.SetSchedule(ctx, launch, true, scheduleActor)
	}
	now, err := s.Store.Now(ctx, launch)
	if err != nil {
		return err
	}
	slot, due := policy.Due(schedule.Since, now)
	if !schedule.Running || !due {
		s.hold(launch, "")
		return nil
	}
	if why := s.wait(ctx, l, releases, now); why != "" {
		s.hold(launch, why)
		return nil
	}
	s.hold(launch, "")
	c := gateway.Cohort{ID: "slot-" + slot.UTC().Format("20060102T1504Z"), Count: policy.Count, Order: policy.Order, Slot: slot}
	if c.Order == gateway.ByLottery {
		c.Seed = NewSeed()
	}
	_, err = s.Store.PutRelease(ctx, launch, c, policy.Cap, scheduleActor)
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		switch e.Reason {
		case gateway.ReleaseExists, gateway.SchedulePaused:
			return nil // another gateway was faster
		case gateway.ScheduleOver:
			s.hold(launch, e.Sentence())
			return nil
		}
	}
	return err
}

var scheduleActor = gateway.Actor{Name: "schedule"}

// NewSeed is a lottery's seed: 128 random bits in hex.
func NewSeed() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (s *Scheduler) hold(launch, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == nil {
		s.why, s.next = map[string]string{}, map[string]time.Time{}
	}
	if s.why[launch] != why && why != "" {
		s.Log.Warn("a scheduled release is held back", "launch", launch, "why", why)
	}
	if s.why[launch] = why; s.held == nil {
		return
	}
	if why == "" {
		s.held.WithLabelValues(launch).Set(0)
	} else {
		s.held.WithLabelValues(launch).Set(1)
	}
}

// wait is why a release that is due has to wait; "" if it has not.
func (s *Scheduler) wait(ctx context.Context, l *gateway.Launch, releases []gateway.Cohort, now time.Time) string {
	policy := &l.Policy.Waitlist.Release
	if policy.OneByOne {
		for _, r := range releases {
			if until := r.At.Add(time.Duration(policy.Observe)); !r.Slot.IsZero() && now.Before(until) {
				return "the cohort " + r.ID + " is observed until " + until.UTC().Format(time.RFC3339)
			}
		}
	}
	if policy.Guard == (gateway.GuardPolicy{}) {
		return ""
	}
	s.mu.Lock()
	why, pausing := s.why[l.Name], time.Now().Before(s.next[l.Name])
	s.mu.Unlock()
	if pausing {
		return why
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if why = s.guard(ctx, policy.Guard); why != "" {
		s.mu.Lock()
		if s.next == nil {
			s.why, s.next = map[string]string{}, map[string]time.Time{}
		}
		s.next[l.Name] = time.Now().Add(guardPause)
		s.mu.Unlock()
	}
	return why
}

// guard is why a guard is not healthy; "" if it is. What cannot be asked is
// not.
func (s *Scheduler) guard(ctx context.Context, g gateway.GuardPolicy) string {
	if g.URL != "" {
		status, _, err := s.get(ctx, g.URL)
		if err != nil {
			return "the guard's URL does not answer"
		}
		if status < 200 || status > 299 {
			return "the guard's URL answers " + strconv.Itoa(status)
		}
	}
	if g.Prometheus == "" {
		return ""
	}
	if s.Prometheus == "" {
		return "the guard's query cannot be put: start the gateway with --prometheus-url"
	}
	status, body, err := s.get(ctx, s.Prometheus+"/api/v1/query?query="+url.QueryEscape(g.Prometheus))
	if err != nil || status != http.StatusOK {
		return "Prometheus does not answer the guard's query"
	}
	var answer struct {
		Data struct {
			Result json.RawMessage
			Type   string `json:"resultType"`
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "Prometheus does not answer the guard's query"
	}
	values, err := sampleValues(answer.Data.Type, answer.Data.Result)
	switch {
	case err != nil:
		return "the guard's query: " + err.Error()
	case len(values) == 0:
		return "the guard's query has no value"
	}
	for _, v := range values {
		if v == 0 {
			return "the guard's query is 0"
		}
	}
	return ""
}

// sampleValues are the numbers of an instant query's result.
func sampleValues(kind string, result json.RawMessage) ([]float64, error) {
	var samples []struct{ Value [2]any }
	switch kind {
	case "vector":
		if err := json.Unmarshal(result, &samples); err != nil {
			return nil, errors.New("its result does not parse")
		}
	case "scalar":
		samples = make([]struct{ Value [2]any }, 1)
		if err := json.Unmarshal(result, &samples[0].Value); err != nil {
			return nil, errors.New("its result does not parse")
		}
	default:
		return nil, fmt.Errorf("its result is of type %.20q; use an instant vector or a scalar", kind)
	}
	values := make([]float64, len(samples))
	for i, s := range samples {
		text, _ := s.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || v != v {
			return nil, errors.New("one of its values is no number")
		}
		values[i] = v
	}
	return values, nil
}

// maxGuard bounds a guard's answer, in bytes.
const maxGuard = 1 << 20

func (s *Scheduler) get(ctx context.Context, address string) (int, []byte, error) {
	client := s.HTTP
	if client == nil {
		client = &http.Client{Timeout: 5 * time.Second}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxGuard))
	return response.StatusCode, body, err
}
