package coordinator

import (
	"slices"

	"cartwheel/store"
)

// An ask is a request to a node on behalf of an owner: itself, or one that it stands in for.
type ask struct{ node, owner store.NodeID }

// standsFor returns the owner that node stands in for; nothing if it is the owner itself.
func (a ask) standsFor() store.NodeID {
	if a.node == a.owner {
		return ""
	}
	return a.owner
}

// A roster decides whom to ask for each owner, and whom next when that fails. Every
// fallback is asked once a request, and again only for an owner whose hint even the last resort refuses: then
// those that have stored the write already are asked to keep it, owners too.
type roster struct {
	keepers  []store.NodeID                // those that may be asked to keep a hint beside what they have stored, in order; none: nobody is
	spare    []store.NodeID                // fallbacks that were not asked yet, in order
	last     store.NodeID                  // takes over when there is no spare; nothing: nobody does
	latest   map[store.NodeID]store.NodeID // by owner: the node asked last
	settled  map[store.NodeID]bool         // owners that need nobody further
	stored   map[store.NodeID]bool         // nodes that have stored the write, for whichever owner
	tried    map[ask]bool                  // all that was asked
	stranded []store.NodeID                // owners for which nobody was left to be asked
	up       func(store.NodeID) bool
}

// newRoster returns the roster of a request. Strict quorums know no fallbacks. last is the last resort of a write, and nothing
// for a read. One that is about to leave is none: it has others keep the hint that have stored the write.
func newRoster(p placement, mode store.Mode, last store.NodeID, up func(store.NodeID) bool) *roster {
	leaves := func(n store.NodeID) bool { return slices.Contains(p.leave, n) }
	r := &roster{
		latest: map[store.NodeID]store.NodeID{}, settled: map[store.NodeID]bool{},
		stored: map[store.NodeID]bool{}, tried: map[ask]bool{}, up: up,
	}
	if last != "" {
		r.keepers = p.list
		if mode == store.Strict {
			r.keepers = p.owners()
		}
		if len(p.leave) > 0 {
			r.keepers = slices.DeleteFunc(slices.Clone(r.keepers), leaves)
		}
	}
	if !leaves(last) {
		r.last = last
	}
	if mode != store.Strict {
		for _, n := range p.fallbacks() {
			if n != last {
				r.spare = append(r.spare, n)
			}
		}
	}
	return r
}

// begin returns the first node to ask for an owner: the owner itself if it is up.
func (r *roster) begin(owner store.NodeID) (ask, bool) {
	if r.up(owner) {
		return r.turnTo(owner, owner)
	}
	return r.next(owner)
}

func (r *roster) turnTo(node, owner store.NodeID) (ask, bool) {
	r.latest[owner] = node
	r.tried[ask{node, owner}] = true
	return ask{node, owner}, true
}

// settle notes that the owner, or one that stands in for it, has done what was asked.
func (r *roster) settle(owner store.NodeID) { r.settled[owner] = true }

// took notes that a node has stored the write, and returns what to ask of it beside: to keep the hints that nobody else could.
func (r *roster) took(node store.NodeID) (more []ask) {
	r.stored[node] = true
	left := r.stranded
	r.stranded = nil
	for _, o := range left {
		if r.settled[o] {
			continue
		}
		if a, ok := r.next(o); ok {
			more = append(more, a)
		}
	}
	return more
}

// stalled is told that an ask failed, or has been silent for too long, and returns whom to
// ask beside it. Only the newest ask for an owner has a successor.
func (r *roster) stalled(a ask) (ask, bool) {
	if r.settled[a.owner] || r.latest[a.owner] != a.node {
		return ask{}, false
	}
	return r.next(a.owner)
}

func (r *roster) next(owner store.NodeID) (ask, bool) {
	for i, n := range r.spare {
		if r.up(n) {
			r.spare = append(r.spare[:i:i], r.spare[i+1:]...)
			return r.turnTo(n, owner)
		}
	}
	if r.last != "" && !r.tried[ask{r.last, owner}] {
		return r.turnTo(r.last, owner)
	}
	for _, n := range r.keepers {
		if r.stored[n] && r.up(n) && !r.tried[ask{n, owner}] {
			return r.turnTo(n, owner)
		}
	}
	if len(r.keepers) > 0 {
		r.stranded = append(r.stranded, owner)
	}
	return ask{}, false
}
