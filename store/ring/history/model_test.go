package history

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// The quorums of the model: every read meets every write in one layout, and in one only.
const modelW, modelR = 2, 2

// A model is a cluster of nodes that do as a History says, and as little else as
// can be: they write, read, copy, delete and tell each other what they know, one small step
// at a time and in any order.
type model struct {
	t       *testing.T
	seed    uint64
	r       *rand.Rand
	nodes   map[store.NodeID]*modelNode
	written int
	acked   map[ring.Partition][]int // writes that were acknowledged
	reads   int                      // reads that were answered while a change was pending
	changes int                      // versions that have settled
	cut     int                      // nodes before this one hear nothing from those behind it, for a while
	forced  store.NodeID             // who was removed by force
}

type modelNode struct {
	id     store.NodeID
	known  History
	dead   bool
	data   map[ring.Partition]map[int]bool
	writes []*modelWrite
	look   []*modelRead
	copy   *modelCopy
}

type modelWrite struct {
	value     int
	partition ring.Partition
	to        []Version
	left      []store.NodeID
	acks      []store.NodeID
	slow      bool // as a request that waits long for an answer
}

type modelRead struct {
	partition ring.Partition
	of        Version
	must      []int // acknowledged before it began
	left      []store.NodeID
	answers   int
	got       map[int]bool
	slow      bool
}

type modelCopy struct {
	of   Version
	left []ring.Move // one source each
}

func members(ids ...store.NodeID) (out []store.Member) {
	for _, id := range ids {
		out = append(out, store.Member{ID: id, Address: string(id) + ":1"})
	}
	return out
}

var modelIDs = []store.NodeID{"n1", "n2", "n3", "n4", "n5", "n6"}

func newModel(t *testing.T, seed uint64) *model {
	l, err := ring.New(ring.Options{Members: members(modelIDs[:4]...), Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 0)), nodes: map[store.NodeID]*modelNode{}, acked: map[ring.Partition][]int{}}
	for i, id := range modelIDs {
		n := &modelNode{id: id, data: map[ring.Partition]map[int]bool{0: {}, 1: {}}}
		if i < 4 {
			n.known = New(l)
		}
		m.nodes[id] = n
	}
	return m
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("seed %d: "+format, append([]any{m.seed}, args...)...)
}

func (m *model) node() *modelNode {
	return m.nodes[modelIDs[m.r.IntN(len(modelIDs))]]
}

func (m *model) partition() ring.Partition {
	return ring.Partition(m.r.IntN(2))
}

// takes takes a random element out of a list.
func take[T any](r *rand.Rand, list *[]T) (out T) {
	i := r.IntN(len(*list))
	out = (*list)[i]
	*list = slices.Delete(slices.Clone(*list), i, i+1)
	return out
}

// serves says whether a node answers to a request made with a version, and is believed.
func (n *modelNode) serves(from *modelNode, v Version) bool {
	return !n.dead && !n.known.Fenced(from.id) && !from.known.Fenced(n.id) && n.known.Serves(v.Number, v.ID)
}

// coordinates says whether a node takes requests of clients.
func (n *modelNode) coordinates() bool {
	return !n.dead && n.known.Coordinates(n.id)
}

func (m *model) learn(n *modelNode, h History) {
	was := uint64(0)
	if len(n.known.live) > 0 {
		was = n.known.Oldest().Number
	}
	n.known = h
	if h.Oldest().Number > max(was, 1) {
		m.changes++
	}
}

func (m *model) gossip(from, to *modelNode) {
	if from.dead || to.dead || len(from.known.live) == 0 || to.known.Fenced(from.id) {
		return
	}
	h, err := Merge(to.known, from.known)
	if errors.Is(err, ErrForked) && from.known.Fenced(to.id) {
		return // removed by force, and in vain about to propose something itself
	}
	if err != nil {
		m.fail("%s hears from %s: %v", to.id, from.id, err)
	}
	m.learn(to, h)
}

func (m *model) beginWrite(n *modelNode) {
	if !n.coordinates() || len(n.writes) > 1 {
		return
	}
	m.written++
	w := &modelWrite{value: m.written, partition: m.partition(), to: n.known.Live(), slow: m.r.IntN(3) == 0}
	for _, v := range w.to {
		for _, o := range v.Layout.Owners(w.partition) {
			if !slices.Contains(w.left, o) {
				w.left = append(w.left, o)
			}
		}
	}
	n.writes = append(n.writes, w)
}

// goOn delivers one message of a write, or ends it.
func (m *model) goOn(n *modelNode) {
	if n.dead || len(n.writes) == 0 {
		return
	}
	w := take(m.r, &n.writes)
	if w.slow && m.r.IntN(50) > 0 {
		n.writes = append(n.writes, w)
		return
	}
	if len(w.left) == 0 || m.r.IntN(10) == 0 {
		return // ended
	}
	n.writes = append(n.writes, w)
	to := m.nodes[take(m.r, &w.left)]
	if !to.serves(n, w.to[len(w.to)-1]) {
		return
	}
	if by := w.to[len(w.to)-1].Number; by < to.known.Swept() {
		m.fail("%s takes a write of %s by version %d, after the sweep %d", to.id, n.id, by, to.known.Swept())
	}
	to.data[w.partition][w.value] = true
	w.acks = append(w.acks, to.id)
	for _, v := range w.to {
		in := 0
		for _, a := range w.acks {
			if v.Layout.Owns(a, w.partition) {
				in++
			}
		}
		if in < modelW {
			return
		}
	}
	if !slices.Contains(m.acked[w.partition], w.value) {
		m.acked[w.partition] = append(m.acked[w.partition], w.value)
	}
}

func (m *model) beginRead(n *modelNode) {
	if !n.coordinates() || len(n.look) > 1 {
		return
	}
	p, v := m.partition(), n.known.Read()
	n.look = append(n.look, &modelRead{
		partition: p, of: v, must: slices.Clone(m.acked[p]), left: slices.Clone(v.Layout.Owners(p)), got: map[int]bool{}, slow: m.r.IntN(3) == 0,
	})
}

func (m *model) readOn(n *modelNode) {
	if n.dead || len(n.look) == 0 {
		return
	}
	r := take(m.r, &n.look)
	if r.slow && m.r.IntN(50) > 0 {
		n.look = append(n.look, r)
		return
	}
	if len(r.left) == 0 {
		return
	}
	if from := m.nodes[take(m.r, &r.left)]; from.serves(n, r.of) {
		maps.Copy(r.got, from.data[r.partition])
		r.answers++
	}
	if r.answers < modelR {
		n.look = append(n.look, r)
		return
	}
	if !n.known.Settled() {
		m.reads++
	}
	for _, value := range r.must {
		if !r.got[value] {
			m.fail("%s read version %v and missed write %d, which was acknowledged before it began", n.id, r.of, value)
		}
	}
}

// step makes one note that the history allows, once what it says is true.
func (m *model) step(n *modelNode) {
	if n.dead || len(n.known.live) == 0 {
		return
	}
	next := n.known.Next(n.id)
	if v := next.Ack; v.Number > 0 && !slices.ContainsFunc(n.writes, func(w *modelWrite) bool {
		return w.to[len(w.to)-1].ID != v.ID
	}) {
		m.learn(n, n.known.Acked(n.id, v))
	}
	if v := next.SyncAck; v.Number > 0 && !slices.ContainsFunc(n.look, func(r *modelRead) bool { return r.of.Number < v.Number }) {
		m.learn(n, n.known.SyncAcked(n.id, v))
	}
	switch v := next.Sync; {
	case v.Number == 0:
		n.copy = nil
	case n.copy == nil || n.copy.of.ID != v.ID:
		n.copy = &modelCopy{of: v}
		for _, move := range ring.Moves(n.known.Oldest().Layout, v.Layout) {
			for _, from := range move.From {
				if move.To == n.id && !n.known.Fenced(from) {
					n.copy.left = append(n.copy.left, ring.Move{Partition: move.Partition, From: []store.NodeID{from}})
				}
			}
		}
	case len(n.copy.left) == 0:
		m.learn(n, n.known.Synced(n.id, v))
		n.copy = nil
	default:
		move := take(m.r, &n.copy.left)
		from := m.nodes[move.From[0]]
		if !from.serves(n, v) { // asked again later
			n.copy.left = append(n.copy.left, move)
			return
		}
		maps.Copy(n.data[move.Partition], from.data[move.Partition])
	}
}

// clear deletes what the node owns in no live version.
func (m *model) clear(n *modelNode) {
	if n.dead || len(n.known.live) == 0 {
		return
	}
	for p := range n.data {
		if !slices.ContainsFunc(n.known.Live(), func(v Version) bool { return v.Layout.Owns(n.id, p) }) {
			n.data[p] = map[int]bool{}
		}
	}
}

func (m *model) propose(n *modelNode, mayKill bool) {
	if !n.coordinates() {
		return
	}
	number := n.known.Newest().Number + 1
	switch m.r.IntN(5) {
	case 4:
		if h, err := n.known.Sweep(n.id, number); err == nil {
			m.learn(n, h)
		}
	case 0:
		if h, err := n.known.Abort(n.id, number); err == nil {
			m.learn(n, h)
		}
	case 1:
		lost := m.node() // or believed to be
		for _, id := range modelIDs {
			if m.nodes[id].dead {
				lost = m.nodes[id]
			}
		}
		if h, err := n.known.ForceRemove(n.id, number, lost.id); err == nil && m.forced == "" && (lost.dead || mayKill) {
			m.forced = lost.id
			m.learn(n, h)
		}
	default:
		var roles []ring.Role
		for _, id := range modelIDs {
			if m.r.IntN(4) > 0 && !m.nodes[id].dead {
				roles = append(roles, ring.Plain(members(id))...)
			}
		}
		if h, err := n.known.Commit(n.id, number, roles); err == nil {
			m.learn(n, h)
		}
	}
}

// kill ends a node for good. One only: two could be all that hold a write.
func (m *model) kill(n *modelNode) {
	for _, other := range m.nodes {
		if other.dead || m.forced != "" {
			return
		}
	}
	if m.r.IntN(20) == 0 {
		*n = modelNode{id: n.id, dead: true}
	}
}

func (m *model) act(mayKill bool) {
	switch x := m.r.IntN(200); {
	case x < 50:
		if a, b := m.r.IntN(6), m.r.IntN(6); (a < m.cut) == (b < m.cut) {
			m.gossip(m.nodes[modelIDs[a]], m.nodes[modelIDs[b]])
		}
		if m.r.IntN(50) == 0 {
			m.cut = max(0, m.r.IntN(12)-6)
		}
	case x < 60:
		m.beginWrite(m.node())
	case x < 100:
		m.goOn(m.node())
	case x < 110:
		m.beginRead(m.node())
	case x < 130:
		m.readOn(m.node())
	case x < 190:
		m.step(m.node())
	case x < 196:
		m.clear(m.node())
	case x < 197 && mayKill:
		m.kill(m.node())
	default:
		m.propose(m.node(), mayKill)
	}
}

// calm ends all requests and lets what is pending settle, if no dead node is waited for.
func (m *model) calm() {
	for range 60 {
		for _, a := range modelIDs {
			for _, b := range modelIDs {
				m.gossip(m.nodes[a], m.nodes[b])
			}
		}
		for _, id := range modelIDs {
			m.nodes[id].writes, m.nodes[id].look = nil, nil
			m.step(m.nodes[id])
			m.clear(m.nodes[id])
		}
	}
}

func runModel(t *testing.T, seed uint64, mayKill bool) *model {
	m := newModel(t, seed)
	for range 3000 {
		m.act(mayKill)
	}
	m.calm()
	var any History
	for _, id := range modelIDs {
		n := m.nodes[id]
		if !n.coordinates() || id == m.forced {
			continue
		}
		if len(any.live) == 0 {
			any = n.known
		}
		if fmt.Sprint(n.known.Live()) != fmt.Sprint(any.Live()) {
			m.fail("%s knows %v, another %v", id, n.known.Live(), any.Live())
		}
	}
	for _, id := range any.Waits() {
		if m.nodes[id].dead {
			return m // until an operator removes it by force
		}
	}
	if !any.Settled() {
		m.fail("pending for ever: %v", any.Live())
	}
	for p, values := range m.acked {
		for _, value := range values {
			holders := 0
			for _, o := range any.Oldest().Layout.Owners(p) {
				if m.nodes[o].data[p][value] {
					holders++
				}
			}
			if holders == 0 {
				m.fail("write %d was acknowledged and is on none of %v", value, any.Oldest())
			}
		}
	}
	return m
}

// Whatever nodes join, leave, change their minds or propose at the same time, and however late they
// hear of it: a read misses no write that was acknowledged before it began. In every other run a
// node dies for good, and whoever cares to removes it by force.
func TestNoReadMissesAnAcknowledgedWrite(t *testing.T) {
	reads, changes := 0, 0
	for seed := range uint64(300) {
		m := runModel(t, seed, seed%2 == 1)
		reads, changes = reads+m.reads, changes+m.changes
	}
	t.Logf("%d reads during a change, %d times a node saw a change settle", reads, changes)
	if reads < 1000 || changes < 1000 {
		t.Error("the model did too little to prove anything")
	}
}
