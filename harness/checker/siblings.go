package checker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// TooManySiblings is the kind of anomaly that [Siblings] finds: an answer shows more
// siblings than there can be.
const TooManySiblings = "too-many-siblings"

// Siblings counts the live siblings that gets showed. Branching is what the store is for
// (section 4.4 of the paper), but within bounds: of writes of which each carried a context
// that covers the one before, a read shows one at most, and none once something that it
// shows covers the last. So there are no more siblings than concurrent writers since
// then. What goes beyond is an explosion of siblings, which clients that merge all they see
// cannot stop. Growth within the bound is worth a look, too: clients write without reading.
func Siblings() harness.Checker { return newCheck("siblings", siblings) }

// figures is a checker that only counts.
type figures struct {
	name  string
	count func(context.Context, []harness.Op) harness.Finding
}

func (c figures) Name() string { return c.name }

func (c figures) Check(ctx context.Context, h []harness.Op) harness.Finding {
	f := c.count(ctx, h)
	if ctx.Err() != nil {
		f = unknown("the count was cut short: %v", context.Cause(ctx))
	}
	f.Checker = c.name
	return f
}

func siblings(ctx context.Context, x *index) harness.Finding {
	c := x.collect(TooManySiblings)
	reads, shown, branched, most := 0, 0, 0, 0
	byKey := make(map[string]int)
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		for i := range k.answers {
			a := &k.answers[i]
			if !a.client() {
				continue
			}
			n := int(a.live)
			reads++
			shown += n
			if n > 1 {
				branched++
			}
			most = max(most, n)
			byKey[k.key] = max(byKey[k.key], n)
			if shown, bound := k.crowded(a); shown > bound {
				c.add(TooManySiblings, shown, func() harness.Anomaly { return k.tellCrowd(a, shown, bound) })
			}
		}
	}
	if reads == 0 {
		return unknown("no get succeeded")
	}
	mean := float64(shown) / float64(reads)
	checked := count(reads, "get", "gets") + " of " + count(len(byKey), "key", "keys")
	f := c.finding(checked, nil, map[string]float64{
		"reads": float64(reads), "siblings_mean": mean, "siblings_max": float64(most), "branched_reads": float64(branched),
	})
	if rest, ok := strings.CutPrefix(f.Summary, "checked "+checked); ok { // what was counted says more
		f.Summary = fmt.Sprintf("%s showed %.2f siblings on average and %d at most; %d showed more than one%s", checked, mean, most, branched, rest)
	}
	for _, key := range widest(byKey) {
		if byKey[key] > 1 {
			f.Figures["siblings_max/"+key] = float64(byKey[key])
		}
	}
	return f
}

// Availability counts how operations ended, outside of all faults and inside each, and
// for a fault that splits the nodes also at those on the smaller side and at the
// others. An operation counts to every fault that it overlapped. It judges nothing.
func Availability() harness.Checker { return figures{"availability", availability} }

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

func availability(ctx context.Context, h []harness.Op) harness.Finding {
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
	if inside.total()+outside.total() == 0 {
		return unknown("no client did anything")
	}
	f := harness.Finding{Verdict: harness.Valid, Figures: make(map[string]float64)}
	outside.into(f.Figures, "outside")
	inside.into(f.Figures, "inside")
	f.Summary = fmt.Sprintf("outside of faults %d of %d operations succeeded, inside %d of %d",
		outside.ok, outside.total(), inside.ok, inside.total())
	var small outcomes
	for i, w := range faults {
		by[i].into(f.Figures, w.fault.ID)
		smaller[i].into(f.Figures, w.fault.ID+"/minority")
		larger[i].into(f.Figures, w.fault.ID+"/majority")
		small.ok, small.fail, small.info = small.ok+smaller[i].ok, small.fail+smaller[i].fail, small.info+smaller[i].info
	}
	if small.total() > 0 {
		f.Summary += fmt.Sprintf(", on the smaller side of a split %d of %d", small.ok, small.total())
		small.into(f.Figures, "minority")
	}
	return f
}
