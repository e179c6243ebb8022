package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// Kinds of anomalies that [Availability] finds.
const (
	Unavailable  = "unavailable"    // a request failed although the node that was asked heard enough others
	AckedShort   = "acked-short"    // a strict request succeeded although too few of the key's owners could be reached
	Misrouted    = "misrouted"      // a client that routes asked a node that had to forward its write, long after the last change
	OutOfService = "out-of-service" // a node fails all that it is asked while all is well and the others serve
)

// Availability counts how operations ended, outside of all faults and inside each, and
// for a fault that splits the nodes also at those on the smaller side and at the
// others. An operation counts to every fault that it overlapped.
//
// Once it knows the run's plan (see [harness.Briefed]) it also judges. From the faults that were in force, as the
// evidence tells, it works out who could hear whom. Sloppy quorums have to serve whoever reaches enough
// nodes (section 4.6 of the paper), some time after the last change: nodes have to find out who is silent. Strict
// ones must not acknowledge what too few owners can have taken. Clients that route by themselves have to have learned the layout. Where time is not simulated a machine may be slow, so only a node that never
// serves counts there, and the rest is measured.
func Availability() harness.Checker { return available{} }

// An available judges by the plan that it was told; the zero value counts only.
type available struct {
	claims Claims
	plan   *harness.Plan
}

func (c available) Name() string { return "availability" }

// Brief tells what the run was to be.
func (c available) Brief(p harness.Plan) harness.Checker {
	c.plan = &p
	return c
}

func (c available) under(claims Claims) harness.Checker {
	c.claims = claims
	return c
}

func (c available) Check(ctx context.Context, h []harness.Op) harness.Finding {
	figures, summary := counted(ctx, h)
	f := harness.Finding{Verdict: harness.Valid, Summary: summary, Figures: figures}
	switch {
	case summary == "":
		f = unknown("no client did anything")
	case c.plan != nil:
		f = c.judge(ctx, h, figures)
		if f.Verdict == harness.Valid {
			f.Summary = summary + "; " + f.Summary
		}
	}
	if ctx.Err() != nil && f.Verdict != harness.Invalid {
		f = unknown("the count was cut short: %v", context.Cause(ctx))
	}
	f.Checker = c.Name()
	return f
}

// judge looks for requests that should have been served, and for those that should not.
func (c available) judge(ctx context.Context, h []harness.Op, figures map[string]float64) harness.Finding {
	found := collect(c.claims, OutOfService, Unavailable, AckedShort, Misrouted)
	j := newDuty(*c.plan, h)
	for i, p := range history.Pairs(h) {
		if i%1024 == 0 && ctx.Err() != nil {
			break
		}
		if r := newRequest(h, p); r.inv.Process >= 0 {
			j.look(r, found)
		}
	}
	j.silent(found)
	figures["owed"], figures["unserved"] = float64(j.owed), float64(j.unserved)
	return found.finding(fmt.Sprintf("%s, of which %d had to be served", count(j.seen, "request", "requests"), j.owed), nil, figures)
}

// simulated reports whether a run was in virtual time, where nothing is slow but by a fault.
func simulated(p harness.Plan) bool { return strings.HasPrefix(p.World, "sim") }

// outcomes counts completions.
type outcomes struct{ ok, fail, info int }

func (o *outcomes) add(kind harness.Kind) {
	switch kind {
	case harness.OK:
		o.ok++
	case harness.Fail:
		o.fail++
	default:
		o.info++
	}
}

func (o outcomes) total() int { return o.ok + o.fail + o.info }

func (o outcomes) share() float64 { return float64(o.ok) / float64(max(o.total(), 1)) }

func (o outcomes) into(figures map[string]float64, name string) {
	if o.total() == 0 {
		return
	}
	figures["ok/"+name], figures["fail/"+name], figures["info/"+name] = float64(o.ok), float64(o.fail), float64(o.info)
	figures["available/"+name] = o.share()
}

// counted counts how operations ended.
func counted(ctx context.Context, h []harness.Op) (figures map[string]float64, summary string) {
	faults, all := windows(h), nodesOf(h)
	sides := make([][]harness.NodeID, len(faults))
	for i, w := range faults {
		sides[i] = minority(w.fault, all)
	}
	var outside, inside outcomes
	by, smaller, larger := make([]outcomes, len(faults)), make([]outcomes, len(faults)), make([]outcomes, len(faults))
	for i, p := range history.Pairs(h) {
		if i%1024 == 0 && ctx.Err() != nil {
			break
		}
		inv := h[p.Invoke]
		if inv.Process < 0 {
			continue
		}
		kind, end, hit := harness.Info, forever, false
		if p.Completion >= 0 {
			kind, end = h[p.Completion].Kind, h[p.Completion].Time
		}
		for i, w := range faults {
			if !w.overlaps(inv.Time, end) {
				continue
			}
			hit = true
			by[i].add(kind)
			if sides[i] != nil && slices.Contains(sides[i], inv.Node) {
				smaller[i].add(kind)
			} else if sides[i] != nil {
				larger[i].add(kind)
			}
		}
		if hit {
			inside.add(kind)
		} else {
			outside.add(kind)
		}
	}
	figures = make(map[string]float64)
	if inside.total()+outside.total() == 0 {
		return figures, ""
	}
	outside.into(figures, "outside")
	inside.into(figures, "inside")
	summary = fmt.Sprintf("outside of faults %d of %d operations succeeded, inside %d of %d",
		outside.ok, outside.total(), inside.ok, inside.total())
	var small outcomes
	for i, w := range faults {
		by[i].into(figures, w.fault.ID)
		smaller[i].into(figures, w.fault.ID+"/minority")
		larger[i].into(figures, w.fault.ID+"/majority")
		small.ok, small.fail, small.info = small.ok+smaller[i].ok, small.fail+smaller[i].fail, small.info+smaller[i].info
	}
	if small.total() > 0 {
		summary += fmt.Sprintf(", on the smaller side of a split %d of %d", small.ok, small.total())
		small.into(figures, "minority")
	}
	return figures, summary
}
