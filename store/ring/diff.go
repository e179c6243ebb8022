package ring

import (
	"slices"

	"cartwheel/store"
)

// A Move is one replica that a change of layout brings to a node.
type Move struct {
	Partition Partition
	To        store.NodeID
	From      []store.NodeID // the owners until then, all of which the new one must hear of what they hold
}

// Moves returns what must be copied for a change from one layout to another, by partition
// and then in the order of owners. Both must have the same number of partitions.
func Moves(from, to *Layout) (out []Move) {
	for p := range Partition(to.Partitions()) {
		for _, n := range to.Owners(p) {
			if !from.Owns(n, p) {
				out = append(out, Move{Partition: p, To: n, From: slices.Clone(from.Owners(p))})
			}
		}
	}
	return out
}

// A Share is what a change of layout means for one node, in partitions.
type Share struct {
	Role
	Before, After int // held
	Gains, Drops  int // copied here, and given up
}

// Shares returns what a change means for every node of either layout, sorted by id.
func Shares(from, to *Layout) (out []Share) {
	roles := slices.Clone(to.roles)
	for _, r := range from.roles {
		if _, stays := to.Member(r.ID); !stays {
			roles = append(roles, r)
		}
	}
	sortRoles(roles)
	for _, r := range roles {
		s := Share{Role: r}
		for p := range Partition(to.Partitions()) {
			before, after := from.Owns(r.ID, p), to.Owns(r.ID, p)
			s.Before += count(before)
			s.After += count(after)
			s.Gains += count(after && !before)
			s.Drops += count(before && !after)
		}
		out = append(out, s)
	}
	return out
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
