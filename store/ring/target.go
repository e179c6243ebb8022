package ring

import (
	"cmp"
	"maps"
	"slices"

	"cartwheel/store"
)

// A claim is one party's wish in the division of a whole number of things.
type claim struct {
	name   string
	weight int // above 0
	lo, hi int // what it must and may get
	has    int // what it has now: of equal remainders the one is rounded up that has more than its whole part
}

// apportion divides total among the claims by weight within their bounds, by largest
// remainders: where no bound is met, each gets its exact share rounded up or down. The bounds must
// leave room for total. It computes in whole numbers, so every machine finds the same.
func apportion(total int, claims []claim) map[string]int {
	got := map[string]int{}
	open := slices.Clone(claims)
	for len(open) > 0 {
		weights := 0
		for _, c := range open {
			weights += c.weight
		}
		// The exact share is total*weight/weights. Whoever lies outside its bounds on the side that
		// weighs more gets its bound, and the rest is divided anew.
		excess := 0
		for _, c := range open {
			excess += min(max(total*c.weight, c.lo*weights), c.hi*weights) - total*c.weight
		}
		before, fixed := len(open), 0
		open = slices.DeleteFunc(open, func(c claim) bool {
			switch share := total * c.weight; {
			case excess >= 0 && share < c.lo*weights:
				got[c.name] = c.lo
			case excess <= 0 && share > c.hi*weights:
				got[c.name] = c.hi
			default:
				return false
			}
			fixed += got[c.name]
			return true
		})
		if len(open) == before {
			round(total, weights, open, got)
			return got
		}
		total -= fixed
	}
	return got
}

// round gives each claim the whole part of its share, and what is left to the largest remainders.
func round(total, weights int, open []claim, got map[string]int) {
	left := total
	for _, c := range open {
		got[c.name] = total * c.weight / weights
		left -= got[c.name]
	}
	slices.SortFunc(open, func(a, b claim) int {
		return cmp.Or(
			cmp.Compare(total*b.weight%weights, total*a.weight%weights),
			cmp.Compare(b.has-got[b.name], a.has-got[a.name]), cmp.Compare(a.name, b.name),
		)
	})
	for _, c := range open[:left] {
		got[c.name]++
	}
}

// targets says how many partitions each node is to hold: first the zones divide all
// replicas by the capacity of their nodes, then the nodes of each zone. A partition has a replica in as many
// zones as there can be, and no node has two, which bounds both; within these bounds there is always a layout.
func targets(roles []Role, partitions, replicas int, holds map[store.NodeID]int) map[store.NodeID]int {
	zones := map[string][]Role{}
	for _, r := range roles {
		zones[r.Zone] = append(zones[r.Zone], r)
	}
	names := slices.Sorted(maps.Keys(zones))
	var claims []claim
	for _, z := range names {
		c := claim{name: z}
		for _, r := range zones[z] {
			c.weight += r.Capacity
			c.has += holds[r.ID]
		}
		most := 1 // replicas of one partition
		if replicas > len(zones) {
			most += replicas - len(zones)
		}
		if replicas >= len(zones) {
			c.lo = partitions
		}
		c.hi = partitions * min(most, len(zones[z]))
		claims = append(claims, c)
	}
	out := map[store.NodeID]int{}
	for z, total := range apportion(partitions*replicas, claims) {
		var claims []claim
		for _, r := range zones[z] {
			claims = append(claims, claim{name: string(r.ID), weight: r.Capacity, hi: partitions, has: holds[r.ID]})
		}
		for n, count := range apportion(total, claims) {
			out[store.NodeID(n)] = count
		}
	}
	return out
}
