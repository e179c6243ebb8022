package clustertest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"cartwheel/harness"
)

// Patience is how long the suite waits for something that must happen.
const Patience = 30 * time.Second

// Run tests a backend. Fresh returns a cluster of at least four nodes that is not started;
// it is called once. The suite starts and stops it. It uses no subtests, so that it can run
// inside a synctest bubble; what fails is named in the message.
func Run(tb testing.TB, fresh func() harness.Cluster) {
	t, c := step{TB: tb}, fresh()
	ctx := t.Context()
	if err := c.Stop(ctx); err != nil {
		t.Fatalf("stop before start: %v", err)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatalf("start: %v", err)
	}
	defer func() {
		if err := c.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("stop: %v", err)
		}
	}()
	t.run("nodes have names and addresses of their own", func(t step) { testAddresses(t, c) })
	t.run("a running cluster is not started again", func(t step) {
		if err := c.Start(ctx); err == nil {
			t.Errorf("got no error, want one")
		}
	})
	if p, ok := c.(harness.Partitioner); ok {
		t.run("cuts", func(t step) { testCuts(t, c, p) })
	}
	if p, ok := c.(harness.Pauser); ok {
		t.run("pauses", func(t step) { testPauses(t, c, p) })
	}
	if k, ok := c.(harness.Killer); ok {
		t.run("kills", func(t step) { testKills(t, c, k) })
	}
	if s, ok := c.(harness.Shaper); ok {
		t.run("shapes", func(t step) { testShaping(t, c, s) })
	}
	if k, ok := c.(harness.ClockSkewer); ok {
		t.run("clocks", func(t step) { testClocks(t, c, k) })
	}
	if d, ok := c.(harness.DiskFaulter); ok {
		t.run("disks", func(t step) { testDisks(t, c, d) })
	}
	if r, ok := c.(harness.Resizer); ok {
		t.run("machines", func(t step) { testMachines(t, c, r) })
	}
	if l, ok := c.(harness.LogFetcher); ok {
		t.run("logs", func(t step) { testLogs(t, c, l) })
	}
	t.run("stop", func(t step) { testStop(t, c) })
}

// A step is a named part of the suite.
type step struct {
	testing.TB
	name string
}

func (s step) run(name string, f func(step)) {
	if s.name != "" {
		name = s.name + ": " + name
	}
	f(step{TB: s.TB, name: name})
}

// Errorf names the step.
func (s step) Errorf(format string, args ...any) {
	s.Helper()
	s.TB.Errorf("%s: %s", s.name, fmt.Sprintf(format, args...))
}

// Fatalf names the step and ends the whole suite.
func (s step) Fatalf(format string, args ...any) {
	s.Helper()
	s.TB.Fatalf("%s: %s", s.name, fmt.Sprintf(format, args...))
}

// testStop stops the cluster, twice, with a context that has ended.
func testStop(t step, c harness.Cluster) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if err := c.Stop(ended); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if p, ok := c.(harness.Partitioner); ok {
		if err := p.Cut(t.Context(), "late", AllLinks(c.Nodes())[:1]); err == nil {
			t.Errorf("a stopped cluster's link was cut without an error")
		}
	}
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

func testAddresses(t step, c harness.Cluster) {
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

func testPauses(t step, c harness.Cluster, p harness.Pauser) {
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
		t.Errorf("an unknown node was paused without an error")
	}
}

func testLogs(t step, c harness.Cluster, l harness.LogFetcher) {
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
func expectCut(t step, c harness.Cluster, p harness.Partitioner, when string, cut []harness.Link) {
	t.Helper()
	expectCutOf(t, AllLinks(c.Nodes()), p, when, cut)
}

// expectCutOf is expectCut for a choice of links.
func expectCutOf(t step, all []harness.Link, p harness.Partitioner, when string, cut []harness.Link) {
	t.Helper()
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
func await(t step, what string, happened func() bool) {
	t.Helper()
	for left := Patience; left > 0; left -= 50 * time.Millisecond {
		if happened() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: did not happen within %s", what, Patience)
}
