package coordinator

import "cartwheel/store"

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
// fallback is asked at most once a request.
type roster struct {
	spare   []store.NodeID                // fallbacks that were not asked yet, in order
	last    store.NodeID                  // takes over when there is no spare; nothing: nobody does
	latest  map[store.NodeID]store.NodeID // by owner: the node asked last
	settled map[store.NodeID]bool         // owners that need nobody further
	up      func(store.NodeID) bool
}

// newRoster returns the roster of a request. Strict quorums know no fallbacks.
func newRoster(p placement, mode store.Mode, last store.NodeID, up func(store.NodeID) bool) *roster {
	r := &roster{last: last, latest: map[store.NodeID]store.NodeID{}, settled: map[store.NodeID]bool{}, up: up}
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
		r.latest[owner] = owner
		return ask{owner, owner}, true
	}
	return r.next(owner)
}

// settle notes that the owner, or one that stands in for it, has done what was asked.
func (r *roster) settle(owner store.NodeID) { r.settled[owner] = true }

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
			r.latest[owner] = n
			return ask{n, owner}, true
		}
	}
	if r.last == "" || r.latest[owner] == r.last {
		return ask{}, false
	}
	r.latest[owner] = r.last
	return ask{r.last, owner}, true
}
