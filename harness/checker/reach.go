package checker

import (
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

// A reach says who could hear whom while certain faults were in force.
type reach struct {
	nodes   []harness.NodeID
	down    map[harness.NodeID]bool // dead or paused
	full    map[harness.NodeID]bool // the disk takes no writes: the node hands them on
	cut     map[harness.Link]bool   // also of [harness.Clients]
	strange bool                    // there is a fault in force of which it is not known what has to be served under it
}

// reachOf works out what faults leave of the cluster.
func reachOf(nodes []harness.NodeID, faults []harness.Fault) *reach {
	r := &reach{nodes: nodes, down: map[harness.NodeID]bool{}, full: map[harness.NodeID]bool{}, cut: map[harness.Link]bool{}}
	for _, f := range faults {
		switch {
		case f.Kind == "partition":
			r.part(f)
		case f.Kind == "pause", f.Kind == "kill":
			mark(r.down, f.Nodes)
		case f.Kind == "disk" && f.Disk != nil && (f.Disk.Full || f.Disk.ReadOnly):
			mark(r.full, f.Nodes)
		default: // bad links, and disks that fail now and then, cost some requests and not others
			r.strange = true
		}
	}
	return r
}

func mark(set map[harness.NodeID]bool, nodes []harness.NodeID) {
	for _, n := range nodes {
		set[n] = true
	}
}

// part cuts a partition's links: those that it names, or else all between its nodes and the others.
func (r *reach) part(f harness.Fault) {
	for _, l := range f.Links {
		r.cut[l] = true
	}
	if len(f.Links) > 0 {
		return
	}
	for _, a := range f.Nodes {
		for _, b := range r.nodes {
			if !slices.Contains(f.Nodes, b) {
				r.cut[harness.Link{From: a, To: b}], r.cut[harness.Link{From: b, To: a}] = true, true
			}
		}
	}
}

// asked reports whether clients reach the node, and it answers.
func (r *reach) asked(n harness.NodeID) bool { return !r.down[n] && r.open(harness.Clients, n) }

// hear reports whether a node's calls of another are answered.
func (r *reach) hear(a, b harness.NodeID) bool {
	return a == b || !r.down[a] && !r.down[b] && r.open(a, b)
}

func (r *reach) open(a, b harness.NodeID) bool {
	return !r.cut[harness.Link{From: a, To: b}] && !r.cut[harness.Link{From: b, To: a}]
}

// with lists the nodes whose answers a node gets, itself among them.
func (r *reach) with(n harness.NodeID) (out []harness.NodeID) {
	for _, m := range r.nodes {
		if r.hear(n, m) {
			out = append(out, m)
		}
	}
	return out
}

// secluded reports whether a node and those that it hears all hear the same: no answer comes from elsewhere.
func (r *reach) secluded(n harness.NodeID) bool {
	among := r.with(n)
	return !slices.ContainsFunc(among, func(m harness.NodeID) bool { return !slices.Equal(r.with(m), among) })
}

// writable leaves out the nodes whose disks take no writes.
func (r *reach) writable(nodes []harness.NodeID) []harness.NodeID {
	return slices.DeleteFunc(slices.Clone(nodes), func(n harness.NodeID) bool { return r.full[n] })
}

// serves reports whether a sloppy request that needs so many nodes must succeed at a node: whoever may
// come to coordinate it hears enough of them.
func (r *reach) serves(n harness.NodeID, need int, write bool) bool {
	if !r.asked(n) {
		return false
	}
	if !write {
		others := r.writable(r.with(n)) // the others take one that cannot write for down
		if !slices.Contains(others, n) {
			others = append(others, n)
		}
		return len(others) >= need
	}
	coordinators := r.writable(r.with(n))
	return len(coordinators) > 0 && !slices.ContainsFunc(coordinators, func(d harness.NodeID) bool {
		return len(r.writable(r.with(d))) < need
	})
}

// owners is how many of a key's owners a request at a node can have reached at most: whoever it hears may have
// coordinated it.
func (r *reach) owners(n harness.NodeID, owners []harness.NodeID) (most int) {
	for _, d := range r.with(n) {
		heard := 0
		for _, o := range owners {
			if r.hear(d, o) {
				heard++
			}
		}
		most = max(most, heard)
	}
	return most
}

// A weather tells which faults were in force when.
type weather struct {
	nodes   []harness.NodeID
	windows []window
	reaches map[string]*reach // by the faults in force
	clear   *reach            // without any
}

func newWeather(nodes []harness.NodeID, h []harness.Op) *weather {
	return &weather{nodes: nodes, windows: windows(h), reaches: map[string]*reach{}, clear: reachOf(nodes, nil)}
}

// How long nodes may take to find out what has changed.
const (
	// findsSilence is for two time-outs, or two probes, behind the last answer of a node that is silent.
	findsSilence = 4 * time.Second
	// findsAnswers is for a probe of a node that answers again, and for one that was started to be ready.
	findsAnswers = 2 * time.Second
)

// settled reports whether nothing has changed for long enough before a stretch of time, nor in it.
func (w *weather) settled(from, to time.Duration) bool { return w.still(from, to, findsSilence) }

// still reports whether nothing has changed in a stretch of time, nor so long before it that a fault began, nor so long that nodes
// may not have found out yet who answers again.
func (w *weather) still(from, to, sinceFault time.Duration) bool {
	return !slices.ContainsFunc(w.windows, func(v window) bool {
		if !v.matters() {
			return false
		}
		strikes := v.begun <= to && from < v.from+sinceFault
		heals := v.heldTill <= to && (v.to == forever || from < v.to+findsAnswers)
		return strikes || heals || v.lasting() && v.begun <= to
	})
}

// quiet reports whether no fault overlaps a stretch of time.
func (w *weather) quiet(from, to time.Duration) bool {
	return !slices.ContainsFunc(w.windows, func(v window) bool { return v.begun <= to && from < v.to })
}

// matters reports whether a fault may cost requests: nobody waits by the clocks that a fault sets wrong.
func (v window) matters() bool { return v.fault.Kind != "clock" }

// lasting reports whether a fault may be felt after it was undone: bytes that it has damaged may not have been
// found yet.
func (v window) lasting() bool { return v.fault.Disk != nil && v.fault.Disk.Damages() }

// during returns who could hear whom at some time of a stretch: only what was broken all along counts.
func (w *weather) during(from, to time.Duration) *reach {
	var faults []harness.Fault
	name, strange := "", false
	for _, v := range w.windows {
		if !v.matters() || v.from > from || to > v.heldTill {
			continue
		}
		f := v.fault
		name += " " + f.ID
		if again := w.begunAnew(v, to); len(again) > 0 {
			f.Nodes = slices.DeleteFunc(slices.Clone(f.Nodes), func(n harness.NodeID) bool { return slices.Contains(again, n) })
			name += fmt.Sprint(again)
			strange = true
		}
		faults = append(faults, f)
	}
	if len(faults) == 0 {
		return w.clear
	}
	if w.reaches[name] == nil {
		w.reaches[name] = reachOf(w.nodes, faults)
		w.reaches[name].strange = w.reaches[name].strange || strange
	}
	return w.reaches[name]
}

// begunAnew lists the nodes of a pause that were killed beside it, until an instant: the process that was started then is not
// the one that was frozen.
func (w *weather) begunAnew(pause window, until time.Duration) (out []harness.NodeID) {
	if pause.fault.Kind != "pause" {
		return nil
	}
	for _, v := range w.windows {
		if v.fault.Kind == "kill" && v.begun <= until && pause.begun <= v.to {
			out = append(out, v.fault.Nodes...)
		}
	}
	return slices.DeleteFunc(out, func(n harness.NodeID) bool { return !slices.Contains(pause.fault.Nodes, n) })
}

// inForce tells the faults that hold at an instant.
func (w *weather) inForce(at time.Duration) (out []string) {
	for _, v := range w.windows {
		if v.from <= at && at <= v.heldTill {
			out = append(out, v.String())
		}
	}
	return out
}
