package ring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"cartwheel/store"
)

// Bounds of the members of a layout.
const (
	MembersMax  = 1000   // nodes; a layout takes memory and time for each in each partition
	CapacityMax = 10_000 // of a node's share of the data relative to others
)

// A Role is what an operator wants of one node. Roles are what is planned with; a layout is what comes of it.
type Role struct {
	store.Member
	Zone     string // nodes that may fail together, for example a rack; nodes without one share the zone ""
	Capacity int    // share of the data relative to other nodes, 1 to CapacityMax; default 1
}

// Plain returns the roles of members of which nothing further is known: one zone, equal capacities.
func Plain(members []store.Member) []Role {
	roles := make([]Role, len(members))
	for i, m := range members {
		roles[i] = Role{Member: m, Capacity: 1}
	}
	return roles
}

// normal returns the roles sorted by id, defaults filled in, or all that is wrong with them.
func normal(roles []Role, replicas int) ([]Role, error) {
	roles = slices.Clone(roles)
	var errs []error
	for i := range roles {
		roles[i].Capacity = cmp.Or(roles[i].Capacity, 1)
		if c := roles[i].Capacity; c < 1 || c > CapacityMax {
			errs = append(errs, fmt.Errorf("member %q: capacity %d, want 1 to %d", roles[i].ID, c, CapacityMax))
		}
	}
	errs = append(errs, checkMembers(membersOf(roles), replicas))
	sortRoles(roles)
	return roles, errors.Join(errs...)
}

func sortRoles(roles []Role) {
	slices.SortFunc(roles, func(a, b Role) int { return cmp.Compare(a.ID, b.ID) })
}

func membersOf(roles []Role) []store.Member {
	out := make([]store.Member, len(roles))
	for i, r := range roles {
		out[i] = r.Member
	}
	return out
}

// checkMembers refuses members that cannot hold the replicas, or cannot be told apart.
func checkMembers(members []store.Member, replicas int) error {
	var errs []error
	if replicas < 1 || replicas > len(members) {
		errs = append(errs, fmt.Errorf("%d replicas on %d members: want at least as many members as replicas", replicas, len(members)))
	}
	if len(members) > MembersMax {
		return errors.Join(append(errs, fmt.Errorf("%d members, %d at most", len(members), MembersMax))...)
	}
	ids, addresses := map[store.NodeID]bool{}, map[string]bool{}
	for _, m := range members {
		if m.ID == "" || ids[m.ID] {
			errs = append(errs, fmt.Errorf("member %q: want ids that are unique and not empty", m.ID))
		}
		if m.Address != "" && addresses[m.Address] {
			errs = append(errs, fmt.Errorf("member %q: address %s is another member's", m.ID, m.Address))
		}
		ids[m.ID], addresses[m.Address] = true, true
	}
	return errors.Join(errs...)
}
