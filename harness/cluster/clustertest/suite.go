package clustertest

import (
	"bytes"
	"context"
	"maps"
	"testing"
	"time"

	"cartwheel/harness"
)

// Patience is how long the suite waits for something that must happen.
const Patience = 30 * time.Second

// Run tests a backend. New returns a cluster of at least four nodes that is not started;
// it is called once. The suite starts and stops it.
func Run(t *testing.T, fresh func(t *testing.T) harness.Cluster) {
	c := fresh(t)
	ctx := t.Context()
	if err := c.Stop(ctx); err != nil {
		t.Fatalf("stop before start: %v", err)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatalf("start: %v", err)
	}
	stop := func() {
		if err := c.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
	t.Cleanup(stop)

	t.Run("nodes have names and addresses of their own", func(t *testing.T) { testAddresses(t, c) })
	t.Run("a running cluster is not started again", func(t *testing.T) {
		if err := c.Start(ctx); err == nil {
			t.Error("got no error, want one")
		}
	})
	if p, ok := c.(harness.Partitioner); ok {
		t.Run("cuts", func(t *testing.T) { testCuts(t, c, p) })
	}
	if p, ok := c.(harness.Pauser); ok {
		t.Run("pauses", func(t *testing.T) { testPauses(t, c, p) })
	}
	if l, ok := c.(harness.LogFetcher); ok {
		t.Run("logs show what a node has said", func(t *testing.T) { testLogs(t, c, l) })
	}
	t.Run("stop is idempotent and ignores an ended context", func(t *testing.T) {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for range 2 {
			if err := c.Stop(ended); err != nil {
				t.Fatal(err)
			}
		}
		if p, ok := c.(harness.Partitioner); ok {
			if err := p.Cut(ctx, "late", AllLinks(c.Nodes())[:1]); err == nil {
				t.Error("a stopped cluster's link was cut without an error")
			}
		}
	})
}

// AllLinks lists every link between the nodes, in order.
func AllLinks(nodes []harness.NodeID) []harness.Link {
	return between(nodes, nodes)
}

// between lists the links from any of some nodes to any of others.
func between(from, to []harness.NodeID) (links []harness.Link) {
	for _, f := range from {
		for _, t := range to {
			if f != t {
				links = append(links, harness.Link{From: f, To: t})
			}
		}
	}
	return links
}

// both lists the links between two groups, either way.
func both(a, b []harness.NodeID) []harness.Link {
	return append(between(a, b), between(b, a)...)
}

func testAddresses(t *testing.T, c harness.Cluster) {
	nodes, seen := c.Nodes(), map[string]harness.NodeID{}
	if len(nodes) < 4 {
		t.Fatalf("got %d nodes, the suite needs 4", len(nodes))
	}
	for i, n := range nodes {
		if n != c.Nodes()[i] {
			t.Errorf("nodes change their order: got %s, then %s", n, c.Nodes()[i])
		}
		a := c.Address(n)
		if other, taken := seen[a]; a == "" || taken {
			t.Errorf("address of %s: got %q, also that of %q", n, a, other)
		}
		seen[a] = n
	}
}

func testPauses(t *testing.T, c harness.Cluster, p harness.Pauser) {
	ctx, nodes := t.Context(), c.Nodes()
	want := map[harness.NodeID]bool{}
	check := func(when string) {
		t.Helper()
		for _, n := range nodes {
			got, err := p.Paused(ctx, n)
			if err != nil || got != want[n] {
				t.Errorf("%s: %s is paused: got %v, %v; want %v", when, n, got, err, want[n])
			}
		}
	}
	do := func(what string, f func(context.Context, harness.NodeID) error, n harness.NodeID) {
		t.Helper()
		if err := f(ctx, n); err != nil {
			t.Fatalf("%s %s: %v", what, n, err)
		}
	}
	check("at first")
	do("resume", p.Resume, nodes[0])
	check("after resuming a running node")
	for range 2 {
		do("pause", p.Pause, nodes[0])
		want[nodes[0]] = true
		check("after pausing, and pausing again")
	}
	do("pause", p.Pause, nodes[1])
	want[nodes[1]] = true
	check("after pausing a second")
	if cutter, ok := c.(harness.Partitioner); ok {
		// A frozen node's network is up: faults of both kinds may overlap.
		links := between(nodes[1:2], nodes[:1])
		if err := cutter.Cut(ctx, "frozen", links); err != nil {
			t.Fatalf("cut a link of paused nodes: %v", err)
		}
		expectCut(t, c, cutter, "while both ends are paused", links)
		if err := cutter.Mend(ctx, "frozen"); err != nil {
			t.Fatalf("mend a link of paused nodes: %v", err)
		}
	}
	for range 2 {
		do("resume", p.Resume, nodes[0])
		delete(want, nodes[0])
		check("after resuming, and resuming again")
	}
	do("resume", p.Resume, nodes[1])
	delete(want, nodes[1])
	check("at last")
	if err := p.Pause(ctx, "nobody"); err == nil {
		t.Error("an unknown node was paused without an error")
	}
}

func testLogs(t *testing.T, c harness.Cluster, l harness.LogFetcher) {
	for _, n := range c.Nodes() {
		await(t, "logs of "+string(n), func() bool {
			var b bytes.Buffer
			if err := l.Logs(t.Context(), n, &b); err != nil {
				t.Fatalf("logs of %s: %v", n, err)
			}
			return b.Len() > 0
		})
	}
}

// expectCut probes every link of the cluster: those given must be closed and all
// others open.
func expectCut(t *testing.T, c harness.Cluster, p harness.Partitioner, when string, cut []harness.Link) {
	t.Helper()
	all := AllLinks(c.Nodes())
	got, err := p.Probe(t.Context(), all)
	if err != nil {
		t.Fatalf("%s: probe: %v", when, err)
	}
	want := map[harness.Link]bool{}
	for _, l := range all {
		want[l] = true
	}
	for _, l := range cut {
		want[l] = false
	}
	if maps.Equal(got, want) {
		return
	}
	for _, l := range all {
		if open, probed := got[l]; !probed || open != want[l] {
			t.Errorf("%s: %s->%s is open: got %v (probed: %v), want %v", when, l.From, l.To, open, probed, want[l])
		}
	}
}

// await waits until something has happened.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for left := Patience; left > 0; left -= 50 * time.Millisecond {
		if happened() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: did not happen within %s", what, Patience)
}
