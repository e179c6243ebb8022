package cart

import (
	"testing"

	"cartwheel/harness"
)

// A required event that a schedule cannot bring about would make a good run unknown.
func TestAMinorityMustAcknowledgeOnlyWhereItCan(t *testing.T) {
	all := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	cut := func(name string, side ...harness.NodeID) harness.Fault {
		f := harness.Fault{Kind: "partition", Name: name, Nodes: side}
		for _, a := range side {
			for _, b := range all {
				if a != b && (len(side) < 2 || b != side[0] && b != side[1]) {
					f.Links = append(f.Links, harness.Link{From: a, To: b}, harness.Link{From: b, To: a})
				}
			}
		}
		return f
	}
	for _, c := range []struct {
		name  string
		w     int
		fault harness.Fault
		want  bool
	}{
		{"two nodes, the store's W", 0, cut("minority", "n1", "n2"), true},
		{"one node, the store's W", 0, cut("minority", "n1"), false},
		{"one node, W=1", 1, cut("minority", "n1"), true},
		{"two nodes, W=3", 3, cut("halves", "n1", "n2"), false},
		{"a shape that splits nothing", 0, cut("bridge", "n1", "n2"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := harness.Plan{Nodes: all, Write: harness.WriteOptions{W: c.w}, Schedule: []harness.Fault{c.fault}}
			for _, e := range events() {
				if e.Name == "a cut-off minority acknowledged a write" && e.Needs(p) != c.want {
					t.Errorf("needed: %v, want %v", !c.want, c.want)
				}
			}
		})
	}
}
