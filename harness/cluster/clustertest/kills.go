package clustertest

import (
	"context"

	"cartwheel/harness"
)

// nodes does things to nodes and looks at one state of theirs.
type nodes struct {
	step
	c    harness.Cluster
	what string // "alive", "paused"
	look func(context.Context, harness.NodeID) (bool, error)
	not  map[harness.NodeID]bool // the nodes that are not in the state
}

// check wants every node in the state but those that are known not to be.
func (n nodes) check(when string) {
	n.Helper()
	for _, id := range n.c.Nodes() {
		got, err := n.look(n.Context(), id)
		if err != nil || got == n.not[id] {
			n.Errorf("%s: %s is %s: got %v, %v; want %v", when, id, n.what, got, err, !n.not[id])
		}
	}
}

func (n nodes) do(what string, f func(context.Context, harness.NodeID) error, ids ...harness.NodeID) {
	n.Helper()
	for _, id := range ids {
		if err := f(n.Context(), id); err != nil {
			n.Fatalf("%s %s: %v", what, id, err)
		}
	}
}

func testKills(t step, c harness.Cluster, k harness.Killer) {
	all := c.Nodes()
	n := nodes{step: t, c: c, what: "alive", look: k.Alive, not: map[harness.NodeID]bool{}}
	n.check("at first")
	n.do("restart", k.Restart, all[0])
	n.check("after restarting a running node")
	for _, end := range []struct {
		name string
		do   func(context.Context, harness.NodeID) error
	}{{"kill", k.Kill}, {"terminate", k.Terminate}} {
		addresses := addressesOf(c)
		for range 2 {
			n.do(end.name, end.do, all[0])
			n.not[all[0]] = true
			n.check("after a " + end.name)
		}
		n.do("kill", k.Kill, all[0])
		n.do("terminate", k.Terminate, all[0])
		n.check("after another end of the same")
		for range 2 {
			n.do("restart", k.Restart, all[0])
			delete(n.not, all[0])
			n.check("after a restart")
		}
		if now := addressesOf(c); now != addresses {
			t.Errorf("%s and restart: addresses were %s and are %s", end.name, addresses, now)
		}
	}
	n.do("kill", k.Kill, all...)
	for _, id := range all {
		n.not[id] = true
	}
	n.check("after all were killed")
	n.do("restart", k.Restart, all...)
	clear(n.not)
	n.check("after all were started again")
	if err := k.Kill(t.Context(), "nobody"); err == nil {
		t.Errorf("an unknown node was killed without an error")
	}
	if p, ok := c.(harness.Pauser); ok {
		t.run("and pauses", func(t step) { testKillsOfPaused(t, c, k, p) })
	}
	if p, ok := c.(harness.Partitioner); ok {
		t.run("and cuts", func(t step) { testKillsOfCutOff(t, c, k, p) })
	}
}

// testKillsOfPaused: a frozen process can be killed, and there its pause ends.
func testKillsOfPaused(t step, c harness.Cluster, k harness.Killer, p harness.Pauser) {
	id := c.Nodes()[1]
	n := nodes{step: t, c: c, what: "alive", look: k.Alive, not: map[harness.NodeID]bool{}}
	paused := func(when string, want bool) {
		t.Helper()
		if got, err := p.Paused(t.Context(), id); err != nil || got != want {
			t.Errorf("%s: %s is paused: got %v, %v; want %v", when, id, got, err, want)
		}
	}
	n.do("pause", p.Pause, id)
	n.check("while one is paused")
	if err := k.Terminate(t.Context(), id); err == nil {
		t.Errorf("a paused node was asked to end without an error: it cannot have heard")
	}
	paused("after it was asked to end", true)
	n.do("kill", k.Kill, id)
	n.not[id] = true
	n.check("after the kill of a paused node")
	paused("after its kill", false)
	if err := p.Pause(t.Context(), id); err == nil {
		t.Errorf("a dead node was paused without an error")
	}
	n.do("resume", p.Resume, id)
	n.check("after the resumption of a dead node")
	n.do("restart", k.Restart, id)
	delete(n.not, id)
	n.check("after the restart of a node that was paused")
	paused("after its restart", false)
}

// testKillsOfCutOff: the rules of a network outlive the processes in it.
func testKillsOfCutOff(t step, c harness.Cluster, k harness.Killer, p harness.Partitioner) {
	ids := c.Nodes()
	links := between(ids[:1], ids[1:])
	n := nodes{step: t, c: c, what: "alive", look: k.Alive, not: map[harness.NodeID]bool{}}
	cut(t, p, "outlives", links)
	n.do("kill", k.Kill, ids[0])
	n.not[ids[0]] = true
	n.check("after a kill")
	expectCut(t, c, p, "while the sender is dead", links)
	before := total(dropped(t, p, "outlives", links))
	n.do("restart", k.Restart, ids[0])
	expectCut(t, c, p, "after the sender's restart", links)
	await(t, "a packet of the new process is discarded", func() bool {
		return total(dropped(t, p, "outlives", links)) > before
	})
	mend(t, p, "outlives")
	expectCut(t, c, p, "after the heal", nil)
}

func addressesOf(c harness.Cluster) (all string) {
	for _, id := range c.Nodes() {
		all += c.Address(id) + " "
	}
	return all
}
