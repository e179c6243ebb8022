package ring

import "container/heap"

// A network is a directed graph with capacities and costs, for the cheapest flow from
// vertex 0 to vertex 1: shortest augmenting paths with potentials (Edmonds and Karp 1972). Costs are not negative.
type network struct {
	out       [][]int // by vertex: its arcs
	arcs      []arc   // an arc and its reverse are neighbours: i and i^1
	potential []int
}

const source, sink = 0, 1

type arc struct{ to, room, cost int }

func newNetwork(vertices int) *network {
	return &network{out: make([][]int, vertices), potential: make([]int, vertices)}
}

// add returns the new arc.
func (n *network) add(from, to, room, cost int) int {
	at := len(n.arcs)
	n.arcs = append(n.arcs, arc{to, room, cost}, arc{from, 0, -cost})
	n.out[from], n.out[to] = append(n.out[from], at), append(n.out[to], at+1)
	return at
}

// push sends one unit along an arc. Before the first augment only arcs of cost 0 may be
// used, so that what flows is the cheapest of its size.
func (n *network) push(at int) { n.arcs[at].room--; n.arcs[at^1].room++ }

func (n *network) flows(at int) bool { return n.arcs[at^1].room > 0 }

// augment sends one more unit the cheapest way and reports whether there was one.
func (n *network) augment() bool {
	const far = 1 << 62
	distance := make([]int, len(n.out))
	came := make([]int, len(n.out))
	for v := range distance {
		distance[v] = far
	}
	distance[source] = 0
	line := &queue{{}}
	for line.Len() > 0 {
		here := heap.Pop(line).(stop)
		if here.distance > distance[here.vertex] {
			continue
		}
		if here.vertex == sink {
			break
		}
		for _, at := range n.out[here.vertex] {
			a := n.arcs[at]
			d := here.distance + a.cost + n.potential[here.vertex] - n.potential[a.to]
			if a.room > 0 && d < distance[a.to] {
				distance[a.to], came[a.to] = d, at
				heap.Push(line, stop{d, a.to})
			}
		}
	}
	if distance[sink] == far {
		return false
	}
	for v := range n.potential { // those behind the sink are at least as far
		n.potential[v] += min(distance[v], distance[sink])
	}
	for v := sink; v != source; v = n.arcs[came[v]^1].to {
		n.push(came[v])
	}
	return true
}

type stop struct{ distance, vertex int }

// A queue is a heap; equal distances go by vertex, so that the flow is the same everywhere.
type queue []stop

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].distance < q[j].distance || q[i].distance == q[j].distance && q[i].vertex < q[j].vertex
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(stop)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
