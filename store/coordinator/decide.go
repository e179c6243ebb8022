package coordinator

import (
	"slices"

	"cartwheel/store"
	"cartwheel/store/version"
)

// A placement is where a request about a key goes: the preference list of the settled layout. While
// the layout changes it is those of several, joined.
type placement struct {
	list   []store.NodeID   // the owners, then the fallbacks
	count  int              // so many of the list are owners
	n      int              // owners in each version of the layout
	owning [][]store.NodeID // owners by version of the layout
	leave  []store.NodeID   // owners that are about to leave: they take no hints, so that they hold none when they go
}

// placed joins the preference lists of versions of a layout, of each of which the first n are owners.
func placed(lists [][]store.NodeID, n int) placement {
	p := placement{list: lists[0], count: n, n: n, owning: [][]store.NodeID{lists[0][:n]}}
	if len(lists) == 1 {
		return p
	}
	p.list = slices.Clone(lists[0][:n])
	for _, l := range lists[1:] {
		p.owning = append(p.owning, l[:n])
		p.list = union(p.list, l[:n])
	}
	p.count = len(p.list)
	for _, l := range slices.Backward(lists) { // the newest knows best who is there to stay
		p.list = union(p.list, l[n:])
	}
	return p
}

// staying takes those out of the fallbacks that do not stay, and notes which owners do not. A fallback that is to leave would
// have to get rid of its hints first.
func (p placement) staying(stays func(store.NodeID) bool) placement {
	list := slices.Clone(p.owners())
	for _, n := range list {
		if !stays(n) {
			p.leave = append(p.leave, n)
		}
	}
	for _, n := range p.fallbacks() {
		if stays(n) {
			list = append(list, n)
		}
	}
	p.list = list
	return p
}

func union(list, more []store.NodeID) []store.NodeID {
	for _, n := range more {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

func (p placement) owners() []store.NodeID            { return p.list[:p.count] }
func (p placement) fallbacks() []store.NodeID         { return p.list[p.count:] }
func (p placement) isOwner(node store.NodeID) bool    { return slices.Contains(p.owners(), node) }
func (p placement) isFallback(node store.NodeID) bool { return slices.Contains(p.fallbacks(), node) }

// coordinators returns the nodes that may coordinate a write which self was asked for,
// the one to try first in front. If self may, it alone is returned: a hop is saved.
//
// In strict mode owners coordinate. In sloppy mode as many nodes as there are owners do, the first that are up, so
// that the coordinator is always one of those that count. hint is the replica that
// answered the client's read fastest (paper, section 5).
func coordinators(p placement, self, hint store.NodeID, mode store.Mode, up func(store.NodeID) bool) []store.NodeID {
	from := p.list
	if mode == store.Strict {
		from = p.owners()
	}
	var may []store.NodeID
	for _, n := range from {
		if len(may) < p.count && up(n) {
			may = append(may, n)
		}
	}
	if slices.Contains(may, self) {
		return []store.NodeID{self}
	}
	if i := slices.Index(may, hint); i > 0 && p.isOwner(hint) {
		may = slices.Insert(slices.Delete(may, i, i+1), 0, hint)
	}
	return may
}

// countUp returns how many of the nodes are up.
func countUp(nodes []store.NodeID, up func(store.NodeID) bool) int {
	count := 0
	for _, n := range nodes {
		if up(n) {
			count++
		}
	}
	return count
}

// standsInFor returns the owner whose hint self writes when it coordinates, or nothing
// if self is an owner. Nodes may see each other differently: a node that was handed a
// write although it sees all owners up stands in for the last.
func standsInFor(p placement, self store.NodeID, up func(store.NodeID) bool) store.NodeID {
	if p.isOwner(self) {
		return ""
	}
	for _, o := range p.owners() {
		if !up(o) {
			return o
		}
	}
	return p.list[p.count-1]
}

// shown is what one node answered to a read.
type shown struct {
	ask
	set version.Set
}

// join returns all that was shown.
func join(answers []shown) (s version.Set) {
	for _, a := range answers {
		s = version.Merge(s, a.set)
	}
	return s
}

// holds reports whether a replica with the state has all of want.
func holds(have, want version.Set) bool { return version.Merge(have, want).Equal(have) }

// holders returns the owners that have shown all of want, in the order of answers.
func holders(p placement, answers []shown, want version.Set) (out []store.NodeID) {
	for _, a := range answers {
		if p.isOwner(a.node) && holds(a.set, want) {
			out = append(out, a.node)
		}
	}
	return out
}

// behind returns the owners that have answered with less than want, in the order of answers.
func behind(p placement, answers []shown, want version.Set) (out []store.NodeID) {
	for _, a := range answers {
		if p.isOwner(a.node) && !holds(a.set, want) {
			out = append(out, a.node)
		}
	}
	return out
}

// readState says how an answer compares with the result of the read.
func readState(answer, result version.Set) store.ReplicaState {
	switch {
	case answer.IsZero():
		return store.ReplicaNotFound
	case holds(answer, result):
		return store.ReplicaOK
	}
	return store.ReplicaStale
}
