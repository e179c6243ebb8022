package storage

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/version"
)

// Random puts, merges, hint deliveries, restarts and power cuts on three nodes never lose
// an acknowledged write: at the end each is present, or one of the writes had seen it.
func TestAcknowledgedWritesAreNeverLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { newCluster(t, false).run(t) })
}

// The same on a cluster whose first node has a disk that lies: what it claims to have
// synced is gone after a power cut. The node itself forgets, but the copies that others
// hold of its writes survive, because it goes on under a new incarnation.
func TestADiskThatLiesDoesNotLoseTheCopiesOfOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { newCluster(t, true).run(t) })
}

// A cluster is three nodes and a model of what clients did.
type cluster struct {
	disks  []*disk
	nodes  []*Replica
	lies   bool
	writes map[store.Key][]modelWrite
	next   int
}

type modelWrite struct {
	id   store.WriteID
	seen []store.WriteID // what its client had read
}

func newCluster(t *rapid.T, lies bool) *cluster {
	c := &cluster{lies: lies, writes: map[store.Key][]modelWrite{}}
	for _, name := range []store.NodeID{"a", "b", "c"} {
		d := newDisk(name)
		if lies && name == "a" {
			d.wrap = func(kv KV) KV { return liar{kv} }
		}
		c.disks = append(c.disks, d)
		c.nodes = append(c.nodes, d.open(t))
	}
	return c
}

// A liar acknowledges records that are not on disk. The node's identity is, for a node
// that forgot its incarnation cannot know that it forgot anything.
type liar struct{ KV }

func (l liar) Apply(b *Batch, sync bool) error {
	meta := false
	b.Changes(func(key, _ []byte, _ bool) { meta = meta || key[0] == 'm' })
	return l.KV.Apply(b, sync && meta)
}

func (c *cluster) run(t *rapid.T) {
	defer func() {
		for _, r := range c.nodes {
			closeReplica(t, r)
		}
	}()
	t.Repeat(map[string]func(*rapid.T){
		"put":     c.put,
		"merge":   c.merge,
		"deliver": c.deliver,
		"restart": func(t *rapid.T) { c.restart(t, rapid.Bool().Draw(t, "crash")) },
	})
	c.settle(t)
	c.check(t)
}

func (c *cluster) node(t *rapid.T, label string) int { return rapid.IntRange(0, 2).Draw(t, label) }

func (c *cluster) key(t *rapid.T) store.Key {
	return rapid.SampledFrom([]store.Key{"x", "yy"}).Draw(t, "key")
}

// owner draws whom a write is for: the node itself or another, by hint. On a cluster
// with a liar no hint is for the liar, since what it took and forgot was acknowledged.
func (c *cluster) owner(t *rapid.T, at int) store.NodeID {
	to := c.node(t, "for")
	if to == at || c.lies && to == 0 {
		return ""
	}
	return c.disks[to].name
}

func (c *cluster) put(t *rapid.T) {
	at := c.node(t, "at")
	c.putAt(t, at, c.key(t), c.owner(t, at))
}

func (c *cluster) putAt(t *rapid.T, at int, key store.Key, hintFor store.NodeID) {
	var w modelWrite
	var past version.Vector
	if rapid.Bool().Draw(t, "with context") {
		read := mustGet(t, c.nodes[c.node(t, "read at")], key)
		past = read.Vector
		for _, v := range read.Versions {
			w.seen = append(w.seen, v.WriteID)
		}
	}
	c.next++
	w.id = writeID(c.next)
	s := mustPut(t, c.nodes[at], key, hintFor, c.next, past)
	if !s.HasWrite(w.id) {
		t.Fatalf("put at %s returned a state without itself", c.disks[at].name)
	}
	c.writes[key] = append(c.writes[key], w)
	if c.lies { // acknowledged only when an honest node has it too
		mustMerge(t, c.nodes[1+at%2], key, "", s)
	}
}

func (c *cluster) merge(t *rapid.T) {
	from, to, key := c.node(t, "from"), c.node(t, "to"), c.key(t)
	mustMerge(t, c.nodes[to], key, c.owner(t, to), mustGet(t, c.nodes[from], key))
}

// deliver hands over hints; some are written to between delivery and deletion.
func (c *cluster) deliver(t *rapid.T) {
	from, to := c.node(t, "from"), c.node(t, "to")
	for _, h := range allHints(t, c.nodes[from], c.disks[to].name) {
		mustMerge(t, c.nodes[to], h.Key, "", h.Set)
		if rapid.Bool().Draw(t, "written meanwhile") {
			c.putAt(t, from, h.Key, h.Target)
		}
		if _, err := c.nodes[from].DropHint(context.Background(), h); err != nil {
			t.Fatalf("drop hint: %v", err)
		}
	}
}

func (c *cluster) restart(t *rapid.T, crash bool) {
	at := c.node(t, "node")
	before := c.nodes[at].Identity()
	if crash {
		c.disks[at].crash(t, c.nodes[at])
	} else {
		closeReplica(t, c.nodes[at])
	}
	c.nodes[at] = c.disks[at].open(t)
	after := c.nodes[at].Identity()
	want := before
	if crash {
		want.Incarnation++
	}
	if after != want {
		t.Fatalf("%s: identity after restart is %+v, want %+v", c.disks[at].name, after, want)
	}
}

// settle exchanges all states twice, so that each has met each.
func (c *cluster) settle(t *rapid.T) {
	for range 2 {
		for _, from := range c.nodes {
			for _, to := range c.nodes {
				for key := range c.writes {
					mustMerge(t, to, key, "", mustGet(t, from, key))
				}
			}
		}
	}
}

func (c *cluster) check(t *rapid.T) {
	for key, writes := range c.writes {
		final := mustRecord(t, c.nodes[0], key)
		for i, r := range c.nodes {
			if got := mustRecord(t, r, key); !got.Equal(final) {
				t.Fatalf("%q: %s holds %v, a holds %v", key, c.disks[i].name, got, final)
			}
			if n := r.Stats().Amnesia; n > 0 {
				t.Fatalf("%s raised the amnesia alarm %d times", c.disks[i].name, n)
			}
		}
		superseded := map[store.WriteID]bool{}
		for _, w := range writes {
			for _, id := range w.seen {
				superseded[id] = true
			}
		}
		for _, w := range writes {
			if has := final.HasWrite(w.id); has == superseded[w.id] {
				t.Fatalf("%q: write %s: in the final state: %v, seen by a later write: %v; state %v",
					key, w.id[10:], has, superseded[w.id], final)
			}
		}
	}
}
