package clustertest

import (
	"context"
	"maps"
	"slices"

	"cartwheel/harness"
)

func testCuts(t step, c harness.Cluster, p harness.Partitioner) {
	t.run("every link is open at first", func(t step) { expectCut(t, c, p, "at first", nil) })
	t.run("shapes", func(t step) { testShapes(t, c, p) })
	t.run("overlapping faults close what any of them closes", func(t step) { testOverlap(t, c, p) })
	t.run("clients are cut off from nodes that hear each other", func(t step) { testClients(t, c, p) })
	t.run("a fault cut again closes more", func(t step) {
		nodes := c.Nodes()
		first, second := between(nodes[:1], nodes[1:2]), between(nodes[1:2], nodes[:1])
		cut(t, p, "twice", first)
		cut(t, p, "twice", second)
		expectCut(t, c, p, "after the second cut", append(first, second...))
		mend(t, p, "twice")
		expectCut(t, c, p, "after the heal", nil)
	})
	t.run("probing some links tells of those", func(t step) {
		some := AllLinks(c.Nodes())[:2]
		got, err := p.Probe(t.Context(), some)
		if want := map[harness.Link]bool{some[0]: true, some[1]: true}; err != nil || !maps.Equal(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	})
	t.run("mending an unknown fault is no error", func(t step) { mend(t, p, "unknown") })
	t.run("an unknown fault has no counts", func(t step) {
		if got, err := p.Dropped(t.Context(), "unknown"); err == nil {
			t.Errorf("got %v, want an error", got)
		}
	})
	t.run("links must be between nodes", func(t step) {
		nodes := c.Nodes()
		for _, l := range []harness.Link{{From: nodes[0], To: "nobody"}, {From: "nobody", To: nodes[0]}, {From: nodes[0], To: nodes[0]}, {From: harness.Clients, To: harness.Clients}, {From: "nobody", To: harness.Clients}} {
			if err := p.Cut(t.Context(), "wrong", []harness.Link{l}); err == nil {
				t.Errorf("cut %v: got no error, want one", l)
			}
		}
		expectCut(t, c, p, "after wrong cuts", nil)
	})
	t.run("nothing happens when the context has ended", func(t step) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Cut(ended, "ended", AllLinks(c.Nodes())); err == nil {
			t.Errorf("got no error, want one")
		}
		mend(t, p, "ended")
		expectCut(t, c, p, "after the heal", nil)
	})
}

// testShapes cuts the cluster in every way that a nemesis does. Each cut must close its
// links and no other, discard what the nodes send over them, and heal.
func testShapes(t step, c harness.Cluster, p harness.Partitioner) {
	n := c.Nodes()
	last := len(n) - 1
	var ring []harness.Link // everyone hears only from the two neighbours
	for _, l := range AllLinks(n) {
		apart := (slices.Index(n, l.From) - slices.Index(n, l.To) + len(n)) % len(n)
		if apart != 1 && apart != last {
			ring = append(ring, l)
		}
	}
	for _, shape := range []struct {
		name  string
		links []harness.Link
	}{
		{"halves", both(n[:len(n)/2], n[len(n)/2:])},
		{"one alone", both(n[:1], n[1:])},
		{"one link one way", between(n[:1], n[1:2])},
		{"deaf: one hears nobody", between(n[1:], n[:1])},
		{"mute: nobody hears one", between(n[:1], n[1:])},
		{"bridge: two halves and one that sees both", both(n[:last/2], n[last/2:last])},
		{"ring", ring},
		{"all alone", AllLinks(n)},
	} {
		t.run(shape.name, func(t step) {
			cut(t, p, "f1", shape.links)
			expectCut(t, c, p, "during the cut", shape.links)
			// Nodes may stop sending to one that never answers, so not every link need have
			// lost something; but none that is open may have.
			await(t, "a packet of the nodes' own is discarded", func() bool {
				return total(dropped(t, p, "f1", shape.links)) > 0
			})
			mend(t, p, "f1")
			expectCut(t, c, p, "after the heal", nil)
		})
	}
}

// testClients cuts links of clients: either way, one way, and two faults at once.
func testClients(t step, c harness.Cluster, p harness.Partitioner) {
	n, clients := c.Nodes(), []harness.NodeID{harness.Clients}
	all := append(AllLinks(n), both(clients, n)...)
	expectCutOf(t, all, p, "at first", nil)
	answers, requests := between(n[1:2], clients), between(clients, n[2:3])
	cut(t, p, "f1", append(both(clients, n[:1]), answers...))
	cut(t, p, "f2", append(slices.Clone(answers), requests...))
	expectCutOf(t, all, p, "under both", slices.Concat(both(clients, n[:1]), answers, requests))
	dropped(t, p, "f1", append(both(clients, n[:1]), answers...))
	mend(t, p, "f1")
	expectCutOf(t, all, p, "under the second alone", append(slices.Clone(answers), requests...))
	mend(t, p, "f2")
	expectCutOf(t, all, p, "after both", nil)
}

func testOverlap(t step, c harness.Cluster, p harness.Partitioner) {
	n := c.Nodes()
	ab, ba, ca := harness.Link{From: n[0], To: n[1]}, harness.Link{From: n[1], To: n[0]}, harness.Link{From: n[2], To: n[0]}
	cut(t, p, "f1", []harness.Link{ab, ba})
	cut(t, p, "f2", []harness.Link{ab, ca})
	expectCut(t, c, p, "under both", []harness.Link{ab, ba, ca})
	// Each fault must be able to show that it bit, also where the other bites as well.
	await(t, "both faults discard packets", func() bool {
		return total(dropped(t, p, "f1", []harness.Link{ab, ba})) > 0 && total(dropped(t, p, "f2", []harness.Link{ab, ca})) > 0
	})
	before := dropped(t, p, "f2", []harness.Link{ab, ca})
	mend(t, p, "f1")
	expectCut(t, c, p, "under the second alone", []harness.Link{ab, ca})
	after := dropped(t, p, "f2", []harness.Link{ab, ca})
	for l, count := range before {
		if after[l] < count {
			t.Errorf("%s->%s: the count fell from %d to %d when another fault was healed", l.From, l.To, count, after[l])
		}
	}
	if _, err := p.Dropped(t.Context(), "f1"); err == nil {
		t.Errorf("a healed fault still has counts")
	}
	mend(t, p, "f2")
	expectCut(t, c, p, "after both", nil)
}

func cut(t step, p harness.Partitioner, fault string, links []harness.Link) {
	t.Helper()
	if err := p.Cut(t.Context(), fault, links); err != nil {
		t.Fatalf("%v", err)
	}
}

func mend(t step, p harness.Partitioner, fault string) {
	t.Helper()
	if err := p.Mend(t.Context(), fault); err != nil {
		t.Fatalf("%v", err)
	}
}

// dropped asks for a fault's counts, which must be for its links and no others.
func dropped(t step, p harness.Partitioner, fault string, links []harness.Link) map[harness.Link]uint64 {
	t.Helper()
	got, err := p.Dropped(t.Context(), fault)
	if err != nil {
		t.Fatalf("%v", err)
	}
	want := map[harness.Link]bool{}
	for _, l := range links {
		want[l] = true
		if _, ok := got[l]; !ok {
			t.Errorf("no count for %s->%s, which %s cuts", l.From, l.To, fault)
		}
	}
	for l := range got {
		if !want[l] {
			t.Errorf("a count for %s->%s, which %s does not cut", l.From, l.To, fault)
		}
	}
	return got
}

func total(counts map[harness.Link]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}
