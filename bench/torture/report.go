package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what came of it.
type Report struct {
	Seed   uint64
	Rounds []Round
	// Left are processes that outlive the harness' worlds.
	Left int
}

// Round is one fault, or two, under load.
type Round struct {
	Fault         string
	Mixed         bool
	Asked         int           // requests, repetitions included
	Answered      int           // with a decision
	Admitted      int           // distinct redemptions that clients were told of
	Persisted     int           // of these, told to be persisted
	Lost          int           // told, and not there any more
	LostSafe      int           // of these, told to be persisted
	Excused       bool          // Redis and who answered were broken together: accepted answers may be lost
	Over          int           // redemptions above a code's uses
	Drift         int           // differences between Redis and Postgres
	Crooked       int           // codes whose history is not linearizable
	Unchecked     int           // codes whose history took too long to check
	Unfenced      bool          // the history broke, and no new epoch began
	Conflicts     int           // decisions that Postgres' constraints refused, reported as such
	Joined        int           // people who were told a place on the waitlist
	JoinsLost     int           // told, and not there any more
	JoinsLostSafe int           // of these, told to be persisted
	Denied        int           // answers that did not know somebody who was told before
	Misled        int           // other things that people or operators were told and are not so
	Misplaced     int           // places in which Redis' line and Postgres differ
	Offered       int           // offers made
	OverOffered   int           // offers above the places of their releases
	Invited       int           // invites that members were told
	InvitesLost   int           // told to be persisted, or lost without a reason
	Rewarded      int           // friends whose purchases earned something
	Unpaid        int           // accounts that are not what the purchases come to
	Silent        time.Duration // the longest time in which nobody was answered
	Fenced        time.Duration // how long a gateway answered not_admitted, the longest of them
	Notes         []string      // what a fault has to say besides
}

// Breach says which promise did not hold; "" if all did.
func (r *Round) Breach() string {
	var list []string
	for what, broken := range map[string]bool{
		"a persisted redemption is lost":          r.LostSafe > 0,
		"an accepted redemption is lost":          r.Lost > r.LostSafe && !r.Excused,
		"a code is above its uses":                r.Over > 0,
		"Redis and Postgres differ":               r.Drift > 0,
		"a code's history is not linearizable":    r.Crooked > 0,
		"a broken history was served":             r.Unfenced,
		"a conflict without a loss that explains": r.Conflicts > 0 && !r.Excused,
		"a persisted join is lost":                r.JoinsLostSafe > 0,
		"an accepted join is lost":                (r.JoinsLost > r.JoinsLostSafe || r.Denied > 0) && !r.Excused,
		"who waits was told what is not so":       r.Misled > 0 && !r.Excused,
		"the line is not what Postgres says":      r.Misplaced > 0,
		"a release gave more places than it had":  r.OverOffered > 0,
		"an invite is lost":                       r.InvitesLost > 0,
		"an account is not right to the cent":     r.Unpaid > 0,
	} {
		if broken {
			list = append(list, what)
		}
	}
	return strings.Join(list, "; ")
}

// Breaches are rounds in which a promise did not hold.
func (r *Report) Breaches() (n int) {
	for _, one := range r.Rounds {
		if one.Breach() != "" {
			n++
		}
	}
	if r.Left > 0 {
		n++
	}
	return n
}

// Print writes the table.
func (r *Report) Print(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\trounds\trequests\tanswered\tadmitted\tpersisted\tlost\tlost persisted\tover-redeemed\tdrift\tnot linearizable\tconflicts\tjoined\tjoins lost\toffers\tinvites\tinvites lost\trewards\taccounts wrong\tmisled or misplaced\tfenced for\tlongest silence\t")
	total := map[string]*Round{}
	count := map[string]int{}
	var names []string
	for _, one := range r.Rounds {
		name := one.Fault
		if one.Mixed {
			name = "two at once"
		}
		if one.Excused {
			name += " *"
		}
		for _, name := range []string{name, "all"} {
			t := total[name]
			if t == nil {
				t = &Round{Fault: name}
				total[name] = t
				names = append(names, name)
			}
			count[name]++
			t.add(&one)
		}
	}
	for _, name := range names {
		if name != "all" {
			total[name].line(w, count[name])
		}
	}
	if total["all"] != nil {
		total["all"].line(w, count["all"])
	}
	w.Flush()
	fmt.Fprintln(to, "* Redis and the gateways that answered broke together: accepted answers may be lost, persisted ones may not")
	for n, one := range r.Rounds {
		if b := one.Breach(); b != "" {
			fmt.Fprintf(to, "round %d, %s: %s\n", n, one.Fault, b)
		}
		if one.Unchecked > 0 {
			fmt.Fprintf(to, "round %d, %s: %d histories took too long to check\n", n, one.Fault, one.Unchecked)
		}
	}
	for n, one := range r.Rounds {
		for _, note := range one.Notes {
			fmt.Fprintf(to, "round %d, %s\n", n, note)
		}
	}
	if r.Left > 0 {
		fmt.Fprintf(to, "%d processes are left over\n", r.Left)
	}
	fmt.Fprintf(to, "seed %d, %d breaches\n", r.Seed, r.Breaches())
}

func (r *Round) add(one *Round) {
	r.Asked += one.Asked
	r.Answered += one.Answered
	r.Admitted += one.Admitted
	r.Persisted += one.Persisted
	r.Lost += one.Lost
	r.LostSafe += one.LostSafe
	r.Over += one.Over
	r.Drift += one.Drift
	r.Crooked += one.Crooked
	r.Conflicts += one.Conflicts
	r.Joined += one.Joined
	r.JoinsLost += one.JoinsLost
	r.Offered += one.Offered
	r.Invited += one.Invited
	r.InvitesLost += one.InvitesLost
	r.Rewarded += one.Rewarded
	r.Unpaid += one.Unpaid
	r.Misled += one.Misled + one.Misplaced + one.OverOffered + one.Denied
	r.Fenced = max(r.Fenced, one.Fenced)
	r.Silent = max(r.Silent, one.Silent)
}

func (r *Round) line(w io.Writer, n int) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t%v\t\n", r.Fault, n, r.Asked, r.Answered, r.Admitted, r.Persisted,
		r.Lost, r.LostSafe, r.Over, r.Drift, r.Crooked, r.Conflicts, r.Joined, r.JoinsLost, r.Offered, r.Invited, r.InvitesLost, r.Rewarded, r.Unpaid, r.Misled, r.Fenced.Round(time.Millisecond), r.Silent.Round(time.Millisecond))
}
