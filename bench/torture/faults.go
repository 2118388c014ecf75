package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// fault is something that breaks, and mends again before it returns.
type fault struct {
	name string
	kind kind
	hits part
	// breaks says that the server's run or history ends: a new epoch must
	// begin before anybody is served.
	breaks bool
	// loses says that Redis may forget answers that Postgres does not hold.
	loses bool
	// orphans says that gateways which answered may end, or hang longer than
	// the others wait for them: with Redis' answers theirs are lost.
	orphans bool
	do      func(context.Context, *scene) error
	// after undoes what has to last until the round is settled; it may be nil.
	after func(context.Context, *scene) error
}

// part is what a fault hits. Two faults that hit the same part are not mixed.
type part int

// The parts, and together.
const (
	hitsRedis part = 1 << iota
	hitsNetwork
	hitsPostgres
	hitsGateways
	hitsAll = hitsRedis | hitsNetwork | hitsPostgres | hitsGateways
)

// scene is where a fault plays.
type scene struct {
	*world
	launch string
	rng    *rand.Rand
	crowd  *crowd
	note   func(format string, args ...any) // for below the table
}

// for a while: between least and most.
func (s *scene) while(ctx context.Context, least, most time.Duration) {
	pause(ctx, least+time.Duration(s.rng.Int64N(int64(most-least))))
}

// one of the gateways.
func (s *scene) one() *process { return s.gateways[s.rng.IntN(len(s.gateways))] }

// some of the gateways, at least one.
func (s *scene) some() []*process {
	if s.rng.IntN(2) == 0 {
		return s.gateways
	}
	return []*process{s.one()}
}

// faults are what can break.
var faults = slices.Concat(redisFaults, networkFaults, postgresFaults, gatewayFaults, []fault{overloadFault}, sentinelFaults, clusterFaults)

// none is a round in which nothing breaks.
var none = fault{name: "none", kind: standalone, do: func(context.Context, *scene) error { return nil }}

func faultNames() []string {
	names := []string{none.name}
	for _, f := range faults {
		names = append(names, f.name)
	}
	return names
}

// chosen are the faults that the names list; all of them for "".
func chosen(only string) ([]fault, error) {
	if only == "" {
		return append([]fault{none}, faults...), nil
	}
	var list []fault
	for name := range strings.SplitSeq(only, ",") {
		i := slices.Index(faultNames(), name)
		if i < 0 {
			return nil, fmt.Errorf("there is no fault %q; use %s", name, strings.Join(faultNames(), ", "))
		}
		list = append(list, append([]fault{none}, faults...)[i])
	}
	return list, nil
}

// mixable reports whether two faults may play in one round.
func mixable(a, b fault) bool {
	return a.kind == b.kind && a.hits&b.hits == 0 && a.hits != 0 && b.hits != 0
}
