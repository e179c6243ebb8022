package clustertest

import (
	"slices"

	"cartwheel/harness"
)

// spare is a name that no cluster of the suite begins with.
const spare = harness.NodeID("n99")

func testMachines(t step, c harness.Cluster, r harness.Resizer) {
	ctx, first := t.Context(), c.Nodes()
	spares := func(when string, want ...harness.NodeID) {
		t.Helper()
		if got := r.Spares(); !slices.Equal(got, want) {
			t.Errorf("%s: spare machines are %v, want %v", when, got, want)
		}
		if got := c.Nodes(); !slices.Equal(got, first) {
			t.Errorf("%s: the cluster's nodes are %v, and were %v", when, got, first)
		}
	}
	alive := func(when string, n harness.NodeID, want bool) {
		t.Helper()
		if k, ok := c.(harness.Killer); ok {
			if got, err := k.Alive(ctx, n); err != nil || got != want {
				t.Errorf("%s: %s is alive: got %v, %v; want %v", when, n, got, err, want)
			}
		}
	}
	spares("at first")
	if err := r.Add(ctx, first[0]); err == nil {
		t.Errorf("a machine was added under the name of another")
	}
	for range 2 { // a name may come again once its machine is gone
		if err := r.Add(ctx, spare); err != nil {
			t.Fatalf("add a machine: %v", err)
		}
		spares("with one more", spare)
		alive("with one more", spare, true)
		if a := c.Address(spare); a == "" || slices.ContainsFunc(first, func(n harness.NodeID) bool { return c.Address(n) == a }) {
			t.Errorf("the address of the added machine is %q", a)
		}
		if err := r.Add(ctx, spare); err == nil {
			t.Errorf("a machine was added twice")
		}
		for range 2 {
			if err := r.Remove(ctx, spare); err != nil {
				t.Fatalf("remove a machine: %v", err)
			}
			spares("with that gone")
		}
	}
	if err := r.Remove(ctx, first[0]); err == nil {
		t.Errorf("a machine that the cluster began with was removed")
	}
	testWipes(t, c, r, alive)
}

// testWipes empties the disk of a node; only of a dead one.
func testWipes(t step, c harness.Cluster, r harness.Resizer, alive func(string, harness.NodeID, bool)) {
	ctx, n := t.Context(), c.Nodes()[0]
	if err := r.Wipe(ctx, n); err == nil {
		t.Errorf("the disk of a living node was emptied")
	}
	k, ok := c.(harness.Killer)
	if !ok {
		return
	}
	if err := k.Kill(ctx, n); err != nil {
		t.Fatalf("kill %s: %v", n, err)
	}
	if err := r.Wipe(ctx, n); err != nil {
		t.Fatalf("wipe %s: %v", n, err)
	}
	if err := k.Restart(ctx, n); err != nil {
		t.Fatalf("restart %s: %v", n, err)
	}
	alive("with an empty disk", n, true)
	if err := r.Wipe(ctx, "nobody"); err == nil {
		t.Errorf("an unknown node was wiped without an error")
	}
}
