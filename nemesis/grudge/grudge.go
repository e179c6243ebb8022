package grudge

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"cartwheel/harness"
)

// A Cut is a set of links to cut.
type Cut struct {
	Links []harness.Link   // sorted, each once
	Side  []harness.NodeID // the nodes that the shape is about, sorted
}

// Halves splits the nodes at random into two sides, as equal as can be, that do not
// hear each other. The side named is the smaller one. It needs 2 nodes.
func Halves(r *rand.Rand, nodes []harness.NodeID) Cut {
	return split(r, nodes, len(nodes)/2)
}

// Isolate cuts one random node off from all others, both ways. It needs 2 nodes.
func Isolate(r *rand.Rand, nodes []harness.NodeID) Cut {
	return split(r, nodes, 1)
}

// MinorityMajority splits the nodes into a random minority, the side named, and the
// rest, which is a majority. It needs 3 nodes.
func MinorityMajority(r *rand.Rand, nodes []harness.NodeID) Cut {
	return split(r, nodes, 1+r.IntN((len(nodes)-1)/2))
}

// MinorityThird splits off as many random nodes, the side named, as are less than a third of all: the rest
// has a quorum of any two thirds. It needs 4 nodes.
func MinorityThird(r *rand.Rand, nodes []harness.NodeID) Cut {
	return split(r, nodes, (len(nodes)-1)/3)
}

// split separates n random nodes from the rest.
func split(r *rand.Rand, nodes []harness.NodeID, n int) Cut {
	order := shuffled(r, nodes)
	side, rest := order[:n], order[n:]
	return cut(side, append(between(side, rest), between(rest, side)...))
}

// OneWay makes a random side, at most half of the nodes, that the rest cannot reach or
// that cannot reach the rest; the other direction stays open. The side named is the
// one whose packets are lost. It needs 2 nodes.
func OneWay(r *rand.Rand, nodes []harness.NodeID) Cut {
	order := shuffled(r, nodes)
	n := 1 + r.IntN(len(nodes)/2)
	mute, deaf := order[:n], order[n:]
	if r.IntN(2) == 0 {
		mute, deaf = deaf, mute
	}
	return cut(mute, between(mute, deaf))
}

// Deaf lets the largest random minority, the side named, hear nobody of the rest, who hear it: by what a node
// is told it cannot know that it is not heard itself. It needs 3 nodes.
func Deaf(r *rand.Rand, nodes []harness.NodeID) Cut {
	order := shuffled(r, nodes)
	n := (len(nodes) - 1) / 2
	return cut(order[:n], between(order[n:], order[:n]))
}

// Bridge splits the nodes into two halves, as equal as can be, that hear each other
// only through one random node, the side named, which hears all. It needs 3 nodes.
func Bridge(r *rand.Rand, nodes []harness.NodeID) Cut {
	order := shuffled(r, nodes)
	bridge, rest := order[:1], order[1:]
	a, b := rest[:len(rest)/2], rest[len(rest)/2:]
	return cut(bridge, append(between(a, b), between(b, a)...))
}

// MajoritiesRing lets every node hear a majority of all nodes, itself included, while
// no two nodes hear the same one. Nodes sit on a random ring and hear their neighbours
// up to a distance; if a majority needs an odd number of others, also the node right
// across. Side is empty: no node is special. It needs 3 nodes.
func MajoritiesRing(r *rand.Rand, nodes []harness.NodeID) Cut {
	ring := shuffled(r, nodes)
	n := len(ring)
	others := n / 2 // that make a majority with oneself
	reach, across := others/2, false
	if others%2 == 1 {
		if across = n%2 == 0; !across {
			reach++ // no graph of odd n gives every node an odd number of links
		}
	}
	if n == 3 {
		// A ring of three is complete; a path is the only shape that is left.
		return cut(nil, append(between(ring[:1], ring[2:]), between(ring[2:], ring[:1])...))
	}
	var links []harness.Link
	for i := range ring {
		for j := range ring {
			d := min((i-j+n)%n, (j-i+n)%n)
			if d > reach && !(across && d == n/2) {
				links = append(links, harness.Link{From: ring[i], To: ring[j]})
			}
		}
	}
	return cut(nil, links)
}

// Groups lists the links between nodes of different groups, sorted. A node that is in no
// group hears all.
func Groups(groups [][]harness.NodeID) []harness.Link {
	var links []harness.Link
	for i, a := range groups {
		for j, b := range groups {
			if i != j {
				links = append(links, between(a, b)...)
			}
		}
	}
	return slices.Compact(sorted(links))
}

// Off lists the links between some nodes and all others, either way, sorted.
func Off(nodes, side []harness.NodeID) []harness.Link {
	rest := slices.DeleteFunc(slices.Clone(nodes), func(n harness.NodeID) bool { return slices.Contains(side, n) })
	return Groups([][]harness.NodeID{side, rest})
}

// Flapping is a link of two random nodes, either way. It needs 2 nodes.
func Flapping(r *rand.Rand, nodes []harness.NodeID) Cut {
	pair := shuffled(r, nodes)[:2]
	return cut(pair, append(between(pair[:1], pair[1:]), between(pair[1:], pair[:1])...))
}

// Clients cuts n random nodes, the side named, off from clients, both ways. Among themselves all
// nodes hear each other. It needs n nodes.
func Clients(r *rand.Rand, nodes []harness.NodeID, n int) Cut {
	side := shuffled(r, nodes)[:n]
	return cut(side, WithClients(side))
}

// ClientsOneWay cuts one direction between clients and one random node, the side named: its
// requests or its answers are lost. It needs 1 node.
func ClientsOneWay(r *rand.Rand, nodes []harness.NodeID) Cut {
	side := shuffled(r, nodes)[:1]
	clients := []harness.NodeID{harness.Clients}
	if r.IntN(2) == 0 {
		return cut(side, between(clients, side))
	}
	return cut(side, between(side, clients))
}

// WithClients lists the links between clients and the nodes, either way, sorted.
func WithClients(nodes []harness.NodeID) []harness.Link {
	return Groups([][]harness.NodeID{{harness.Clients}, nodes})
}

// All lists every link between different nodes, sorted.
func All(nodes []harness.NodeID) []harness.Link {
	return sorted(between(nodes, nodes))
}

func between(from, to []harness.NodeID) []harness.Link {
	var links []harness.Link
	for _, f := range from {
		for _, t := range to {
			if f != t {
				links = append(links, harness.Link{From: f, To: t})
			}
		}
	}
	return links
}

func cut(side []harness.NodeID, links []harness.Link) Cut {
	side = slices.Clone(side)
	slices.Sort(side)
	return Cut{Links: sorted(links), Side: side}
}

func sorted(links []harness.Link) []harness.Link {
	slices.SortFunc(links, func(a, b harness.Link) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return links
}

// shuffled is a copy: the caller's order is its own.
func shuffled(r *rand.Rand, nodes []harness.NodeID) []harness.NodeID {
	order := slices.Clone(nodes)
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}
