package history

import (
	"cmp"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// A Stamp names a version: the newest that a node knew when a request began. Every request to a
// replica carries one (see [History.Serves]). The zero Stamp is that of a node without a history.
type Stamp struct{ Number, ID uint64 }

// Stamp names the newest version.
func (h History) Stamp() Stamp {
	if len(h.live) == 0 {
		return Stamp{}
	}
	return Stamp{h.Newest().Number, h.Newest().ID}
}

// Cluster returns the id of the cluster, which is that of its first version; 0 of the zero History.
func (h History) Cluster() uint64 { return h.cluster }

// Knows reports whether v is live. A version of the same number with another id is another one.
func (h History) Knows(v Version) bool { return h.knows(v) }

// Members returns the nodes of all live versions, sorted by id, without those removed by force. A
// node whose address differs between them has that of the newest.
func (h History) Members() []store.Member {
	if h.Settled() {
		return h.Oldest().Layout.Members()
	}
	var out []store.Member
	for _, v := range slices.Backward(h.live) {
		for _, m := range v.Layout.Members() {
			if !h.Fenced(m.ID) && !slices.ContainsFunc(out, func(o store.Member) bool { return o.ID == m.ID }) {
				out = append(out, m)
			}
		}
	}
	slices.SortFunc(out, func(a, b store.Member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Member returns a member of some live version, with its address in the newest that has it.
func (h History) Member(n store.NodeID) (store.Member, bool) {
	for _, v := range slices.Backward(h.live) {
		if m, ok := v.Layout.Member(n); ok {
			return m, true
		}
	}
	return store.Member{}, false
}

// Stays reports whether a node is a member of the newest version. One that does not stay takes no hints: its last step is to
// see that it holds none, and what it took after that might be handed over when the tombstone is collected that supersedes it.
func (h History) Stays(n store.NodeID) bool {
	if len(h.live) == 0 || h.Fenced(n) {
		return false
	}
	_, is := h.Newest().Layout.Member(n)
	return is
}

// Owns reports whether the node owns the partition in some live version: whether writes of it go there.
func (h History) Owns(n store.NodeID, p ring.Partition) bool {
	return slices.ContainsFunc(h.live, func(v Version) bool { return int(p) < v.Layout.Partitions() && v.Layout.Owns(n, p) })
}

// Owners returns the owners of the partition in all live versions, those of the oldest first. The
// caller must not change the slice.
func (h History) Owners(p ring.Partition) []store.NodeID {
	if len(h.live) == 0 {
		return nil
	}
	out := h.live[0].Layout.Owners(p)
	for _, v := range h.live[1:] {
		for _, n := range v.Layout.Owners(p) {
			if !slices.Contains(out, n) {
				out = append(slices.Clip(out), n)
			}
		}
	}
	return out
}
