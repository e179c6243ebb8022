package checker

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

// forever is the end of what never ended.
const forever = time.Duration(math.MaxInt64)

// The two sides of a fault, as Op.Action of the nemesis's lines tells them.
const (
	injectAction = "inject"
	healAction   = "heal"
)

// A window is the time in which a fault was in force.
type window struct {
	fault    harness.Fault
	begun    time.Duration // it was to begin
	from     time.Duration // it is in force
	heldTill time.Duration // it was in force without a break until here: its heal began, or found that it still was
	to       time.Duration // it is undone
}

// windows lists the faults that were injected, in order.
func windows(h []harness.Op) []window {
	var out []window
	at, begun := make(map[string]int), make(map[string]time.Duration)
	for _, op := range h {
		if op.Process != harness.NemesisProcess || op.Fault == nil {
			continue
		}
		id := op.Fault.ID
		i, known := at[id]
		if !known && op.Kind == harness.Invoke {
			begun[id] = op.Time
		}
		if e := op.Evidence; !known && op.Kind != harness.Invoke && e != nil && e.Injected > 0 {
			at[id] = len(out)
			out = append(out, window{fault: *op.Fault, begun: min(begun[id], e.Injected), from: e.Injected, heldTill: forever, to: forever})
			continue
		}
		if !known || op.Action != healAction {
			continue
		}
		if op.Kind == harness.Invoke {
			out[i].heldTill = op.Time
		} else if out[i].to = op.Time; op.Evidence != nil && op.Evidence.Healed > 0 {
			out[i].to = op.Evidence.Healed
			out[i].heldTill = max(out[i].heldTill, stillHeld(*op.Evidence))
		}
	}
	slices.SortStableFunc(out, func(a, b window) int { return cmp.Compare(a.from, b.from) })
	return out
}

// stillHeld is when the heal of a fault, before it undid anything, last saw all of it in force; 0 if
// it did not. On a busy machine it takes seconds to see that.
func stillHeld(e harness.Evidence) (at time.Duration) {
	for _, p := range e.Probes {
		if p.When == "during" && p.Got != p.Want {
			return 0
		}
		if p.When == "during" {
			at = max(at, p.Time)
		}
	}
	return min(at, e.Healed)
}

func (w window) overlaps(from, to time.Duration) bool { return w.from <= to && from <= w.to }

// String says what the fault did, to whom and when.
func (w window) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s", w.fault.ID, strings.TrimSpace(w.fault.Kind+" "+w.fault.Name))
	if len(w.fault.Nodes) > 0 {
		fmt.Fprintf(&b, " of %s", nodes(w.fault.Nodes))
	}
	if len(w.fault.Links) > 0 {
		fmt.Fprintf(&b, ", cutting %s", links(w.fault.Links))
	}
	fmt.Fprintf(&b, ") from %s", instant(w.from))
	if w.to < forever {
		fmt.Fprintf(&b, " to %s", instant(w.to))
	}
	return b.String()
}

// minority returns the smaller side of a fault that splits the nodes in two which do
// not hear each other either way; none for any other fault.
func minority(f harness.Fault, all []harness.NodeID) []harness.NodeID {
	if len(f.Nodes) == 0 || len(f.Links) == 0 {
		return nil
	}
	var rest []harness.NodeID
	for _, n := range all {
		if !slices.Contains(f.Nodes, n) {
			rest = append(rest, n)
		}
	}
	if len(rest) == len(f.Nodes) || len(rest) == 0 {
		return nil
	}
	for _, a := range f.Nodes {
		for _, b := range rest {
			if !slices.Contains(f.Links, harness.Link{From: a, To: b}) || !slices.Contains(f.Links, harness.Link{From: b, To: a}) {
				return nil
			}
		}
	}
	if len(f.Nodes) < len(rest) {
		return f.Nodes
	}
	return rest
}

// asked lists the nodes that clients asked or that faults name, sorted: those that the cluster began with.
func asked(h []harness.Op) []harness.NodeID {
	bare := make([]harness.Op, len(h))
	for i, op := range h {
		bare[i] = harness.Op{Node: op.Node, Fault: op.Fault}
	}
	return nodesOf(bare)
}

// nodesOf lists every node that a history names, sorted.
func nodesOf(h []harness.Op) []harness.NodeID {
	seen := make(map[harness.NodeID]bool)
	for _, op := range h {
		seen[op.Node] = true
		if op.Fault != nil {
			for _, n := range op.Fault.Nodes {
				seen[n] = true
			}
			for _, l := range op.Fault.Links {
				seen[l.From], seen[l.To] = true, true
			}
		}
		if op.Meta != nil {
			for _, r := range op.Meta.Replies {
				seen[r.Node] = true
			}
		}
	}
	delete(seen, "")
	delete(seen, harness.Clients)
	return sortedKeys(seen)
}
