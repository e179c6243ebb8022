package quorum

import (
	"slices"

	"cartwheel/store"
)

// A Group tracks a request that needs its quorum in each of several layouts, as a write does
// while the cluster passes from one to the next: its conditions hold for the owners of each. What
// a node does counts where the owner is one that it was asked for: itself, or one that it stands in for.
type Group []*Tracker

// NewGroup returns the trackers of one request, given the owners in each layout. It panics as [New] does.
func NewGroup(want Conditions, mode store.Mode, owners [][]store.NodeID) Group {
	g := make(Group, len(owners))
	for i, o := range owners {
		g[i] = New(want, mode, o)
	}
	return g
}

// of calls f with the trackers that an answer on behalf of the owner counts for.
func (g Group) of(owner store.NodeID, f func(*Tracker)) {
	for _, t := range g {
		if len(g) == 1 || slices.Contains(t.owners, owner) {
			f(t)
		}
	}
}

// Asked notes that a request on behalf of an owner went out to the node.
func (g Group) Asked(n, owner store.NodeID) { g.of(owner, func(t *Tracker) { t.Asked(n) }) }

// Acked notes that the node did what it was asked on behalf of the owner.
func (g Group) Acked(n, owner store.NodeID) { g.of(owner, func(t *Tracker) { t.Acked(n) }) }

// Absent notes that the node has nothing to show, where that is no acknowledgement.
func (g Group) Absent(n, owner store.NodeID) { g.of(owner, func(t *Tracker) { t.Absent(n) }) }

// Failed notes that the node refused, or that it is no longer waited for.
func (g Group) Failed(n, owner store.NodeID) { g.of(owner, func(t *Tracker) { t.Failed(n) }) }

// Verdict says whether the request is decided: reached in all, or lost in one.
func (g Group) Verdict() Verdict {
	out := Reached
	for _, t := range g {
		switch t.Verdict() {
		case Lost:
			return Lost
		case Pending:
			out = Pending
		}
	}
	return out
}

// Short names the condition that is not met, as [Tracker.Short] does, of the first layout in which one is not.
func (g Group) Short() (counted string, have, need int) {
	for _, t := range g {
		if t.Verdict() != Reached {
			return t.Short()
		}
	}
	return g[0].Short()
}
