package strategy

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// What a node keeps of a placement: a position on the 128-bit ring of MD5, and the number of a node.
const (
	positionSizeBytes = 16
	nodeSizeBytes     = 2
)

// whole is the length of the ring, in the units of a range's end.
const whole = float64(1<<63) * 2

// A Range is the part of the ring that ends at End, inclusively, and begins where the one before it ends.
type Range struct {
	End    uint64
	Owners []int // distinct nodes
}

// A Placement gives every range of the ring to its owners.
type Placement struct {
	Nodes     int
	Ranges    []Range // in the order of their ends; the first begins where the last ends
	SizeBytes int     // of what every node must know to route a request
}

// A token is a position on the ring that belongs to a node.
type token struct {
	at   uint64
	node int
}

// tokens returns random positions on the ring, perNode for each node, in the order of the ring. The first nodes of a larger number of
// nodes have the same ones, if rnd begins anew.
func tokens(rnd *rand.Rand, nodes, perNode int) (out []token) {
	for n := range nodes {
		for range perNode {
			out = append(out, token{rnd.Uint64(), n})
		}
	}
	slices.SortFunc(out, func(a, b token) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.node, b.node)) })
	return out
}

// walk returns the first distinct nodes clockwise from a token, that one included.
func walk(ring []token, from, replicas int) (owners []int) {
	for i := 0; len(owners) < replicas && i < len(ring); i++ {
		if n := ring[(from+i)%len(ring)].node; !slices.Contains(owners, n) {
			owners = append(owners, n)
		}
	}
	return owners
}

// RandomTokens is strategy 1: each node draws perNode tokens, and the tokens are also the bounds of the ranges. Every node knows
// all tokens and whose they are.
func RandomTokens(rnd *rand.Rand, nodes, replicas, perNode int) Placement {
	drawn := tokens(rnd, nodes, perNode)
	p := Placement{Nodes: nodes, SizeBytes: len(drawn) * (positionSizeBytes + nodeSizeBytes)}
	for i, t := range drawn {
		p.Ranges = append(p.Ranges, Range{t.at, walk(drawn, i, replicas)})
	}
	return p
}

// TokensAndPartitions is strategy 2: the ring is cut into equal partitions, and each belongs to the first nodes whose random tokens follow
// its end. Every node knows all tokens, whose they are, and the owners of each partition.
func TokensAndPartitions(rnd *rand.Rand, nodes, replicas, perNode, partitions int) Placement {
	drawn := tokens(rnd, nodes, perNode)
	p := Placement{Nodes: nodes, SizeBytes: len(drawn)*(positionSizeBytes+nodeSizeBytes) + partitions*replicas*nodeSizeBytes}
	for q := range partitions {
		end := endOf(q, partitions)
		at, _ := slices.BinarySearchFunc(drawn, end, func(t token, end uint64) int { return cmp.Compare(t.at, end) })
		p.Ranges = append(p.Ranges, Range{end, walk(drawn, at%len(drawn), replicas)})
	}
	return p
}

// EqualTokens is strategy 3: the ring is cut into equal partitions, each node has as many as any other, at random, and the next nodes on
// the ring have the copies. Every node knows whose each partition is.
func EqualTokens(rnd *rand.Rand, nodes, replicas, partitions int) Placement {
	drawn := make([]token, partitions)
	for i, q := range rnd.Perm(partitions) {
		drawn[q] = token{endOf(q, partitions), i % nodes}
	}
	return placed(drawn, nodes, replicas)
}

// placed gives equal partitions to the nodes that are met on the ring.
func placed(drawn []token, nodes, replicas int) Placement {
	p := Placement{Nodes: nodes, SizeBytes: len(drawn) * nodeSizeBytes}
	for q := range drawn {
		p.Ranges = append(p.Ranges, Range{drawn[q].at, walk(drawn, q, replicas)})
	}
	return p
}

// Joined is p of strategy 3 with one node more, which takes partitions at random from those that have most, until it has its share.
func Joined(rnd *rand.Rand, p Placement, replicas int) Placement {
	drawn, held := make([]token, len(p.Ranges)), make([]int, p.Nodes)
	for q, r := range p.Ranges {
		drawn[q] = token{r.End, r.Owners[0]}
		held[r.Owners[0]]++
	}
	for range len(drawn) / (p.Nodes + 1) {
		most := slices.Max(held)
		for _, q := range rnd.Perm(len(drawn)) {
			if n := drawn[q].node; n < p.Nodes && held[n] == most {
				drawn[q].node = p.Nodes
				held[n]--
				break
			}
		}
	}
	return placed(drawn, p.Nodes+1, replicas)
}

// OwnerSets is what package ring does: equal partitions, each with a set of owners of its own, which every node knows.
func OwnerSets(nodes, replicas, partitions int) (Placement, error) {
	l, err := ring.New(ring.Options{Members: members(nodes), Partitions: partitions, Replicas: replicas})
	if err != nil {
		return Placement{}, err
	}
	return ofLayout(l), nil
}

// OwnerSetsJoined is OwnerSets and, beside it, the layout that follows when one node more has joined.
func OwnerSetsJoined(nodes, replicas, partitions int) (before, after Placement, err error) {
	l, err := ring.New(ring.Options{Members: members(nodes), Partitions: partitions, Replicas: replicas})
	if err != nil {
		return before, after, err
	}
	grown, err := l.Change(ring.Plain(members(nodes + 1)))
	if err != nil {
		return before, after, err
	}
	return ofLayout(l), ofLayout(grown), nil
}

func ofLayout(l *ring.Layout) Placement {
	number := map[store.NodeID]int{}
	for i, m := range members(len(l.Members())) {
		number[m.ID] = i
	}
	p := Placement{Nodes: len(number), SizeBytes: l.Partitions() * l.Replicas() * nodeSizeBytes}
	for q := range l.Partitions() {
		r := Range{End: endOf(q, l.Partitions())}
		for _, n := range l.Owners(ring.Partition(q)) {
			r.Owners = append(r.Owners, number[n])
		}
		p.Ranges = append(p.Ranges, r)
	}
	return p
}

func members(n int) (out []store.Member) {
	for i := range n {
		out = append(out, store.Member{ID: store.NodeID(fmt.Sprintf("n%d", i)), Address: fmt.Sprintf("h%d:1", i)})
	}
	return out
}

// endOf is where a partition ends, counted from 0.
func endOf(q, partitions int) uint64 {
	if q == partitions-1 {
		return math.MaxUint64
	}
	return uint64(float64(q+1) / float64(partitions) * whole)
}

// share is the part of the ring that range i takes, 0 to 1.
func (p Placement) share(i int) float64 {
	before := p.Ranges[(i+len(p.Ranges)-1)%len(p.Ranges)].End
	if len(p.Ranges) == 1 {
		return 1
	}
	return float64(p.Ranges[i].End-before) / whole // the difference wraps round as the ring does
}

// Loads returns the part of all replicas that each node has; they add up to 1. It is the part of the requests that it serves, too, if keys
// are many and none is hot.
func (p Placement) Loads() []float64 {
	loads := make([]float64, p.Nodes)
	for i, r := range p.Ranges {
		for _, n := range r.Owners {
			loads[n] += p.share(i) / float64(len(r.Owners))
		}
	}
	return loads
}

// Efficiency is the load of the average node over that of the most loaded one, 0 to 1: figure 8 of the paper.
func Efficiency(loads []float64) float64 {
	sum := 0.0
	for _, l := range loads {
		sum += l
	}
	return sum / float64(len(loads)) / slices.Max(loads)
}

// Imbalance is the part of the nodes whose load is off the mean by more than tolerance, 0.15 in the paper: figure 6.
func Imbalance(loads []float64, tolerance float64) float64 {
	mean, off := 0.0, 0
	for _, l := range loads {
		mean += l / float64(len(loads))
	}
	for _, l := range loads {
		if math.Abs(l-mean) > tolerance*mean {
			off++
		}
	}
	return float64(off) / float64(len(loads))
}

// Owners returns who owns a position on the ring.
func (p Placement) Owners(at uint64) []int {
	i, _ := slices.BinarySearchFunc(p.Ranges, at, func(r Range, at uint64) int { return cmp.Compare(r.End, at) })
	return p.Ranges[i%len(p.Ranges)].Owners
}

// A Step is what it takes to get from one placement to another.
type Step struct {
	Moved float64 // part of all replicas that nodes must copy, 0 to 1
	Cut   int     // ranges that are no ranges of before: their keys must be found by a scan, and their hash trees made anew
}

// Between compares placements of the same number of replicas.
func Between(before, after Placement) (s Step) {
	type extent struct{ begin, end uint64 }
	known := map[extent]bool{}
	for i, r := range before.Ranges {
		known[extent{before.Ranges[(i+len(before.Ranges)-1)%len(before.Ranges)].End, r.End}] = true
	}
	var ends []uint64
	for i, r := range after.Ranges {
		if !known[extent{after.Ranges[(i+len(after.Ranges)-1)%len(after.Ranges)].End, r.End}] {
			s.Cut++
		}
		ends = append(ends, r.End)
	}
	for _, r := range before.Ranges {
		ends = append(ends, r.End)
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	for i, end := range ends {
		share := float64(end-ends[(i+len(ends)-1)%len(ends)]) / whole
		owners, had := after.Owners(end), before.Owners(end)
		for _, n := range owners {
			if !slices.Contains(had, n) {
				s.Moved += share / float64(len(owners))
			}
		}
	}
	return s
}
