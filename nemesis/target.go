package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"cartwheel/harness"
	"cartwheel/nemesis/schedule"
)

// A target is a named way to be struck: whom it takes and, for some kinds, how.
type target struct {
	name  string
	nodes int // that it needs at least
	count func(r *rand.Rand, n int) int
	with  func(r *rand.Rand, f *harness.Fault) // sets the rest of the fault; nil: there is none
}

// Whom node faults strike.
var (
	one      = target{name: "one", nodes: 1, count: func(*rand.Rand, int) int { return 1 }}
	minority = target{name: "minority", nodes: 3, count: func(_ *rand.Rand, n int) int { return (n - 1) / 2 }}
	majority = target{name: "majority", nodes: 3, count: func(_ *rand.Rand, n int) int { return n/2 + 1 }}
	some     = target{name: "some", nodes: 1, count: func(r *rand.Rand, n int) int { return 1 + r.IntN(max(1, (n-1)/2)) }}
	all      = target{name: "all", nodes: 1, count: func(_ *rand.Rand, n int) int { return n }}
)

// called is the same target under another name, which does more to whom it strikes.
func (t target) called(name string, with func(r *rand.Rand, f *harness.Fault)) target {
	t.name, t.with = name, with
	return t
}

// draw makes a fault of random nodes.
func (t target) draw(r *rand.Rand, nodes []harness.NodeID) harness.Fault {
	var f harness.Fault
	for _, i := range r.Perm(len(nodes))[:t.count(r, len(nodes))] {
		f.Nodes = append(f.Nodes, nodes[i])
	}
	slices.Sort(f.Nodes)
	if t.with != nil {
		t.with(r, &f)
	}
	return f
}

func namesOf(targets []target) []string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.name
	}
	return names
}

// makers are those of the targets that names list; of all if there are none.
func makers(kind string, names []string, targets []target) []schedule.Maker {
	var out []schedule.Maker
	for _, t := range targets {
		if len(names) == 0 || slices.Contains(names, t.name) {
			out = append(out, schedule.Maker{Kind: kind, Name: t.name, Nodes: t.nodes, Make: t.draw})
		}
	}
	return out
}

// check wants a cluster that is able, names that are targets, and nodes enough for one.
func check(kind string, c harness.Cluster, able bool, what string, names []string, targets []target) error {
	var errs []error
	if !able {
		errs = append(errs, fmt.Errorf("nemesis %s: a %s cluster cannot %s", kind, c.World(), what))
	}
	for _, name := range names {
		if !slices.Contains(namesOf(targets), name) {
			errs = append(errs, fmt.Errorf("nemesis %s: nobody is called %q, only %v", kind, name, namesOf(targets)))
		}
	}
	enough := slices.ContainsFunc(makers(kind, names, targets), func(m schedule.Maker) bool { return m.Nodes <= len(c.Nodes()) })
	if len(errs) == 0 && !enough {
		errs = append(errs, fmt.Errorf("nemesis %s: %d nodes are too few", kind, len(c.Nodes())))
	}
	return errors.Join(errs...)
}
