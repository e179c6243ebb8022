package checker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"cartwheel/harness"
)

// Kinds of anomalies that [Convergence] finds.
const (
	Divergent      = "divergent"       // copies of a key differ
	MissingReplica = "missing-replica" // a replica has nothing of a key that others hold
)

// Convergence judges the last round of the final phase's reads: after all faults are
// healed and the cluster has become quiet, every replica of a key holds the same
// (section 4.7 of the paper). Copies that differ in a cluster that was not quiet, and
// that still changed from round to round, may only be late: they are unknown. How long
// after the faults and its last write each key was found converged is a figure.
func Convergence() harness.Checker { return newCheck("convergence", convergence) }

func convergence(ctx context.Context, x *index) harness.Finding {
	c := x.collect(Divergent, MissingReplica)
	copies, compared, unread, partial, moving, half := 0, 0, 0, 0, 0, 0
	agreed := make(map[string]time.Duration)
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		last := k.last()
		if len(last) == 0 {
			unread++
			continue
		}
		read := slices.DeleteFunc(slices.Clone(last), func(r copyRead) bool { return r.answer == none })
		if len(read) < len(last) {
			partial++
		}
		copies += len(read)
		if len(read) > 1 {
			compared++
		}
		odd := k.odd(read)
		switch {
		case odd == none && len(read) == len(last):
			agreed[k.key] = k.agreed(x)
		case odd == none:
		case x.unrest != "" && !k.stuck():
			moving++
		case x.claims.Uncompared && x.failing() && k.onlyOpen(x, read):
			half++
		default:
			kind := Divergent
			if k.empty(read[odd]) || k.empty(read[0]) {
				kind = MissingReplica
			}
			c.add(kind, len(read), func() harness.Anomaly { return k.divergent(x, read) })
		}
	}
	var doubts []string
	doubt := func(n int, why string) {
		if n > 0 {
			doubts = append(doubts, count(n, "key", "keys")+" "+why)
		}
	}
	doubt(unread, "not read on the replicas at the end")
	doubt(partial, "not read on every replica at the end")
	doubt(moving, "still changing when the run ended: "+x.unrest)
	if compared == 0 {
		doubts = append(doubts, "no key was read on two replicas at the end")
	}
	figures := agreement(agreed, copies, len(x.keys))
	checked := fmt.Sprintf("%s of %s", count(copies, "final copy", "final copies"), count(len(x.keys), "key", "keys"))
	if half > 0 {
		checked += fmt.Sprintf(", %s with a write on some replicas alone that its coordinator may not have handed on", count(half, "key", "keys"))
		figures["half_written"] = float64(half)
	}
	f := c.finding(checked, doubts, figures)
	return f
}

// agreed is how long a key's replicas may have differed: from the end of the last fault, or
// of the key's last write if that was later, to the look that found them equal. Copies are
// first looked at when the cluster is quiet, so it is an upper bound.
func (k *keyIndex) agreed(x *index) time.Duration {
	var since time.Duration
	for _, w := range x.faults {
		if w.to < forever {
			since = max(since, w.to)
		}
	}
	for i := range k.writes {
		since = max(since, k.times[max(k.writes[i].inv, k.writes[i].done)])
	}
	last := k.last()
	return max(0, k.times[last[len(last)-1].done]-since)
}

// agreement makes the figures of convergence: how long keys took, and which took longest.
func agreement(agreed map[string]time.Duration, copies, keys int) map[string]float64 {
	figures := map[string]float64{"copies": float64(copies), "keys": float64(keys)}
	for _, key := range widest(agreed) {
		figures["agreed_within_seconds/"+key] = agreed[key].Seconds()
	}
	percentiles(figures, "agreed_within_seconds", slices.Collect(maps.Values(agreed)), time.Duration.Seconds)
	return figures
}

// odd is the first copy that differs from the first one, or none.
func (k *keyIndex) odd(read []copyRead) int {
	for i := range read {
		if read[i].state != read[0].state || k.shown(read[i]) != k.shown(read[0]) {
			return i
		}
	}
	return none
}

func (k *keyIndex) shown(r copyRead) string { return harness.SiblingSet(r.siblings) }

// empty reports whether a replica has nothing where a copy would be.
func (k *keyIndex) empty(r copyRead) bool { return len(r.siblings) == 0 }

func (k *keyIndex) divergent(x *index, read []copyRead) harness.Anomaly {
	a := harness.Anomaly{Key: k.key}
	byState := make(map[string][]harness.NodeID)
	var states []string
	for _, r := range read {
		s := r.state + "\n" + k.shown(r)
		if byState[s] == nil {
			states = append(states, s)
		}
		byState[s] = append(byState[s], r.node)
		a.Ops = append(a.Ops, k.h[r.inv].Index, k.h[r.done].Index)
	}
	a.Story = append(a.Story, fmt.Sprintf("After everything was healed, the %d replicas of key %s hold %d different copies.", len(read), k.key, len(states)))
	for _, s := range states {
		i := slices.IndexFunc(read, func(r copyRead) bool { return r.node == byState[s][0] })
		a.Story = append(a.Story, fmt.Sprintf("%s: %s (op %d, state %s).",
			nodes(byState[s]), showing(k.h[read[i].done].Siblings), k.h[read[i].inv].Index, label(read[i].state)))
	}
	if n := len(k.rounds); n > 1 {
		a.Story = append(a.Story, fmt.Sprintf("The replicas were read %d times, over %.1f s.", n,
			(k.h[read[len(read)-1].done].Time-k.h[k.rounds[0][0].inv].Time).Seconds()))
	}
	if x.unrest != "" {
		a.Story = append(a.Story, "The cluster itself said that it was not quiet: "+x.unrest+".")
	}
	return a
}
