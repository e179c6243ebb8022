package ring

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"cartwheel/store"
)

// Change returns the layout for other roles that moves as few replicas as can be:
//
//   - every partition has N distinct owners, in as many zones as there can be;
//   - a node's share is its capacity's, rounded up or down, as far as zones allow;
//   - of all such layouts it is one with fewest replicas on nodes that did not hold them.
//
// It depends on l and the roles only, not on their order. The error reports all that is wrong with them.
func (l *Layout) Change(roles []Role) (*Layout, error) {
	roles, err := normal(roles, l.replicas)
	if err != nil {
		return nil, fmt.Errorf("change layout: %w", err)
	}
	owners := l.flow(roles)
	moved := false
	for p := range owners {
		was := l.Owners(Partition(p))
		owners[p] = keepPlaces(was, owners[p])
		moved = moved || !slices.Equal(was, owners[p])
	}
	next := build(roles, l.replicas, owners)
	if moved {
		next.spreadLeads()
		next.digest = next.sum()
	}
	return next, nil
}

// Restore returns the layout with these owners, first owner first, for example as read from a
// disk or another node. The error reports roles that are wrong, or a partition without N distinct members.
func Restore(roles []Role, owners [][]store.NodeID) (*Layout, error) {
	if q := len(owners); q < 1 || q > PartitionsMax || q&(q-1) != 0 {
		return nil, fmt.Errorf("restore layout: %d partitions, want a power of two from 1 to %d", q, PartitionsMax)
	}
	replicas := len(owners[0])
	roles, err := normal(roles, replicas)
	if err != nil {
		return nil, fmt.Errorf("restore layout: %w", err)
	}
	known := map[store.NodeID]bool{}
	for _, r := range roles {
		known[r.ID] = true
	}
	copied := make([][]store.NodeID, len(owners))
	for p, list := range owners {
		seen := map[store.NodeID]bool{}
		for _, n := range list {
			if !known[n] || seen[n] {
				return nil, fmt.Errorf("restore layout: partition %d: %q is no member, or twice an owner", p, n)
			}
			seen[n] = true
		}
		if len(list) != replicas {
			return nil, fmt.Errorf("restore layout: partition %d has %d owners, others have %d", p, len(list), replicas)
		}
		copied[p] = slices.Clone(list)
	}
	return build(roles, replicas, copied), nil
}

// build makes a layout of owners, which it takes over; fallbacks follow in the partition's own order.
func build(roles []Role, replicas int, owners [][]store.NodeID) *Layout {
	l := &Layout{roles: roles, replicas: replicas}
	for _, r := range roles {
		l.members = append(l.members, r.Member)
	}
	for p, list := range owners {
		for _, n := range l.rendezvous(Partition(p)) {
			if !slices.Contains(list[:replicas], n) {
				list = append(list, n)
			}
		}
		l.preference = append(l.preference, list)
	}
	l.digest = l.sum()
	return l
}

// flow computes the owners. Each partition sends N units through zones to nodes, and each
// node passes on as many as it is to hold. Of a partition's units one goes to each of as many zones as it
// must be in, and only what is left may go to a zone a second time. A replica costs nothing where it
// is, and else one move and, far below that, the node's rank for the partition, which spreads a node's
// partitions over all others.
func (l *Layout) flow(roles []Role) [][]store.NodeID {
	zoneOf, holds := map[string]int{}, map[store.NodeID]int{}
	for _, r := range roles {
		zoneOf[r.Zone] = 0
	}
	for i, z := range slices.Sorted(maps.Keys(zoneOf)) {
		zoneOf[z] = i
	}
	for p := range Partition(l.Partitions()) {
		for _, n := range l.Owners(p) {
			holds[n]++
		}
	}
	want := targets(roles, l.Partitions(), l.replicas, holds)
	apart := min(l.replicas, len(zoneOf)) // zones that each partition must be in

	const move = 1 << 32
	node := func(i int) int { return 2 + i }
	net := newNetwork(2 + len(roles) + l.Partitions()*(2+len(zoneOf)))
	passes := make([]int, len(roles))
	for i, r := range roles {
		passes[i] = net.add(node(i), sink, want[r.ID], 0)
	}
	next := &Layout{members: membersOf(roles)}
	takes := make([][]int, l.Partitions()) // by partition and node: the arc
	for p := range takes {
		first := 2 + len(roles) + p*(2+len(zoneOf))
		once, again, zone := first, first+1, func(z int) int { return first + 2 + z }
		units := []route{
			{once, net.add(source, once, apart, 0), nil},
			{again, net.add(source, again, l.replicas-apart, 0), nil},
		}
		for z := range len(zoneOf) {
			units[0].zones = append(units[0].zones, net.add(once, zone(z), 1, 0))
			units[1].zones = append(units[1].zones, net.add(again, zone(z), l.replicas-apart, 0))
		}
		was, rank := l.Owners(Partition(p)), next.rendezvous(Partition(p))
		for i, r := range roles {
			cost := 0
			if !slices.Contains(was, r.ID) {
				cost = move + slices.Index(rank, r.ID)
			}
			at := net.add(zone(zoneOf[r.Zone]), node(i), 1, cost)
			takes[p] = append(takes[p], at)
			if cost == 0 && net.arcs[passes[i]].room > 0 { // begin with what may stay
				net.keep(units, zoneOf[r.Zone], at, passes[i])
			}
		}
	}
	for net.augment() {
	}
	owners := make([][]store.NodeID, l.Partitions())
	for p := range takes {
		for i, at := range takes[p] {
			if net.flows(at) {
				owners[p] = append(owners[p], roles[i].ID)
			}
		}
		if len(owners[p]) != l.replicas {
			panic(fmt.Sprintf("ring: partition %d gets owners %v, want %d", p, owners[p], l.replicas))
		}
	}
	return owners
}

// A route is a way for units of one partition to its zones.
type route struct {
	vertex, enter int
	zones         []int // arcs, by zone
}

// keep sends a unit to a node that may keep its replica, by the first route that has room.
func (n *network) keep(routes []route, zone, take, pass int) {
	for _, r := range routes {
		if n.arcs[r.enter].room > 0 && n.arcs[r.zones[zone]].room > 0 {
			for _, at := range []int{r.enter, r.zones[zone], take, pass} {
				n.push(at)
			}
			return
		}
	}
}

// keepPlaces returns owners with those that stay in the places that they had.
func keepPlaces(was, owners []store.NodeID) []store.NodeID {
	fresh := slices.DeleteFunc(slices.Clone(owners), func(n store.NodeID) bool { return slices.Contains(was, n) })
	out := slices.Clone(was)
	for i, n := range out {
		if !slices.Contains(owners, n) {
			out[i], fresh = fresh[0], fresh[1:]
		}
	}
	return out
}

// spreadLeads lets another owner be the first wherever that makes the numbers of first places more even.
func (l *Layout) spreadLeads() {
	capacity, led := map[store.NodeID]int{}, map[store.NodeID]int{}
	for _, r := range l.roles {
		capacity[r.ID] = r.Capacity
	}
	for _, list := range l.preference {
		led[list[0]]++
	}
	for again := true; again; {
		again = false
		for _, list := range l.preference {
			least := slices.MinFunc(list[:l.replicas], func(a, b store.NodeID) int {
				return cmp.Or(cmp.Compare((led[a]+1)*capacity[b], (led[b]+1)*capacity[a]), cmp.Compare(a, b))
			})
			first := list[0]
			if led[first]*capacity[least] <= (led[least]+1)*capacity[first] {
				continue
			}
			i := slices.Index(list, least)
			list[0], list[i] = least, first
			led[first]--
			led[least]++
			again = true
		}
	}
}
