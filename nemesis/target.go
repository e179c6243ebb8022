package nemesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/schedule"
)

// A target is a named way to be struck: whom it takes and, for some kinds, how.
type target struct {
	name  string
	nodes int // that it needs at least
	count func(r *rand.Rand, n int) int
	with  func(r *rand.Rand, f *harness.Fault) // sets the rest of the fault; nil: there is none
	asked bool                                 // only where somebody asks for it by its name
}

// Whom node faults strike.
var (
	one      = target{name: "one", nodes: 1, count: func(*rand.Rand, int) int { return 1 }}
	minority = target{name: "minority", nodes: 3, count: func(_ *rand.Rand, n int) int { return (n - 1) / 2 }}
	majority = target{name: "majority", nodes: 3, count: func(_ *rand.Rand, n int) int { return n/2 + 1 }}
	some     = target{name: "some", nodes: 1, count: func(r *rand.Rand, n int) int { return 1 + r.IntN(max(1, (n-1)/2)) }}
	all      = target{name: "all", nodes: 1, count: func(_ *rand.Rand, n int) int { return n }}
)

// roles are targets that the store is asked for when the fault strikes.
func roles() []target {
	var all []target
	for _, name := range []string{harness.Coordinator, harness.PreferenceList, harness.Replicas, harness.HintHolder} {
		all = append(all, target{
			name: name, nodes: 1, asked: true,
			count: func(*rand.Rand, int) int { return 0 },
			with: func(r *rand.Rand, f *harness.Fault) {
				if f.Role = (&harness.Role{Name: name}); name == harness.Replicas {
					f.Role.Count = 1 + r.IntN(2) // of three, which is what stores keep
				}
			},
		})
	}
	return all
}

// listed is the target of a name that lists nodes, as "n1-n3" does among those nodes: these, and no others.
func listed(name string, nodes []harness.NodeID) (target, bool) {
	var whom []harness.NodeID
	for n := range strings.SplitSeq(name, "-") {
		if !slices.Contains(nodes, harness.NodeID(n)) {
			return target{}, false
		}
		whom = append(whom, harness.NodeID(n))
	}
	slices.Sort(whom)
	whom = slices.Compact(whom)
	return target{name: name, nodes: len(whom), asked: true, count: func(*rand.Rand, int) int { return 0 }, with: func(_ *rand.Rand, f *harness.Fault) {
		f.Nodes = slices.Clone(whom)
	}}, true
}

// plus has the table's sorts and those that names list by their nodes.
func (t table) plus(kind string, names []string, nodes []harness.NodeID) table {
	all := slices.Clone(t)
	for _, name := range names {
		if whom, ok := listed(name, nodes); ok {
			all = append(all, tableOf(kind, whom)...)
		}
	}
	return all
}

// called is the same target under another name, which does more to whom it strikes.
func (t target) called(name string, with func(r *rand.Rand, f *harness.Fault)) target {
	t.name, t.with = name, with
	return t
}

func onlyAsked(t target) target {
	t.asked = true
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

// A table lists the sorts of fault of one kind, by name.
type table []schedule.Maker

// tableOf makes a table of targets.
func tableOf(kind string, targets ...target) table {
	t := make(table, len(targets))
	for i, whom := range targets {
		t[i] = schedule.Maker{Kind: kind, Name: whom.name, Nodes: whom.nodes, Make: whom.draw, Asked: whom.asked}
	}
	return t
}

func (t table) names() []string {
	names := make([]string, len(t))
	for i, m := range t {
		names[i] = m.Name
	}
	return names
}

// chosen are the sorts that names list; without names all that need not be asked for.
func (t table) chosen(names []string) []schedule.Maker {
	return slices.DeleteFunc(slices.Clone(t), func(m schedule.Maker) bool {
		return len(names) == 0 && m.Asked || len(names) > 0 && !slices.Contains(names, m.Name)
	})
}

// check wants a cluster that is able, names that are in the table, and nodes enough for one.
func (t table) check(kind string, c harness.Cluster, able bool, what string, names []string) error {
	var errs []error
	if !able {
		errs = append(errs, fmt.Errorf("nemesis %s: a %s cluster cannot %s", kind, c.World(), what))
	}
	for _, name := range names {
		if !slices.Contains(t.names(), name) {
			errs = append(errs, fmt.Errorf("nemesis %s: there is no %q, only %s", kind, name, strings.Join(t.names(), ", ")))
		}
	}
	enough := slices.ContainsFunc(t.chosen(names), func(m schedule.Maker) bool { return m.Nodes <= len(c.Nodes()) })
	if len(errs) == 0 && !enough {
		errs = append(errs, fmt.Errorf("nemesis %s: %d nodes are too few", kind, len(c.Nodes())))
	}
	return errors.Join(errs...)
}

// An ability is which sorts of a table a cluster was found to be able to do, and which not.
type ability struct {
	names []string
	lacks []harness.Skip
}

// Skipped tells what the cluster cannot do.
func (a *ability) Skipped() []harness.Skip { return a.lacks }

// able lists the sorts of which a cluster can do all that they do, each known from a fault
// made for the look. One that names ask for and that it cannot do is an error, and so is
// none at all.
func (t table) able(kind string, c harness.Cluster, names, can []string, does func(harness.Fault) []string) (a ability, err error) {
	var errs []error
	for _, m := range t {
		if m.Nodes > len(c.Nodes()) || m.Asked && !slices.Contains(names, m.Name) {
			continue
		}
		lacks := slices.DeleteFunc(does(m.Make(rand.New(rand.NewPCG(0, 0)), c.Nodes())), func(s string) bool { return slices.Contains(can, s) })
		switch {
		case len(lacks) == 0:
			a.names = append(a.names, m.Name)
		case slices.Contains(names, m.Name):
			errs = append(errs, fmt.Errorf("nemesis %s: a %s cluster cannot do %q: it lacks %v", kind, c.World(), m.Name, lacks))
		case len(names) == 0:
			a.lacks = append(a.lacks, harness.Skip{Kind: kind, Name: m.Name, Why: fmt.Sprintf("a %s cluster lacks %s", c.World(), strings.Join(lacks, ", "))})
		}
	}
	if len(a.names) == 0 {
		errs = append(errs, fmt.Errorf("nemesis %s: a %s cluster can do nothing of it", kind, c.World()))
	}
	return a, errors.Join(errs...)
}

// title is the name of a nemesis that makes certain sorts only: it says which, as the
// command line takes it.
func title(kind string, names []string) string {
	if len(names) == 0 {
		return kind
	}
	return kind + "=" + strings.Join(names, "+")
}

// either is what was asked for, or what can be had.
func either(asked, able []string) []string {
	if len(asked) > 0 {
		return asked
	}
	return able
}

// again makes a fault of each time that one is in force which comes and goes, for so long.
func again(f harness.Fault, held, gone time.Duration) (faults []harness.Fault) {
	for at := f.Start; at < f.Stop; at += held + gone {
		one := f
		one.Start, one.Stop = at, min(at+held, f.Stop)
		if one.Stop-one.Start >= held/2 || len(faults) == 0 {
			faults = append(faults, one)
		}
	}
	return faults
}
